"""A local Slack that sends events with as little CPU as possible, so that a benchmark measures the ingestion.

    python benchmarks/sender.py EVENTS RATE LISTED

It serves apps.connections.open, auth.test, users.list, conversations.list and one socket. It sends EVENTS events at
RATE events/s; with RATE 0, as fast as they are acknowledged, with at most 4,000 unacknowledged. It lists LISTED users
and as many channels. It prints a line of JSON when it is ready, and one with its measurements when every event is
acknowledged.
"""

import asyncio
import json
import sys
import time

import orjson
from aiohttp import WSMsgType, web

IN_FLIGHT = 4000
PAGE = 999
KINDS = 20  # two of them are reactions, one is an edit, the others are messages


def event(i: int, base: int) -> dict[str, object]:
    ts = f"{base + i // 1000}.{i % 1000:03d}000"
    channel, user = f"C{i % 50:05d}", f"U{i % 300:05d}"
    common = {"event_ts": ts, "channel_type": "channel"}
    kind = i % KINDS
    if kind in (7, 15):
        target = i - 5
        item = {
            "type": "message",
            "channel": f"C{target % 50:05d}",
            "ts": f"{base + target // 1000}.{target % 1000:03d}000",
        }
        return {
            "type": "reaction_added",
            "user": user,
            "reaction": "eyes",
            "item": item,
            "event_ts": ts,
        }
    text = f"message number {i}: " + "the quick brown fox jumps over the lazy dog. " * (1 + i % 4)
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    message = {
        "type": "message",
        "user": user,
        "text": text,
        "team": "T00000001",
        "client_msg_id": f"00000000-0000-4000-8000-{i:012d}",
        "blocks": [{"type": "rich_text", "block_id": "b1", "elements": [section]}],
    }
    if kind == 11:
        target = i - 1
        target_ts = f"{base + target // 1000}.{target % 1000:03d}000"
        edited = message | {"ts": target_ts, "edited": {"user": user, "ts": ts[:10] + ".000000"}}
        change = {"type": "message", "subtype": "message_changed", "message": edited}
        return change | {"channel": f"C{target % 50:05d}", "ts": ts, "hidden": True} | common
    return message | {"channel": channel, "ts": ts} | common


def frame(i: int, base: int, run: int) -> str:
    payload = {
        "token": "none",
        "team_id": "T00000001",
        "api_app_id": "A00000001",
        "event": event(i, base),
        "type": "event_callback",
        "event_id": f"Ev{run:X}{i:08X}",
        "event_time": base + i // 1000,
        "authorizations": [{"team_id": "T00000001", "user_id": "U00000000", "is_bot": True}],
    }
    envelope = {
        "envelope_id": str(i),
        "type": "events_api",
        "accepts_response_payload": False,
        "retry_attempt": 0,
        "retry_reason": "",
        "payload": payload,
    }
    return orjson.dumps(envelope).decode()


class Sender:
    def __init__(self, events: int, rate: float, listed: int) -> None:
        self.events, self.rate, self.listed = events, rate, listed
        self.base = self.run = int(time.time())
        self.sent_at: dict[int, float] = {}
        self.latencies: list[float] = []
        self.acked = 0
        self.room = asyncio.Event()
        self.done = asyncio.Event()

    async def api(self, request: web.Request) -> web.Response:
        if request.match_info["method"] == "apps.connections.open":
            return web.json_response({"ok": True, "url": f"ws://{request.host}/socket"})
        if request.match_info["method"] in ("users.list", "conversations.list"):
            return web.json_response(self.page(int(request.query.get("cursor") or 0)))
        return web.json_response({"ok": True, "team": "bench", "team_id": "T1", "user_id": "U1"})

    def page(self, at: int) -> dict[str, object]:
        """A page of rows that serve as users and as channels. All of them are changed at each call."""
        now = int(time.time() * 1000)
        rows = [
            {
                "id": f"W{n:06d}",
                "name": f"name{n}",
                "updated": now,
                "profile": {"real_name": f"Name {n} {now}", "title": "x" * 400},
            }
            for n in range(at, min(at + PAGE, self.listed))
        ]
        cursor = str(at + PAGE) if at + PAGE < self.listed else ""
        answer = {"members": rows, "channels": rows, "response_metadata": {"next_cursor": cursor}}
        return {"ok": True} | answer

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=1 << 26)
        await ws.prepare(request)
        await ws.send_json({"type": "hello", "num_connections": 1})
        sending = asyncio.create_task(self.send(ws))
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                self.ack(int(orjson.loads(message.data)["envelope_id"]))
        sending.cancel()
        return ws

    async def send(self, ws: web.WebSocketResponse) -> None:
        begun = time.perf_counter()
        for i in range(self.events):
            if self.rate:
                ahead = begun + i / self.rate - time.perf_counter()
                if ahead > 0.001:
                    await asyncio.sleep(ahead)
            while len(self.sent_at) >= IN_FLIGHT:
                self.room.clear()
                await self.room.wait()
            self.sent_at[i] = time.perf_counter()
            await ws.send_str(frame(i, self.base, self.run))
        await self.done.wait()

    def ack(self, i: int) -> None:
        sent = self.sent_at.pop(i, None)
        if sent is None:
            return
        self.latencies.append(time.perf_counter() - sent)
        if len(self.latencies) > 200_000:
            del self.latencies[:100_000]
        self.acked += 1
        if self.acked == 1:
            self.begun = sent
        self.room.set()
        if self.acked == self.events:
            self.done.set()

    async def serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self.api)
        app.router.add_get("/socket", self.socket)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        print(json.dumps({"url": f"http://127.0.0.1:{port}/api/"}), flush=True)
        await self.done.wait()
        seconds = time.perf_counter() - self.begun
        ordered = sorted(self.latencies)
        result = {
            "events": self.events,
            "seconds": round(seconds, 2),
            "per_second": round(self.events / seconds),
            "ack_ms_p50": round(ordered[len(ordered) // 2] * 1000, 1),
            "ack_ms_p99": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        }
        print(json.dumps(result), flush=True)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(Sender(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])).serve())
