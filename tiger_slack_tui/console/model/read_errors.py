"""How the readers of the database describe their errors, and how long they wait."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import psycopg

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.postgres.failures import NOT_MIGRATED, describe

QUERY_SECONDS = 15.0
"""How long one query may take. A server that has fallen silent never answers."""
STALE_ANSWER_SECONDS = 10.0
"""Data older than this is shown with its age: a few periods of reading."""


def describe_error(error: Exception) -> str:
    """Why a read failed, as a phrase. It never contains data, also for errors that nobody expected."""
    if isinstance(error, NOT_MIGRATED):
        return "it does not have the tables of this version yet"
    if isinstance(error, psycopg.Error):
        return describe(error)
    if isinstance(error, TigerSlackError):
        return str(error.args[0])
    if isinstance(error, TimeoutError):
        return f"no answer for {QUERY_SECONDS:.0f} s"
    return f"its answer cannot be understood: {where(error)}"


def unexpected(error: Exception) -> Exception | None:
    """The error, if its stack belongs in the log because `describe_error` can only name the place; else None."""
    is_expected = isinstance(error, psycopg.Error | TigerSlackError | TimeoutError)
    return None if is_expected else error


class ReadFailure(NamedTuple):
    """Why a read failed, as a phrase, and what to do about it."""

    problem: str
    hint: str | None = None


def log_failure(log: logging.Logger, what: str, error: Exception) -> ReadFailure:
    """Why a read failed. If nobody expected the error, log `what` failed, with the stack."""
    if (stack := unexpected(error)) is not None:
        log.error(what, exc_info=stack)
    hint = error.hint if isinstance(error, TigerSlackError) else None
    return ReadFailure(describe_error(error), hint)


def raise_if_cancelled() -> None:
    """Raise CancelledError if the task was cancelled: a connection that breaks at that time raises another error."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
