"""Socket Mode with a peer that sends anything or reads nothing, and on a machine that slept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.answering import serving
from tests.faults.clock import ManualClock
from tests.faults.sockets import listening
from tests.faults.test_slack_answers import ODD, storable, values
from tests.support import SCALE, delivered, make_engine, running, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.slack.events import LONGEST_ID, parse_envelope, route
from tiger_slack_tui.slack.payload import decode
from tiger_slack_tui.slack.socket_connection import SocketTiming

PATIENT = SocketTiming(
    ping=0.1, dead=1e9, pong=1e9, silence=1e9, backoff_first=0.01, backoff_most=0.05
)
"""A connection that ends for one reason alone, which a test sets."""


def star(number: int) -> dict[str, Any]:
    return {"event_id": f"Ev{number}", "event": {"type": "star_added", "event_ts": "1.0"}}


types = st.sampled_from(
    ["events_api", "hello", "disconnect", "interactive", "slash_commands", "", "odd"]
)
frames = st.fixed_dictionaries(
    {},
    optional={
        "type": types | values,
        "envelope_id": st.text(max_size=10) | values,
        "reason": st.sampled_from(["warning", "refresh_requested", "link_disabled"]) | values,
        "num_connections": values,
        "retry_attempt": values,
        "payload": values
        | st.fixed_dictionaries(
            {},
            optional={
                "event_id": values,
                "event_time": values,
                "team_id": values,
                "type": values,
                "event": values
                | st.dictionaries(
                    st.sampled_from(["type", "subtype", "channel", "user", "ts", "event_ts"]),
                    values,
                ),
            },
        ),
    },
)
sendings = st.one_of(
    frames.map(json.dumps),
    values.map(json.dumps),
    st.text(max_size=50),
    st.binary(max_size=50),
    st.integers(1000, 4999).filter(lambda code: code not in (1004, 1005, 1006, 1015)),
    st.just("[" * 100_000),
    st.just('{"type":"disconnect","reason":' + "[" * 100_000 + "]" * 100_000 + "}"),
    st.just('{"type":"odd","envelope_id":"' + "x" * 1_000_000 + '"}'),
)


@settings(max_examples=40 * SCALE)
@given(st.lists(sendings, max_size=5))
def test_whatever_slack_sends_the_next_event_arrives(odd: list[str | bytes | int]) -> None:
    asyncio.run(send_odd(odd))


@settings(max_examples=100 * SCALE)
@given(frames)
def test_every_frame_of_an_event_is_an_envelope_that_can_be_stored(frame: dict[str, Any]) -> None:
    found = parse_envelope(decode(json.dumps(frame)), received_at=1.8e9)
    if found is None:
        return
    assert 0 < len(found.envelope_id) <= LONGEST_ID
    assert float(found.event_ts) >= 0
    record = json.loads(encode_record(found, route(found)))
    assert storable(record)
    assert storable([found.envelope_id, found.event_id, found.team_id])


async def send_odd(odd: list[str | bytes | int]) -> None:
    timing = SocketTiming(
        backoff_first=0.001, backoff_most=0.002, blocked_first=0.001, blocked_most=0.002
    )
    async with LocalSlack(retry_seconds=(0.05,)) as slack, listening(slack, timing=timing) as found:
        state = found.socket.state
        for one in odd:
            await until(lambda: slack.sockets > 0)
            with contextlib.suppress(ConnectionError):
                match one, slack._sockets[0].ws:
                    case int(code), ws:
                        await ws.close(code=code, message="bye\u202e\x00".encode())
                    case bytes(data), ws:
                        await ws.send_bytes(data)
                    case str(text), ws:
                        await ws.send_str(text.encode(errors="replace").decode())
        await slack.send(star(1))
        async with asyncio.timeout(30):
            await slack.wait_acked()
        assert "Ev1" in found.events
        assert not found.run.done()
        assert storable([state.status, state.reason, *found.events])
        assert 1 <= state.num_connections <= 10_000


class OddSlack(LocalSlack):
    """Answers calls as ODD says, as long as there are any left, and then as Slack does."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = deque(names)

    async def _api(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        if not self.names:
            return await super()._api(request)
        transport = request.transport
        assert transport is not None
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        await ODD[self.names.popleft()](reader, writer)
        transport.close()
        raise asyncio.CancelledError


async def test_an_engine_reconnects_after_any_answer(conninfo: str, tmp_path: Path) -> None:
    timing = SocketTiming(backoff_first=0.001, backoff_most=0.01)
    async with (
        OddSlack("a surrogate", *ODD) as slack,
        running(make_engine(slack, conninfo, tmp_path, timing=timing)) as engine,
    ):
        assert not slack.names
        slack.names.extend(ODD)
        await slack.drop()
        await until(lambda: not slack.names and engine.snapshot().slack_status == "connected")
        await slack.send_frame("[" * 200_000)
        await slack.send_frame('{"type":"interactive","envelope_id":"e1"}')
        await slack.send_all(Workspace(1, 1.7e9, 10).events(20))
        await delivered(slack, engine)
        now = engine.snapshot()
        assert (slack.acked, now.slack_malformed, now.slack_ignored) == (20, 1, 1)


def with_small_buffers(slack: LocalSlack, engine: Any) -> None:
    """From now on the peer reads nothing, and little fits between it and us."""
    for peer in slack._sockets:
        peer.transport.pause_reading()
        peer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    ours = engine._socket._connection._ws.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)


@pytest.mark.slow
async def test_a_peer_that_sends_and_never_reads_our_acks_is_replaced(
    conninfo: str, tmp_path: Path
) -> None:
    timing = SocketTiming(
        ping=0.1, dead=1e9, pong=1e9, silence=1e9, ack=1, backoff_first=0.01, close=0.1
    )
    async with (
        LocalSlack(retry_seconds=(20,), in_flight=20_000) as slack,
        running(make_engine(slack, conninfo, tmp_path, timing=timing)) as engine,
    ):
        with_small_buffers(slack, engine)
        await slack.send_all(star(number) for number in range(8000))
        await until(lambda: slack.sockets_opened > 1)
        await delivered(slack, engine, 120)
        assert engine.snapshot().slack_acks_lost > 0
        assert engine.snapshot().slack_status == "connected"


async def test_a_peer_that_sends_and_answers_no_ping_is_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    timing = SocketTiming(ping=0.05, pong=0.5, backoff_first=0.01, close=0.1)
    async with LocalSlack(retry_seconds=(0.2,)) as slack, listening(slack, timing=timing) as found:
        await until(lambda: slack.sockets == 1)
        deaf = slack._sockets[0]
        deaf.transport.pause_reading()
        number = 0
        while slack.sockets_opened == 1:
            number += 1
            with contextlib.suppress(ConnectionError):
                await slack.send_frame({"type": "hello", "num_connections": number}, deaf)
            await asyncio.sleep(0.05)
        await slack.send(star(1))
        await slack.wait_acked()
        assert found.events == ["Ev1"]
    assert "answers no pings" in caplog.text


async def test_time_without_reading_does_not_count_as_silence() -> None:
    clock = ManualClock()
    timing = SocketTiming(ping=0.05, dead=10, pong=60, silence=30)
    async with LocalSlack() as slack, listening(slack, timing=timing, clock=clock) as found:
        await until(lambda: slack.sockets == 1)
        found.hold = asyncio.Event()
        await slack.send(star(1))
        await until(lambda: found.held)
        clock.advance(3600)
        await asyncio.sleep(0.2)  # a few pings
        found.hold.set()
        await slack.wait_acked()
        await slack.send(star(2))
        await slack.wait_acked()
        assert slack.sockets_opened == 1
        assert found.events == ["Ev1", "Ev2"]


async def test_a_machine_that_slept_was_not_connected_meanwhile() -> None:
    clock = ManualClock()
    timing = SocketTiming(ping=3600, backoff_first=0.01)  # nobody but the frame itself can notice
    async with (
        LocalSlack(retry_seconds=(0.2,)) as slack,
        listening(slack, timing=timing, clock=clock) as found,
    ):
        await until(lambda: slack.sockets == 1 and found.socket.state.status == "connected")
        slept = clock.elapsed()
        clock.advance(3600)
        await slack.send(star(1))
        await until(lambda: slack.sockets_opened == 2 and found.socket.state.connects == 2)
        before, after = found.socket.connected_periods().all()
        assert (before.began, before.heard, before.is_over) == (slept, slept, True)
        assert after.began >= slept + 3600


async def silence(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def half_a_handshake(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("peer", [silence, half_a_handshake])
async def test_a_handshake_that_does_not_end_is_given_up(peer: Any, scheme: str) -> None:
    """Over TLS, too, whose handshake the peer does not answer at all."""
    timing = SocketTiming(handshake=0.2, backoff_first=0.01, backoff_most=0.02)
    async with serving(peer) as port, LocalSlack() as slack:
        real = slack._open_connection
        slack._open_connection = lambda host: {  # type: ignore[method-assign]
            "ok": True,
            "url": f"{scheme}://127.0.0.1:{port}/",
        }
        async with listening(slack, timing=timing) as found:
            await until(lambda: "not open within" in str(found.socket.state.reason))
            slack._open_connection = real  # type: ignore[method-assign]
            await until(lambda: found.socket.state.status == "connected")


@pytest.mark.parametrize("odd", ODD)
async def test_an_invalid_handshake_is_retried(odd: str) -> None:
    timing = SocketTiming(backoff_first=0.01, backoff_most=0.02)
    async with serving(ODD[odd]) as port, LocalSlack() as slack:
        real = slack._open_connection
        slack._open_connection = lambda host: {  # type: ignore[method-assign]
            "ok": True,
            "url": f"ws://127.0.0.1:{port}/",
        }
        async with listening(slack, timing=timing) as found:
            await until(lambda: found.socket._failures > 1)
            assert str(found.socket.state.reason).isprintable()
            slack._open_connection = real  # type: ignore[method-assign]
            await until(lambda: found.socket.state.status == "connected")


@pytest.mark.parametrize(
    "url", ["ws://", "wss://[", "ws://x:99999999/", "wss://\u0130\u200b", "ws://a b"]
)
async def test_an_invalid_url_is_retried(url: str) -> None:
    timing = SocketTiming(backoff_first=0.01, backoff_most=0.02)
    async with LocalSlack() as slack:
        real = slack._open_connection
        slack._open_connection = lambda host: {"ok": True, "url": url}  # type: ignore[method-assign]
        async with listening(slack, timing=timing) as found:
            await until(lambda: found.socket._failures > 1)
            slack._open_connection = real  # type: ignore[method-assign]
            await until(lambda: found.socket.state.status == "connected")


async def test_a_connection_that_is_started_again_leaves_nothing_behind() -> None:
    async with LocalSlack() as slack, listening(slack) as found:
        await until(lambda: found.socket.state.connects == 1)
        found.run.cancel()
        await asyncio.gather(found.run, return_exceptions=True)
        found.run = asyncio.create_task(found.socket.run())
        await until(lambda: found.socket.state.connects == 2 and slack.sockets == 1)
        await slack.send(star(1))
        await slack.wait_acked()
        assert found.events == ["Ev1"]


async def test_a_connection_that_ends_during_a_long_wait_is_not_shown_as_connected() -> None:
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await go_on.wait()

    async with LocalSlack() as slack, listening(slack, sleep=sleep) as found:
        state = found.socket.state
        await until(lambda: state.connects == 1)
        slack.refuse_opening = "internal_error"
        await slack.send_frame({"type": "disconnect", "reason": "warning"})
        await waiting.wait()
        assert state.status == "connected"  # the old connection is still read
        await slack.drop()
        await until(lambda: state.status == "backing off")
        assert state.connected_periods.current is None
        slack.refuse_opening = None
        go_on.set()
        await until(lambda: state.connects == 2 and state.status == "connected")


async def test_a_connection_that_is_replaced_waits_for_the_acks_of_what_it_read() -> None:
    timing = SocketTiming(flush=30, backoff_first=0.01)
    async with LocalSlack() as slack, listening(slack, timing=timing) as found:
        await until(lambda: found.socket.state.connects == 1)
        found.ack_after = asyncio.Event()
        await slack.send(star(1))
        await until(lambda: found.events == ["Ev1"])
        await slack.send_frame({"type": "disconnect", "reason": "warning"})
        await until(lambda: found.socket.state.connects == 2)
        await asyncio.sleep(0.2)  # longer than the commit of a batch
        found.ack_after.set()
        await slack.wait_acked()
        assert (found.socket.state.acks_lost, slack.deliveries) == (0, 1)
