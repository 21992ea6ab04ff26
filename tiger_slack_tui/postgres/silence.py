"""Finds out whether a server that has been silent still works on our statement."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, LiteralString

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import make_conninfo

from tiger_slack_tui.postgres.failures import SilentServer

_ASK_SECONDS = 5
"""How long the second connection waits, for each of its steps."""

_BACKEND: LiteralString = """
select a.state
, a.wait_event_type = 'Client'
, clock_timestamp() - a.state_change > interval '2 seconds'
from pg_stat_activity a
where a.pid = %s
and a.datname = current_database()
"""
# What libpq and the operating system say where nobody answers. All else is the answer of a server that lives.
_UNREACHED = (
    "closed the connection",
    "could not receive",
    "could not send",
    "invalid response",
    "No route",
    "No such file",
    "refused",
    "reset",
    "timed out",
    "timeout",
    "translate host name",
    "unreachable",
)


class Answer(Enum):
    """What a second connection finds out about a backend."""

    WORKING = "working"
    GONE = "gone"
    """It does not exist, does nothing, or waits for us while we wait for it; or no server answers at all."""
    BUSY = "busy"
    """The server lives, but takes no second connection, or does not answer it: too many clients, a full pooler."""
    UNKNOWN = "unknown"
    """The server lives, but does not say what the backend does."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    silence: float = 15
    """Without anything from the server, until a second connection looks."""
    unknown: float = 300
    """How long a statement goes on while what the backend does is unknown."""


class Question:
    """Asks a second connection what the backend does. Never blocks: `answer` is None until it is known.

    A thread asks, so that it works the same for a connection that blocks its event loop. It ends within seconds.
    """

    def __init__(self, conninfo: str, backend: int | None) -> None:
        self.answer: Answer | None = None
        self._conninfo = conninfo
        self._backend = backend
        self.has_session = backend is not None
        """Whether the statement runs in a session that is known to be ours."""
        threading.Thread(target=self._run, name="silence", daemon=True).start()

    def _run(self) -> None:
        answer = Answer.BUSY
        with suppress(psycopg.Error):  # it took the connection, but not the question
            answer = ask(self._conninfo, self._backend)
        self.answer = answer


def watched(
    gen: PQGen[RV], look: Callable[[], Question], close: Callable[[], None], patience: Patience
) -> PQGen[RV]:
    """The generator, broken off when the server no longer works on what it waits for.

    After `patience.silence` seconds without anything from the server, `look` asks a second connection. Where that
    finds nobody at work, this calls `close` and raises SilentServer. Whoever runs the generator resumes it at least a
    few times a second, as psycopg's waiting functions do.
    """
    heard = looked = known = time.monotonic()
    question: Question | None = None
    try:
        state = next(gen)
        while True:
            ready = yield state
            now = time.monotonic()
            if ready:
                heard = looked = known = now
                question = None
            elif question is None:
                if now - looked > patience.silence:
                    question = look()
            elif question.answer is not None:
                # A session of ours that is gone while the server lives is found out by TCP, or once the server has
                # room again. What a pooler has done with a session that is not ours, nobody tells.
                if question.answer is Answer.WORKING or (
                    question.answer is Answer.BUSY and question.has_session
                ):
                    known = now
                if question.answer is Answer.GONE or now - known > patience.unknown:
                    close()
                    raise SilentServer(now - heard)
                looked, question = now, None
            state = gen.send(ready)
    except StopIteration as end:
        result: RV = end.value
        return result


def ask(conninfo: str, backend: int | None) -> Answer:
    """What the backend does, by a connection of its own. Blocks for some seconds at most. Raises psycopg.Error."""
    limited = make_conninfo(conninfo, connect_timeout=_ASK_SECONDS)
    try:
        connection = _Impatient.connect(limited, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        is_unreached = any(words in str(error) for words in _UNREACHED)
        return Answer.GONE if is_unreached else Answer.BUSY
    try:
        if backend is None:
            connection.execute("select")
            return Answer.UNKNOWN
        row = connection.execute(_BACKEND, (backend,)).fetchone()
    finally:
        connection.pgconn.finish()  # `close` would log a statement that was given up, with user and host
    if row is None:
        return Answer.GONE
    state, waits_for_client, is_old = row
    if state is None or state == "disabled":
        return Answer.UNKNOWN
    if state in ("active", "fastpath function call"):
        return Answer.GONE if waits_for_client else Answer.WORKING
    return Answer.GONE if is_old else Answer.WORKING  # what it has just sent can be on its way


class _Impatient(psycopg.Connection[Any]):
    """Waits a few seconds for each statement."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return super().wait(gen, interval, timeout or _ASK_SECONDS)
