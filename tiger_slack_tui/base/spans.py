"""Traces blocks of code as spans. They never contain data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.util.types import AttributeValue

from tiger_slack_tui.base.stacktrace import error_attributes

_tracer = trace.get_tracer("tiger_slack_tui")  # its spans are dropped until Logfire is set up


@contextmanager
def span(name: str, **attributes: AttributeValue) -> Iterator[trace.Span]:
    """Trace the block as a span. An error is recorded by `record_error`."""
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            record_error(current, error)
            raise


def record_error(current: trace.Span, error: BaseException) -> None:
    """Mark the span as failed, with the error's type and its stack without data.

    https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/, apart from `exception.message`.
    """
    current.add_event("exception", error_attributes(error))
    current.set_status(trace.StatusCode.ERROR, type(error).__name__)
