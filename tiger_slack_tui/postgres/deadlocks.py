"""Retries a transaction that PostgreSQL ended to resolve a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from tiger_slack_tui.base.backoff import backoff

T = TypeVar("T")

_TRIES = 6


async def retry_deadlocks(transaction: Callable[[], Awaitable[T]]) -> T:
    """Run the whole transaction, at most 6 times while it fails with a deadlock (40P01).

    The program's own transactions take their locks in one order (see slack.ingest() in the migrations), so they do
    not deadlock with each other. Those of people and of other programs, and DDL, can take them in another order.
    Raises what the last attempt raises.
    """
    for failures in range(1, _TRIES):
        try:
            return await transaction()
        except psycopg.errors.DeadlockDetected:
            await asyncio.sleep(backoff(failures, first=0.05, most=1))
    return await transaction()
