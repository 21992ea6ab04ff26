"""Serves clients over streamable HTTP, behind a token, checks of Host and Origin, and limits. Serves health."""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.settings import parse_listen

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ALL = ("0.0.0.0", "::")  # noqa: S104 compared with, not listened on
PATH = "/mcp"
MOST_BODY = 256 * 1024
"""Bytes of a request."""
_STOP_SECONDS = 2
_READY_SECONDS = 2.0
"""For how long an answer to /readyz is used again."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Where to serve, and for whom."""

    host: str
    port: int
    token: str | None = field(default=None, repr=False)
    """What clients must send as bearer token; None: nothing."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, without a port, by which clients reach the server, for example through a proxy."""

    @classmethod
    def parse(cls, address: str, token: str | None, allowed_hosts: Sequence[str]) -> HttpOptions:
        """The options for an address [HOST:]PORT. Raises SettingsError for one that would not be safe."""
        try:
            host, port = parse_listen(address)
        except ValueError:
            raise SettingsError(
                f"{address!r} is not an address for --http.", hint="Write it as PORT or HOST:PORT."
            ) from None
        host = host or "127.0.0.1"
        if not token and not {host, *allowed_hosts} <= {*_LOOPBACK}:
            raise SettingsError(
                "Without a token, everyone who reaches the server could read the messages.",
                hint="Set TIGER_SLACK_MCP_TOKEN to a long random text, and give it to the clients.",
            )
        if host in _ALL and not allowed_hosts:
            raise SettingsError(
                f"{host} does not say by which name clients reach the server.",
                hint="Add --allow-host NAME for each name or address that they use.",
            )
        return cls(host, port, token, tuple(allowed_hosts))

    def security(self) -> TransportSecuritySettings:
        """The values of Host and Origin that are accepted. A browser's page of another site has another Origin."""
        own = _LOOPBACK if self.host in _LOOPBACK else () if self.host in _ALL else (self.host,)
        names = [f"[{n}]" if ":" in n else n for n in (*own, *self.allowed_hosts)]
        hosts = [form for name in names for form in (name, f"{name}:*")]
        return TransportSecuritySettings(
            allowed_hosts=hosts,
            allowed_origins=[
                f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")
            ],
        )


@dataclass(slots=True)
class Limits:
    """How much all clients together may ask."""

    rate: float = 20
    """Requests a second."""
    burst: float = 60
    """Requests at once after a pause."""
    concurrent: int = 32
    """Requests at the same time. More than 4 of them wait for a connection to the database."""
    clock: Callable[[], float] = time.monotonic


class Health:
    """Answers /healthz and /readyz. Everyone may ask, so the answers tell nothing else.

    `is_ready` is called at most once in 2 s, and never twice at the same time: strangers cannot keep the database
    busy with it.
    """

    def __init__(
        self,
        is_ready: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_ready = is_ready
        self._clock = clock
        self._asked_at = 0.0
        self._asking: asyncio.Future[bool] | None = None

    async def answer(self, path: str) -> Response | None:
        """The answer to a GET of the path; None for a path of something else."""
        if path == "/healthz":
            return JSONResponse({"alive": True})
        if path == "/readyz":
            ready = await self._ready()
            problems = [] if ready else ["database: no answer to a query"]
            return JSONResponse({"ready": ready, "problems": problems}, 200 if ready else 503)
        return None

    async def _ready(self) -> bool:
        asking = self._asking
        if asking is None or (asking.done() and self._clock() - self._asked_at >= _READY_SECONDS):
            self._asked_at = self._clock()
            asking = self._asking = asyncio.ensure_future(self._is_ready())
        return await asyncio.shield(asking)  # one that leaves does not cancel it for the others


class Guard:
    """Lets only requests with the token to the app, and not too many. Health needs no token."""

    def __init__(self, app: ASGIApp, token: str | None, limits: Limits, health: Health) -> None:
        self._app = app
        self._health = health
        self._token = token
        self._limits = limits
        self._left = limits.burst
        self._counted_at = limits.clock()
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as an ASGI app does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "GET" and (found := await self._health.answer(scope["path"])):
            await found(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        """The answer to a request that is refused; None if it is not.

        Requests without the token do not count: strangers must not use up what the clients may ask.
        """
        wait = {"Retry-After": "1"}
        if not self._is_known(Headers(scope=scope).get("authorization", "")):
            ask = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse("The bearer token is missing or wrong.", 401, ask)
        if scope["method"] != "POST":
            # A GET would only open a stream that never has anything to say, and count as a request until it ends.
            return PlainTextResponse("Only POST.", 405, {"Allow": "POST"})
        if not self._takes_one():
            return PlainTextResponse("Too many requests a second.", 429, wait)
        if self._running >= self._limits.concurrent:
            return PlainTextResponse("Too many requests at the same time.", 429, wait)
        return None

    def _is_known(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        is_same = hmac.compare_digest(given.strip().encode(), self._token.encode())
        return is_same and scheme.lower() == "bearer"

    def _takes_one(self) -> bool:
        """Whether the rate allows one more request: a bucket of tokens that fills with time."""
        now = self._limits.clock()
        filled = self._left + (now - self._counted_at) * self._limits.rate
        self._left, self._counted_at = min(filled, self._limits.burst), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def make_app(
    server: MCPServer[None],
    options: HttpOptions,
    is_ready: Callable[[], Awaitable[bool]],
    limits: Limits | None = None,
) -> Guard:
    """The server as an ASGI app. Each request stands for itself, so that a proxy can spread them.

    `is_ready` tells whether calls can be answered now.
    """
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_BODY,
        transport_security=options.security(),
        host=options.host,
    )
    return Guard(app, options.token, limits or Limits(), Health(is_ready))


def listen(options: HttpOptions) -> socket.socket:
    """The socket to serve on. Raises SettingsError if the address cannot be used."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server((options.host, options.port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {options.host}, port {options.port}: {error.strerror or error}",
            hint="Choose another address with --http.",
        ) from None


async def serve(
    server: MCPServer[None], options: HttpOptions, is_ready: Callable[[], Awaitable[bool]]
) -> None:
    """Serve until SIGTERM or SIGINT. Arguments as for `make_app`. Raises SettingsError."""
    with listen(options) as listening:
        config = uvicorn.Config(
            make_app(server, options, is_ready),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        log.info("serving MCP at port %d, path %s", listening.getsockname()[1], PATH)
        await uvicorn.Server(config).serve(sockets=[listening])
