"""Measures what a history of years costs. Compare ratios of one run: absolute figures depend on the machine.

    python benchmarks/scale.py work [CHUNKS ...]     time of single pieces of work at so many chunks (10 100 520 1040)
    python benchmarks/scale.py history [MESSAGES]    the same among so many messages in 520 chunks (2,000,000)
    python benchmarks/scale.py imports [CHUNKS ...]  rate of an import of 40,000 messages of so many weeks

A chunk is a week; for `work` it has three messages. `history` measures twice on TimescaleDB: in the row store, and
after its policy has converted the old chunks to the columnstore. Without TIGER_SLACK_TEST_DSN the database is the
embedded PostgreSQL, where partitions stand in for chunks. With it, it is the TimescaleDB that it names; its schema
`slack` is dropped.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

import corpus
from export import Size, write_export
from imports import run
from ingest import place

from tests.chunks import BEGIN, Work, fill, into_partitions, work_in
from tiger_slack_tui.postgres.columnstore import compress
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect

_ROUNDS = 30
_SIZES = [10, 100, 520, 1040]
_HISTORY = 520
_IMPORTED, _FILES = 40_000, 8_000
"""Messages and files of an import."""
_DSN = os.environ.get("TIGER_SLACK_TEST_DSN")


@contextmanager
def server() -> Iterator[str]:
    """The conninfo of the database to measure."""
    if _DSN is not None:
        yield _DSN
        return
    with place() as (_, conninfo):
        yield conninfo


@contextmanager
def _new_schema(conninfo: str, chunks: int) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the database, whose schema is new and has room for so many chunks."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("drop schema if exists slack cascade")
        with ThreadPoolExecutor(1) as thread:  # this thread may run an event loop already
            thread.submit(asyncio.run, migrate(conninfo)).result()
        if _DSN is None:
            into_partitions(connection, chunks)
        yield connection


async def measure(conninfo: str, chunks: int) -> dict[str, float]:
    """The median time of each piece of work, in ms, in a database of so many chunks."""
    with _new_schema(conninfo, chunks) as connection:
        fill(connection, chunks)
        connection.execute("analyze")
    return await _measured(conninfo, chunks)


async def _measured(conninfo: str, chunks: int) -> dict[str, float]:
    for _ in range(2):  # the first time warms the caches of the server and of this process
        found = {name: await _median(conninfo, work) for name, work in work_in(chunks).items()}
    return found


async def _median(conninfo: str, work: Work) -> float:
    took = []
    async with await connect(conninfo) as connection:
        for _ in range(_ROUNDS):
            async with connection.transaction(force_rollback=True):
                begun = time.perf_counter()
                await work(connection)
                took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


async def work(sizes: list[int]) -> None:
    with server() as conninfo:
        found = {chunks: await measure(conninfo, chunks) for chunks in sizes}
    _print_table({f"{chunks:,}": times for chunks, times in found.items()})


def _print_table(found: dict[str, dict[str, float]]) -> None:
    names = list(found)
    print(" " * 42 + "".join(f"{name:>12}" for name in names) + "   last / first (target: 2)")
    for name in found[names[0]]:
        row = [found[each][name] for each in names]
        print(f"{name:42}" + "".join(f"{ms:9.1f} ms" for ms in row) + f"{row[-1] / row[0]:9.2f}")


async def history(messages: int = 2_000_000) -> None:
    found: dict[str, dict[str, float]] = {}
    with server() as conninfo:
        found["small"] = await measure(conninfo, _HISTORY)
        with _new_schema(conninfo, _HISTORY) as connection:
            corpus.fill(conninfo, messages, BEGIN, 7 * (_HISTORY - 1))
            fill(connection, _HISTORY)
            connection.execute("analyze")
            found["row store"] = await _measured(conninfo, _HISTORY)
            if _DSN is not None:
                async with await connect(conninfo) as session:
                    await compress(session, lambda: print("converting …", flush=True))
                found["columnstore"] = await _measured(conninfo, _HISTORY)
    _print_table(found)


def imports(sizes: list[int]) -> None:
    rates: list[float] = []
    with server() as conninfo:
        for chunks in sizes:
            with tempfile.TemporaryDirectory() as directory, _new_schema(conninfo, chunks):
                size = Size(_IMPORTED, _FILES, over=(BEGIN.date(), chunks))
                write_export(Path(directory), size)
                rates.append(run(conninfo, Path(directory)).rate)
            print(f"  {chunks:,} chunks: {rates[-1]:,.0f} messages/s", flush=True)
    print(
        f"import into {sizes[-1]:,} chunks, compared with {sizes[0]:,}: {rates[-1] / rates[0]:.2f}"
    )


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[2:]]
    match sys.argv[1:2]:
        case ["work"]:
            asyncio.run(work(given or _SIZES))
        case ["history"]:
            asyncio.run(history(*given))
        case ["imports"]:
            imports(given or _SIZES)
        case _:
            sys.exit(__doc__)
