"""Socket Mode: one connection to Slack at a time, replaced without a gap.

The rules are Slack's (https://docs.slack.dev/apis/events-api/using-socket-mode): each connection needs a new
address, says hello, is asked to leave by `disconnect`, and every envelope wants an ack within 3 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tiger_slack_tui.errors import SlackRefused, SlackUnavailable
from tiger_slack_tui.slack.events import Envelope, read_envelope
from tiger_slack_tui.slack.payload import decode
from tiger_slack_tui.slack.web import SlackWeb

log = logging.getLogger(__name__)

Receive = Callable[[Envelope, "Connection"], Awaitable[None]]
"""Takes an envelope; while it waits, nothing more is read from that connection (backpressure)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Slack promises hello and pongs at once; a peer silent for `dead` + `ping` is lost (15 s at most)."""

    handshake: float = 10
    hello: float = 30
    ping: float = 4
    dead: float = 10
    flush: float = 3
    """How long a connection that is being replaced waits for the acks of what it has read."""
    close: float = 0.5
    """How long the closing handshake may take."""
    backoff_first: float = 0.5
    backoff_most: float = 30
    held_back_first: float = 60
    held_back_most: float = 600
    proven: float = 10
    """A connection that lived this long, or brought an event, ends a series of failures."""


_PIECE = 16
"""Events, and acks, that are taken at a stretch: the writing of a batch, which has a few turns of its own, would wait
for all that are there each time."""
_SPELLS = 500
"""Spells that are kept until somebody takes note of them."""


@dataclass(slots=True, eq=False)
class Spell:
    """A time in which we were connected, in seconds since 1970. Connections without a break between them are one."""

    began: float
    heard: float
    """When Slack was last heard of, or, while we ourselves do not read, could have been."""
    is_over: bool = False


@dataclass(slots=True)
class SocketState:
    """What the operator sees of the connection."""

    status: str = "starting"
    """starting, connecting, connected, backing off, held back, stopped"""
    since: float = field(default_factory=time.time)
    reason: str | None = None
    """Why it is not connected, or why the last connection ended."""
    num_connections: int = 0
    """Sockets of this app that Slack knew of at the last hello, ours included."""
    connects: int = 0
    acks_lost: int = 0
    """Acks whose connection was gone; Slack delivers those events again."""
    ignored: int = 0
    """Envelopes that are no events (interactive, slash_commands): acknowledged only."""
    malformed: int = 0
    """Frames that could not be read, and so not be acknowledged."""
    spells: deque[Spell] = field(default_factory=lambda: deque(maxlen=_SPELLS))
    """The newest, until somebody has taken note of them."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a spell begins or ends."""

    def set(self, status: str, reason: str | None = None) -> None:
        if status != self.status:
            self.since = time.time()
        self.status, self.reason = status, reason

    def begin_spell(self) -> None:
        """We are connected from now on, if we were not before."""
        now = time.time()
        if not self.spells or self.spells[-1].is_over:
            self.spells.append(Spell(now, now))
            self.changed.set()

    def end_spell(self, heard: float) -> None:
        """We are not connected any more, if we were."""
        if self.spells and not self.spells[-1].is_over:
            spell = self.spells[-1]
            spell.heard, spell.is_over = max(spell.heard, heard), True
            self.changed.set()


# Reasons after which Slack refuses the next connection too, until a person acts.
_HELD_BACK = {
    "link_disabled": "Socket Mode is switched off for the app: switch it on at its page at Slack",
    "too_many_websockets": "the app has more than 10 connections: stop other instances",
}


class Connection:
    """One WebSocket. Reads in a task of its own from `start` to `close`."""

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        receive: Receive,
        state: SocketState,
        timing: Timing,
    ) -> None:
        self._ws = ws
        self._receive = receive
        self._state = state
        self._timing = timing
        self._tasks: list[asyncio.Task[None]] = []
        self._seen = self._opened = time.monotonic()
        self._heard = time.time()  # for others: it goes on while the machine sleeps
        self._blocked = False
        self._stopping = False
        self._unacked = 0
        self.received = 0
        self.hello = asyncio.Event()
        self.leaving = asyncio.Event()
        """Set when the connection must be replaced; `reason` says why."""
        self.reason = ""
        self.usable = True
        """False once nothing can be read any more."""

    @property
    def proven(self) -> bool:
        """Whether the connection was of use."""
        return self.received > 0 or time.monotonic() - self._opened >= self._timing.proven

    @property
    def heard(self) -> float:
        """When Slack was last heard of, in seconds since 1970; now, while we do not read."""
        return time.time() if self._blocked else self._heard

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]

    async def ack(self, envelope_ids: Sequence[str]) -> None:
        """Acknowledge envelopes of this connection. Of a lost connection, Slack sends them again."""
        self._unacked -= len(envelope_ids)
        sent = 0
        try:
            for envelope_id in envelope_ids:
                await self._ws.send_str(f'{{"envelope_id":{orjson.dumps(envelope_id).decode()}}}')
                sent += 1
                if sent % _PIECE == 0:
                    await asyncio.sleep(0)
        except (ConnectionError, aiohttp.ClientError, RuntimeError):
            self._state.acks_lost += len(envelope_ids) - sent

    def stop_reading(self) -> None:
        """Read nothing more; acks can still be sent. An event that waits to be taken is still handed over."""
        self._stopping = True
        if not self._blocked:
            self._tasks[0].cancel()

    async def close(self, *, flush: bool = False) -> None:
        """End the connection; with `flush`, first wait (bounded) until what was read is acknowledged."""
        self.stop_reading()
        if flush:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.flush):
                    while self._unacked > 0 and self.usable:
                        await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.usable = False
        with contextlib.suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
            async with asyncio.timeout(self._timing.close):
                await self._ws.close()
        self._cut()

    def _cut(self) -> None:
        """Free whoever waits for the peer: one that does not read lets a send wait without end."""
        peer = self._ws.get_extra_info("socket")
        if peer is not None:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def _leave(self, reason: str) -> None:
        if not self.leaving.is_set():
            self.reason = reason
            self.leaving.set()

    async def _read(self) -> None:
        reason = "the connection broke"
        try:
            while not self._stopping:
                message = await self._ws.receive()
                if self.usable:  # else it is the end that we made ourselves
                    self._see()
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._malformed("is not text")
                elif message.type is aiohttp.WSMsgType.PING:
                    await self._ws.pong(message.data)
                elif message.type in (
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSING,
                    aiohttp.WSMsgType.CLOSED,
                ):
                    reason = f"Slack closed the connection ({self._ws.close_code})"
                    return
                elif message.type is aiohttp.WSMsgType.ERROR:
                    return
        except (ConnectionError, aiohttp.ClientError):
            return
        finally:
            self.usable = False
            self._leave(reason)

    async def _take(self, text: str) -> None:
        try:
            await self._frame(text)
        except (ConnectionError, aiohttp.ClientError):
            raise
        except (
            Exception
        ) as error:  # whatever it is, it must not cost the connection and all else that it brings
            self._malformed(f"could not be taken ({type(error).__name__})")

    async def _frame(self, text: str) -> None:
        received_at = time.time()
        try:
            frame = decode(text)
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            self._malformed("is not a JSON object")
            return
        match frame.get("type"):
            case "events_api":
                envelope = read_envelope(frame, received_at=received_at)
                if envelope is None:
                    self._malformed("has no envelope_id")
                    return
                await self._hand_over(envelope)
            case "hello":
                self._hello(frame)
            case "disconnect":
                self._leave(str(frame.get("reason")))
            case _ if isinstance(frame.get("envelope_id"), str):
                self._state.ignored += 1
                self._unacked += 1
                await self.ack([frame["envelope_id"]])
            case _:
                self._malformed("is of an unknown type")

    async def _hand_over(self, envelope: Envelope) -> None:
        self.received += 1
        self._unacked += 1
        self._blocked = True
        try:
            await self._receive(envelope, self)
        finally:
            self._blocked = False
            self._see()
        if self.received % _PIECE == 0:
            await asyncio.sleep(0)

    def _see(self) -> None:
        self._seen = time.monotonic()
        self._heard = time.time()

    def _hello(self, frame: dict[str, Any]) -> None:
        count = frame.get("num_connections")
        self._state.num_connections = count if isinstance(count, int) else 1
        self.hello.set()

    def _malformed(self, what: str) -> None:
        self._state.malformed += 1
        log.warning("a frame from Slack %s; it was left out", what)

    async def _watch(self) -> None:
        """Ping, and give the connection up when nothing comes back. Not while we ourselves do not read."""
        with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
            while True:
                await asyncio.sleep(self._timing.ping)
                if not self._blocked and time.monotonic() - self._seen > self._timing.dead:
                    break
                async with asyncio.timeout(self._timing.dead):
                    await self._ws.ping()
        self.usable = False
        self._leave("Slack does not answer")
        self._cut()


class _Leave(Exception):
    """Slack asked to leave, before hello, for a reason of _HELD_BACK."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SocketMode:
    """Keeps one connection to Slack. `run` until cancelled, then `stop_reading` and `close`."""

    def __init__(
        self,
        web: SlackWeb,
        session: aiohttp.ClientSession,
        receive: Receive,
        *,
        timing: Timing | None = None,
    ) -> None:
        self._web = web
        self._session = session
        self._receive = receive
        self._timing = timing or Timing()
        self._connection: Connection | None = None
        self._failures = 0
        self.state = SocketState()

    async def run(self) -> None:
        """Connect, and connect again. Raises SlackRefused where the first connection is refused for good."""
        self._connection = connection = await self._connect()
        while True:
            await connection.leaving.wait()
            reason = connection.reason
            log.info("connection ends: %s", reason)
            self._failures = 0 if connection.proven else self._failures + 1
            if reason in _HELD_BACK:
                await connection.close()
                await self._hold_back(reason)
            successor = await self._connect()
            self._connection, old, connection = successor, connection, successor
            await old.close(flush=True)  # make before break: the old one was read until here

    def stop_reading(self) -> None:
        """Take nothing more from Slack; acks can still be sent. After `run` was cancelled."""
        if self._connection is not None:
            self._connection.stop_reading()
            self.state.end_spell(self._connection.heard)

    def spells(self) -> list[Spell]:
        """When we were connected, as far as nobody has taken note of it; the last one is up to date."""
        spells = self.state.spells
        if self._connection is not None and spells and not spells[-1].is_over:
            spells[-1].heard = max(spells[-1].heard, self._connection.heard)
        return list(spells)

    def forget_spells(self, spells: Iterable[Spell]) -> None:
        """They were taken note of."""
        for spell in spells:
            with contextlib.suppress(ValueError):  # it was one too many by now
                self.state.spells.remove(spell)

    async def close(self) -> None:
        """End the connection, after the acks that are on their way."""
        if self._connection is not None:
            await self._connection.close()
        self.state.set("stopped")

    async def _connect(self) -> Connection:
        """A connection that has said hello, after as many tries as it takes."""
        while True:
            if self._failures:
                most = min(
                    self._timing.backoff_first * 2**self._failures, self._timing.backoff_most
                )
                await self._wait("backing off", self.state.reason, random.uniform(most / 2, most))  # noqa: S311
            self._disconnected("connecting", self.state.reason)
            try:
                connection = await self._open()
            except SlackRefused as error:
                if not self.state.connects:
                    raise
                await self._hold_back(str(error))
            except _Leave as leave:
                await self._hold_back(leave.reason)
            except SlackUnavailable as error:
                self._failures += 1
                log.warning("no connection: %s", error)
                self.state.reason = str(error)
                if error.retry_after:
                    await self._wait("backing off", str(error), error.retry_after)
            else:
                self._end_spell_of_lost()
                self.state.begin_spell()
                self.state.connects += 1
                self.state.set("connected")
                log.info("connected", extra={"sockets_of_app": self.state.num_connections})
                return connection

    async def _open(self) -> Connection:
        url = await self._web.open_connection()
        try:
            async with asyncio.timeout(self._timing.handshake):
                ws = await self._session.ws_connect(
                    url,
                    autoping=False,
                    max_msg_size=64 << 20,
                )
        except aiohttp.WSServerHandshakeError as error:  # its text holds the ticket
            raise SlackUnavailable(f"the handshake was refused with HTTP {error.status}") from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise SlackUnavailable(f"the socket was not reached: {type(error).__name__}") from None
        connection = Connection(ws, self._receive, self.state, self._timing)
        connection.start()
        greeted = asyncio.create_task(connection.hello.wait())
        left = asyncio.create_task(connection.leaving.wait())
        try:
            await asyncio.wait(
                (greeted, left), timeout=self._timing.hello, return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:
            await connection.close()
            raise
        finally:
            greeted.cancel()
            left.cancel()
        if connection.hello.is_set():
            return connection
        await connection.close()
        if connection.reason in _HELD_BACK:
            raise _Leave(connection.reason)
        raise SlackUnavailable(connection.reason or f"no hello within {self._timing.hello:g} s")

    async def _hold_back(self, reason: str) -> None:
        """Wait long: Slack would refuse the next connection too, until a person acts."""
        timing = self._timing
        most = min(timing.held_back_first * 2 ** min(self._failures, 10), timing.held_back_most)
        self._failures += 1
        advice = _HELD_BACK.get(reason, reason)
        log.error("held back: %s", advice, extra={"seconds": round(most)})
        await self._wait("held back", advice, random.uniform(most / 2, most))  # noqa: S311

    async def _wait(self, status: str, reason: str | None, seconds: float) -> None:
        self._disconnected(status, reason)
        await asyncio.sleep(seconds)

    def _disconnected(self, status: str, reason: str | None) -> None:
        """Show the status, unless the connection that is being replaced still reads."""
        self._end_spell_of_lost()
        if self._connection is None or not self._connection.usable:
            self.state.set(status, reason)

    def _end_spell_of_lost(self) -> None:
        """Take note where the connection that is being replaced can be read no more."""
        if self._connection is not None and not self._connection.usable:
            self.state.end_spell(self._connection.heard)
