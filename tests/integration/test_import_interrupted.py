"""Imports that are cancelled, paused, killed, or run beside others continue, and account for everything once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import (
    day_file,
    export,
    long_export,
    message,
    run_import,
    write_folder,
    write_zip,
)
from tests.support import check, count, delivered, make_engine, running, steady, until
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.progress_events import FileSkipped, FileStarted, RecordsMerged
from tiger_slack_tui.store.imports import ImportRunning

pytestmark = pytest.mark.slow


async def stop_after(
    conninfo: str, path: Path, batches: int, *, workers: int = 1, **options: Any
) -> None:
    """Begin an import, and cancel it after so many batches."""
    left = batches
    job = Import(conninfo, path, ImportOptions(workers=workers, **options), instance="test")

    def tell(event: object) -> None:
        nonlocal left
        left -= isinstance(event, RecordsMerged)
        if left == 0:
            job.cancel()

    result = await asyncio.wait_for(job.run(tell), 30)
    assert (result.outcome, result.exit_code) == ("cancelled", 1)
    assert 0 < result.total.read < 9000
    assert result.total.adds_up


async def test_a_cancelled_import_continues_and_reads_changed_files_again(
    conninfo: str, tmp_path: Path
) -> None:
    files = long_export()
    path = write_folder(tmp_path, files)
    await stop_after(conninfo, path, 3)
    committed = count(conninfo, "select count(*) from slack.message")
    assert 0 < committed < 9000
    first = path / "general" / "2023-11-14.json"
    first.write_bytes(day_file(*json.loads(first.read_bytes()), message(80_000, "added")))
    imported = await run_import(conninfo, path)
    result = imported.result
    assert result.resumed is not None
    assert (result.files_done, result.total.read) == (6, 9001)
    assert count(conninfo, "select count(*) from slack.message") == 9001
    # Only the records of the changed file were there already.
    assert result.total.inserted == 9001 - 1500
    assert result.total.already_there == 1500
    assert "2023-11-14" not in {event.path[8:18] for event in imported.events_of(FileSkipped)}


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_an_import_that_is_cancelled_before_it_reads(
    conninfo: str, tmp_path: Path, steps: int
) -> None:
    job = Import(conninfo, write_folder(tmp_path, long_export()), ImportOptions(), instance="test")
    run = asyncio.create_task(job.run(lambda _: None))
    await asyncio.sleep(0.2 * steps)
    job.cancel()
    result = await asyncio.wait_for(run, 30)
    assert result.outcome == "cancelled"
    assert result.total.adds_up
    ended = "select count(*) from slack.import where outcome = 'cancelled'"
    assert count(conninfo, ended) == 1


async def test_many_files_of_several_channels(conninfo: str, tmp_path: Path) -> None:
    """Workers get files before they have ended the previous ones. Cancelled, nothing counts twice."""
    days = [(date(2023, 1, 1) + timedelta(days=day)).isoformat() for day in range(500)]
    content = {
        channel: {day: [message(number)] for number, day in enumerate(days)}
        for channel in ("one", "two", "three", "four", "five")
    }
    path = write_folder(tmp_path, export(content))
    await stop_after(conninfo, path, 1, workers=2)
    committed = count(conninfo, "select count(*) from slack.message")
    assert 0 < committed < 2500
    imported = await run_import(conninfo, path, workers=2)
    result = imported.result
    assert result.mismatch is None
    assert (result.files_done, result.total.inserted) == (2500, 2500)
    assert len(imported.events_of(FileSkipped)) >= committed
    assert count(conninfo, "select count(*) from slack.message") == 2500


async def test_restart_begins_anew(conninfo: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, long_export())
    await stop_after(conninfo, path, 3)
    imported = await run_import(conninfo, path, restart=True)
    assert imported.result.resumed is None
    assert imported.events_of(FileSkipped) == []
    assert imported.result.total.read == 9000
    assert imported.result.total.already_there > 0
    assert count(conninfo, "select count(*) from slack.import where outcome = 'replaced'") == 1


async def test_durations_count_from_the_first_run(conninfo: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, long_export())
    first, later = (datetime(2023, 11, day, tzinfo=UTC) for day in (10, 18))
    options = {"as_given": {"since": "30D"}}
    await stop_after(conninfo, path, 2, selection=ImportSelection(since=first), **options)
    imported = await run_import(conninfo, path, selection=ImportSelection(since=later), **options)
    assert imported.result.total.read == 9000
    assert count(conninfo, "select count(*) from slack.message") == 9000


async def test_a_paused_import_waits(conninfo: str, tmp_path: Path) -> None:
    job = Import(
        conninfo, write_folder(tmp_path, long_export()), ImportOptions(workers=1), instance="test"
    )
    seen = 0

    def tell(event: object) -> None:
        nonlocal seen
        seen += isinstance(event, RecordsMerged)
        if seen == 1 and not job.is_paused:
            job.pause()

    run = asyncio.create_task(job.run(tell))
    await until(lambda: job.is_paused)
    messages = "select count(*) from slack.message"
    await steady(lambda: count(conninfo, messages), 4)  # the batch that was begun ends
    assert count(conninfo, messages) < 9000
    seen = 2
    job.resume()
    result = await asyncio.wait_for(run, 30)
    assert result.total.inserted == 9000


async def test_the_same_import_runs_once_at_a_time(conninfo: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, long_export())
    job = Import(conninfo, path, ImportOptions(workers=1), instance="the first")
    run = asyncio.create_task(
        job.run(lambda event: job.pause() if isinstance(event, FileStarted) else None)
    )
    await until(lambda: job.is_paused)
    with pytest.raises(ImportRunning, match="already being imported"):
        await run_import(conninfo, path)
    job.cancel()
    await asyncio.wait_for(run, 30)


async def test_overlapping_sources_at_once(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    files = long_export()
    paths = (write_folder(tmp_path / "one", files), write_zip(tmp_path / "two.zip", files))
    both = await asyncio.gather(*(run_import(conninfo, path, workers=2) for path in paths))
    totals = [imported.result.total for imported in both]
    assert sum(total.inserted for total in totals) == 9000
    assert sum(total.already_there for total in totals) == 9000
    assert count(conninfo, "select count(*) from slack.message") == 9000


def worker_pids() -> list[int]:
    """The worker processes that this process started."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    found = []
    for pid in map(int, children):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"tiger_slack_tui.imports.workers.child" in command:
            found.append(pid)
    return found


async def test_a_killed_worker_costs_one_file_at_most(conninfo: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, long_export())
    job = Import(conninfo, path, ImportOptions(workers=1), instance="test")
    kills = 0

    def tell(event: object) -> None:
        nonlocal kills
        if isinstance(event, RecordsMerged) and kills < 2:
            kills += 1
            for pid in worker_pids():
                os.kill(pid, signal.SIGKILL)

    result = await asyncio.wait_for(job.run(tell), 60)
    assert kills == 2
    assert result.mismatch is None
    assert result.files_failed <= 1
    assert result.total.read == count(conninfo, "select count(*) from slack.message")
    assert result.total.read >= 7500


async def test_an_import_waits_for_workers_of_a_run_that_was_killed(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """A worker outlives its import for one batch. Two runs must not both count what it commits."""
    path = write_folder(tmp_path, long_export(1, 100))
    with database.transaction():
        database.execute("lock table slack.message in exclusive mode")  # holds up the batch
        job = Import(conninfo, path, ImportOptions(workers=1), instance="test")
        run = asyncio.create_task(job.run(lambda _: None))
        waiting = (
            "select count(*) from pg_locks where relation = 'slack.message'::regclass and not granted"
            " and database = (select oid from pg_database where datname = current_database())"
        )
        await until(lambda: count(conninfo, waiting) == 1)
        # As after kill -9: the session of the import is gone, its worker goes on.
        database.execute(
            "select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory'"
            " and l.database = (select oid from pg_database where datname = current_database())"
            " and l.mode = 'ExclusiveLock' and l.classid = 1768778863 and l.objsubid = 1"
        )
        again = asyncio.create_task(run_import(conninfo, path))
        await asyncio.sleep(1)
        assert not again.done()
    with pytest.raises(ImportRunning, match="Another process"):
        await run
    result = (await again).result
    assert result.resumed is not None
    assert (result.total.read, result.total.inserted) == (100, 100)


async def test_an_import_during_live_events(conninfo: str, tmp_path: Path) -> None:
    sent = list(Workspace(4, 1_700_000_000.0, 20).events(2500))
    posts: dict[str, list[dict[str, Any]]] = {}
    for payload in sent:
        event = payload["event"]
        if event["type"] == "message" and "subtype" not in event and "text" in event:
            posts.setdefault(event["channel"], []).append(event)
    files = {"users.json": b"[]", "channels.json": b"[]"}
    files |= {f"{channel}/2023-11-14.json": day_file(*found) for channel, found in posts.items()}
    mapped = ImportSelection(channel_map={channel: channel for channel in posts})
    path = write_folder(tmp_path / "export", files)
    async with LocalSlack() as slack, running(make_engine(slack, conninfo, tmp_path)) as engine:
        sending = asyncio.create_task(slack.send_all(sent))
        imported = await run_import(conninfo, path, selection=mapped, workers=2)
        await sending
        await delivered(slack, engine)
    assert imported.result.total.read == sum(map(len, posts.values())) > 500
    await check(conninfo, sent)
