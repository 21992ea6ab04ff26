"""Logging: one structured line for each thing that an operator should know; to Logfire, too, where that is set up."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler

from pythonjsonlogger.json import JsonFormatter

from tiger_slack_tui import __version__
from tiger_slack_tui.settings import Settings

_FILE_BYTES = 5_000_000
_OLD_FILES = 3
_EXPORT_SECONDS = 2
"""How long a receiver of telemetry may take; a stop waits for the last of it."""


def log_to_stderr(settings: Settings) -> None:
    """Write the program's log to stderr, as JSON lines.

    A line has a timestamp (UTC), level, logger, message, and what the call's `extra` adds. None holds a token,
    a password or the text of a message.
    """
    _install(logging.StreamHandler(sys.stderr), settings)


def log_to_file(settings: Settings) -> None:
    """Write it to tiger-slack.log in the home directory instead, where a console has the terminal."""
    settings.home.mkdir(parents=True, exist_ok=True)
    path = settings.home / "tiger-slack.log"
    _install(RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES), settings)


def _install(handler: logging.Handler, settings: Settings) -> None:
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": settings.service_name},
            timestamp=True,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if settings.logfire.is_wanted:
        root.handlers += _telemetry_handlers(settings)
    root.setLevel(logging.WARNING)
    logging.getLogger("tiger_slack_tui").setLevel(logging.INFO)
    # The pool warns of each failed attempt to connect; the engine says it once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def _telemetry_handlers(settings: Settings) -> list[logging.Handler]:
    """Set Logfire up, and send what is logged there and to the given endpoints. Imported late: it takes 0.9 s."""
    import logfire
    from opentelemetry._logs import get_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    given = settings.logfire
    traces, logs = given.traces_endpoint, given.logs_endpoint
    logfire.configure(
        send_to_logfire="if-token-present",
        token=given.token,
        service_name=settings.service_name,
        service_version=__version__,
        environment=given.environment,
        console=False,
        inspect_arguments=False,
        scrubbing=logfire.ScrubbingOptions(extra_patterns=["xox[a-z]-", "xapp-"]),
        additional_span_processors=[
            BatchSpanProcessor(OTLPSpanExporter(traces, timeout=_EXPORT_SECONDS))
        ]
        if traces
        else None,
        advanced=logfire.AdvancedOptions(
            log_record_processors=[
                BatchLogRecordProcessor(OTLPLogExporter(logs, timeout=_EXPORT_SECONDS))
            ]
            if logs
            else ()
        ),
    )
    handlers: list[logging.Handler] = [
        # What exporters log of themselves is not exported; our own handler has it.
        logfire.LogfireLoggingHandler(fallback=logging.NullHandler())
    ]
    if logs:
        from opentelemetry.sdk._logs import LoggingHandler

        handlers.append(LoggingHandler(logger_provider=get_logger_provider()))
    return handlers
