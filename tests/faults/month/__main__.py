"""just month [--seed N] [--days N]: run a month of outages, and print the differences from the expected state."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from psycopg.conninfo import make_conninfo

from tests.faults.month.judge import faults_of, summary
from tests.faults.month.plan import make_plan
from tests.faults.month.scale import DAY
from tests.faults.month.world import world
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate


async def month(directory: Path, seed: int, days: float) -> int:
    """The exit code: 1 where something differs."""
    with EmbeddedPostgres.start(directory / "postgres", durable=False) as server:
        conninfo = make_conninfo(server.conninfo)
        await migrate(conninfo)
        plan = make_plan(seed, days)
        print(f"seed {seed}: {days:g} days in {days * DAY:.0f} s")
        async with world(conninfo, directory) as here:
            await here.live(plan, seed, days)
            found = await faults_of(here)
            lines = await summary(here, plan)
    for name, value in lines:
        print(f"{name:30} {value}")
    for fault in found:
        print(f"✗ {fault}")
    print("✓ as it must be" if not found else amount(len(found), "fault"))
    return 1 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=30)
    given = parser.parse_args()
    logging.basicConfig(handlers=[logging.NullHandler()])
    with tempfile.TemporaryDirectory(prefix="month-") as directory:
        Path(directory).chmod(
            0o711
        )  # versions of PostgreSQL before 16 need a path that their user can pass
        sys.exit(asyncio.run(month(Path(directory), given.seed, given.days)))


if __name__ == "__main__":
    main()
