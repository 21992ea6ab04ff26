"""Measures what a history of years costs. Compare ratios of one run: absolute figures depend on the machine.

    python benchmarks/scale.py work [CHUNKS ...]     time of single pieces of work at so many chunks (10 100 520 1040)

Each chunk is a week with three messages. Without TIGER_SLACK_TEST_DSN the database is the embedded PostgreSQL, where
partitions stand in for chunks. With it, the TimescaleDB that it names; its schema `slack` is dropped.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from ingest import place

from tests.chunks import Work, fill, into_partitions, work_in
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect

_ROUNDS = 30
_DSN = os.environ.get("TIGER_SLACK_TEST_DSN")


@contextmanager
def server() -> Iterator[str]:
    """The conninfo of the database to measure."""
    if _DSN is not None:
        yield _DSN
        return
    with place() as (_, conninfo):
        yield conninfo


async def measure(conninfo: str, chunks: int) -> dict[str, float]:
    """The median time of each piece of work, in ms, in a database of so many chunks."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("drop schema if exists slack cascade")
        await migrate(conninfo)
        if _DSN is None:
            into_partitions(connection, chunks)
        fill(connection, chunks)
        connection.execute("analyze")
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


async def main(sizes: list[int]) -> None:
    with server() as conninfo:
        found = {chunks: await measure(conninfo, chunks) for chunks in sizes}
    print(" " * 42 + "".join(f"{chunks:>9,}" for chunks in sizes) + "   last / first (target: 2)")
    for name in found[sizes[0]]:
        row = [found[chunks][name] for chunks in sizes]
        print(f"{name:42}" + "".join(f"{ms:6.1f} ms" for ms in row) + f"{row[-1] / row[0]:9.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] != ["work"]:
        sys.exit(__doc__)
    asyncio.run(main([int(size) for size in sys.argv[2:]] or [10, 100, 520, 1040]))
