"""A local Slack: a server with Socket Mode and those methods of the Web API that the ingestion uses.

It shares no code with the ingestion, so that tests and the demo use an independent peer. On demand it fails as Slack
can fail: see Faults, and the methods under "Failures on demand".
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import WSMsgType, web

from tiger_slack_tui.base.ids import EnvelopeId, EventId
from tiger_slack_tui.demo.directory import OWN_USER, Directory

_MOST_SOCKETS = 10
_SCOPES = (
    "app_mentions:read",
    *(
        f"{kind}:{what}"
        for kind in ("channels", "groups", "im", "mpim")
        for what in ("history", "read")
    ),
    "channels:join",
    "reactions:read",
    "team:read",
    "users:read",
    "users:read.email",
)


@dataclass(slots=True)
class Faults:
    """Failures that happen all the time. Probabilities are for each event or call."""

    duplicates: float = 0.0
    """Probability that an event is sent twice at once."""
    shuffle: int = 0
    """Events are sent in random order within a window of this many."""
    drop_every: int = 0
    """All sockets are cut, without a close frame, each time after this many events."""
    refresh_every: int = 0
    """Each time after this many events, clients are asked to reconnect; every other time with a warning before."""
    http_429: float = 0.0
    http_500: float = 0.0
    limited_200: float = 0.0
    """Probability that a call is refused as one too many, with HTTP 200 and without a time to wait."""
    expired_cursors: float = 0.0
    """Probability that a cursor has expired."""
    wait: int = 1
    """Seconds that a 429 asks to wait."""
    seed: int = 1


@dataclass(slots=True, eq=False)
class _Socket:
    ws: web.WebSocketResponse
    transport: asyncio.Transport
    frozen: bool = False


@dataclass(slots=True)
class _Delivery:
    """An event that is not acknowledged yet."""

    payload: Mapping[str, Any]
    attempt: int = 0
    first_sent_at: float = 0.0
    due: float = 0.0
    socket: _Socket | None = None
    """The socket that it was last sent to."""
    envelopes: list[EnvelopeId] = field(default_factory=list)


class LocalSlack:
    """The server on a port of 127.0.0.1. It runs from `start` to `close`, or as an async context manager.

    `retry_seconds` are the pauses before the second, third, … delivery of an unacknowledged event; the last pause
    repeats. At most `in_flight` events are unacknowledged: `send` waits. Connections of the Web API that are idle
    for `idle_seconds` are closed. With `remember`, `acked_ids` holds the id of every acknowledged event.
    """

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        directory: Directory | None = None,
        retry_seconds: tuple[float, ...] = (3.0, 10.0),
        in_flight: int = 4000,
        remember: bool = False,
        idle_seconds: float = 75,
    ) -> None:
        self.faults = faults or Faults()
        self.directory = directory or Directory()
        self.bot_token = f"xoxb-{secrets.token_hex(8)}"
        self.app_token = f"xapp-{secrets.token_hex(8)}"
        self.url = ""
        """Base address of the Web API, once started."""
        self.sent = 0
        self.acked = 0
        self.deliveries = 0
        self.connections_opened = 0
        """Successful calls of apps.connections.open."""
        self.openings_refused = 0
        """Calls of apps.connections.open that `refuse_opening` refused."""
        self.sockets_opened = 0
        """Sockets that clients opened."""
        self.hold: asyncio.Event | None = None
        """The list and history methods do not answer before this event is set."""
        self.tiers: dict[str, tuple[int, float]] = {}
        """Rate limits by method: the number of calls, and the seconds in which they are allowed."""
        self.refuse: dict[str, str] = {}
        """Errors that list and history methods return, by method."""
        self.refuse_channel: dict[str, str] = {}
        """Errors that methods about a channel return, by its id."""
        self.calls: Counter[str] = Counter()
        """Answered calls of list and history methods, by method."""
        self.refuse_opening: str | None = None
        """The error that apps.connections.open returns."""
        self.scopes = list(_SCOPES)
        """The scopes of the bot token."""
        self.acked_ids: set[EventId] = set()
        """The ids of acknowledged events, if `remember` is set."""
        self.latencies: deque[float] = deque(maxlen=20_000)
        """Seconds from the first delivery to the ack, for the newest events."""
        self._retry_seconds = retry_seconds
        self._in_flight = in_flight
        self._remember = remember
        self._idle_seconds = idle_seconds
        self._random = random.Random(self.faults.seed)
        self._tickets: set[str] = set()
        self._called: dict[str, deque[float]] = {}
        self._sockets: list[_Socket] = []
        self._unacked: dict[EventId, _Delivery] = {}
        self._envelopes: dict[EnvelopeId, EventId] = {}
        self._window: list[Mapping[str, Any]] = []
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._retrying: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> None:
        """Start to serve; port 0 means any free port."""
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(
            app, shutdown_timeout=0.1, access_log=None, keepalive_timeout=self._idle_seconds
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/"
        self._retrying = asyncio.create_task(self._redeliver())

    async def close(self) -> None:
        """Cut all connections and stop."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Events

    @property
    def unacked(self) -> int:
        """The number of events that are sent or wait to be sent, and are not acknowledged."""
        return len(self._unacked) + len(self._window)

    @property
    def sockets(self) -> int:
        return len(self._sockets)

    def peers(self) -> list[tuple[str, int]]:
        """The addresses of the connected clients."""
        found = (socket.transport.get_extra_info("peername") for socket in self._sockets)
        return [address[:2] for address in found if address]

    async def send(self, payload: Mapping[str, Any]) -> None:
        """Send an event (an Events API payload with an event_id), and again until it is acknowledged."""
        while len(self._unacked) >= self._in_flight:
            await self._next_change()
        self.sent += 1
        self.directory.apply(payload["event"])
        self._window.append(payload)
        if len(self._window) > self.faults.shuffle:
            await self._send_from_window()

    def lose(self, payload: Mapping[str, Any]) -> None:
        """Apply an event that is never delivered, as if Slack had given up its delivery."""
        self.directory.apply(payload["event"])

    async def send_all(self, payloads: Iterable[Mapping[str, Any]]) -> None:
        """Send all the events."""
        for payload in payloads:
            await self.send(payload)
        await self.flush()

    async def flush(self) -> None:
        """Send the events that wait in the shuffle window."""
        while self._window:
            await self._send_from_window()

    async def wait_acked(self) -> None:
        """Wait until every event is acknowledged."""
        while self.unacked:
            await self._next_change()

    async def wait_connected(self, sockets: int = 1) -> None:
        """Wait until this many sockets are open."""
        while len(self._sockets) < sockets:
            await self._next_change()

    # Failures on demand

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Ask each client to reconnect, and close its socket soon after."""
        for socket in list(self._sockets):
            await self.send_frame({"type": "disconnect", "reason": reason}, socket)
            seconds = 1.0 if reason == "warning" else 0.1
            asyncio.get_running_loop().call_later(seconds, self._abort, socket)

    async def drop(self) -> None:
        """Cut all sockets without a close frame."""
        for socket in list(self._sockets):
            self._abort(socket)
        await asyncio.sleep(0)

    def freeze(self) -> None:
        """From now on, the open sockets neither read nor write, but stay open, as half-open connections do."""
        for socket in self._sockets:
            socket.frozen = True
            socket.transport.pause_reading()

    async def send_frame(
        self, frame: Mapping[str, Any] | str, socket: _Socket | None = None
    ) -> None:
        """Send a frame as it is, to the socket or to the first one."""
        text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
        socket = socket or self._sockets[0]
        if not socket.frozen:
            await socket.ws.send_str(text)

    # Internals

    async def _send_from_window(self) -> None:
        at = self._random.randrange(len(self._window)) if self.faults.shuffle else 0
        payload = self._window.pop(at)
        event_id = EventId(payload["event_id"])
        self._unacked[event_id] = _Delivery(payload, first_sent_at=time.monotonic())
        await self._deliver(event_id)
        if self.faults.duplicates and self._random.random() < self.faults.duplicates:
            await self._deliver(event_id, retry=False)
        if self.faults.drop_every and self.sent % self.faults.drop_every == 0:
            await self.drop()
        if self.faults.refresh_every and self.sent % self.faults.refresh_every == 0:
            turn = self.sent // self.faults.refresh_every
            await self.refresh("warning" if turn % 2 else "refresh_requested")

    async def _deliver(self, event_id: EventId, *, retry: bool = True) -> None:
        """Send the event on a random socket, if there is one, and set the time of its next delivery."""
        delivery = self._unacked.get(event_id)
        usable = [socket for socket in self._sockets if not socket.ws.closed]
        if delivery is None or not usable:
            return
        now = time.monotonic()
        pauses = self._retry_seconds
        delivery.due = now + pauses[min(delivery.attempt, len(pauses) - 1)]
        delivery.socket = self._random.choice(usable)
        envelope_id = EnvelopeId(f"{self._random.getrandbits(64):016x}")
        delivery.envelopes.append(envelope_id)
        self._envelopes[envelope_id] = event_id
        frame = {
            "envelope_id": envelope_id,
            "type": "events_api",
            "accepts_response_payload": False,
            "retry_attempt": delivery.attempt,
            "retry_reason": "timeout" if delivery.attempt else "",
            "payload": delivery.payload,
        }
        delivery.attempt += retry
        self.deliveries += 1
        try:
            await self.send_frame(_json(frame), delivery.socket)
        except (ConnectionError, RuntimeError):
            delivery.due = now + 0.1  # the socket is broken

    async def _redeliver(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            for event_id in [key for key, value in self._unacked.items() if value.due <= now]:
                await self._deliver(event_id)

    def _ack(self, envelope_id: EnvelopeId) -> None:
        event_id = self._envelopes.pop(envelope_id, None)
        delivery = self._unacked.pop(event_id, None) if event_id else None
        if event_id is None or delivery is None:
            return  # another delivery of the event is already acknowledged
        for other in delivery.envelopes:
            self._envelopes.pop(other, None)
        self.acked += 1
        self.latencies.append(time.monotonic() - delivery.first_sent_at)
        if self._remember:
            self.acked_ids.add(event_id)
        self._changed.set()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _abort(self, socket: _Socket) -> None:
        socket.transport.abort()
        if socket in self._sockets:
            self._sockets.remove(socket)
        # Send its unacknowledged events again at once, on another socket.
        for delivery in self._unacked.values():
            if delivery.socket is socket:
                delivery.due = min(delivery.due, time.monotonic() + 0.1)
        self._changed.set()

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=408)
        self._tickets.discard(ticket)
        ws = web.WebSocketResponse(max_msg_size=1 << 26, autoping=False)
        await ws.prepare(request)
        if len(self._sockets) >= _MOST_SOCKETS:
            await ws.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            return ws
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 for the types
        socket = _Socket(ws, transport)
        self._sockets.append(socket)
        self.sockets_opened += 1
        await ws.send_json(
            {
                "type": "hello",
                "num_connections": len(self._sockets),
                "connection_info": {"app_id": "A0LOCAL"},
                "debug_info": {"host": "local", "approximate_connection_time": 3600},
            }
        )
        self._changed.set()
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._ack(EnvelopeId(str(orjson.loads(message.data).get("envelope_id"))))
                elif message.type is WSMsgType.PING:
                    await ws.pong(message.data)
        finally:
            self._abort(socket)
        return ws

    async def _api(self, request: web.Request) -> web.Response:
        if self._random.random() < self.faults.http_500:
            return web.Response(status=500, text="not now")
        if wait := self.limited():
            return _rate_limited(wait)
        method = request.match_info["method"]
        if request.content_type == "application/json" and request.can_read_body:
            given = await request.json()
        else:
            given = {**request.query, **await request.post()}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or given.get(
            "token", ""
        )
        if error := self._token_error(method, token):
            return web.json_response({"ok": False, "error": error})
        if method == "apps.connections.open":
            return web.json_response(self._open_connection(request.host))
        if method == "auth.test":
            identity = {
                "team": "Local",
                "url": "https://local.slack.com/",
                "team_id": "T0LOCAL",
                "user": "tiger",
                "user_id": OWN_USER,
            }
            headers = {"X-OAuth-Scopes": ",".join(self.scopes)}
            return web.json_response({"ok": True} | identity, headers=headers)
        if method == "conversations.join" and "channels:join" not in self.scopes:
            missing = {"ok": False, "error": "missing_scope", "needed": "channels:join"}
            return web.json_response(missing)
        if method in self.refuse:
            return web.json_response({"ok": False, "error": self.refuse[method]})
        if failure := self._random_error(given):
            return web.json_response({"ok": False, "error": failure})
        if wait := self._wait_of_tier(method):
            return _rate_limited(wait)
        self.calls[method] += 1
        if self.hold is not None:
            await self.hold.wait()
        return web.json_response(
            self.directory.answer(method, {k: str(v) for k, v in given.items()})
        )

    def _token_error(self, method: str, token: str) -> str | None:
        """The error if the token may not call the method."""
        if token == (self.app_token if method == "apps.connections.open" else self.bot_token):
            return None
        if token in (self.app_token, self.bot_token):
            return "not_allowed_token_type"
        return "invalid_auth" if token else "not_authed"

    def limited(self) -> int:
        """Seconds that the next call is to wait; 0 if it is served."""
        return self.faults.wait if self._random.random() < self.faults.http_429 else 0

    def _random_error(self, given: Mapping[str, Any]) -> str | None:
        faults, found = self.faults, self.refuse_channel.get(str(given.get("channel")))
        if found:
            return found
        if faults.limited_200 and self._random.random() < faults.limited_200:
            return "ratelimited"
        if given.get("cursor") and self._random.random() < faults.expired_cursors:
            return "invalid_cursor"
        return None

    def _wait_of_tier(self, method: str) -> int:
        """Seconds until the method may be called again; 0 if it may be called now."""
        if method not in self.tiers:
            return 0
        most, seconds = self.tiers[method]
        now, called = time.monotonic(), self._called.setdefault(method, deque())
        while called and called[0] <= now - seconds:
            called.popleft()
        if len(called) >= most:
            return math.ceil(called[0] + seconds - now)
        called.append(now)
        return 0

    def _open_connection(self, host: str) -> dict[str, Any]:
        if self.refuse_opening is not None:
            self.openings_refused += 1
            return {"ok": False, "error": self.refuse_opening}
        self.connections_opened += 1
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return {"ok": True, "url": f"ws://{host}/link?ticket={ticket}&app_id=A0LOCAL"}


def _rate_limited(seconds: int) -> web.Response:
    """The answer that asks to wait."""
    headers = {"Retry-After": str(seconds)}
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)


def _json(value: Any) -> str:
    """The value as JSON. Lone surrogates are escaped, as Slack does."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        import json

        return json.dumps(value)
