"""Measures imports. Compare ratios of one run: absolute figures depend on the machine.

    python benchmarks/imports.py speed [MESSAGES]    messages/s; COPY of the same rows; one transaction a file; again
    python benchmarks/imports.py memory [MESSAGES]   peak memory of all processes; for a tenth of the messages, too
    python benchmarks/imports.py long [MESSAGES]     rate and memory of a long import: ten years (20,000,000)
    python benchmarks/imports.py start               time until the first file of a ZIP of 100,000 files is read
    python benchmarks/imports.py live                lag of the event loop, and acks, while an import runs in it

export.py makes the data. The database is the embedded PostgreSQL, with fsync and synchronous_commit on.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psycopg
from export import Size, write_export, zip_export
from ingest import ingesting, place
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.progress_events import FileStarted, RecordsMerged
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.slack.payload import strip_secrets
from tiger_slack_tui.store.import_messages import COPY_COLUMNS

_ROUNDS = 3
TEN_YEARS_AGO = date(2014, 1, 2)
# Stores what an import stores, in SQL alone: messages that no rule drops, and their reactions in both tables.
_ONE_BY_ONE = """
with m as materialized
( select slack.to_timestamptz(e ->> 'ts') as ts, e
  from jsonb_array_elements(%(messages)s::jsonb) e
  where not exists
  ( select from slack.message_discard d
    where jsonb_path_match(e || jsonb_build_object('channel', %(channel)s::text), d.match, silent => true)
  )
)
, r as materialized
( select m.ts, u.user_id, r.reaction ->> 'name' as reaction
  from m
  cross join lateral jsonb_array_elements(m.e -> 'reactions') r (reaction)
  cross join lateral jsonb_array_elements_text(r.reaction -> 'users') u (user_id)
)
, reactions as
( insert into slack.reaction (channel_id, ts, user_id, reaction, is_present, event_ts, event_id)
  select %(channel)s, r.ts, r.user_id, r.reaction, true, r.ts, '0'
  from r
  on conflict do nothing
)
insert into slack.message (ts, channel_id, event_ts, channel_type, updated_at, thread_ts, team, text, type, user_id
, client_msg_id, parent_user_id, bot_id, app_id, subtype, trigger_id, workflow_id, display_as_bot, upload, blocks
, attachments, files, x_files, icons, language, edited, reactions, event_id)
select m.ts, %(channel)s, m.ts, 'channel', null, slack.to_timestamptz(e ->> 'thread_ts'), e ->> 'team', e ->> 'text'
, e ->> 'type', e ->> 'user', slack.to_uuid(e ->> 'client_msg_id'), e ->> 'parent_user_id', e ->> 'bot_id'
, e ->> 'app_id', e ->> 'subtype', e ->> 'trigger_id', e ->> 'workflow_id', slack.to_bool(e -> 'display_as_bot')
, slack.to_bool(e -> 'upload'), slack.present(e -> 'blocks'), slack.present(e -> 'attachments')
, slack.present(e -> 'files'), slack.present(e -> 'x_files'), slack.present(e -> 'icons')
, slack.present(e -> 'language'), slack.present(e -> 'edited')
, ( select jsonb_agg(jsonb_build_object('user_id', r.user_id, 'reaction', r.reaction) order by r.user_id, r.reaction)
    from r
    where r.ts = m.ts
  )
, '0'
from m
on conflict do nothing
"""


def speed(messages: int = 200_000) -> None:
    copy_ratios, one_ratios, again_ratios, rates = [], [], [], []
    with data(messages) as root, place() as (home, conninfo):
        # The first database is not measured: with it, the server writes files for the first time.
        rendered = home / "rendered"
        render(warm := database(conninfo, "warm"), root, rendered)
        drop(warm)
        for number in range(_ROUNDS):
            first = database(conninfo, f"first{number}")
            imported, again = (run(first, root) for _ in range(2))
            assert imported.total.inserted == again.total.already_there == messages
            drop(first)
            copied = timed_copy(target := database(conninfo, f"copy{number}"), rendered)
            drop(target)
            one_by_one = timed_one_by_one(target := database(conninfo, f"one{number}"), root)
            drop(target)
            print(
                f"  import {imported.seconds:.1f} s, again {again.seconds:.1f} s;"
                f" COPY {copied:.1f} s; a transaction a file {one_by_one:.1f} s",
                flush=True,
            )
            rates.append(imported.rate)
            copy_ratios.append(copied / imported.seconds)
            one_ratios.append(one_by_one / imported.seconds)
            again_ratios.append(imported.seconds / again.seconds)
    median = statistics.median
    print(f"import of {messages:,} messages:       {median(rates):,.0f}/s")
    print(f"import / COPY of rendered rows: {median(copy_ratios):.2f} x (target: 0.7)")
    print(f"import / a transaction a file:  {median(one_ratios):.2f} x (target: 3)")
    print(f"again / first:                  {median(again_ratios):.2f} x (target: 3)")


def memory(messages: int = 2_000_000) -> None:
    peaks = []
    for number in (messages // 10, messages):
        with data(number) as root, place() as (home, conninfo):
            peaks.append(peak_mb(root, home, database(conninfo, "memory")))
        print(f"{number:,} messages: {peaks[-1]:.0f} MB")
    print(
        f"peak {max(peaks):.0f} MB (target: 200), growth {peaks[1] / peaks[0] - 1:+.0%} (target: 20 %)"
    )


def long(messages: int = 20_000_000) -> None:
    with tempfile.TemporaryDirectory() as directory, place() as (_, conninfo):
        write_history(Path(directory), messages)
        conninfo = database(conninfo, "long")
        rates, peaks = parts_of_import(conninfo, Path(directory), messages)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            sizes = {
                table: connection.execute(
                    "select pg_total_relation_size(%s::regclass)", (f"slack.{table}",)
                ).fetchone()
                for table in ("message", "message_search")
            }
    print(f"rate of the last tenth / the first: {rates[-1] / rates[0]:.2f} (target: 0.8)")
    print(f"memory of the last tenth / the first: {peaks[-1] / peaks[0]:.2f}")
    for table, row in sizes.items():
        assert row is not None
        print(f"slack.{table}: {row[0] / messages / 1000:.2f} kB a message, with indexes")


def write_history(root: Path, messages: int) -> None:
    """Write an export of ten years with two processes: 150 messages a file, and 12 words a message."""
    began = time.monotonic()
    sizes = [
        Size(messages, messages // 150, over=(TEN_YEARS_AGO, 520), words=(3, 21), part=(part, 2))
        for part in range(2)
    ]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(write_export, [root] * 2, sizes))
    print(f"{messages:,} messages were written in {time.monotonic() - began:.0f} s", flush=True)


def parts_of_import(conninfo: str, root: Path, messages: int) -> tuple[list[float], list[float]]:
    """Import it. Returns of each tenth of the messages the rate, and the most memory of all processes in MB."""
    rates: list[float] = []
    peaks: list[float] = []
    merged, peak, looked_at, began = 0, 0.0, 0.0, time.monotonic()

    def on_event(event: object) -> None:
        nonlocal merged, peak, looked_at, began
        now = time.monotonic()
        if now - looked_at > 1:
            looked_at, pids = now, [os.getpid(), *children(os.getpid())]
            peak = max(peak, sum(map(resident_mb, pids)))
        if not isinstance(event, RecordsMerged):
            return
        merged += event.account.accounted
        if merged >= messages * (len(rates) + 1) // 10:
            rates.append(messages / 10 / (now - began))
            peaks.append(peak)
            print(f"  {merged:,}: {rates[-1]:,.0f} messages/s, {peak:.0f} MB", flush=True)
            peak, began = 0.0, now

    job = Import(conninfo, root, ImportOptions(), instance="benchmark")
    result = asyncio.run(job.run(on_event))
    assert result.mismatch is None
    assert result.total.inserted == messages
    return rates, peaks


def start() -> None:
    took = []
    with tempfile.TemporaryDirectory() as directory, place() as (_, conninfo):
        path = Path(directory) / "export.zip"
        zip_export(path, Size(100_000, 100_000))
        for number in range(_ROUNDS):
            took.append(first_message(database(conninfo, f"start{number}"), path))
            print(f"  {took[-1]:.2f} s", flush=True)
    print(f"a ZIP of 100,000 files starts within {statistics.median(took):.2f} s (target: 2)")


def first_message(conninfo: str, path: Path) -> float:
    """Seconds until an import opens its first file. The import is then cancelled."""
    began = time.monotonic()
    took = 0.0

    async def first() -> None:
        job = Import(conninfo, path, ImportOptions(), instance="benchmark")

        def on_event(event: object) -> None:
            nonlocal took
            if isinstance(event, FileStarted) and not took:
                took = time.monotonic() - began
                job.cancel()

        await job.run(on_event)

    asyncio.run(first())
    return took


def live(events: int = 20_000, rate: float = 300) -> None:
    with data(200_000) as root, place() as (home, conninfo):
        acks, lags = asyncio.run(_live(home, database(conninfo, "live"), root, events, rate))
    lags.sort()
    print(f"event loop while importing: lag p99 {lags[int(len(lags) * 0.99)] * 1000:.1f} ms,")
    print(f"  maximum {lags[-1] * 1000:.1f} ms (target: 50)")
    print(
        f"acks at {rate:,.0f}/s: p50 {acks['ack_ms_p50']} ms, p99 {acks['ack_ms_p99']} ms", end=""
    )
    print(" (target: 500)")


async def _live(
    home: Path, conninfo: str, root: Path, events: int, rate: float
) -> tuple[dict[str, float], list[float]]:
    lags: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - before - 0.005)

    async with ingesting(home, conninfo, events, rate) as (engine, sender):
        while not engine.snapshot().received:
            await asyncio.sleep(0.01)
        watcher = asyncio.create_task(watch())
        job = Import(conninfo, root, ImportOptions(), instance="benchmark")
        await job.run(lambda _: None)
        watcher.cancel()
        assert sender.stdout is not None
        acks: dict[str, float] = json.loads(await asyncio.to_thread(sender.stdout.readline))
    return acks, lags


def run(conninfo: str, root: Path) -> ImportResult:
    job = Import(conninfo, root, ImportOptions(), instance="benchmark")
    result = asyncio.run(job.run(lambda _: None))
    assert result.mismatch is None
    return result


def render(conninfo: str, root: Path, rendered: Path) -> None:
    """Import the export, and write its rows to a file for COPY."""
    run(conninfo, root)
    with psycopg.connect(conninfo) as connection, rendered.open("wb") as file:
        with connection.cursor().copy(
            f"copy slack.message ({', '.join(COPY_COLUMNS)}) to stdout"
        ) as copy:
            for block in copy:
                file.write(block)


def timed_copy(conninfo: str, rendered: Path) -> float:
    began = time.monotonic()
    with psycopg.connect(conninfo) as connection, rendered.open("rb") as file:
        with connection.cursor().copy(
            f"copy slack.message ({', '.join(COPY_COLUMNS)}) from stdin"
        ) as copy:
            while block := file.read(1 << 16):
                copy.write(block)
    return time.monotonic() - began


def timed_one_by_one(conninfo: str, root: Path) -> float:
    began = time.monotonic()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            for file in sorted(folder.iterdir()):
                messages = strip_secrets(file.read_text())
                values = {"channel": folder.name, "messages": messages}
                connection.execute(_ONE_BY_ONE, values)
    return time.monotonic() - began


def peak_mb(root: Path, home: Path, conninfo: str) -> float:
    """The peak memory of the command and its workers together. Shared pages count once for each process."""
    environment = {"DATABASE_URL": conninfo, "TIGER_SLACK_HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "tiger_slack_tui", "import", str(root), "--json"]
    most = 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output: list[bytes] = []
        reader = threading.Thread(target=lambda: output.append(process.stdout.read()))  # type: ignore[union-attr]
        reader.start()
        while process.poll() is None:
            most = max(most, sum(map(resident_mb, [process.pid, *children(process.pid)])))
            time.sleep(0.02)
        reader.join()
        assert process.returncode == 0
        assert json.loads(output[0])["adds_up"]
    return most


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
    except (OSError, IndexError):
        return 0.0


@contextmanager
def data(messages: int) -> Iterator[Path]:
    """An export with this many messages, 25 in each file."""
    with tempfile.TemporaryDirectory() as directory:
        write_export(Path(directory), Size(messages, messages // 25))
        yield Path(directory)


def database(conninfo: str, name: str) -> str:
    """A new, migrated database, after a checkpoint: the server has nothing left to write of earlier ones."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute("checkpoint")
    conninfo = make_conninfo(conninfo, dbname=name)
    asyncio.run(migrate(conninfo))
    return conninfo


def drop(conninfo: str) -> None:
    """Drop the database, so that the server does not write its pages while the next one is measured."""
    name = conninfo_to_dict(conninfo)["dbname"]
    with psycopg.connect(make_conninfo(conninfo, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name}".encode())


if __name__ == "__main__":
    commands = {"speed": speed, "memory": memory, "long": long, "start": start, "live": live}
    commands[sys.argv[1]](*map(int, sys.argv[2:]))
