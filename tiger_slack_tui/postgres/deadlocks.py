"""Tries a transaction again that PostgreSQL ended to resolve a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from tiger_slack_tui.base.backoff import backoff

T = TypeVar("T")

_TRIES = 6


async def past_deadlocks(transaction: Callable[[], Awaitable[T]]) -> T:
    """Do the whole transaction; do it again, 6 times at most, where it ended by a deadlock (40P01).

    Our own transactions take their locks in one order (see slack.ingest() in the migrations) and meet no deadlock.
    Those of people, of other programs and of DDL may have another order. Raises what the last try raises.
    """
    for failures in range(1, _TRIES):
        try:
            return await transaction()
        except psycopg.errors.DeadlockDetected:
            await asyncio.sleep(backoff(failures, first=0.05, most=1))
    return await transaction()
