"""What the readers of the database have in common: how they fail, and how old what they read may be."""

from __future__ import annotations

import asyncio

import psycopg

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.postgres.failures import describe

QUERY_SECONDS = 15.0
"""How long one question may take: a server that fell silent never answers."""
STALE_SECONDS = 10.0
"""Age from which on data are shown with it: a few periods of reading."""


def describe_error(error: Exception) -> str:
    """Why a read failed, in words. Also of errors that nobody foresaw, without the data that they hold."""
    if isinstance(error, psycopg.Error):
        return describe(error)
    if isinstance(error, TigerSlackError):
        return str(error.args[0])
    if isinstance(error, TimeoutError):
        return f"no answer for {QUERY_SECONDS:.0f} s"
    return f"what it answers is not understood: {where(error)}"


def unexpected(error: Exception) -> Exception | None:
    """The error where its stack belongs into the log: where `reason` can only say its place."""
    is_foreseen = isinstance(error, psycopg.Error | TigerSlackError | TimeoutError)
    return None if is_foreseen else error


def raise_if_cancelled() -> None:
    """Raise CancelledError where the task was cancelled: a connection that breaks meanwhile raises another error."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
