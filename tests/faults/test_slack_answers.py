"""The Web API with any answer or none: each call ends in time, with a result or a typed error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.answering import Answer, fixed, serving, web_api
from tests.support import SCALE
from tiger_slack_tui.base.errors import SlackAbsent, SlackRefused, SlackUnavailable
from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.slack.pages import pages, retry
from tiger_slack_tui.slack.payload import peer_text
from tiger_slack_tui.slack.web import MOST_BYTES, Identity, Page, SlackWeb

Call = Callable[[SlackWeb], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "auth.test": lambda web: web.identity(),
    "users.list": lambda web: web.users_page(None),
    "conversations.list": lambda web: web.channels_page(None),
    "users.conversations": lambda web: web.own_conversations_page(["im"], None),
    "conversations.history": lambda web: web.history_page(
        "C1", oldest="0", latest="1", cursor=None
    ),
    "conversations.replies": lambda web: web.replies_page(
        "C1", "1.0", oldest="0", latest="1", cursor=None
    ),
    "apps.connections.open": lambda web: web.open_connection(),
}
KEYS = [
    "ok",
    "error",
    "url",
    "team",
    "team_id",
    "user_id",
    "members",
    "channels",
    "messages",
    "has_more",
    "is_limited",
    "next_cursor",
    "response_metadata",
]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=30)  # with lone surrogates and NUL
    | st.sampled_from(["\ud800", "wss://x", "invalid_auth", "ratelimited", "channel_not_found"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
answers = st.fixed_dictionaries({"ok": st.booleans() | values}).flatmap(
    lambda fixed: st.dictionaries(st.sampled_from(KEYS), values, max_size=6).map(
        lambda more: fixed | more
    )
)
bodies = st.one_of(
    answers.map(lambda value: json.dumps(value).encode()),
    values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
)
header = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
statuses = st.sampled_from([200, 200, 200, 201, 204, 301, 302, 307, 400, 401, 403, 404, 408, 429])
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            ["text/html", "text/plain", "application/gzip", "a/b; charset=nonsense", ""]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "odd"]),
        "Retry-After": header,
        "Date": header,
        "Location": header,
        "X-OAuth-Scopes": header,
        "Set-Cookie": header,
    },
)


async def outcome(
    answer: Answer, call: Call, *, seconds: float = 10, list_seconds: float = 60
) -> Any:
    """What the call returns, or the error that it raises, which must be one of ours."""
    async with web_api(answer, seconds=seconds, list_seconds=list_seconds) as web:
        try:
            return await call(web)
        except (SlackUnavailable, SlackRefused) as error:
            return error


def storable(value: Any) -> bool:
    """Whether PostgreSQL can take the value as jsonb or text."""
    text = json.dumps(value, ensure_ascii=False)
    text.encode()  # no lone surrogates
    return "\\u0000" not in text


@settings(max_examples=100 * SCALE)
@given(st.sampled_from(sorted(CALLS)), statuses | st.integers(200, 599), headers, bodies)
def test_whatever_slack_answers_is_a_result_or_a_typed_error(
    method: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    found = asyncio.run(outcome(fixed(body, status=status, headers=headers), CALLS[method]))
    match found:
        case SlackUnavailable() | SlackRefused():
            assert len(str(found)) < 600
            assert str(found).replace("\n  ", " ").isprintable()
        case Page():
            assert found.next_cursor != ""
            assert storable(found.items)
            assert all(isinstance(item, dict) for item in found.items)
        case Identity():
            assert found.team_id
            assert storable([found.team, found.team_id, found.user_id, *(found.scopes or ())])
        case _:
            assert method == "apps.connections.open"
            assert found.startswith(("ws://", "wss://"))


def raw(text: str | bytes) -> Answer:
    """Answers with these bytes, without a header of ours."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text if isinstance(text, bytes) else text.encode())

    return answer


ODD = {
    "a surrogate": fixed(b'{"ok":false,"error":"\\ud800"}'),
    "NUL": fixed(b'{"ok":false,"error":"a\\u0000b"}'),
    "brackets": fixed(b"[" * 200_000),
    "deep objects": fixed(b'{"ok":true,"team_id":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
    "a number of 5,000 digits": fixed(b'{"ok":' + b"9" * 5000 + b"}"),
    "ok is a word": fixed(b'{"ok":"true","url":"wss://x","team_id":"T1"}'),
    "ok is a number": fixed(b'{"ok":1,"url":"wss://x","team_id":"T1"}'),
    "nothing but ok": fixed(b'{"ok":true}'),
    "metadata that is a text": fixed(
        b'{"ok":true,"members":[],"channels":[],"messages":[],"response_metadata":"x"}'
    ),
    "a cursor that is a number": fixed(
        b'{"ok":true,"members":[],"channels":[],"messages":[],'
        b'"response_metadata":{"next_cursor":7}}'
    ),
    "lists that are objects": fixed(b'{"ok":true,"members":{},"channels":{},"messages":{}}'),
    "an error that is an object": fixed(b'{"ok":false,"error":{"a":[]}}'),
    "an error of a megabyte": fixed(b'{"ok":false,"error":"' + b"x" * 1_000_000 + b'"}'),
    "no address": fixed(b'{"ok":true,"url":null}'),
    "an address of another kind": fixed(b'{"ok":true,"url":"file:///etc/passwd"}'),
    "a long address": fixed(b'{"ok":true,"url":"wss://' + b"x" * 10_000 + b'"}'),
    "nothing": raw(""),
    "no HTTP": raw("SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
    "an endless header": raw("HTTP/1.1 200 OK\r\nX: " + "x" * 100_000),
    "a short body": raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
    "bad chunks": raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
    "a bad status": raw("HTTP/1.1 99999 OK\r\n\r\n"),
    "a redirect elsewhere": fixed(b"", status=307, headers={"Location": "http://[::bad"}),
}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("odd", ODD)
async def test_an_invalid_answer_can_be_retried(method: str, odd: str) -> None:
    found = await outcome(ODD[odd], CALLS[method])
    assert isinstance(found, SlackUnavailable)
    assert str(found).isprintable()
    assert len(str(found)) < 400


async def test_an_answer_without_an_end_is_not_kept_in_memory() -> None:
    sent = 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        while sent < 2 * MOST_BYTES:
            writer.write(b" " * (1 << 20))
            sent += 1 << 20
            await writer.drain()

    found = await outcome(answer, CALLS["auth.test"], seconds=60)
    assert isinstance(found, SlackUnavailable)
    assert "longer than" in str(found)
    assert sent < 2 * MOST_BYTES


async def silence(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def headers_then_silence(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await asyncio.sleep(3600)


async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("peer", [silence, headers_then_silence, trickle])
async def test_every_call_ends_in_time(method: str, peer: Answer) -> None:
    call = outcome(peer, CALLS[method], seconds=0.2, list_seconds=0.5)
    found = await asyncio.wait_for(call, 30)
    assert isinstance(found, SlackUnavailable)
    assert ("within 0.2 s" in str(found)) or ("not complete within 0.5 s" in str(found))
    assert method not in ("auth.test", "apps.connections.open") or "within 0.2 s" in str(found)


async def slow_list(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A page that takes longer than the longest silence."""
    body = b'{"ok":true,"members":[{"id":"U1"}],"response_metadata":{"next_cursor":""}}'
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.03)


async def test_a_slow_page_may_take_long() -> None:
    found = await outcome(slow_list, CALLS["users.list"], seconds=1)
    assert found == Page([{"id": "U1"}], None)


class NoNames(AbstractResolver):
    """DNS that never answers."""

    async def resolve(self, *_: Any, **__: Any) -> list[ResolveResult]:
        await asyncio.sleep(3600)
        return []

    async def close(self) -> None:
        pass


async def test_a_dns_that_never_answers_takes_no_more_time() -> None:
    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with aiohttp.ClientSession(connector=connector) as session:
        tokens = SlackSettings("xoxb-1", "xapp-1", "http://slack.invalid/api/")
        with pytest.raises(SlackUnavailable, match=r"within 0\.2 s"):
            await SlackWeb(tokens, session, seconds=0.2).open_connection()


async def test_a_tls_handshake_without_an_answer_takes_no_more_time() -> None:
    async with serving(silence) as port, aiohttp.ClientSession() as session:
        tokens = SlackSettings("xoxb-1", "xapp-1", f"https://127.0.0.1:{port}/api/")
        with pytest.raises(SlackUnavailable, match=r"within 0\.2 s"):
            await SlackWeb(tokens, session, seconds=0.2).open_connection()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("1.5", 1.5),
        ("999999", 999999),
        ("9" * 400, 1e9),
        ("0", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e5", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("Fri, 27 Nov 2026 10:01:00 GMT", 60),
        ("Fri, 27 Nov 2026 09:00:00 GMT", None),
        ("Fri, 27 Nov 99999 10:01:00 GMT", None),
        ("Fri, 27 Nov 2026 10:01:00 +99999999999", None),
    ],
)
async def test_the_wait_that_slack_asks_for_is_read_in_every_form(
    value: str, seconds: float | None
) -> None:
    headers = {"Retry-After": value, "Date": "Fri, 27 Nov 2026 10:00:00 GMT"}
    body = b'{"ok":false,"error":"ratelimited"}'
    found = await outcome(
        fixed(
            body, status=429, headers={k: v.encode().decode("latin-1") for k, v in headers.items()}
        ),
        CALLS["users.list"],
    )
    assert isinstance(found, SlackUnavailable)
    assert found.retry_after == seconds


async def test_a_wait_that_a_page_of_html_asks_for_counts() -> None:
    body, headers = b"<html>", {"Retry-After": "7", "Content-Type": "text/html"}
    found = await outcome(fixed(body, status=503, headers=headers), CALLS["auth.test"])
    assert isinstance(found, SlackUnavailable)
    assert found.retry_after == 7
    assert "HTTP 503" in str(found)


async def test_a_job_waits_no_longer_than_it_must_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            return calls
        raise SlackUnavailable("ratelimited", retry_after=999999)

    assert await retry(call, pause_first=0.01, retry_after_most=0.02) == 3
    assert "Slack asks to wait 999999 s" in caplog.text


async def test_a_slack_that_always_asks_for_more_ends_a_job() -> None:
    async def call() -> int:
        raise SlackUnavailable("ratelimited", retry_after=999999)

    with pytest.raises(SlackUnavailable):
        await retry(call, pause_first=0.001, retry_after_most=0.002)


async def test_a_list_whose_page_names_itself_as_next_ends() -> None:
    async def fetch(cursor: str | None) -> Page:
        return Page([], "again")

    with pytest.raises(SlackUnavailable, match="does not end"):
        async for _ in pages(fetch):
            pass


async def test_a_refusal_is_still_a_refusal() -> None:
    refused = await outcome(fixed(b'{"ok":false,"error":"invalid_auth"}'), CALLS["auth.test"])
    assert type(refused) is SlackRefused
    absent = await outcome(
        fixed(b'{"ok":false,"error":"channel_not_found"}'), CALLS["conversations.history"]
    )
    assert isinstance(absent, SlackAbsent)
    assert absent.reason == "channel_not_found"


@given(st.text(st.characters(codec=None)) | values, st.integers(1, 50))
def test_a_peers_text_is_one_short_line(value: object, most: int) -> None:
    text = peer_text(value, most)
    assert len(text) <= most
    assert text.isprintable()
    text.encode()


def test_a_peers_text_contains_no_token() -> None:
    assert peer_text("not xoxb-1-secret, nor xapp-2-secret; xoxe.xoxp-3") == (
        "not (token) nor (token) (token)"
    )
    assert peer_text("a\r\n\x00\x1b[31m\u202eb") == "a [31m b"
