"""Workers that hang, checkpoints that change, and files that are larger than expected."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tests.archives import long_export, message, run_import, write_folder
from tests.faults.test_exports_slackdump import Database
from tests.faults.test_import_account import MESSAGES, Watched, kill_workers, saved
from tests.integration.test_import_interrupted import worker_pids
from tests.support import count, until
from tiger_slack_tui.cli.main import main
from tiger_slack_tui.imports.archive.records import WHOLE
from tiger_slack_tui.imports.progress_events import FileResumed


async def test_a_stop_does_not_wait_for_a_worker_that_hangs(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """It waited for a minute. The account has what the worker has committed."""
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 20_000)))
    pids: list[int] = []

    def freeze(batches: int) -> None:
        if not pids:
            pids.extend(worker_pids())
            kill_workers(signal.SIGSTOP)

    watched.on_batch = freeze
    run = asyncio.create_task(watched.run())
    try:
        await until(lambda: bool(pids))
        began = time.monotonic()
        watched.job.cancel()
        result = await run
    finally:
        for pid in pids:
            if os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGKILL)
    assert time.monotonic() - began < 25
    assert result.outcome == "cancelled"
    there = count(conninfo, MESSAGES)
    assert result.total.read == result.total.inserted == there > 0
    assert saved(database) == ("cancelled", result.total)
    again = await run_import(conninfo, tmp_path)
    assert (again.result.outcome, again.result.total.read) == ("done", 20_000)


async def test_a_checkpoint_that_another_session_changes_is_read_again(
    conninfo: str,
    database: psycopg.Connection[Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It counted as a crash of the file. After two crashes a file is not opened any more."""
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 14_000)))

    def begin_again(batches: int) -> None:
        if batches in (1, 3):
            database.execute(
                "update slack.import_file set position = 0, account = '{}', is_done = false"
            )

    watched.on_batch = begin_again
    result = await watched.run()
    assert (result.outcome, result.exit_code, result.files_failed) == ("done", 0, 0)
    assert result.total.read == count(conninfo, MESSAGES) == 14_000
    assert result.total.already_there > 0
    assert watched.state.total == result.total
    assert saved(database) == ("done", result.total)
    assert any(isinstance(event, FileResumed) for event in watched.events)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_a_checkpoint_that_changes_all_the_time_is_named(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(
        "create function slack.change() returns trigger language plpgsql as"
        " $$ begin new.position = 0; return new; end $$;"
        "create trigger change before insert or update on slack.import_file"
        " for each row execute function slack.change()"
    )
    watched = Watched(conninfo, write_folder(tmp_path, long_export(1, 14_000)))
    with pytest.raises(Exception, match=r"changing this import.s rows of slack\.import_file"):
        await watched.run()


async def test_a_channel_of_slackdump_that_is_larger_than_its_estimate(
    conninfo: str, tmp_path: Path
) -> None:
    """Rows that cannot be read make it larger. The file was cut off, and called malformed."""
    bad = 50
    with closing(Database(tmp_path / "slackdump.sqlite")) as database:
        database.lists()
        size = bad * 2
        records = []
        while size < WHOLE - 5000:
            records.append(message(len(records), "x" * 4000))
            size += len(str(records[-1])) + 1
        records.append(message(len(records), "x" * (WHOLE - size - 150)))
        database.messages("C1ABC", 0, [*records, *[b"x"] * bad])
        rows = database.connection.execute(
            "select sum(length(cast(DATA as blob))) + count(*) + 1 from MESSAGE"
        )
        (estimate,) = rows.fetchone()
    assert estimate <= WHOLE < estimate + bad * 13
    imported = await run_import(conninfo, tmp_path / "slackdump.sqlite")
    total = imported.result.total
    assert (total.inserted, total.skipped) == (len(records), {"malformed record": bad})
    assert imported.result.files_failed == 0


@pytest.mark.parametrize("path", ["/dev/null", "/nonexist"])
def test_a_path_that_is_not_an_archive_is_a_usage_error(tmp_path: Path, path: str) -> None:
    environ = {"TIGER_SLACK_HOME": str(tmp_path), "DATABASE_URL": "postgresql://localhost:1/none"}
    result = CliRunner().invoke(main, ["import", path], env=environ)
    assert result.exit_code == 2
    assert path in result.output
    assert "Traceback" not in result.output
