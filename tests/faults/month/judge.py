"""Checks the state at the end of the month."""

from __future__ import annotations

import time

import psycopg

from tests.faults.month.intervals import Intervals, shrink, subtract, total, union
from tests.faults.month.plan import Fault
from tests.faults.month.scale import DAY, TOLERANCE
from tests.faults.month.world import World, more
from tiger_slack_tui.demo.check import differences
from tiger_slack_tui.demo.expected import Expected


async def faults_of(world: World) -> list[str]:
    """Every way in which the end differs from what it must be; none, where all is well."""
    found = [f"more than at the start: {name}" for name in more(world.before, world.after)]
    expected = Expected()
    for payload in world.sent:
        expected.apply(payload)
    found += await differences(world.conninfo, expected)
    async with await psycopg.AsyncConnection.connect(world.conninfo) as connection:
        rows = await connection.execute(
            "select count(*), count(distinct event_id) from slack.event"
        )
        counts = await rows.fetchone()
    if counts != (len(world.sent), len(world.sent)):
        found.append(f"{len(world.sent)} events were sent, {counts} rows and events are stored")
    return found + await _gaps_that_differ(world)


async def _gaps_that_differ(world: World) -> list[str]:
    """Gaps without an outage, and outages without a gap; times in days since the start.

    Nothing could be taken while Slack had a connection to no instance. What an instance that ended had not written of
    its connection may be a gap or not. While neither its database nor its disk took an instance's events, they were
    not taken, too; while its disk fails, a slow commit can stop it.
    """
    rows = await world.gaps()
    found = [f"a gap that does not end: {row}" for row in rows if row[2] is None]
    over = [(reason, begin, end) for reason, begin, end in rows if end is not None]
    gaps = union((begin, end) for _, begin, end in over)
    stops = union((begin, end) for reason, begin, end in over if reason == "queue stopped")
    losses = union((begin, end) for reason, begin, end in over if reason != "queue stopped")
    connected = union(*(record.closed() for record in world.connected))
    while_all = [(connected[0][0], world.ended)]  # the first start is no gap
    stalled = union(*(record.closed() for record in world.stalled))
    surely_connected = union(
        *(
            subtract(record.closed(), union(instance.unsure, stall.closed()))
            for record, stall, instance in zip(
                world.connected, world.stalled, world.instances, strict=True
            )
        )
    )
    refusing = union(
        *(
            subtract(record.closed(), instance.unsure)
            for record, instance in zip(world.refusing, world.instances, strict=True)
        )
    )
    must = union(subtract(while_all, connected))
    may = union(subtract(while_all, surely_connected), must)
    for name, these, those in (
        ("an outage that is no gap", must, gaps),
        ("a gap without an outage", losses, may),
        ("a stop without a reason", stops, union(stalled, may)),
        ("an instance that took nothing, and no gap", refusing, gaps),
    ):
        for begin, end in subtract(shrink(these, TOLERANCE), those):
            reasons = sorted(
                {reason for reason, since, until in over if since < end and until > begin}
            )
            found.append(
                f"{name}: from day {(begin - world.began) / DAY:.2f} to {(end - world.began) / DAY:.2f}"
                f" (gaps there: {', '.join(reasons) or 'none'})"
            )
    return found


def outages(world: World) -> Intervals:
    """When Slack had a connection to no instance."""
    connected = union(*(record.closed() for record in world.connected))
    return subtract([(connected[0][0], world.ended)], connected)


async def summary(world: World, plan: list[Fault]) -> list[tuple[str, str]]:
    """The month in a few lines."""
    kinds = sorted({fault.kind for fault in plan})
    gaps = [(begin, end or time.time()) for _, begin, end in await world.gaps()]
    lines = [(f"faults: {kind}", str(sum(fault.kind == kind for fault in plan))) for kind in kinds]
    return [
        *lines,
        ("starts", ", ".join(str(instance.starts) for instance in world.instances)),
        ("events", f"{len(world.sent)} sent, {world.slack.deliveries} deliveries"),
        ("failed connects in a row", str(world.failed_connects)),
        (
            "days with a failing disk",
            f"{total(union(*(r.closed() for r in world.stalled))) / DAY:.2f}",
        ),
        ("days without a connection", f"{total(outages(world)) / DAY:.2f}"),
        ("gaps", f"{len(gaps)}, {total(union(gaps)) / DAY:.2f} days"),
        ("tolerance", f"{TOLERANCE / DAY:.2f} days"),
        *(
            (name, f"{before} → {world.after.get(name, 0)}")
            for name, before in world.before.items()
        ),
    ]
