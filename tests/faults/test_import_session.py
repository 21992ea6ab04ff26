"""The session that holds an import's lock is lost while the workers read."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import long_export, write_folder
from tests.faults.test_import_account import MESSAGES, Watched, saved
from tests.support import count, until
from tiger_slack_tui.imports import job as import_job
from tiger_slack_tui.imports.progress_events import FileDone
from tiger_slack_tui.postgres.columnstore import compress
from tiger_slack_tui.postgres.lock_keys import IMPORT_LOCK_CLASS
from tiger_slack_tui.store.imports import ImportRunning

HOLDERS = (
    "from pg_locks l where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = 1768778863"
    " and l.database = (select oid from pg_database where datname = current_database())"
)


def end_session(database: psycopg.Connection[Any]) -> int:
    """End the session that holds the import's lock; its process."""
    row = database.execute(f"select l.pid, pg_terminate_backend(l.pid) {HOLDERS}").fetchone()
    assert row is not None
    return int(row[0])


async def test_an_import_whose_idle_session_was_cut_is_completed(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    assert IMPORT_LOCK_CLASS == 1768778863
    watched = Watched(conninfo, write_folder(tmp_path, long_export(3, 3000)))
    watched.on_batch = lambda batches: end_session(database) if batches == 1 else None
    result = await watched.run()
    assert (result.outcome, result.exit_code) == ("done", 0)
    assert result.total.inserted == count(conninfo, MESSAGES) == 9000
    assert saved(database) == ("done", result.total)


async def test_the_lock_is_taken_again_while_the_workers_read(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    watched = Watched(conninfo, write_folder(tmp_path, long_export(3, 3000)), silent_seconds=6.0)
    ended: list[int] = []

    def pause_and_cut(batches: int) -> None:
        if batches == 1:
            watched.job.pause()
            ended.append(end_session(database))

    watched.on_batch = pause_and_cut
    run = asyncio.create_task(watched.run())
    await until(lambda: bool(ended))
    await until(lambda: count(conninfo, f"select count(*) {HOLDERS} and l.pid <> {ended[0]}") == 1)
    watched.job.resume()
    assert (await run).outcome == "done"


async def test_an_end_that_is_not_recorded_is_logged(
    conninfo: str,
    database: psycopg.Connection[Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another session has the lock: the import's row stays as it is, and the log says so."""
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 3000)))

    def take_lock(batches: int) -> None:
        if batches == 1:
            end_session(database)
            database.execute(
                "select pg_advisory_lock((1768778863::int8 << 32) | id) from slack.import"
            )

    watched.on_batch = take_lock
    with pytest.raises(ImportRunning):
        await watched.run()
    assert saved(database)[0] is None
    assert any("was not recorded" in r.getMessage() for r in caplog.records)
    assert all(r.levelno < logging.ERROR for r in caplog.records)


async def test_a_stop_after_the_last_batch_skips_the_compression(
    conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is committed, so the import is done. The policy compresses old chunks later."""
    began: list[object] = []

    async def compressing(*args: Any) -> None:
        began.append(args)
        await compress(*args)

    monkeypatch.setattr(import_job, "compress", compressing)
    monkeypatch.setattr(import_job, "_COMPRESS_FROM", 1)
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 10)))
    read = watched.job._count_committed

    async def stop_while_counting(*args: Any) -> None:
        watched.job.cancel()
        await read(*args)

    monkeypatch.setattr(watched.job, "_count_committed", stop_while_counting)
    result = await watched.run()
    assert (result.outcome, began) == ("done", [])
    assert len([e for e in watched.events if isinstance(e, FileDone)]) == 1
