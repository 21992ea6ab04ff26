"""The job that makes documents of older messages, beside live events; the language; the workspace's address."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.auditing import deletion, edit, message
from tests.integration.test_convergence import _record
from tests.integration.test_jobs import make_runner
from tests.support import make_engine, running, until, wrong_documents
from tiger_slack_tui.base.errors import DatabaseRefused
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.cli.jobs import _run_lines
from tiger_slack_tui.console.panes.jobs import outcome
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs import search as search_job
from tiger_slack_tui.jobs.search import make_search_job
from tiger_slack_tui.jobs.status import fetch_status
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.events import as_array
from tiger_slack_tui.store.search_index import fetch_progress

Database = psycopg.Connection[Any]


def store_history(database: Database, messages: int) -> None:
    """Messages without documents, as an earlier version stored them."""
    records = [_record(f"Ev{n}", message(n, channel=f"C{n % 5}")) for n in range(messages)]
    database.execute("select slack.ingest(%s::jsonb)", (as_array(records),))
    database.execute("delete from slack.message_search")
    database.execute("update slack.search_progress set finished_at = null")


async def test_the_job_ends_also_beside_edits_and_deletions(
    conninfo: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_job, "_MESSAGES", 7)
    store_history(database, 300)
    chance = random.Random(1)

    async def change(worker: int) -> None:
        async with await connect(conninfo) as connection:
            for n in range(worker, 150, 2):
                about = chance.randrange(300)
                made = (edit, deletion)[n % 2](about, 1000 + n) | {"channel": f"C{about % 5}"}
                records = as_array([_record(f"Ev{1000 + n}", made)])
                await connection.execute("select slack.ingest(%s::jsonb)", (records,))

    runner = make_runner(conninfo, timeout=0.01)  # the job has no time limit
    ended, _, _ = await asyncio.gather(
        runner.run(make_search_job(), reason="pending"), change(0), change(1)
    )
    assert (ended.outcome, ended.rows_seen) == ("done", ended.rows_changed)
    assert 200 < ended.rows_seen <= 300
    assert wrong_documents(database) == []


async def test_a_run_goes_on_where_the_last_one_ended(
    conninfo: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_job, "_MESSAGES", 7)
    store_history(database, 100)
    runner, job = make_runner(conninfo), make_search_job()
    run = asyncio.create_task(runner.run(job, reason="pending"))
    async with await connect(conninfo) as connection:
        while (await fetch_progress(connection)).done <= 10:
            await asyncio.sleep(0.001)
        status = {
            each.name: each.runs for each in await fetch_status(connection, JobSettings(), most=1)
        }
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        (going_on,) = status["search"]
        if going_on.outcome is None:  # else it was quicker
            assert going_on.percent is not None
            assert 10 <= going_on.percent <= 99
            assert outcome(going_on)[0] == f"▶ {going_on.percent} %"
            assert f"running, {going_on.percent} % done" in "\n".join(_run_lines(going_on))
        done = (await fetch_progress(connection)).done
        assert job.is_wanted is not None
        if done < 100:  # else it was quicker than the cancellation
            assert await job.is_wanted(connection)
        assert (await runner.run(job, reason="pending")).rows_seen == 100 - done
        assert not await job.is_wanted(connection)
        assert (await fetch_progress(connection)).percent == 100
    assert wrong_documents(database) == []


async def test_the_engine_indexes_the_history_in_its_language(
    conninfo: str, database: Database, tmp_path: Path
) -> None:
    store_history(database, 50)
    database.execute("insert into slack.job_run (job, reason, instance, finished_at, outcome)"
                     " values ('search', 'schedule', 'x', now(), 'done')")  # fmt: skip
    async with LocalSlack() as slack:
        german = JobSettings(search_language="german")
        async with running(make_engine(slack, conninfo, tmp_path, jobs=german)):
            finished = (
                "select finished_at is not null and language = 'german' from slack.search_progress"
            )
            await until(lambda: database.execute(finished).fetchone() == (True,))
            url = "select url from slack.workspace"
            await until(lambda: database.execute(url).fetchone() == ("https://local.slack.com/",))
        assert wrong_documents(database) == []
        reason = "select reason from slack.job_run where job = 'search' order by id desc limit 1"
        assert database.execute(reason).fetchone() == ("pending",)
        engine = make_engine(slack, conninfo, tmp_path, jobs=JobSettings(search_language="klingon"))
        with pytest.raises(DatabaseRefused, match="no text search configuration klingon"):
            await engine.run()
