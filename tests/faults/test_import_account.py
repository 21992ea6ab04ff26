"""The account of an import equals what the database holds, whatever was killed and when."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import (
    Imported,
    day_file,
    export,
    long_export,
    message,
    run_import,
    write_folder,
)
from tests.auditing import asking
from tests.integration.test_import_interrupted import worker_pids
from tests.support import SCALE, count, until
from tiger_slack_tui.audit.rules import add_rule
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.progress_events import ImportEvent, ImportNote, RecordsMerged
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.imports.state import ImportState
from tiger_slack_tui.store.import_account import Account, ImportProblem, Reason
from tiger_slack_tui.store.imports import count_killed
from tiger_slack_tui.store.past_imports import recent_imports
from tiger_slack_tui.store.rules import find_rule, list_rules

pytestmark = pytest.mark.slow

MESSAGES = "select count(*) from slack.message"


class Watched:
    """An import that calls `on_batch` after each batch, with the number of batches."""

    def __init__(self, conninfo: str, path: Path, **options: Any) -> None:
        options = {"workers": 1} | options
        self.state = ImportState(ImportRequest(path))
        self.job = Import(
            conninfo,
            path,
            ImportOptions(**options),
            instance="test",
            ledger=self.state.ledger,
        )
        self.events: list[ImportEvent] = []
        self.batches = 0
        self.on_batch = lambda batches: None

    def handle(self, event: ImportEvent) -> None:
        self.events.append(event)
        self.state.handle(event)
        if isinstance(event, RecordsMerged):
            self.batches += 1
            self.on_batch(self.batches)

    async def run(self) -> ImportResult:
        return await asyncio.wait_for(self.job.run(self.handle), 60)


def saved(database: psycopg.Connection[Any]) -> tuple[str | None, Account]:
    """The outcome and account in the row of the newest import."""
    row = database.execute(
        "select outcome, account -> 'messages' from slack.import order by id desc limit 1"
    ).fetchone()
    assert row is not None
    return row[0], Account.from_json(row[1])


def kill_workers(number: int = signal.SIGKILL) -> None:
    for pid in worker_pids():
        os.kill(pid, number)


async def test_a_file_that_crashes_its_worker_counts_with_what_is_committed(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """The worker could not report it: the account said 0."""
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 12_000)))
    killed: set[int] = set()

    def kill_two(
        batches: int,
    ) -> None:  # the third one is not to open the file, and must be able to say so
        for pid in worker_pids():
            if len(killed | {pid}) <= 2:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

    watched.on_batch = kill_two
    result = await watched.run()
    there = count(conninfo, MESSAGES)
    assert there > 0
    assert (result.total.read, result.total.inserted) == (there, there)
    assert result.by_channel["general"].account == result.total
    assert result.mismatch is None
    assert saved(database) == ("done", result.total)
    if result.files_failed:
        assert [e.reason for e in watched.events if isinstance(e, ImportProblem)] == [
            Reason.CRASHED
        ]
    # The console shows the same.
    assert watched.state.total == result.total
    assert watched.state.folders["general"].account == result.total


async def test_a_failed_import_counts_the_files_that_were_open(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 20_000)))

    def end_sessions(batches: int) -> None:
        if batches == 2:
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    watched.on_batch = end_sessions
    with pytest.raises(DatabaseUnavailable):
        await watched.run()
    there = count(conninfo, MESSAGES)
    outcome, account = saved(database)
    assert outcome == "failed"
    assert account.read == account.inserted == there > 0
    imported = await run_import(conninfo, watched.job._path)
    assert imported.result.total.inserted == count(conninfo, MESSAGES) == 20_000


@pytest.mark.parametrize("seed", range(SCALE))
async def test_kills_at_random_points(conninfo: str, tmp_path: Path, seed: int) -> None:
    """Workers are killed and the import is stopped, again and again. Each time it continues."""
    chance = random.Random(seed)
    path = write_folder(tmp_path, long_export(6, 4000))
    while True:
        watched = Watched(conninfo, path, workers=2)
        kills, stop = {chance.randrange(1, 6) for _ in range(2)}, chance.randrange(3, 10)

        def on_batch(
            batches: int, job: Import = watched.job, kills: set[int] = kills, stop: int = stop
        ) -> None:
            if batches in kills and (pids := worker_pids()):
                os.kill(chance.choice(pids), signal.SIGKILL)
            if batches == stop:
                job.cancel()

        watched.on_batch = on_batch
        result = await watched.run()
        assert result.mismatch is None
        assert result.total.inserted == result.total.read == count(conninfo, MESSAGES)
        assert watched.state.total == result.total
        if result.outcome == "done":
            return


async def test_a_worker_that_commits_after_it_was_taken_for_dead_is_not_counted_twice(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """It is killed while its commit waits. The commit happens after the next worker has read the checkpoint."""
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 100)))
    blocked = (
        "select count(*) from pg_locks l where l.relation = 'slack.import_file'::regclass"
        " and not l.granted and l.database = (select oid from pg_database where datname = current_database())"
    )
    with database.transaction():
        database.execute("lock table slack.import_file in exclusive mode")
        run = asyncio.create_task(watched.run())
        await until(lambda: count(conninfo, blocked) >= 1)
        kill_workers()
        await asyncio.sleep(0.5)
    result = await run
    assert result.total.inserted == result.total.read == count(conninfo, MESSAGES) == 100


@pytest.mark.parametrize("how", ["silent", "garbage"])
async def test_a_worker_that_is_silent_or_writes_garbage(
    conninfo: str, tmp_path: Path, how: str
) -> None:
    path = write_folder(tmp_path, long_export(3, 3000))
    watched = Watched(conninfo, path, silent_seconds=2.0)

    def disturb(batches: int) -> None:
        if batches != 1:
            return
        if how == "silent":
            kill_workers(signal.SIGSTOP)
        else:
            for pid in worker_pids():
                for end in Path(f"/proc/{pid}/fd").iterdir():
                    if end.name not in ("0", "1", "2") and "pipe:" in os.readlink(end):
                        with end.open("wb", buffering=0) as pipe:
                            pipe.write(b"\0garbage" * 100)

    watched.on_batch = disturb
    result = await watched.run()
    assert result.mismatch is None
    assert result.total.inserted == result.total.read == count(conninfo, MESSAGES) == 9000


async def test_the_first_error_is_raised_even_if_a_worker_hangs(
    conninfo: str, tmp_path: Path
) -> None:
    """A worker that did not end in time replaced it by a TimeoutError without a message."""
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 20_000)), silent_seconds=30.0)

    def fail(batches: int) -> None:
        kill_workers(signal.SIGSTOP)
        raise DatabaseUnavailable("the real error")

    watched.on_batch = fail
    with pytest.raises(DatabaseUnavailable, match="the real error"):
        await watched.run()
    assert worker_pids() == []


async def test_missing_files_are_forgotten(conninfo: str, tmp_path: Path) -> None:
    """Their problems are no longer problems of the archive."""
    files = export({"general": {"2023-11-14": [message(0), 5], "2023-11-15": [message(86_400)]}})
    files["general/2023-11-16.json"] = day_file(*(message(172_800 + n) for n in range(9000)))
    path = write_folder(tmp_path, files)
    watched = Watched(conninfo, path)
    watched.on_batch = lambda batches: watched.job.cancel()
    await watched.run()
    assert count(conninfo, "select count(*) from slack.import_problem") == 1
    (path / "general/2023-11-14.json").unlink()
    imported: Imported = await run_import(conninfo, path)
    assert count(conninfo, "select count(*) from slack.import_problem") == 0
    assert (imported.result.files_done, imported.result.total.read) == (2, 9001)
    notes = [note.text for note in imported.events_of(ImportNote)]
    assert any("1 file of an earlier run will not be read any more" in note for note in notes)


async def test_a_dry_run_has_the_counts_of_the_import(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """Also for contents that were merged before, some of whose messages were deleted since."""
    reactions = [{"name": "+1", "users": ["U1", "U2"]}]
    records = [message(n, reactions=reactions) for n in range(5)]
    path = write_folder(
        tmp_path, export({"general": {"2023-11-14": records, "2023-11-15": [message(86_400)]}})
    )
    await run_import(conninfo, path)
    deletion = {"effects": ["deletion"], "event_id": "E1", "event_ts": "1800000000.0"}
    deletion |= {"channel_id": "C0", "message_ts": records[1]["ts"]}
    database.execute(
        "select slack.delete_messages(slack.routed_events(%s::jsonb))",
        (json.dumps([deletion]),),
    )
    dry = (await run_import(conninfo, path, dry_run=True)).result.total
    again = (await run_import(conninfo, path)).result.total
    assert again == dry
    assert (again.read, again.already_there, again.reactions) == (6, 5, 8)


async def test_a_killed_import_shows_what_it_has_committed(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    await run_import(conninfo, write_folder(tmp_path, long_export(2, 10)))
    database.execute("update slack.import set outcome = null, finished_at = null, account = null")
    async with asking(conninfo) as connection:
        (past,) = await recent_imports(connection, 5)
        assert (past.needs_count, past.account.read) == (True, 0)
        # One of its workers is still at a batch.
        database.execute(
            "select pg_advisory_lock_shared((1768778871::int8 << 32) | %s)", (past.id,)
        )
        assert not await count_killed(connection, past.id)
        database.execute("select pg_advisory_unlock_all()")
        assert await count_killed(connection, past.id)
        (past,) = await recent_imports(connection, 5)
    assert (past.outcome, past.account.read, past.account.inserted) == (None, 20, 20)
    assert (past.needs_count, past.files_done, past.files_failed) == (False, 2, 0)


async def test_a_continued_import_is_counted_again_after_the_next_kill(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 20_000)))
    watched.on_batch = lambda batches: watched.job.cancel()
    await watched.run()
    assert saved(database)[1].read > 0
    again = Watched(conninfo, watched.job._path)
    seen: list[tuple[str | None, Account]] = []
    again.on_batch = lambda batches: seen.append(saved(database))
    await again.run()
    assert seen[0] == (None, Account())


async def test_polling_does_not_read_the_files(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """For a killed import of very many files, summing its files took seconds, and ran every 2 s."""
    await run_import(conninfo, write_folder(tmp_path, long_export(2, 10)))
    database.execute("update slack.import set outcome = null, finished_at = null, account = null")
    trap = (
        "create or replace function slack.import_account(import_id int8) returns jsonb language plpgsql stable"
        " as $$ begin raise 'it reads the files'; end $$"
    )
    async with asking(conninfo) as connection, connection.transaction(force_rollback=True):
        await connection.execute(trap)
        rule = (await add_rule(connection, '$.user == "U9"', None)).id
        assert [found.id for found in await list_rules(connection)] == [rule]
        assert await find_rule(connection, rule) is not None
        assert len(await recent_imports(connection, 5)) == 1
        with pytest.raises(psycopg.Error, match="reads the files"):
            await count_killed(connection, 1)
