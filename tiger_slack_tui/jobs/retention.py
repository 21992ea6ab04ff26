"""Deletes old rows that nothing needs any more.

The rules, and their reasons:

- slack.event: kept for TIGER_SLACK_EVENT_DAYS (90), counted from the receipt of the event, however late that was.
  Where TimescaleDB has a retention policy for slack.event, its age (by event_ts) counts instead, also for
  slack.delivery and slack.reaction.
- slack.delivery: kept as long as its event. It keeps a repeated delivery from adding a second audit row. Slack
  repeats for a day at most; the spool repeats after any outage of the database. A repetition after that still
  changes no message, because every effect is idempotent.
- slack.tombstone: kept for ever. An export of any age can contain a deleted message, and only the tombstone keeps
  it out. A tombstone is three short columns without content.
- slack.reaction: deleted when its message has been deleted for as long as events are kept. No row shows it again.
- slack.job_run: kept for a year. That is one row a day for each job.
- slack.connection, slack.instance: kept for 30 days. The workspace's newest connection stays, however old: from it
  the next start knows since when events may be missing.
- slack.gap: kept for a year after it was closed. An open gap stays.
"""

from __future__ import annotations

from datetime import timedelta

from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.postgres.lock_keys import RETENTION_LOCK_KEY
from tiger_slack_tui.postgres.timescale import find_timescaledb
from tiger_slack_tui.store.retention import (
    OldTable,
    delete_old,
    drop_old_chunks,
    event_policy_age,
)

_JOB_RUN_AGE = timedelta(days=366)
_INSTANCE_AGE = timedelta(days=30)
_GAP_AGE = timedelta(days=366)
_ROWS = 5000
"""Rows of a transaction, so that none delays the ingestion."""


def make_retention_job(event_days: int) -> Job:
    """The job that deletes by the rules above, a few thousand rows at a time."""

    async def work(run: ActiveRun) -> None:
        await _delete_old_rows(run, timedelta(days=event_days))

    return Job("retention", RETENTION_LOCK_KEY, work)


async def _delete_old_rows(run: ActiveRun, age: timedelta) -> None:
    policy_age = None
    if timescaledb := await find_timescaledb(run.connection):
        policy_age = await event_policy_age(run.connection)
        if policy_age is None:
            await drop_old_chunks(run.connection, timescaledb, age)
    if policy_age is None:
        await _delete_all(run, "event", age)
    else:
        age = policy_age
    await _delete_all(run, "delivery", age)
    await _delete_all(run, "reaction", age)
    await _delete_all(run, "job_run", _JOB_RUN_AGE)
    await _delete_all(run, "connection", _INSTANCE_AGE)  # before the instances that they belong to
    await _delete_all(run, "instance", _INSTANCE_AGE)
    await _delete_all(run, "gap", _GAP_AGE)


async def _delete_all(run: ActiveRun, table: OldTable, age: timedelta) -> None:
    """Delete until the table has no row of this age left."""
    while True:
        deleted = await delete_old(run.connection, table, age, _ROWS)
        if deleted > 0:
            await run.advance(seen=deleted, changed=deleted)
        if deleted < _ROWS:
            return
