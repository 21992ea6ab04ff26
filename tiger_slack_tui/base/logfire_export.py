"""Sets up Logfire, which exports traces, metrics and logs. Nothing that people wrote is exported.

Imported late, because the import of logfire takes 0.9 s.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import logfire
from logfire.types import ExceptionCallbackHelper
from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from yarl import URL

from tiger_slack_tui import __version__
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.spans import record_error

_EXPORT_SECONDS = 2
"""Most seconds of one export. The end of the process waits for the last one."""


def set_up(
    settings: Settings,
    *,
    span_processors: Sequence[SpanProcessor] = (),
    metric_readers: Sequence[MetricReader] = (),
    log_processors: Sequence[LogRecordProcessor] = (),
) -> list[logging.Handler]:
    """Export traces and metrics of the whole process. Returns the handlers that export the log.

    The targets are Logfire, if there is a token, the OTLP endpoints that are set, and the arguments. Without any of
    them nothing leaves the machine.
    """
    given = settings.logfire
    spans, logs = list(span_processors), list(log_processors)
    if given.traces_endpoint:
        exporter = OTLPSpanExporter(given.traces_endpoint, timeout=_EXPORT_SECONDS)
        spans.append(BatchSpanProcessor(exporter))
    if given.logs_endpoint:
        log_exporter = OTLPLogExporter(given.logs_endpoint, timeout=_EXPORT_SECONDS)
        logs.append(BatchLogRecordProcessor(log_exporter))
    logfire.configure(
        send_to_logfire="if-token-present",
        token=given.token,
        service_name=settings.service_name,
        service_version=__version__,
        environment=given.environment,
        console=False,
        inspect_arguments=False,
        scrubbing=logfire.ScrubbingOptions(extra_patterns=["xox[a-z]-", "xapp-"]),
        additional_span_processors=spans,
        metrics=logfire.MetricsOptions(additional_readers=list(metric_readers)),
        advanced=logfire.AdvancedOptions(
            log_record_processors=logs, exception_callback=_record_without_data
        ),
    )
    _instrument()
    handlers: list[logging.Handler] = [
        # The exporters' own log lines are not exported. They are in the program's log.
        logfire.LogfireLoggingHandler(fallback=logging.NullHandler())
    ]
    if logs:
        from opentelemetry.sdk._logs import LoggingHandler

        handlers.append(LoggingHandler(logger_provider=get_logger_provider()))
    return handlers


def _instrument() -> None:
    quiet = _QuietProvider(trace.get_tracer_provider())
    # Neither of the two records values of parameters, headers or bodies.
    logfire.instrument_psycopg("psycopg", tracer_provider=quiet)
    logfire.instrument_aiohttp_client(url_filter=_without_query, tracer_provider=quiet)
    logfire.instrument_system_metrics(
        {
            "process.cpu.time": ["user", "system"],
            "process.cpu.utilization": None,
            "process.cpu.core_utilization": None,
            "process.memory.usage": None,
            "process.memory.virtual": None,
            "process.thread.count": None,
        },
        base=None,
    )


def _without_query(url: URL) -> str:
    """The URL without query and user. The query of Socket Mode's URL contains a ticket, which is a secret."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def _record_without_data(helper: ExceptionCallbackHelper) -> None:
    """Called for every span that records an exception by itself."""
    record_error(helper.span, helper.exception)
    helper.no_record_exception()


class _QuietProvider(trace.TracerProvider):
    """Makes tracers whose spans record errors without data. By default events and status quote the message."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return _QuietTracer(self._provider.get_tracer(*args, **kwargs))


class _QuietTracer(trace.Tracer):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._tracer.start_span(*args, **kwargs)

    @contextmanager
    def start_as_current_span(  # type: ignore[override] # a context manager, as all that call it use it
        self, name: str, *args: Any, **kwargs: Any
    ) -> Iterator[trace.Span]:
        kwargs |= {"record_exception": False, "set_status_on_exception": False}
        with self._tracer.start_as_current_span(name, *args, **kwargs) as span:
            try:
                yield span
            except BaseException as error:
                record_error(span, error)
                raise
