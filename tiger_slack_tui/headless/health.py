"""Serves health and metrics over HTTP, and asks for health as the command `tiger-slack health` does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPException
from typing import Any

from aiohttp import web

from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.metrics import prometheus_text
from tiger_slack_tui.base.settings import parse_listen
from tiger_slack_tui.base.snapshot import SlackStatus, Snapshot

_ASKED = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 the address to use for all interfaces


class NotHealthy(TigerSlackError):
    """The program does not answer, or answers that it is not ready."""


@asynccontextmanager
async def serve_health(address: str, snapshot: Callable[[], Snapshot]) -> AsyncIterator[None]:
    """Serve /healthz, /readyz and /metrics while the block runs.

    `address` is [HOST:]PORT. Without a host it serves on all interfaces, because probes reach a container from
    outside. Raises SettingsError if the port cannot be used.
    """
    host, port = parse_address(address)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        found = readiness(snapshot())
        return web.json_response(found, status=200 if found["ready"] else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=prometheus_text(snapshot()),
            headers={"Content-Type": "text/plain; version=1.0.0; charset=utf-8"},
        )

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on port {port}: {error.strerror}",
                hint="Choose another with --http, or TIGER_SLACK_HTTP.",
            ) from None
        yield
    finally:
        await runner.cleanup()


def parse_address(address: str) -> tuple[str | None, int]:
    """As `settings.parse_listen`. Raises SettingsError."""
    try:
        return parse_listen(address)
    except ValueError:
        raise SettingsError(
            f"{address!r} is not an address for --http.", hint="Write it as PORT or HOST:PORT."
        ) from None


def readiness(now: Snapshot) -> dict[str, Any]:
    """Whether events can arrive and become durable: {"ready", "problems", "slack", "database", "spool", "faults"}.

    A database that is away while the spool takes events is a problem, too, but the program is ready. `faults` are
    sentences about what works only in part. They do not make the program unready.
    """
    problems = []
    if now.slack_status != SlackStatus.CONNECTED:
        reason = f": {now.slack_reason}" if now.slack_reason else ""
        problems.append(f"Slack: {now.slack_status}{reason}")
    if now.database_problem is not None and now.spool_problem is not None:
        problems.append(f"database: {now.database_problem}")
        problems.append(f"spool: {now.spool_problem}")
    if now.stalled_since is not None:
        problems.append(f"events: not stored for {now.at - now.stalled_since:.0f} s")
    is_ready = not problems
    if now.database_problem is not None and now.spool_problem is None:
        problems.append(f"database: {now.database_problem}; events go to the spool")
    return {
        "ready": is_ready,
        "problems": problems,
        "slack": now.slack_status,
        "database": now.database_problem or "ok",
        "spool": now.spool_problem or "ok",
        "faults": list(now.faults),
    }


def ask(address: str, *, live: bool, timeout: float = 5) -> str:
    """Ask the program on this machine whether it is ready, or with `live` whether it is alive. Returns the answer.

    Raises NotHealthy if it is not, or does not answer. Blocks for up to `timeout` seconds.
    """
    host, port = parse_address(address)
    host = _ASKED.get(host or "", host or "")
    path = "healthz" if live else "readyz"
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/{path}"
    # A proxy from the environment could not reach a port of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        body = error.read().decode(errors="replace")
        try:
            problems = "; ".join(json.loads(body)["problems"])
        except (ValueError, KeyError, TypeError):
            problems = f"status {error.code}"
        raise NotHealthy(f"Not ready: {problems}") from None
    except (OSError, HTTPException, ValueError) as error:
        strange = isinstance(error, HTTPException)
        cause = getattr(error, "reason", error)
        reason = "the answer is not HTTP" if strange else getattr(cause, "strerror", None) or cause
        raise NotHealthy(
            f"No answer on port {port}: {reason}",
            hint="Is it running with --http, or TIGER_SLACK_HTTP, and this port?",
        ) from None
