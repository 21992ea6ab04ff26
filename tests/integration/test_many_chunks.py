"""Years of messages: what concerns one message, a thread or a span of time touches only the chunks that hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import export, run_import, write_folder
from tests.auditing import record
from tests.chunks import fill, into_partitions, replay_of_week, ts_of, when, work_in
from tests.conftest import new_database
from tests.gapped import Gapped, post, reply
from tests.integration.test_jobs import make_runner
from tests.support import SCALE, encoded
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.search import make_search_job
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.pool import connect, make_pool
from tiger_slack_tui.postgres.queries import fetch_value
from tiger_slack_tui.store.events import EventStore
from tiger_slack_tui.store.search_index import fetch_progress, use_language

pytestmark = pytest.mark.slow

CHUNKS = 100 if SCALE == 1 else 1000
MOST_LOCKS = 100
"""Tables of a transaction with their indexes, and a few chunks with theirs. All chunks have five times as many."""
WORK = work_in(CHUNKS)
_LOCKS = """
select count(*), count(distinct relation) filter (where relation::regclass::text ~ 'week_[0-9]+$')
from pg_locks
where pid = pg_backend_pid()
and locktype = 'relation'
"""


@pytest.fixture(scope="module")
def conninfo(postgres: EmbeddedPostgres, template: str) -> str:
    """One database for all tests of the module: making the partitions takes seconds."""
    conninfo = new_database(postgres, template)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        into_partitions(connection, CHUNKS)
        fill(connection, CHUNKS)
    return conninfo


async def test_only_the_chunks_that_hold_it_are_locked(conninfo: str) -> None:
    found: dict[str, tuple[int, int]] = {}
    async with await connect(conninfo) as connection:
        for name, work in WORK.items():
            async with connection.transaction(force_rollback=True):
                await work(connection)
                row = await (await connection.execute(_LOCKS)).fetchone()
            found[name] = row or (0, 0)
        async with connection.transaction(force_rollback=True):
            await connection.execute("update slack.message set text = '' where ts = now()")
            row = await (await connection.execute(_LOCKS)).fetchone()
    assert row is not None
    assert row[0] > 4 * CHUNKS  # what a statement with all chunks locks
    assert [
        name for name, (locks, chunks) in found.items() if locks > MOST_LOCKS or chunks > 10
    ] == []


async def test_until_the_job_has_finished_a_channel_is_read_in_steps(conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        for name in ("the channel around a message", "a day of a channel"):
            async with connection.transaction(force_rollback=True):
                await connection.execute("update slack.search_progress set finished_at = null")
                await connection.execute("delete from slack.channel_week")
                await WORK[name](connection)
                row = await (await connection.execute(_LOCKS)).fetchone()
            assert row is not None
            assert row[1] <= 30, name


async def test_a_replay_locks_the_chunk_of_its_event(
    postgres: EmbeddedPostgres, template: str
) -> None:
    conninfo = new_database(postgres, template)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        into_partitions(connection, 20, "event", "event_ts")
    async with await connect(conninfo) as session, session.transaction():
        await replay_of_week(session, 10)
        row = await (await session.execute(_LOCKS)).fetchone()
    assert row is not None
    assert row[1] == 1


MOST_LOCKS_OF_A_TRANSACTION = 200
_COUNT_LOCKS = """
create table if not exists public.locks_held (at text, locks int8, transaction xid8 default pg_current_xact_id());
truncate public.locks_held;
create or replace function public.count_locks() returns trigger language plpgsql as $func$
begin
  insert into public.locks_held (at, locks) select tg_table_name, count(*) from pg_locks where pid = pg_backend_pid();
  return null;
end
$func$;
"""


class Locks:
    """Counts the locks of each transaction that writes to a table, when it commits."""

    def __init__(self, conninfo: str, *tables: str) -> None:
        self._conninfo = conninfo
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_COUNT_LOCKS)
            for table in tables:
                connection.execute(f"drop trigger if exists count_locks on slack.{table}".encode())
                connection.execute(
                    f"create constraint trigger count_locks after insert or update on slack.{table}"
                    " deferrable initially deferred for each row execute function count_locks()".encode()
                )

    def found(self) -> list[int]:
        with psycopg.connect(self._conninfo) as connection:
            query = "select locks from public.locks_held order by locks"
            return [locks for (locks,) in connection.execute(query)]

    def transactions(self) -> int:
        with psycopg.connect(self._conninfo) as connection:
            query = "select count(distinct transaction) from public.locks_held"
            row = connection.execute(query).fetchone()
            return row[0] if row else 0


async def test_a_batch_of_events_about_many_weeks(conninfo: str) -> None:
    def event(week: int) -> bytes:
        item = {"type": "message", "channel": "C1", "ts": ts_of(week)}
        kind = ("reaction_added", "reaction_removed")[week % 2]
        fields: dict[str, Any] = {"type": kind, "user": "U5", "reaction": "tada", "item": item}
        return record(f"EvWeek{week}", fields | {"event_ts": ts_of(CHUNKS)})

    locks = Locks(conninfo, "delivery")
    async with make_pool(conninfo, minimum=1, maximum=1) as pool:
        written = await EventStore(pool).ingest(
            encoded([event(week) for week in range(CHUNKS - 1)])
        )
    assert len(written.new) == CHUNKS - 1
    assert CHUNKS / 2 <= len(locks.found()) <= CHUNKS
    assert locks.found()[-1] <= MOST_LOCKS_OF_A_TRANSACTION


async def test_an_import_of_many_weeks(conninfo: str, tmp_path: Path) -> None:
    def messages(minutes: int) -> list[dict[str, Any]]:
        return [
            {"type": "message", "user": "U1", "text": f"week {week}", "ts": ts_of(week, minutes)}
            for week in range(CHUNKS)
        ]

    days = {f"{when(week):%Y-%m-%d}": [one] for week, one in enumerate(messages(31))}
    files = export({"general": days | {"2003-01-01": messages(32)}})
    locks = Locks(conninfo, "import_file")
    imported = await run_import(conninfo, write_folder(tmp_path, files))
    assert imported.result.total.inserted == 2 * CHUNKS
    assert locks.found()[-1] <= MOST_LOCKS_OF_A_TRANSACTION


async def test_an_import_of_many_quiet_channels(conninfo: str, tmp_path: Path) -> None:
    """Their messages of the same time are merged together, though each file has only one."""
    channels = {
        f"quiet-{n}": {
            f"{when(week):%Y-%m-%d}": [{"type": "message", "ts": ts_of(week, 300 + n), "text": "x"}]
            for week in range(n % 9, CHUNKS, CHUNKS // 8)
        }
        for n in range(130)
    }
    locks = Locks(conninfo, "import_file")
    imported = await run_import(conninfo, write_folder(tmp_path, export(channels)))
    files = sum(map(len, channels.values()))
    assert imported.result.total.inserted == files
    assert locks.found()[-1] <= MOST_LOCKS_OF_A_TRANSACTION
    assert locks.transactions() < files / 10


async def test_a_backfill_of_many_weeks(conninfo: str, tmp_path: Path) -> None:
    def at(week: int) -> float:
        return when(week, 41).timestamp()

    parent = post(at(0), "C9")
    missed = [parent, *(post(at(week), "C9") for week in range(1, CHUNKS))]
    missed += [reply(at(week) + 60, parent) for week in range(CHUNKS)]
    locks = Locks(conninfo, "gap_channel", "gap_thread")
    async with LocalSlack(directory=Directory([], [{"id": "C9", "name": "quiet"}])) as slack:
        gapped = Gapped(slack, conninfo, tmp_path)
        gapped.misses(*missed)
        await gapped.backfill(at(0) - 60, at(CHUNKS) + 60)
    [result] = gapped.results
    assert (result.threads, result.messages.inserted) == (1, len(missed))
    assert result.messages.adds_up
    assert locks.found()[-1] <= MOST_LOCKS_OF_A_TRANSACTION


async def test_search_documents_in_another_language(conninfo: str) -> None:
    locks = Locks(conninfo, "search_progress")
    assert await use_language(conninfo, "german")
    runner = make_runner(conninfo)
    assert (await runner.run(make_search_job(), reason="pending")).outcome == "done"
    assert locks.found()[-1] <= MOST_LOCKS_OF_A_TRANSACTION
    async with await connect(conninfo) as connection:
        progress = await fetch_progress(connection)
        messages = await fetch_value(connection, "select count(*) from slack.message")
        assert (progress.language, progress.done, progress.total) == ("german", messages, messages)
    assert await use_language(conninfo, "english")
    assert (await runner.run(make_search_job(), reason="pending")).outcome == "done"
