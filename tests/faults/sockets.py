"""Socket Mode without an engine: each event is kept and acknowledged at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.support import QUICK
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.slack.events import Envelope
from tiger_slack_tui.slack.socket import SocketMode
from tiger_slack_tui.slack.socket_connection import SocketConnection, SocketTiming
from tiger_slack_tui.slack.web import SlackWeb


class ShiftedClock(SystemClock):
    """Real time, whose wall clock `shift` sets forward or back."""

    def __init__(self) -> None:
        self._shift = 0.0

    def wall(self) -> float:
        return super().wall() + self._shift

    def shift(self, seconds: float) -> None:
        self._shift += seconds


@dataclass
class Listening:
    """A connection to a Slack, and what came on it."""

    socket: SocketMode
    run: asyncio.Task[None] = field(init=False)
    events: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    """While it is not set, no event is taken."""
    held: bool = False
    """Whether an event waits for `hold`."""
    ack_after: asyncio.Event | None = None
    """Where it is there, acks are sent once it is set, and events are read on meanwhile."""
    _acks: set[asyncio.Task[None]] = field(default_factory=set)

    async def receive(self, envelope: Envelope, connection: SocketConnection) -> None:
        if self.hold is not None:
            self.held = True
            await self.hold.wait()
        self.events.append(envelope.event_id)
        ack = asyncio.create_task(self._ack(envelope, connection))
        self._acks.add(ack)
        ack.add_done_callback(self._acks.discard)
        if self.ack_after is None:
            await ack

    async def _ack(self, envelope: Envelope, connection: SocketConnection) -> None:
        if self.ack_after is not None:
            await self.ack_after.wait()
        await connection.ack([envelope.envelope_id])


@asynccontextmanager
async def listening(
    slack: LocalSlack,
    *,
    timing: SocketTiming = QUICK,
    clock: Clock | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    web: type[SlackWeb] = SlackWeb,
) -> AsyncIterator[Listening]:
    """Listens to the Slack until the end of the block. Fails where the socket's task failed."""
    async with aiohttp.ClientSession() as session:
        tokens = SlackSettings(slack.bot_token, slack.app_token, slack.url)
        api = web(tokens, session, clock=clock)

        async def receive(envelope: Envelope, connection: SocketConnection) -> None:
            await found.receive(envelope, connection)

        found = Listening(
            SocketMode(api, session, receive, timing=timing, clock=clock, sleep=sleep)
        )
        found.run = asyncio.create_task(found.socket.run())
        try:
            yield found
            if found.run.done():
                found.run.result()
        finally:
            found.run.cancel()
            await asyncio.gather(found.run, return_exceptions=True)
            await found.socket.close()
