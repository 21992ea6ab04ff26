"""The local Slack as a program: python -m tiger_slack_tui.demo.server --help

It prints a line of JSON when it is ready, and sends its events after a client has connected. When all of them are
acknowledged, it prints a second line. It ends when its standard input is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import time

from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.demo.workspace import Workspace


async def serve(given: argparse.Namespace) -> None:
    start = given.start or time.time()
    workspace = Workspace(given.seed, start, given.rate, nasty=given.nasty)
    directory = Directory(
        [dict(user) for user in workspace.users], [dict(c) for c in workspace.channels]
    )
    faults = Faults(
        duplicates=given.duplicates,
        shuffle=given.shuffle,
        drop_every=given.drop_every,
        refresh_every=given.refresh_every,
        seed=given.seed,
    )
    async with LocalSlack(faults=faults, directory=directory) as slack:
        _print_json(
            url=slack.url,
            bot_token=slack.bot_token,
            app_token=slack.app_token,
            seed=given.seed,
            start=start,
            rate=given.rate,
        )
        await slack.wait_connected()
        begun = time.monotonic()
        for n, payload in enumerate(workspace.events(given.events or None)):
            ahead = begun + n / given.rate - time.monotonic()
            if ahead > 0.001:
                await asyncio.sleep(ahead)
            await slack.send(payload)
        await slack.flush()
        await slack.wait_acked()
        _print_json(
            sent=slack.sent,
            acked=slack.acked,
            deliveries=slack.deliveries,
            seconds=round(time.monotonic() - begun, 3),
            ack_ms=_percentiles(sorted(slack.latencies)),
        )
        await asyncio.Event().wait()


def _percentiles(ordered: list[float]) -> dict[str, float]:
    def at(fraction: float) -> float:
        return round(ordered[min(int(len(ordered) * fraction), len(ordered) - 1)] * 1000, 1)

    return {"p50": at(0.5), "p99": at(0.99), "max": at(1.0)}


def _print_json(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A local Slack that sends the events of an invented workspace."
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--start", type=float, help="time of the first event, in seconds since 1970 (default: now)"
    )
    parser.add_argument("--rate", type=float, default=20, help="events a second")
    parser.add_argument(
        "--events", type=int, default=0, help="stop after this many events; 0: never"
    )
    parser.add_argument(
        "--nasty", action="store_true", help="texts with NUL, lone surrogates and terminal escapes"
    )
    parser.add_argument(
        "--duplicates", type=float, default=0, help="probability that an event is sent twice"
    )
    parser.add_argument(
        "--shuffle",
        type=int,
        default=0,
        help="send events in random order within a window of this many",
    )
    parser.add_argument(
        "--drop-every", type=int, default=0, help="cut the socket after this many events"
    )
    parser.add_argument(
        "--refresh-every",
        type=int,
        default=2000,
        help="ask the client to reconnect after this many events",
    )
    given = parser.parse_args()
    # Ctrl-C is for the parent process, which still sends acks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending = threading.Thread(target=_end_with_input, daemon=True)
    ending.start()
    asyncio.run(serve(given))


def _end_with_input() -> None:
    while os.read(
        0, 1 << 16
    ):  # sys.stdin has a lock, which a thread must not hold when the interpreter ends
        pass
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
