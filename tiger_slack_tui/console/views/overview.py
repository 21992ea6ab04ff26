"""The view Overview: whether ingestion is healthy, how many events come, and what went wrong last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.snapshot import SlackStatus, Snapshot
from tiger_slack_tui.base.text import amount, fit
from tiger_slack_tui.console.actions import JOBS, OVERVIEW, TRIAGE, action
from tiger_slack_tui.console.formats import age, brief, clock, count, millis
from tiger_slack_tui.console.model.event_counts import PARTS
from tiger_slack_tui.console.model.findings import Finding
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.rates import NOW_SECONDS, TypeRate
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.chrome import import_parts, storage_state
from tiger_slack_tui.console.panes.event_chart import EventChart
from tiger_slack_tui.console.panes.findings import (
    FINDING_FIELDS,
    findings_head,
    findings_problem,
    paint_finding,
)
from tiger_slack_tui.console.panes.jobs import outcome, progress_left
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    as_is,
    line,
    mark,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.store.instances import Instance

_RUNNING = ("jobs", "imports", "migrations", "extension")
"""The database that the pane of jobs and schema shows."""

_TYPES = Columns(
    Column("type"),
    Column("rate/s", 8, right=True),
    Column("last min", 9, right=True),
    Column("failed", 7, right=True),
    Column("discarded", 9, right=True),
    Column("p50", 8, right=True, least=85),
    Column("p95", 8, right=True),
    Column("p99", 8, right=True, least=85),
)
_INSTANCES = Columns(
    Column("instance"),
    Column("state", 16),
    Column("events/s", 8, right=True),
    Column("ack p99", 7, right=True),
    Column("queue", 6, right=True),
    Column("spool", 6, right=True),
    Column("received", 10, right=True, least=100),
    Column("up", 6, right=True, least=90),
    Column("seen", 6, right=True),
)


_TYPE_FIELDS = (
    Field[TypeRate]("type", lambda row: row.type),
    Field[TypeRate]("rate", lambda row: row.per_second),
    Field[TypeRate]("last minute", lambda row: row.of_minute),
    Field[TypeRate]("failed", lambda row: row.minute.get(Outcome.FAILED, 0)),
    Field[TypeRate]("discarded", lambda row: row.minute.get(Outcome.DISCARDED, 0)),
)
_INSTANCE_FIELDS = (
    Field[Instance]("instance", lambda row: row.instance),
    Field[Instance]("state", lambda row: row.status),
    Field[Instance]("events/s", lambda row: row.events_per_second),
    Field[Instance]("ack p99", lambda row: row.ack_p99),
    Field[Instance]("queue", lambda row: row.queue),
    Field[Instance]("spool", lambda row: row.spool_events),
    Field[Instance]("received", lambda row: row.received),
    Field[Instance]("up", lambda row: row.age),
    Field[Instance]("seen", lambda row: row.silence),
)


def paint_instance(row: Instance, width: int) -> Content:
    """An instance, as of its last heartbeat."""
    if row.is_lost:
        state = mark("bad", "lost")
    elif row.is_stopped:
        state = mark("off", "stopped")
    elif row.is_late:
        state = mark("note", f"as of {age(row.silence)} ago")
    elif (stored := storage_state(row.database_problem, row.spool_problem)) is not None:
        state = mark(*stored)
    else:
        state = mark("ok" if row.status == SlackStatus.CONNECTED else "note", row.status)
    is_old, has_ended = not row.is_running, row.is_lost or row.is_stopped
    spool: StyledText = (count(row.spool_events), NOTE) if row.spool_events else "-"
    name = row.instance.partition("@")[2] or row.instance
    figures: list[StyledText] = [
        "-" if has_ended else f"{row.events_per_second:,.1f}",
        "-" if has_ended else millis(row.ack_p99),
        "-" if row.is_stopped else f"{row.queue:,}",
        spool,
        count(row.received),
        brief(row.age),
    ]
    cells = [(part if isinstance(part, str) else part[0], DIM) for part in figures]
    seen = (brief(row.silence), BAD if row.is_lost else DIM)
    return _INSTANCES.row(
        width,
        [(name, DIM) if is_old else name, state, *(cells if is_old else figures), seen],
    )


def _rate(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:,.1f}"


def flow_lines(now: Snapshot, width: int) -> list[Content]:
    """A line of ack, commit, queue, spool and lateness figures. Rare counters appear once they are above zero."""
    flow = _flow(now)
    rare = [(name, (f"{number:,}", NOTE)) for name, number in _rare(now) if number]
    if not rare:
        return [_pairs_line(flow, width)]
    whole = _pairs_line([*flow, *rare])
    if whole.cell_length <= width:
        return [whole]
    return [_pairs_line(flow, width), _pairs_line(rare, width)]


def _flow(now: Snapshot) -> list[tuple[str, StyledText]]:
    return [
        ("ack", f"{millis(now.ack_p50)}, p99 {millis(now.ack_p99)}"),
        ("commit p99", millis(now.commit_p99)),
        ("queue", _queue(now)),
        ("spool", _spool(now)),
        ("late", millis(now.lateness_p50)),
        ("batch", "-" if now.batch_p50 is None else f"{now.batch_p50:,.0f}"),
        ("repeated", f"{now.duplicates:,}"),
    ]


def _rare(now: Snapshot) -> list[tuple[str, int]]:
    return [
        ("acks lost", now.slack_acks_lost),
        ("malformed frames", now.slack_malformed),
        ("ignored envelopes", now.slack_ignored),
    ]


def _pairs_line(given: Sequence[tuple[str, StyledText]], width: int | None = None) -> Content:
    """Names and values: all, or as many as there is room for."""
    shown: list[StyledText] = []
    used = 0
    for name, part in given:
        text = part if isinstance(part, str) else part[0]
        used += len(name) + len(text) + 4
        if width is not None and used > width:
            break
        shown += [(f"  {name} ", DIM), part, " "]
    return line(*shown)


def _queue(now: Snapshot) -> StyledText:
    text = f"{now.queue:,} of {now.queue_limit:,}"
    return (text, NOTE) if now.queue > now.queue_limit // 2 else text


def _spool(now: Snapshot) -> StyledText:
    if now.spool_problem:
        return ("✗ full" if "is full" in now.spool_problem else "✗ fails", BAD)
    if not now.spool_events:
        return "empty"
    since = f", {age(now.at - now.spool_oldest)}" if now.spool_oldest else ""
    return (f"▲ {count(now.spool_events)}{since}", NOTE)


def job_line(job: JobStatus, at: float, width: int) -> Content:
    """A job: how its last run ended, when it runs next, and how far it is or who holds its lock."""
    wait = brief((job.next_run - datetime.fromtimestamp(at, UTC)).total_seconds())
    last = job.present
    when = ""
    if last is not None:
        since = brief(at - last.started_at.timestamp())
        is_running = last.outcome is None
        when = f"{amount(last.rows_seen, 'row')}, {since}" if is_running else f"{since} ago"
    lock = "lock free" if job.holder is None else f"lock {job.holder.application_name}"
    about = (last and progress_left(last)) or lock
    columns = Columns(
        Column("", 10), Column("", 12), Column("", 16), Column("", 12), Column("", least=64)
    )
    return columns.row(width, [job.name, outcome(last), when, f"next {wait}", (about, DIM)])


def import_lines(model: Model, width: int) -> Iterator[Content]:
    """The import of this process; if it has none, the imports that run elsewhere."""
    if model.import_summary is not None:
        shown = line(
            fit("import", 12),
            *import_parts(model.import_summary),
            (f"  {model.import_summary.path}", DIM),
        )
        yield shown.truncate(width)
        return
    for past in model.database.imports:
        if past.is_running:
            so_far = f"  {amount(past.files_now, 'file')} done  by {past.instance}"
            yield line(
                fit("import", 12), ("▶ running", KEY), so_far, (f"  {past.source}", DIM)
            ).truncate(width)


class OverviewView(View):
    """Shows whether ingestion is healthy: which events come, how fast they are stored, what runs, what went wrong.

    The chart has a scale of events a second and a time axis in UTC. [ and ] show less or more time: from a minute
    to 90 days. More than 15 minutes are counted in the database, the newest first. A column is the mean of its time,
    and the peak is the highest column.

    An event waits in the queue until a batch of events is committed, or in the spool (on disk) while the database is
    away. "ack" is the time until it is acknowledged to Slack, "late" the time from Slack's event to its receipt.
    "repeated" counts events that Slack delivered again. p50, p95 and p99: so many percent took at most this long.
    """

    NAME: ClassVar[str] = OVERVIEW

    def compose(self) -> ComposeResult:
        yield Pane[Content](as_is, id="chart", can_focus=False)
        instances = Pane[Instance](
            paint_instance,
            id="instances",
            key=lambda row: row.instance,
            selectable=True,
            fields=_INSTANCE_FIELDS,
        )
        instances.display = self.sources.is_observing  # until the first sample is shown
        yield instances
        yield Pane[TypeRate](
            self._paint_type,
            id="types",
            key=lambda row: row.type,
            selectable=True,
            fields=_TYPE_FIELDS,
        )
        yield Pane[Content](as_is, id="running", selectable=True)
        yield Pane[Finding](
            paint_finding,
            id="last-problems",
            key=lambda row: row.key,
            selectable=True,
            fields=FINDING_FIELDS,
        )

    def on_mount(self) -> None:
        self._model: Model | None = None

    def show(self, model: Model) -> None:
        self._model = model
        self._show_chart(model)
        self._show_types(model)
        self._show_running(model)
        self._show_instances(model)
        self._show_problems(model)

    def _show_chart(self, model: Model) -> None:
        pane = self.query_one("#chart", Pane)
        width, height = pane.size
        rates, now, chart = model.rates, model.engine, EventChart.of(model, width)
        flow = flow_lines(now, width) if now is not None else []
        rows = [*chart.lines(max(height - 1 - len(flow), 1)), *flow]
        is_long = model.window in PARTS
        peak = ""
        if chart.peak:
            peak = f"peak {_rate(chart.peak)}"
            if chart.seconds > NOW_SECONDS:  # then it can be less than the rate now
                peak += f" (mean of {brief(chart.seconds)})"
            elif width >= 120:
                peak += f" at {clock(chart.peak_at)}"
        received = f"{now.received:,} received · {now.acked:,} acknowledged · " if now else ""
        is_old, ago = _observed_age(model)
        present = ago or ("" if is_long else f"now {rates.now:,.1f}")
        if model.is_silent and not model.is_old("observed"):
            present = (
                model.silent_for
            )  # the chart goes on, and only its numbers are of an earlier time
        elif present and model.is_observing and not is_old:
            present += f" from {model.instances_counted}"
        note = " · ".join(filter(None, (present, peak, age(model.window))))
        problem = model.error_of("observed")
        if is_long:
            counts = model.event_counts
            problem = problem or (counts.problem if counts else None)
            note = f"{note}{'' if counts and counts.is_whole else ' · reading …'}"
        pane.show(
            Body(
                rows=rows,
                title="events/s",
                note=f"{received}{note}" if width >= 110 else note,
                is_old=is_old,
                problem=problem,
            )
        )

    def _show_types(self, model: Model) -> None:
        rows = model.rates.by_type
        is_old, ago = _observed_age(model)
        empty = "There were no events yet. The first one appears here within a second."
        if model.engine is not None and model.engine.received:
            empty = "Events wait for the database. They are counted here when it has them."
        if model.is_silent:
            empty = "No instance reports. Events appear here when one does."
        self.query_one("#types", Pane).show(
            Body(
                rows=rows,
                title="by type",
                note=ago or amount(len(rows), "type"),
                is_old=is_old,
                head=_TYPES.head,
                empty_text=model.empty_text("observed", empty) if model.is_observing else (empty,),
            )
        )

    def _paint_type(self, row: TypeRate, width: int) -> Content:
        now = self._model.engine if self._model else None
        latency = now.ack_by_type.get(row.type) if now else None
        p50, p95, p99 = latency or (None, None, None)
        failed, discarded = row.minute.get(Outcome.FAILED, 0), row.minute.get(Outcome.DISCARDED, 0)
        unrouted = row.minute.get(Outcome.UNROUTED, 0)
        return _TYPES.row(
            width,
            [
                (row.type, NOTE) if unrouted else row.type,
                f"{row.per_second:,.1f}",
                f"{row.of_minute:,}",
                (f"{failed:,}", BAD if failed else DIM),
                (f"{discarded:,}", KEY if discarded else DIM),
                millis(p50),
                millis(p95),
                millis(p99),
            ],
        )

    def _show_running(self, model: Model) -> None:
        pane, database = self.query_one("#running", Pane), model.database
        width = pane.size.width - 2  # beside the pointer
        rows = [*import_lines(model, width)]
        self.set_class(bool(rows), "-importing")
        rows += [job_line(job, model.at, width) for job in database.jobs]
        if (found := database.migrations) is not None:
            state: StyledText = ("✓ current", GOOD)
            if not found.is_current:
                state = (
                    "▶ migrating" if model.is_migrating else f"▲ {found.pending} pending",
                    NOTE,
                )
            edition = database.timescaledb or database.postgresql
            columns = Columns(Column("", 10), Column("", 12), Column(""))
            about = f"{found.database_version or 'no schema'}, {len(found.files)} files, {edition}"
            rows.append(columns.row(width, ["schema", state, about]))
        pane.show(
            Body(
                rows=rows,
                title="jobs and schema",
                note="2 shows locks",
                empty_text=(model.asking_text,),
                is_old=model.is_old(*_RUNNING),
                problem=model.last_read or model.error_of(*_RUNNING),
            )
        )

    def _show_instances(self, model: Model) -> None:
        rows = model.instances
        others = [row for row in rows if not row.is_stopped]
        is_shown = model.is_observing or len(others) > 1 or any(row.is_lost for row in rows)
        self.set_class(is_shown, "-many")
        rate = sum(row.events_per_second for row in rows if row.is_running)
        note = model.read_ago
        if not model.is_old("instances"):
            note = (
                model.seen_ago
                if model.is_silent
                else f"{rate:,.0f} events/s from {model.instances_counted}"
            )
        pane = self.query_one("#instances", Pane)
        pane.display = is_shown
        pane.show(
            Body(
                rows=rows,
                title="instances",
                note=note,
                head=_INSTANCES.head,
                empty_text=model.empty_text(
                    "instances", "No instance ran in the last day. Start one: tiger-slack run"
                ),
                is_old=model.is_old("instances"),
                problem=model.error_of("instances"),
            )
        )

    def _show_problems(self, model: Model) -> None:
        if model.is_observing:
            self.sources.findings_reader.keep_reading()
        # Only an observer reads the audit trail for this view. An instance shows the events that it handled itself.
        problem = findings_problem(model) if model.is_observing else model.findings.problem
        self.query_one("#last-problems", Pane).show(
            Body(
                rows=model.findings.rows,
                title="last problems",
                head=findings_head if self.query_one("#last-problems").size.height > 8 else None,
                note="newest first · 3 shows all",
                newest=0,
                empty_text=(
                    model.asking_text
                    if model.is_observing and model.stored_findings.at is None
                    else "No failed, discarded, unrouted or late events since the start.",
                ),
                problem=problem,
                is_old=problem is not None,
            )
        )

    @action("overview.open", "enter", "Open", shown="Enter")
    async def act_open(self) -> None:
        """Show the view with more about the pane."""
        await self.host.go_to(JOBS if self.pane and self.pane.id == "running" else TRIAGE)


def _observed_age(model: Model) -> tuple[bool, str]:
    """Whether the rates of a console that only observes are old, and of when they are then, as a phrase."""
    if model.is_observing and model.is_old("observed"):
        return True, model.read_ago
    return model.is_silent, model.seen_ago if model.is_silent else ""
