"""The metrics of an engine, read from its snapshot, for Prometheus and for OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from tiger_slack_tui.base.snapshot import SlackStatus, Snapshot

Value = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, with one value for each set of labels. `unit` is a base unit, as Prometheus asks for."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: Literal["", "seconds", "bytes"]
    description: str
    read: Callable[[Snapshot], Iterable[Value]]


def _one(read: Callable[[Snapshot], float | None]) -> Callable[[Snapshot], Iterable[Value]]:
    def values(now: Snapshot) -> Iterable[Value]:
        value = read(now)
        return [] if value is None else [({}, value)]

    return values


def _quantiles(name: str) -> Callable[[Snapshot], Iterable[Value]]:
    def values(now: Snapshot) -> Iterable[Value]:
        found = {"0.5": getattr(now, f"{name}_p50"), "0.99": getattr(now, f"{name}_p99")}
        return [({"quantile": at}, value) for at, value in found.items() if value is not None]

    return values


def _events(now: Snapshot) -> Iterable[Value]:
    return [({"type": type_, "outcome": str(o)}, n) for (type_, o), n in now.outcomes.items()]


METRICS = (
    Metric(
        "events", "counter", "", "Events by type and outcome, without repeated deliveries.", _events
    ),
    Metric("deliveries", "counter", "", "Events received.", _one(lambda now: now.received)),
    Metric("acks", "counter", "", "Events acknowledged.", _one(lambda now: now.acked)),
    Metric("duplicates", "counter", "", "Repeated deliveries.", _one(lambda now: now.duplicates)),
    Metric(
        "connects",
        "counter",
        "",
        "Connections made to Slack.",
        _one(lambda now: now.slack_connects),
    ),
    Metric(
        "acks_lost",
        "counter",
        "",
        "Acks that were not sent because their connection was lost.",
        _one(lambda now: now.slack_acks_lost),
    ),
    Metric(
        "envelopes_ignored",
        "counter",
        "",
        "Envelopes from Slack that are not events.",
        _one(lambda now: now.slack_ignored),
    ),
    Metric(
        "frames_malformed",
        "counter",
        "",
        "Frames from Slack that could not be read.",
        _one(lambda now: now.slack_malformed),
    ),
    Metric(
        "connected",
        "gauge",
        "",
        "1 while connected to Slack.",
        _one(lambda now: now.slack_status == SlackStatus.CONNECTED),
    ),
    Metric(
        "database_up",
        "gauge",
        "",
        "1 while the database takes events.",
        _one(lambda now: now.database_problem is None),
    ),
    Metric("queue", "gauge", "", "Events read and not yet written.", _one(lambda now: now.queue)),
    Metric(
        "queued",
        "gauge",
        "bytes",
        "Bytes of the events read and not yet written.",
        _one(lambda now: now.queue_bytes),
    ),
    Metric(
        "spool_events",
        "gauge",
        "",
        "Events in the spool, which wait for the database.",
        _one(lambda now: now.spool_events),
    ),
    Metric("spool", "gauge", "bytes", "Size of the spool.", _one(lambda now: now.spool_bytes)),
    Metric(
        "spool_age",
        "gauge",
        "seconds",
        "Age of the spool's oldest event.",
        _one(lambda now: max(now.at - now.spool_oldest, 0) if now.spool_oldest else 0),
    ),
    Metric(
        "spool_up",
        "gauge",
        "",
        "1 while the spool takes events.",
        _one(lambda now: now.spool_problem is None),
    ),
    Metric(
        "spool_errors",
        "counter",
        "",
        "Calls to the operating system that failed in the spool.",
        _one(lambda now: now.spool_errors),
    ),
    Metric(
        "spool_damaged",
        "gauge",
        "",
        "Files of the spool that were renamed to *.damaged.",
        _one(lambda now: now.spool_damaged),
    ),
    Metric(
        "stopped",
        "gauge",
        "seconds",
        "For how long no event has been taken; 0 while events are taken.",
        _one(lambda now: 0 if now.stalled_since is None else max(now.at - now.stalled_since, 0)),
    ),
    Metric(
        "faults",
        "gauge",
        "",
        "Tasks that failed lately, and files of the spool that cannot be used.",
        _one(lambda now: len(now.faults)),
    ),
    Metric(
        "restarts",
        "counter",
        "",
        "Restarts of tasks after an error.",
        lambda now: [({"task": name}, n) for name, n in now.restarts.items()],
    ),
    Metric("ack", "gauge", "seconds", "From reading an event to its ack.", _quantiles("ack")),
    Metric("commit", "gauge", "seconds", "Duration of a batch's commit.", _quantiles("commit")),
    Metric("batch_events", "gauge", "", "Events of a batch.", _quantiles("batch")),
    Metric(
        "lateness",
        "gauge",
        "seconds",
        "From an event to its receipt.",
        _quantiles("lateness"),
    ),
    Metric(
        "gaps_open",
        "gauge",
        "",
        "Gaps that no backfill has closed.",
        _one(lambda now: now.gaps_open),
    ),
    Metric(
        "job_running",
        "gauge",
        "",
        "1 while this instance runs the job.",
        lambda now: [({"job": job.name}, job.running_since is not None) for job in now.jobs],
    ),
    Metric(
        "job_failed",
        "gauge",
        "",
        "1 if the job's last run on this instance failed. One that is incomplete has not.",
        lambda now: [
            ({"job": job.name}, job.last_outcome not in (None, "done", "incomplete", "skipped"))
            for job in now.jobs
        ],
    ),
)


def observe(snapshot: Callable[[], Snapshot]) -> None:
    """Let OpenTelemetry read the metrics whenever it exports. Does nothing if OpenTelemetry is not set up.

    `snapshot` is called in a thread of OpenTelemetry: pass `Engine.published`.
    """
    meter = metrics.get_meter("tiger_slack_tui")
    for metric in METRICS:
        make = (
            meter.create_observable_counter
            if metric.kind == "counter"
            else meter.create_observable_gauge
        )
        unit = {"seconds": "s", "bytes": "By", "": "1"}[metric.unit]
        make(
            f"tiger_slack.{metric.name}",
            callbacks=[_callback(metric, snapshot)],
            unit=unit,
            description=metric.description,
        )


def prometheus_text(now: Snapshot) -> bytes:
    """The metrics in Prometheus' text format."""
    # Imported late: only the HTTP server needs it.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Reader(Collector):
        def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
            for metric in METRICS:
                family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                values = list(metric.read(now))
                labels = list(values[0][0]) if values else []
                name = "_".join(filter(None, ("tiger_slack", metric.name, metric.unit)))
                shown = family(name, metric.description, labels=labels)
                for labelled, value in values:
                    shown.add_metric(list(labelled.values()), float(value))
                yield shown

    registry = CollectorRegistry()
    registry.register(Reader())
    return generate_latest(registry)


def _callback(
    metric: Metric, snapshot: Callable[[], Snapshot]
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(float(value), labels) for labels, value in metric.read(snapshot())]

    return read
