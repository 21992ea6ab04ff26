"""Socket Mode: keeps one connection to Slack, and replaces it without a gap.

Slack's rules are at https://docs.slack.dev/apis/events-api/using-socket-mode. Each connection needs a new URL. Slack
sends `hello` when it is ready and `disconnect` before it ends. Each envelope needs an ack within 3 s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp

from tiger_slack_tui.base.backoff import LogThrottle, backoff
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.errors import SlackRefused, SlackUnavailable
from tiger_slack_tui.base.periods import ConnectedPeriods
from tiger_slack_tui.base.snapshot import SlackStatus
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.slack.socket_connection import (
    Receive,
    SocketConnection,
    SocketState,
    SocketTiming,
)
from tiger_slack_tui.slack.unreached import unreached
from tiger_slack_tui.slack.web import MOST_BYTES, SlackWeb, parse_retry_after

log = logging.getLogger(__name__)

_LOGGED_FAILURES = 5
"""Number of failures in a row that are all logged. Later ones are logged at growing intervals."""

# Reasons for which Slack also refuses the next connection, until an operator acts.
_BLOCKED_REASONS = {
    "link_disabled": "Socket Mode is off for the app: turn it on at the app's page at Slack",
    "too_many_websockets": "the app has more than 10 connections: stop other instances",
}
_REASONS = _BLOCKED_REASONS | {
    "warning": "Slack closes it in a few seconds (warning)",
    "refresh_requested": "Slack asks for a new one (refresh_requested)",
}
"""What Slack's reasons for a disconnect mean: https://docs.slack.dev/apis/events-api/using-socket-mode."""


class _Blocked(Exception):
    """Slack ended the connection before hello, for a reason in _BLOCKED_REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SocketMode:
    """Keeps one connection to Slack: `run` until cancelled, then `stop_reading` and `close`.

    An outage can last for months. Nothing here grows with it, and each pause between two tries is at most 10 minutes.
    """

    def __init__(
        self,
        web: SlackWeb,
        session: aiohttp.ClientSession,
        receive: Receive,
        *,
        timing: SocketTiming | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`sleep` makes the pauses between tries, in seconds."""
        self._web = web
        self._session = session
        self._receive = receive
        self._timing = timing or SocketTiming()
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._connection: SocketConnection | None = None
        self._failures = 0
        self._failure_log = LogThrottle(self._clock)
        self._status_without_connection: tuple[SlackStatus, str | None] = (
            SlackStatus.CONNECTING,
            None,
        )
        """The status to show while no connection can be read, and its reason."""
        self.state = SocketState(self._clock)

    async def run(self) -> None:
        """Connect, and reconnect. Raises SlackRefused if the first connection is refused for good.

        Can be called again after it ended; it first closes the last connection.
        """
        if self._connection is not None:
            await self._connection.close()
        self._connection = connection = await self._connect(None)
        while True:
            await connection.leaving.wait()
            reason = connection.reason
            self._failures = 0 if connection.proven else self._failures + 1
            if self._should_log_failure():
                log.info("connection ends: %s", _REASONS.get(reason, reason))
            why = _BLOCKED_REASONS.get(reason, reason)
            if reason in _BLOCKED_REASONS:
                await connection.close()
                await self._wait_for_operator(why)
            successor = await self._connect(why)
            self._connection, old, connection = successor, connection, successor
            await old.close(flush=True)  # the old connection was read until the new one was ready

    def stop_reading(self) -> None:
        """Read nothing more. Acks can still be sent. Call it when `run` has ended."""
        if self._connection is not None:
            self._connection.stop_reading()
            self.state.connected_periods.end(self._connection.heard)

    def connected_periods(self) -> ConnectedPeriods:
        """The connected periods that are not stored yet. `heard` of the current one is up to date."""
        periods = self.state.connected_periods
        if self._connection is not None and (current := periods.current) is not None:
            current.heard = max(current.heard, self._connection.heard)
        return periods

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            await self._connection.close()
        self.state.set(SlackStatus.STOPPED)

    async def _connect(self, why: str | None) -> SocketConnection:
        """Return a connection that has received hello. Tries until it succeeds.

        `why` is the reason to show: why the last connection ended, and later why the last try failed.
        """
        pause = self._backoff() if self._failures else 0
        while True:
            if pause:
                await self._wait(SlackStatus.BACKING_OFF, why, pause)
            self._set_disconnected(SlackStatus.CONNECTING, why)
            try:
                connection = await self._open()
            except SlackRefused as error:
                if not self.state.connects:
                    raise
                why, pause = str(error), 0
                await self._wait_for_operator(why)
            except _Blocked as blocked:
                why, pause = _BLOCKED_REASONS[blocked.reason], 0
                await self._wait_for_operator(why)
            except SlackUnavailable as error:
                self._failures += 1
                why, pause = self._classify_failure(error)
                if self._should_log_failure():
                    log.warning("no connection: %s", why, extra={"failures": self._failures})
            else:
                self._end_period_if_lost()
                self.state.connected_periods.begin()
                self.state.connects += 1
                self.state.set(SlackStatus.CONNECTED)
                self._status_without_connection = (SlackStatus.CONNECTING, None)
                connection.on_lost = self._show_status
                if skew := self._web.time.skew:
                    log.warning(
                        "this machine's clock differs from Slack's by %.0f s; times of receipt follow Slack's clock",
                        abs(skew),
                    )
                if self._failures <= _LOGGED_FAILURES or self._failure_log.allows():
                    log.info("connected", extra={"sockets_of_app": self.state.num_connections})
                return connection

    def _classify_failure(self, error: SlackUnavailable) -> tuple[str, float]:
        """Why there is no connection, and the seconds until the next try."""
        asked, most = error.retry_after or 0, self._timing.retry_after_most
        pause = max(self._backoff(), min(asked, most))
        if asked <= most:
            return str(error), pause
        return (
            f"{error}; Slack asks to wait {asked:.0f} s, the next try is in {pause:.0f} s",
            pause,
        )

    def _backoff(self) -> float:
        timing = self._timing
        return backoff(self._failures, first=timing.backoff_first, most=timing.backoff_most)

    def _should_log_failure(self) -> bool:
        """Whether to log this failure: all of a short series, a few of a long one."""
        if self._failures == 0:
            self._failure_log.reset()
        return self._failures <= _LOGGED_FAILURES or self._failure_log.allows()

    async def _open(self) -> SocketConnection:
        url = await self._web.open_connection()
        connection = SocketConnection(
            await self._handshake(url),
            self._receive,
            self.state,
            self._timing,
            self._clock,
            self._web.time,
        )
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
        if connection.reason in _BLOCKED_REASONS:
            raise _Blocked(connection.reason)
        raise SlackUnavailable(connection.reason or f"no hello within {self._timing.hello:g} s")

    async def _handshake(self, url: str) -> aiohttp.ClientWebSocketResponse:
        """Open the WebSocket. Raises SlackUnavailable, whose message never contains the URL's ticket."""
        seconds = self._timing.handshake
        try:
            async with asyncio.timeout(seconds):
                return await self._session.ws_connect(url, autoping=False, max_msg_size=MOST_BYTES)
        except aiohttp.WSServerHandshakeError as error:
            raise SlackUnavailable(
                f"the handshake was refused with HTTP {error.status}",
                retry_after=parse_retry_after(error.headers or {}),
            ) from None
        except TimeoutError:
            raise SlackUnavailable(f"the socket was not open within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreached(url, error) from None
        except Exception as error:  # a peer can make the library fail in any way
            raise SlackUnavailable(f"the handshake could not be read: {where(error)}") from None

    async def _wait_for_operator(self, why: str) -> None:
        """Make a long pause: Slack also refuses the next connection, until an operator acts."""
        timing = self._timing
        self._failures += 1
        pause = backoff(self._failures, first=timing.blocked_first, most=timing.blocked_most)
        if self._should_log_failure():
            log.error("held back: %s", why, extra={"seconds": round(pause)})
        await self._wait(SlackStatus.HELD_BACK, why, pause)

    async def _wait(self, status: SlackStatus, reason: str | None, seconds: float) -> None:
        self._set_disconnected(status, reason)
        await self._sleep(seconds)

    def _set_disconnected(self, status: SlackStatus, reason: str | None) -> None:
        self._status_without_connection = (status, reason)
        self._show_status()

    def _show_status(self) -> None:
        """Show the status, unless the connection that is being replaced can still be read."""
        self._end_period_if_lost()
        if self._connection is None or not self._connection.is_readable:
            self.state.set(*self._status_without_connection)

    def _end_period_if_lost(self) -> None:
        """End the connected period if the connection that is being replaced can no longer be read."""
        if self._connection is not None and not self._connection.is_readable:
            self.state.connected_periods.end(self._connection.heard)
