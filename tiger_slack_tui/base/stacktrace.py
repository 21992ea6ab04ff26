"""Describes errors by type and place, without messages, notes, values and source lines.

An error's message can quote what people wrote (PostgreSQL's DETAIL does), a URL with a ticket, or a token.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import TracebackType

_MOST_ERRORS = 50
"""Most errors of one description: the error with its causes, contexts and groups. Bounds the recursion, too."""
_MOST_FRAMES = 100
"""Most frames at each end of a traceback. Of a deep recursion, the frames between are left out."""
_PACKAGE = "/tiger_slack_tui/"

_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def where(error: BaseException) -> str:
    """Type and place of an error. The place is the innermost line in this package, or else the innermost line."""
    return _where(error)[0]


def internal_error(error: BaseException) -> str:
    """The text that an operator sees of an unexpected error: type, file, line and function."""
    words, function = _where(error)
    return f"internal error: {words} ({function})" if function else f"internal error: {words}"


def _where(error: BaseException) -> tuple[str, str]:
    seen: set[int] = set()
    while error.__traceback__ is None and error.__cause__ is not None and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__
    places = list(_places(error.__traceback__))
    if not places:
        return type(error).__name__, ""
    ours = [place for place in places if _PACKAGE in place[0]]
    file, line, function = (ours or places)[-1]
    return f"{type(error).__name__} at {file.rpartition('/')[2]}:{line}", function


STACKTRACE = "exception.stacktrace"
"""The attribute that has the stack of an error."""


def error_attributes(error: BaseException) -> dict[str, str]:
    """The error as attributes of OpenTelemetry, without its message.

    See https://opentelemetry.io/docs/specs/semconv/exceptions/
    """
    return {"exception.type": _type(error), STACKTRACE: stacktrace(error)}


def stacktrace(error: BaseException) -> str:
    """The stack of the error, its causes, contexts and the parts of groups, in Python's layout.

    Includes contexts that `raise … from None` hides. An error of PostgreSQL has its SQLSTATE and the names of the
    table, column or constraint.
    """
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    for earlier, relation in ((error.__cause__, _CAUSE), (error.__context__, _CONTEXT)):
        if earlier is None or id(earlier) in seen:
            continue
        yield from _lines(earlier, seen) if len(seen) < _MOST_ERRORS else ("...",)
        yield from ("", relation, "")
    yield "Traceback (most recent call last):"
    places = list(_places(error.__traceback__))
    left_out = len(places) - 2 * _MOST_FRAMES
    for number, (file, line, function) in enumerate(places):
        if left_out <= 0 or not _MOST_FRAMES <= number < _MOST_FRAMES + left_out:
            yield f'  File "{file}", line {line}, in {function}'
        elif number == _MOST_FRAMES:
            yield f"  ... {left_out} frames"
    yield _heading(error)
    if isinstance(error, BaseExceptionGroup):
        yield from _parts(error, seen)


def _parts(group: BaseExceptionGroup[BaseException], seen: set[int]) -> Iterator[str]:
    for number, part in enumerate(group.exceptions, 1):
        if len(seen) >= _MOST_ERRORS:
            yield f"  +---- {number} to {len(group.exceptions)}: ..."
            return
        yield f"  +---- {number} of {len(group.exceptions)}"
        if id(part) not in seen:
            yield from (f"  | {line}" for line in _lines(part, seen))


def _places(trace: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    for frame, line in traceback.walk_tb(trace):
        yield frame.f_code.co_filename, line, frame.f_code.co_qualname


def _type(error: BaseException) -> str:
    kind = type(error)
    is_builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"


def _heading(error: BaseException) -> str:
    details = ", ".join(_postgres_details(error))
    return f"{_type(error)} ({details})" if details else _type(error)


def _postgres_details(error: BaseException) -> Iterator[str]:
    """PostgreSQL's fields that cannot quote data. Message, detail, hint, context and query can.

    https://www.postgresql.org/docs/current/protocol-error-fields.html
    """
    diagnostics = getattr(error, "diag", None)
    if not isinstance(getattr(diagnostics, "sqlstate", None), str):
        return
    for name, field in (
        ("SQLSTATE", "sqlstate"),
        ("severity", "severity_nonlocalized"),
        ("schema", "schema_name"),
        ("table", "table_name"),
        ("column", "column_name"),
        ("constraint", "constraint_name"),
        ("type", "datatype_name"),
        ("routine", "source_function"),
    ):
        value = getattr(diagnostics, field, None)
        if isinstance(value, str):
            yield f"{name} {value}"
