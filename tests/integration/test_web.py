"""The Web API: each failure is a refusal or can be retried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey

from tiger_slack_tui.base.errors import SlackUnavailable, TigerSlackError
from tiger_slack_tui.base.settings import SLACK_API_URL, Settings, SlackSettings
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.slack.pages import retry
from tiger_slack_tui.slack.unreached import unreached
from tiger_slack_tui.slack.web import SlackWeb

Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[SlackSettings]:
    """A server that answers every method by the handler."""
    app = web.Application()
    app.router.add_post("/api/{method}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield SlackSettings("xoxb-1", "xapp-1", f"http://127.0.0.1:{runner.addresses[0][1]}/api/")
    finally:
        await runner.cleanup()


async def failure(
    status: int, text: str, content_type: str = "application/json", **headers: str
) -> SlackUnavailable:
    """What auth.test raises after such an answer."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type=content_type, headers=headers)

    async with answering(handler) as settings, aiohttp.ClientSession() as session:
        with pytest.raises(SlackUnavailable) as raised:
            await SlackWeb(settings, session).identity()
    return raised.value


@pytest.mark.parametrize(
    ("status", "text", "content_type"),
    [
        (200, "<html>Log in</html>", "text/html"),
        (200, "<html>Log in</html>", "application/json"),
        (200, '"ok"', "application/json"),
        (200, "[]", "application/json"),
        (200, "", "application/json"),
        (404, "nothing here", "text/plain"),
        (503, "", "text/html"),
    ],
)
async def test_what_is_no_answer_of_slack_is_tried_again(
    status: int, text: str, content_type: str
) -> None:
    assert (await failure(status, text, content_type)).retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3), ("1.5", 1.5), ("0", None), ("soon", None), ("²", None), ("-1", None)],
)
async def test_waits_as_long_as_slack_asks_where_that_is_a_time(
    header: str, seconds: float | None
) -> None:
    body = '{"ok": false, "error": "ratelimited"}'
    assert (await failure(429, body, **{"Retry-After": header})).retry_after == seconds
    assert (await failure(429, body)).retry_after is None


async def test_an_error_names_the_host_and_gives_up_for_a_person() -> None:
    settings = SlackSettings("xoxb-1", "xapp-1", "http://127.0.0.1:9/api/")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SlackUnavailable) as raised:
            await retry(SlackWeb(settings, session, give_up_after=2).identity, pause_first=0.01)
    assert str(raised.value).startswith(
        "127.0.0.1:9 (SLACK_API_URL) was not reached (Connection refused)"
    )
    key = ConnectionKey("slack.com", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorDNSError(key, OSError(-2, "Name or service not known"))
    for url in (SLACK_API_URL, "wss://wss-primary.slack.com/link/?ticket=hidden"):
        said = str(unreached(url, error))
        assert said.endswith("slack.com does not resolve: network, DNS or proxy?")
        assert "hidden" not in said


async def test_codes_of_slack_are_given_in_words() -> None:
    async def said(body: str) -> str:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(text=body, content_type="application/json")

        async with answering(handler) as settings, aiohttp.ClientSession() as session:
            with pytest.raises(TigerSlackError) as raised:
                await SlackWeb(settings, session).identity()
        return str(raised.value)

    scope = '{"ok": false, "error": "missing_scope", "needed": "users:read"}'
    assert "missing_scope (the app lacks the scope users:read)" in await said(scope)
    busy = '{"ok": false, "error": "ratelimited"}'
    assert "ratelimited (too many calls)" in await said(busy)
    gone = '{"ok": false, "error": "channel_not_found"}'
    assert "channel_not_found (the channel does not exist" in await said(gone)


async def test_a_stop_does_not_wait_for_a_slow_slack(conninfo: str, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    async with answering(handler) as settings:
        engine = Engine(Settings(home=tmp_path, conninfo=conninfo), settings, conninfo)
        run = asyncio.create_task(engine.run())
        await asyncio.wait_for(asked.wait(), 10)
        engine.stop()
        await asyncio.wait_for(run, 60)
