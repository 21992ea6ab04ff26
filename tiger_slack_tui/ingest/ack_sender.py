"""Sends the acks of durable events, for each connection by its own task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.ids import EnvelopeId
from tiger_slack_tui.base.snapshot import Stats
from tiger_slack_tui.slack.socket_connection import SocketConnection

log = logging.getLogger(__name__)


class Ack(NamedTuple):
    """The data of a durable event that its ack needs."""

    envelope_id: EnvelopeId
    connection: SocketConnection
    type: str
    read_at: float
    """`Clock.elapsed` of the event's receipt."""


class AckSender:
    """Sends acks while the next batch is written. A lost connection does not delay the acks of the others."""

    def __init__(
        self, stats: Stats, clock: Clock, *, most_batches: int, most_for_connection: int
    ) -> None:
        """For the limits see `PipelineLimits.ack_batches` and `PipelineLimits.acks_for_connection`."""
        self._stats = stats
        self._clock = clock
        self._most_for_connection = most_for_connection
        self._batches: asyncio.Queue[list[Ack]] = asyncio.Queue(most_batches)
        self._unsent: dict[SocketConnection, list[Ack]] = {}
        self._tasks: dict[SocketConnection, asyncio.Task[None]] = {}

    async def put(self, acks: list[Ack]) -> None:
        """Add the acks of a batch. Waits while too many batches wait."""
        await self._batches.put(acks)

    async def run(self) -> None:
        """Send acks until cancelled. Can be called again after an error."""
        try:
            while True:
                acks = await self._batches.get()
                try:
                    await self._distribute(acks)
                finally:
                    self._batches.task_done()
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._tasks.clear()
            self._unsent.clear()

    async def flush(self) -> None:
        """Wait until all acks are sent, or are lost with their connection."""
        await self._batches.join()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _distribute(self, acks: Sequence[Ack]) -> None:
        """Give each ack to the task of its connection. Waits while a connection has too many unsent acks."""
        for ack in acks:
            unsent = self._unsent.get(ack.connection)
            if unsent is None:
                unsent = self._unsent[ack.connection] = []
                self._tasks[ack.connection] = asyncio.create_task(
                    self._send(ack.connection, unsent)
                )
            unsent.append(ack)
        most = self._most_for_connection
        full = [self._tasks[each] for each, unsent in self._unsent.items() if len(unsent) > most]
        if full:  # not for long: each call of SocketConnection.ack has a time limit
            await asyncio.wait(full)

    async def _send(self, connection: SocketConnection, unsent: list[Ack]) -> None:
        """Send the acks of a connection until there are none left."""
        try:
            while unsent:
                acks = unsent.copy()
                unsent.clear()
                sent = await connection.ack([ack.envelope_id for ack in acks])
                now = self._clock.elapsed()
                for ack in acks[:sent]:
                    self._stats.acknowledged(ack.type, now - ack.read_at)
                self._stats.acked += sent
        except Exception as error:  # Slack delivers events without an ack again
            log.error("acks were not sent", exc_info=error)
        finally:
            if self._unsent.get(connection) is unsent:
                del self._unsent[connection], self._tasks[connection]
