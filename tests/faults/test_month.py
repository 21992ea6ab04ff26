"""A few days of the month of outages, and the arithmetic by which it is judged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from tests.faults.month.intervals import shrink, subtract, union
from tests.faults.month.judge import faults_of
from tests.faults.month.plan import make_plan
from tests.faults.month.world import World, world
from tests.support import SCALE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(1, SCALE + 1))
async def test_days_of_outages_lose_nothing_and_leave_nothing(
    conninfo: str, tmp_path: Path, seed: int
) -> None:
    days = 1.5
    async with world(conninfo, tmp_path) as here:
        await here.live(make_plan(seed, days), seed, days)
        assert await faults_of(here) == []
        await it_is_not_blind(here)


async def it_is_not_blind(here: World) -> None:
    """What is lost, wrong or left behind is found."""
    with psycopg.connect(here.conninfo, autocommit=True) as connection:
        connection.execute("delete from slack.event where id = (select max(id) from slack.event)")
        connection.execute(
            "insert into slack.gap (reason, started_at, ended_at) values ('not connected', %s, %s)",
            (datetime.fromtimestamp(here.began, UTC), datetime.fromtimestamp(here.ended, UTC)),
        )
    here.after["tasks of forgotten"] = 1
    found = "\n".join(await faults_of(here))
    for what in (
        "more than at the start: tasks of forgotten: 1 after 0",
        "rows and events are stored",
        "without an outage",
    ):
        assert what in found
    with psycopg.connect(here.conninfo, autocommit=True) as connection:
        connection.execute("delete from slack.gap")
    assert "an outage that is no gap" in "\n".join(await faults_of(here))


def test_sets_of_times() -> None:
    assert union([(3, 4), (1, 2)], [(2, 3), (7, 7)]) == [(1, 4)]
    assert subtract([(0, 10)], [(-1, 1), (3, 4), (9, 12)]) == [(1, 3), (4, 9)]
    assert subtract([(0, 1)], [(0, 1)]) == []
    assert shrink([(0, 1), (2, 9)], 1) == [(3, 8)]


def test_the_same_seed_is_the_same_month_and_has_every_fault() -> None:
    assert make_plan(7, 30) == make_plan(7, 30)
    assert len({fault.kind for fault in make_plan(7, 1)}) == len(
        {fault.kind for fault in make_plan(7, 30)}
    )
    assert max(fault.end - fault.begin for fault in make_plan(7, 30)) == pytest.approx(7)
