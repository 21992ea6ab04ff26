"""Runs work that SIGTERM and SIGINT stop in an orderly way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.shutdown import stop_on_signals
from tiger_slack_tui.postgres.failures import translate_errors

T = TypeVar("T")


class CommandStopped(TigerSlackError):
    """A signal stopped the command."""


def run_until_stopped(work: Coroutine[Any, Any, T], conninfo: str, *, hint: Callable[[], str]) -> T:
    """Run the work, which uses the database `conninfo`, to its end, and return its result.

    The first SIGTERM or SIGINT cancels the work; a second signal ends the process at once.
    Raises CommandStopped with the hint after a signal; DatabaseUnavailable, DatabaseRefused and MigrationError for
    errors of the database; and what the work raises.
    """
    try:
        with translate_errors(conninfo):
            return asyncio.run(_cancelled_by_signals(work))
    except asyncio.CancelledError:
        raise CommandStopped("Stopped.", hint=hint()) from None


async def _cancelled_by_signals(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)

    def stop(_: signal.Signals) -> None:
        task.cancel()

    stop_on_signals(stop)
    return await task
