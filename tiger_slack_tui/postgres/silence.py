"""Ends a statement whose server is silent and no longer works on it."""

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
"""How long the second connection waits for each of its steps."""

_BACKEND: LiteralString = """
select a.state
, a.wait_event_type = 'Client'
, clock_timestamp() - a.state_change > interval '2 seconds'
from pg_stat_activity a
where a.pid = %s
and a.datname = current_database()
"""
# Texts of libpq and the operating system if no server answers. Any other error comes from a server that runs.
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


class BackendState(Enum):
    """What a second connection finds out about the backend of a statement."""

    WORKING = "working"
    GONE = "gone"
    """It does not exist, is idle, or waits for the client that waits for it; or no server answers."""
    BUSY = "busy"
    """The server runs, but has no room for a second connection or does not answer it."""
    UNKNOWN = "unknown"
    """The server runs, but does not show what the backend does."""


@dataclass(frozen=True, slots=True)
class SilenceLimits:
    """Limits in seconds."""

    silence: float = 15
    """How long nothing may arrive from the server before a second connection checks the backend."""
    unknown: float = 300
    """How long a statement may go on while the backend's state is unknown."""


class BackendCheck:
    """Checks the backend through a second connection. Never blocks: `answer` is None until the check has ended.

    The check runs in a thread, so that it also works for a connection that blocks the event loop. It ends within
    seconds.
    """

    def __init__(self, conninfo: str, backend: int | None) -> None:
        self.answer: BackendState | None = None
        self._conninfo = conninfo
        self._backend = backend
        self.has_session = backend is not None
        """Whether the statement's backend is known."""
        threading.Thread(target=self._run, name="silence", daemon=True).start()

    def _run(self) -> None:
        answer = BackendState.BUSY
        with suppress(psycopg.Error):  # the server accepted the connection, but not the query
            answer = check_backend(self._conninfo, self._backend)
        self.answer = answer


def watch_silence(
    gen: PQGen[RV],
    start_check: Callable[[], BackendCheck],
    close: Callable[[], None],
    limits: SilenceLimits,
) -> PQGen[RV]:
    """Wrap a generator of psycopg so that it ends when the server has stopped working on the statement.

    After `limits.silence` seconds without anything from the server, `start_check` checks the backend. If nothing is
    at work, this calls `close` and raises SilentServer. The caller must resume the generator at least a few times
    a second, as psycopg's waiting functions do.
    """
    heard = checked = known = time.monotonic()
    check: BackendCheck | None = None
    try:
        state = next(gen)
        while True:
            ready = yield state
            now = time.monotonic()
            if ready:
                heard = checked = known = now
                check = None
            elif check is None:
                if now - checked > limits.silence:
                    check = start_check()
            elif check.answer is not None:
                # A full server cannot show the backend. TCP reports a lost session of our own, so the statement may
                # go on. It does not report a session that a pooler has lost, so that statement has a limit.
                if check.answer is BackendState.WORKING or (
                    check.answer is BackendState.BUSY and check.has_session
                ):
                    known = now
                if check.answer is BackendState.GONE or now - known > limits.unknown:
                    close()
                    raise SilentServer(now - heard)
                checked, check = now, None
            state = gen.send(ready)
    except StopIteration as end:
        result: RV = end.value
        return result


def check_backend(conninfo: str, backend: int | None) -> BackendState:
    """What the backend does, from a new connection. Blocks for a few seconds at most. Raises psycopg.Error."""
    limited = make_conninfo(conninfo, connect_timeout=_ASK_SECONDS)
    try:
        connection = _CheckConnection.connect(limited, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        is_unreached = any(words in str(error) for words in _UNREACHED)
        return BackendState.GONE if is_unreached else BackendState.BUSY
    try:
        if backend is None:
            connection.execute("select")
            return BackendState.UNKNOWN
        row = connection.execute(_BACKEND, (backend,)).fetchone()
    finally:
        connection.pgconn.finish()  # `close` would log an abandoned statement, with user and host
    if row is None:
        return BackendState.GONE
    state, waits_for_client, is_old = row
    if state is None or state == "disabled":
        return BackendState.UNKNOWN
    if state in ("active", "fastpath function call"):
        return BackendState.GONE if waits_for_client else BackendState.WORKING
    return (
        BackendState.GONE if is_old else BackendState.WORKING
    )  # its answer may still be on the way


class _CheckConnection(psycopg.Connection[Any]):
    """A connection that waits a few seconds at most for each statement."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return super().wait(gen, interval, timeout or _ASK_SECONDS)
