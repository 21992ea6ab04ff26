"""The log and the exports contain an error's stack, and none of its data."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.acceptance.test_cli import CLEAN
from tests.telemetry import collecting
from tiger_slack_tui.base.errors import DatabaseUnavailable, SpoolError
from tiger_slack_tui.base.log_records import SafeRecord
from tiger_slack_tui.base.stacktrace import stacktrace, where
from tiger_slack_tui.console.model.log_ring import LogRing

SECRET = "SECRET-WORD"
ROOT = Path(__file__).parent.parent.parent

SHAPES = st.recursive(
    st.builds(
        dict, kind=st.sampled_from((ValueError, KeyError, OSError, UnicodeError, SystemExit))
    ),
    lambda inner: st.one_of(
        st.builds(dict, kind=st.just(RuntimeError), cause=inner, context=st.none() | inner),
        st.builds(dict, kind=st.just(LookupError), context=inner, hides=st.booleans()),
        st.builds(dict, kind=st.just(BaseExceptionGroup), parts=st.lists(inner, min_size=1)),
    ),
    max_leaves=12,
)


def raised(shape: dict[str, Any]) -> BaseException:
    """An error of this shape that was raised; its messages, arguments, notes and locals hold the secret."""
    secret = SECRET  # noqa: F841 a local variable of the frame
    try:
        if shape["kind"] is BaseExceptionGroup:
            raise BaseExceptionGroup(SECRET, [raised(part) for part in shape["parts"]])
        error = shape["kind"](SECRET, {SECRET: SECRET})
        error.add_note(SECRET)
        if shape.get("context"):
            try:
                raise raised(shape["context"])
            except BaseException:
                if shape.get("hides"):
                    raise error from None
                if shape.get("cause"):
                    raise error from raised(shape["cause"])
                raise error  # noqa: B904 the context is what is tried
        raise error from (raised(shape["cause"]) if shape.get("cause") else None)
    except BaseException as error:
        return error


def every(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        yield from every(other, seen)


@given(SHAPES)
def test_a_stack_is_complete_and_holds_no_data(shape: dict[str, Any]) -> None:
    error = raised(shape)
    text = stacktrace(error)
    assert SECRET not in text
    for one in every(error, set()):
        assert type(one).__name__ in text
        for frame in traceback.extract_tb(one.__traceback__):
            assert f'File "{frame.filename}", line {frame.lineno}, in' in text
            assert frame.line
            assert frame.line not in text
    assert SECRET not in where(error)


def test_chains_of_any_length_and_circles_end() -> None:
    error: BaseException = ValueError("first")
    for _ in range(5000):
        following = ValueError(SECRET)
        following.__cause__ = error
        error = following
    assert stacktrace(error).count("ValueError") == 50

    def endless(depth: int) -> None:
        endless(depth + 1)

    with pytest.raises(RecursionError) as found:
        endless(0)
    assert len(stacktrace(found.value).splitlines()) == 203
    one, two = ValueError(SECRET), KeyError(SECRET)
    one.__cause__, two.__cause__ = two, one
    assert stacktrace(one).count("Traceback") == 2
    assert where(one) in ("ValueError", "KeyError")


def test_postgres_says_what_it_concerns_and_quotes_nothing(
    database: psycopg.Connection[Any],
) -> None:
    database.execute(
        "create table public.made (word text constraint short check (length(word) < 3))"
    )
    with pytest.raises(psycopg.errors.CheckViolation) as found:
        database.execute("insert into public.made values (%s)", (SECRET,))
    assert SECRET in str(found.value)  # else the test shows nothing
    text = stacktrace(found.value)
    assert SECRET not in text
    assert text.endswith(
        "psycopg.errors.CheckViolation (SQLSTATE 23514, severity ERROR, schema public, table made"
        ", constraint short, routine ExecConstraints)"
    )


@pytest.fixture
def handlers() -> Iterator[tuple[StringIO, LogRing]]:
    """A handler that prints all that a record holds, and the console's; every record is a SafeRecord."""
    stream, ring = StringIO(), LogRing()
    printing = logging.StreamHandler(stream)
    printing.format = lambda record: f"{record.getMessage()} {record.__dict__}"  # type: ignore[method-assign]
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    logging.setLogRecordFactory(SafeRecord)
    root.addHandler(printing)
    root.addHandler(ring)
    yield stream, ring
    root.removeHandler(printing)
    root.removeHandler(ring)
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(
    "name", ["tiger_slack_tui.made", "slack_sdk.web", "psycopg.pool", "asyncio"]
)
def test_no_record_holds_an_errors_words(handlers: tuple[StringIO, LogRing], name: str) -> None:
    log = logging.getLogger(name)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        log.exception("it failed")
        log.error("it failed: %s, %r, %d times", error, error, 3, stack_info=True)
        log.error("it failed: %(error)s", {"error": error})
    stream, ring = handlers
    assert SECRET not in stream.getvalue()
    assert SECRET not in str(ring.lines())
    assert stream.getvalue().count("'exception.type': 'ValueError'") == 1
    assert "in test_no_record_holds_an_errors_words" in ring.lines()[0].text
    assert "ValueError at test_stacktrace.py:" in ring.lines()[1].text
    assert "3 times" in ring.lines()[1].text


def test_messages_of_other_loggers_show_only_their_template(
    handlers: tuple[StringIO, LogRing],
) -> None:
    log = logging.getLogger("aiohttp.server")
    log.error(f"Failed: {SECRET}")
    log.error("Failed: %s, %r, in %.1f s", SECRET, {SECRET: 1}, 0.5)
    log.error("Failed: %d", SECRET)
    log.error("Failed: %(what)s", {"what": SECRET})
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: {SECRET}")
    logging.getLogger("asyncio").error(f"Exception in callback print({SECRET})")
    logging.getLogger("tiger_slack_tui.made").error("shown: %s", DatabaseUnavailable("away"))
    stream, ring = handlers
    assert logging.makeLogRecord({"msg": "made"}).getMessage() == "made"  # it has no name at first
    assert SECRET not in stream.getvalue() + str(ring.lines())
    texts = [line.text for line in ring.lines()]
    assert texts[0].startswith("logged at test_stacktrace.py:")
    assert texts[1] == "Failed: …, …, in 0.5 s"
    assert texts[2].startswith("logged at test_stacktrace.py:")
    assert texts[3:] == [
        "Failed: …",
        "Task exception was never retrieved",
        "Exception in callback",
        "shown: away",
    ]


@pytest.mark.parametrize("name", ["tiger_slack_tui.made", "asyncio"])
def test_an_error_of_the_program_is_logged_as_its_sentence(
    handlers: tuple[StringIO, LogRing], name: str
) -> None:
    error = SpoolError("The disk is full.", hint="Free some room.")
    logging.getLogger(name).error("%d parts failed", 2, exc_info=error)
    stream, ring = handlers
    assert "exception." not in stream.getvalue()
    assert [line.text for line in ring.lines()] == [
        "2 parts failed: The disk is full. Free some room."
    ]


async def test_nothing_that_leaves_the_process_holds_an_errors_words(
    conninfo: str, tmp_path: Path
) -> None:
    async with collecting() as (address, received):
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                str(ROOT / "tests/faults/failing.py"),
                address,
                conninfo,
                str(tmp_path),
            ),
            env=CLEAN | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )
        _, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    for place in (log, received["traces"], received["logs"]):
        assert SECRET.encode() not in place
    lines = [json.loads(line) for line in log.splitlines()]
    stacks = {line.get("exception.stacktrace", "").rpartition("\n")[2]: line for line in lines}
    for kind, function in {
        "ValueError": "in_a_task",
        "KeyError": "in_a_thread",
        "LookupError": "in_del.<locals>.Odd.__del__",
        "IndexError": "main",
        "RuntimeError": "logged",
    }.items():
        stack = stacks[kind]["exception.stacktrace"]
        assert f"in {function}" in stack
        assert stack.encode() in received["logs"]
    assert any("UserWarning at" in line["message"] for line in lines)
    spans = received["traces"]
    for found in (
        b"in in_a_span",
        b"psycopg.errors.CheckViolation (SQLSTATE 23514",
        b"aiohttp.client_exceptions.ClientConnectorError",
    ):
        assert found in spans
