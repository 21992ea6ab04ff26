"""The job that makes search documents for messages that have none yet, or have one in another language."""

from __future__ import annotations

import asyncio
import time

from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.lock_keys import SEARCH_LOCK_KEY
from tiger_slack_tui.store import search_index
from tiger_slack_tui.store.job_runs import RunReason

SEARCH = "search"
"""The name of the job (slack.job_run.job)."""
_MESSAGES = 300
"""Messages of a transaction. Live events about some of them wait until it ends: about 20 ms."""
_SAVE_SECONDS = 2.0
"""Seconds between two records of how far the run is."""


def make_search_job() -> Job:
    """The job that goes through the history, from the newest message to the oldest, until all can be searched.

    Its progress is stored with the documents, so a new run continues where the last one ended. It works at most half
    of the time, so that it never holds up the ingestion. It has no time limit.
    """

    async def is_wanted(connection: Connection) -> bool:
        return (await search_index.fetch_progress(connection)).finished_at is None

    async def work(run: ActiveRun) -> None:
        await search_index.set_up_index_session(run.connection)
        unsaved, saved_at = 0, time.monotonic()
        while True:
            began = time.monotonic()
            done = await search_index.index_history(run.connection, _MESSAGES)
            ended = time.monotonic()
            unsaved += done
            if unsaved and (not done or ended - saved_at > _SAVE_SECONDS):
                await run.advance(seen=unsaved, changed=unsaved)
                unsaved, saved_at = 0, ended
            if not done:
                return
            await asyncio.sleep(ended - began)

    return Job(
        SEARCH,
        SEARCH_LOCK_KEY,
        work,
        is_wanted,
        wanted_reason=RunReason.PENDING,
        has_time_limit=False,
    )
