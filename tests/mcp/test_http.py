"""The server over HTTP: whom it refuses, its limits, and the SDK's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.mcp.serving import Asking, Workspace, ordinary
from tests.support import until
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.http import MOST_BODY, Health, HttpOptions, Limits, make_app
from tiger_slack_tui.mcp.run import make_service
from tiger_slack_tui.mcp.server import make_server

TOKEN = "0123456789abcdef0123456789abcdef"
PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def serving(
    conninfo: str, home: Path, limits: Limits, options: HttpOptions | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of HTTP that reaches the app without a socket."""
    service = make_service(
        Settings(home=home, conninfo=conninfo), lambda: nullcontext(conninfo), Access()
    )
    server = make_server(service)
    options = options or HttpOptions.parse("0.0.0.0:1", TOKEN, ["slack.test"])
    app = make_app(server, options, service.is_ready, limits)
    transport = httpx2.ASGITransport(app=app)
    async with (
        server.session_manager.run(),
        httpx2.AsyncClient(
            transport=transport, base_url="http://slack.test", headers=HEADERS
        ) as client,
    ):
        yield client
    service.database.close()


async def test_what_is_refused(conninfo: str, tmp_path: Path) -> None:
    async with serving(conninfo, tmp_path, Limits(rate=0, burst=100)) as client:

        async def status(headers: dict[str, str] | None = None, **request: Any) -> int:
            request = {"json": PING} | request
            return (await client.post("/mcp", headers=headers, **request)).status_code

        assert await status() == 200
        for method in ("GET", "DELETE"):  # a stream that stays open would count as a request
            assert (await client.request(method, "/mcp")).status_code == 405
        for wrong in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN):
            assert await status({"Authorization": wrong}) == 401
        assert await status({"Host": "evil.test"}) == 421
        assert await status({"Host": "slack.test:8443"}) == 200
        assert await status({"Origin": "http://evil.test"}) == 403
        assert await status({"Origin": "https://slack.test"}) == 200
        assert await status(json=PING | {"params": {"x": "y" * MOST_BODY}}) == 413
        answers = [await status() for _ in range(100)]
        assert answers[0] == 200
        assert answers[-1] == 429
    only = Limits(concurrent=0)
    async with serving(conninfo, tmp_path, only) as client:
        assert (await client.post("/mcp", json=PING)).headers["Retry-After"] == "1"


async def test_health(conninfo: str, tmp_path: Path) -> None:
    """Without a token, without a limit, and not only a promise: it asks the database, but not for each request."""
    stranger = {"Authorization": "", "Host": "10.0.0.1:8765"}
    async with serving(conninfo, tmp_path, Limits(burst=0)) as client:
        assert (await client.get("/healthz", headers=stranger)).json() == {"alive": True}
        answer = await client.get("/readyz", headers=stranger)
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "problems": []})
        assert (await client.post("/readyz", headers=stranger)).status_code == 401
    async with serving("host=127.0.0.1 port=1", tmp_path, Limits()) as client:
        answer = await client.get("/readyz", headers=stranger)
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert "127.0.0.1" not in answer.text
    asked: list[float] = []
    now = [0.0]

    async def is_ready() -> bool:
        asked.append(now[0])
        return True

    health = Health(is_ready, clock=lambda: now[0])
    for now[0] in (10.0, 11.0, 12.0):
        await asyncio.gather(*(health.answer("/readyz") for _ in range(5)))
    assert asked == [10.0, 12.0]


async def test_the_clients_of_the_sdk(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    ordinary(Workspace(database)).post("hello")
    options = HttpOptions.parse("127.0.0.1:1", TOKEN, [])
    async with serving(conninfo, tmp_path, Limits(), options) as client:
        client.base_url = "http://localhost:7777"  # type: ignore[assignment]
        for mode in ("auto", "legacy"):
            transport = streamable_http_client("http://localhost:7777/mcp", http_client=client)
            async with Client(transport, mode=mode) as asking:
                answer = await Asking(asking).ask("search", query="hello")
                assert answer["results"][0]["quoted_text"] == "hello"


def test_addresses() -> None:
    assert HttpOptions.parse("8080", None, []).host == "127.0.0.1"
    for address, token, hosts in (
        ("x", TOKEN, ["a"]),
        ("10.0.0.1:80", None, ["a"]),
        ("0.0.0.0:80", TOKEN, []),
        ("[::]:80", None, []),
        ("80", None, ["slack.test"]),
    ):
        with pytest.raises(SettingsError):
            HttpOptions.parse(address, token, hosts)


async def test_fifty_calls_at_once_and_cancelled_ones(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    ordinary(Workspace(database)).post("hello")
    limits = Limits(burst=1000, concurrent=1000)

    def at_work() -> int:
        row = database.execute(
            "select count(*) from pg_stat_activity where application_name like '%mcp'"
            " and datname = current_database() and wait_event_type = 'Lock'"
        ).fetchone()
        return row[0] if row else 0

    options = HttpOptions.parse("127.0.0.1:1", TOKEN, [])
    async with serving(conninfo, tmp_path, limits, options) as http:
        transport = streamable_http_client("http://localhost:1/mcp", http_client=http)
        async with Client(transport) as client:
            asking = Asking(client)
            with psycopg.connect(conninfo) as blocking:
                blocking.execute("lock table slack.message_search")
                calls = [
                    asyncio.create_task(asking.ask("search", query="hello")) for _ in range(50)
                ]
                await until(lambda: at_work() == 4)
                for call in calls[:25]:
                    call.cancel()
                await asyncio.wait(calls[:25])
            answers = await asyncio.gather(*calls[25:])
            assert all(len(answer["results"]) == 1 for answer in answers)
            await until(lambda: at_work() == 0)
            assert (await asking.ask("search", query="hello"))["results"]
