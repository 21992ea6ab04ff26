"""One WebSocket connection to Slack: reads frames, sends acks, and detects that the connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import aiohttp
import orjson

from tiger_slack_tui.base.backoff import LogThrottle
from tiger_slack_tui.base.clock import Clock, PeerClock
from tiger_slack_tui.base.ids import EnvelopeId
from tiger_slack_tui.base.periods import ConnectedPeriods
from tiger_slack_tui.base.snapshot import SlackStatus
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.slack.events import LONGEST_ID, Envelope, parse_envelope
from tiger_slack_tui.slack.pages import RETRY_AFTER_MOST
from tiger_slack_tui.slack.payload import decode, peer_text

log = logging.getLogger(__name__)

Receive = Callable[[Envelope, "SocketConnection"], Awaitable[None]]
"""Takes an envelope. While it waits, nothing more is read from the connection (backpressure)."""


@dataclass(frozen=True, slots=True)
class SocketTiming:
    """Seconds. A peer that is silent for `ping` + `dead` counts as lost."""

    handshake: float = 10
    hello: float = 30
    ping: float = 4
    dead: float = 10
    pong: float = 60
    """Seconds without a pong after which a peer that still sends counts as lost. Time in which this side does not
    read is not counted."""
    silence: float = 30
    """Seconds without a frame after which the connection counts as lost, even if a frame comes later: the machine
    slept."""
    ack: float = 5
    """Most seconds to send the acks of a batch. After 3 s Slack delivers an event without an ack again."""
    flush: float = 3
    """Most seconds that a connection that is being replaced waits for the acks of its events."""
    close: float = 0.5
    """Most seconds of the closing handshake."""
    backoff_first: float = 1
    backoff_most: float = 30
    blocked_first: float = 60
    """First pause while Slack refuses connections until an operator acts."""
    blocked_most: float = 600
    """Longest pause of this kind."""
    retry_after_most: float = RETRY_AFTER_MOST
    """The longest wait that Slack can ask for. If it asks for more, the next try is after this time."""
    proven: float = 60
    """Seconds after which a connection counts as good: the failure counter is reset. Slack allows a new connection
    each minute."""
    proven_events: int = 100
    """Number of events after which a connection counts as good, too."""


_YIELD_EVERY = 16
"""Events read, or acks sent, before other tasks get a turn. Without this pause, each step of a batch's write waits
until all received events are handled."""
_MOST_SOCKETS = 10_000
"""A larger number of connections is an error of the peer. Slack allows 10."""


class ConnectionState(IntEnum):
    """The state of one connection. It only moves forward."""

    OPEN = 1
    """Events are read."""
    LEAVING = 2
    """Slack ends the connection soon. Events are read until the next connection is ready."""
    STOPPED = 3
    """Nothing more is read, because this side stopped. Acks can still be sent."""
    LOST = 4
    """Nothing more can be read, because Slack closed the connection or it broke."""
    CLOSED = 5
    """The socket is shut down. Nothing can be read or sent."""


class SocketState:
    """The state of the connection for the operator and the heartbeat. Times are `Clock.elapsed`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.status = SlackStatus.STARTING
        self.since = clock.elapsed()
        self.reason: str | None = None
        """Why there is no connection."""
        self.num_connections = 0
        """Connections of this app that Slack counted at the last hello, including this one."""
        self.connects = 0
        self.acks_lost = 0
        """Acks that were not sent because the connection was lost. Slack delivers those events again."""
        self.ignored = 0
        """Envelopes that are not events (interactive, slash_commands). They are acknowledged and dropped."""
        self.malformed = 0
        """Frames that could not be read. They cannot be acknowledged."""
        self.malformed_log = LogThrottle(clock)
        self.connected_periods = ConnectedPeriods(clock)

    def set(self, status: SlackStatus, reason: str | None = None) -> None:
        if status != self.status:
            self.since = self._clock.elapsed()
        self.status, self.reason = status, reason


class SocketConnection:
    """One WebSocket. Reads in its own task from `start` to `close`.

    A peer that is silent, answers no pings, or does not read acks counts as lost after a bounded time. Then `leaving`
    is set, and nothing waits for the peer.
    """

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        receive: Receive,
        state: SocketState,
        timing: SocketTiming,
        clock: Clock,
        slack_time: PeerClock,
    ) -> None:
        self._ws = ws
        self._slack_time = slack_time
        self._receive = receive
        self._socket_state = state
        self._timing = timing
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = self._seen = self._answered = clock.elapsed()
        self._blocked = False
        self._stop_requested = False
        self._unacked = 0
        self._received = 0
        self._state = ConnectionState.OPEN
        self.hello = asyncio.Event()
        self.leaving = asyncio.Event()
        """Set when the connection is no longer OPEN, so that another one must replace it; `reason` says why."""
        self.reason = ""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when the connection is lost, except after `stop_reading`."""

    @property
    def is_readable(self) -> bool:
        """Whether events can be read."""
        return self._state <= ConnectionState.LEAVING

    @property
    def proven(self) -> bool:
        """Whether the connection lasted long enough, or brought enough events, to end a series of failures."""
        lived = self._clock.elapsed() - self._opened
        return lived >= self._timing.proven or self._received >= self._timing.proven_events

    @property
    def heard(self) -> float:
        """`Clock.elapsed` of the last frame; now, while this side does not read."""
        return self._clock.elapsed() if self._blocked and self.is_readable else self._seen

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]

    async def ack(self, envelope_ids: Sequence[EnvelopeId]) -> int:
        """Send the acks of envelopes of this connection, in order. Returns how many were sent. Never raises.

        Takes at most `SocketTiming.ack` seconds. A peer that has not read the acks by then counts as lost. Slack
        delivers the events without an ack again.
        """
        self._unacked -= len(envelope_ids)
        sent = 0
        try:
            async with asyncio.timeout(self._timing.ack):
                for envelope_id in envelope_ids:
                    if self._state is ConnectionState.CLOSED:
                        break
                    await self._ws.send_str(
                        f'{{"envelope_id":{orjson.dumps(envelope_id).decode()}}}'
                    )
                    sent += 1
                    if sent % _YIELD_EVERY == 0:
                        await asyncio.sleep(0)
        except TimeoutError:
            self._mark_lost("Slack does not read our acks")
        except (ConnectionError, aiohttp.ClientError, RuntimeError):
            pass  # the connection is lost; `_read` handles that
        self._socket_state.acks_lost += len(envelope_ids) - sent
        return sent

    def stop_reading(self) -> None:
        """Read nothing more. Acks can still be sent. An event that waits for room is still handed over."""
        self._stop_requested = True
        if not self._blocked:
            self._tasks[0].cancel()

    async def close(self, *, flush: bool = False) -> None:
        """End the connection. With `flush`, first wait at most `SocketTiming.flush` for the acks of its events."""
        self.stop_reading()
        if flush:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.flush):
                    while self._unacked > 0 and self._state < ConnectionState.LOST:
                        await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._advance(ConnectionState.STOPPED)
        with contextlib.suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
            async with asyncio.timeout(self._timing.close):
                await self._ws.close()
        self._shut_down()

    def _advance(self, state: ConnectionState, reason: str = "") -> bool:
        """Move forward to the state. Returns whether it has changed. The first reason is kept."""
        if state <= self._state:
            return False
        self._state = state
        if not self.leaving.is_set():
            self.reason = reason
            self.leaving.set()
        return True

    def _mark_ended(self, reason: str) -> None:
        """Nothing more is read, because of `stop_reading`, or because the connection is lost."""
        if self._stop_requested:
            self._advance(ConnectionState.STOPPED)
        elif self._advance(ConnectionState.LOST, reason):
            self.on_lost()

    def _mark_lost(self, reason: str) -> None:
        """Treat the connection as lost, and shut it down. A frame that comes later does not count."""
        self._mark_ended(reason)
        self._shut_down()

    def _shut_down(self) -> None:
        """Shut the socket down. A send to a peer that does not read would wait forever; this ends it."""
        self._advance(ConnectionState.CLOSED)
        peer = self._ws.get_extra_info("socket")
        if peer is not None:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    async def _read(self) -> None:
        reason = "the connection broke"
        try:
            while not self._stop_requested:
                message = await self._ws.receive()
                if self.is_readable:  # else the message is our own shutdown, and no sign of life
                    self._note_frame()
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._handle_frame(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._malformed("is not text")
                elif message.type is aiohttp.WSMsgType.PING:
                    await self._ws.pong(message.data)
                elif message.type is aiohttp.WSMsgType.PONG:
                    self._answered = self._clock.elapsed()
                elif message.type in (
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSING,
                    aiohttp.WSMsgType.CLOSED,
                ):
                    words = peer_text(message.extra)
                    reason = f"Slack closed the connection ({self._ws.close_code})"
                    reason = f"{reason}: {words}" if words else reason
                    return
                elif message.type is aiohttp.WSMsgType.ERROR:
                    return
        except (ConnectionError, aiohttp.ClientError):
            return
        except Exception as error:  # a peer can make the library fail in any way
            reason = f"a frame from Slack could not be read: {where(error)}"
        finally:
            self._mark_ended(reason)

    async def _handle_frame(self, text: str) -> None:
        try:
            await self._dispatch_frame(text)
        except (ConnectionError, aiohttp.ClientError):
            raise
        except Exception as error:  # one frame must not end the connection
            self._malformed(f"could not be handled ({where(error)})")

    async def _dispatch_frame(self, text: str) -> None:
        received_at = self._slack_time.wall()  # compared with the event's own time
        try:
            frame = decode(text)
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            self._malformed("is not a JSON object")
            return
        envelope_id = frame.get("envelope_id")
        match frame.get("type"):
            case "events_api":
                envelope = parse_envelope(frame, received_at=received_at)
                if envelope is None:
                    self._malformed("has no envelope_id")
                    return
                await self._hand_over(envelope)
            case "hello":
                self._hello(frame)
            case "disconnect":
                reason = peer_text(frame.get("reason")) or "Slack gave no reason"
                self._advance(ConnectionState.LEAVING, reason)
            case _ if isinstance(envelope_id, str) and 0 < len(envelope_id) <= LONGEST_ID:
                self._socket_state.ignored += 1
                self._unacked += 1
                await self.ack([EnvelopeId(envelope_id)])
            case _:
                self._malformed("is of an unknown type")

    async def _hand_over(self, envelope: Envelope) -> None:
        self._received += 1
        self._unacked += 1
        self._blocked, began = True, self._clock.elapsed()
        try:
            await self._receive(envelope, self)
        finally:
            self._blocked, now = False, self._clock.elapsed()
            self._answered += now - began
            if self.is_readable:
                self._seen = now
        if self._received % _YIELD_EVERY == 0:
            await asyncio.sleep(0)

    def _note_frame(self) -> None:
        now = self._clock.elapsed()
        if now - self._seen > self._timing.silence:
            self._mark_lost(f"nothing came from Slack for {now - self._seen:.0f} s")
        else:
            self._seen = now

    def _hello(self, frame: dict[str, Any]) -> None:
        match frame.get("num_connections"):
            case int(count) if 0 < count <= _MOST_SOCKETS:
                self._socket_state.num_connections = count
            case _:
                self._socket_state.num_connections = 1
        self.hello.set()

    def _malformed(self, what: str) -> None:
        self._socket_state.malformed += 1
        if self._socket_state.malformed_log.allows():
            total = {"malformed": self._socket_state.malformed}
            log.warning("a frame from Slack %s; it was dropped", what, extra=total)

    async def _watch(self) -> None:
        """Send pings, and treat the connection as lost when nothing comes back. Ignores time without reading."""
        reason: str | None = None
        try:
            while reason is None:
                await asyncio.sleep(self._timing.ping)
                async with asyncio.timeout(self._timing.dead):
                    await self._ws.ping()
                reason = self._is_lost_because()
        except (ConnectionError, aiohttp.ClientError, TimeoutError):
            pass
        except Exception as error:  # a connection without pings would never count as lost
            log.warning("the pings ended: %s", where(error))
        self._mark_lost(reason or "Slack does not answer")

    def _is_lost_because(self) -> str | None:
        """Why the peer is lost; None while it is there, or while this side does not read."""
        now = self._clock.elapsed()
        if self._blocked:
            return None
        if now - self._seen > self._timing.dead:
            return "Slack does not answer"
        if now - self._answered > self._timing.pong:
            return "Slack sends, but does not read: it answers no pings"
        return None
