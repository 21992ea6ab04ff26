"""Databases of many messages for the benchmarks of search and of the MCP server.

The messages have words of a vocabulary of 50,000 with the frequencies of English (Zipf and Mandelbrot: the word of
rank r has a share of 1 / (r + 2.7)). Every third of eight following messages of a channel are a thread.

Where TIGER_SLACK_BENCHMARK_DIR names a directory, a database is made once and kept there.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from ingest import place

from tiger_slack_tui.base.errors import MigrationError
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate

USERS, CHANNELS = 300, 100
START, DAYS = datetime(2020, 1, 1, tzinfo=UTC), 1800
_VOCABULARY = 50_000
_PART = 100_000
"""Messages that are made and copied at once."""
_FREQUENT = re.findall(
    "[a-z]+",
    "the to a i and you it is in for of that on we this have be with not can do so if are but as at was just will or"
    " what there my they me from all like now get up one out when",
)


class Text:
    """Texts of words with the frequencies of English, the same for one seed. The vocabulary is always the same."""

    def __init__(self, seed: int = 1) -> None:
        chance = random.Random(1)
        syllables = [
            a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er")
        ]
        words = dict.fromkeys(_FREQUENT)
        while len(words) < _VOCABULARY:
            words["".join(chance.choices(syllables, k=chance.randint(2, 4)))] = None
        self.words = list(words)
        self.rank = {word: rank for rank, word in enumerate(self.words)}
        self.chance = random.Random(seed)
        self._weights = list(accumulate(1 / (rank + 3.7) for rank in range(_VOCABULARY)))
        self._people = list(accumulate(1 / (rank + 10) for rank in range(USERS)))

    def message(self) -> list[str]:
        """The words of a message."""
        count = min(2 + int(self.chance.expovariate(1 / 12)), 120)
        return self.chance.choices(self.words, cum_weights=self._weights, k=count)

    def person(self) -> int:
        """The number of a person; some write much more than others."""
        return self.chance.choices(range(USERS), cum_weights=self._people)[0]

    def word_of_share(self, share: float) -> str:
        """A word that about this share of the messages has."""
        total = self._weights[-1]
        rank = max(int(14 / (share * total) - 3.7), 0)
        return self.words[min(rank, _VOCABULARY - 1)]


@dataclass(frozen=True, slots=True)
class _Part:
    first: int
    count: int
    messages: int
    begin: datetime
    days: int


def time_of(number: int, messages: int, begin: datetime = START, days: int = DAYS) -> datetime:
    """When the message of a number was posted, of so many in so many days."""
    return begin + number * (timedelta(days=days) / messages)


class Took(NamedTuple):
    """Milliseconds of a piece of work."""

    wall: float
    cpu: float
    """Of this process and the server's; what else the machine does hardly changes it."""


class Stopwatch:
    """Measures work of this process and of backends of the server, which run on this machine."""

    def __init__(self, backends: Sequence[int]) -> None:
        self._backends = backends
        self._began = self._now()

    def lap(self) -> Took:
        """The time since the last lap."""
        before, self._began = self._began, self._now()
        return Took(*(now - then for now, then in zip(self._began, before, strict=True)))

    def _now(self) -> Took:
        spent = sum(
            int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self._backends
        )
        return Took(time.perf_counter() * 1000, time.process_time() * 1000 + spent / 1e6)


def shown(times: Sequence[Took], share: float = 0.5) -> str:
    """The time that this share of the times do not exceed: the median, or p99."""
    at = max(int(len(times) * share) - (share > 0.5), 0)
    wall, cpu = (sorted(values)[at] for values in zip(*times, strict=True))
    return f"{wall:.0f} ms, {cpu:.0f} ms of CPU time"


@contextmanager
def corpus(messages: int) -> Iterator[str]:
    """The conninfo of a database with so many messages and their documents."""
    kept = os.environ.get("TIGER_SLACK_BENCHMARK_DIR")
    if kept is None:
        with place() as (_, conninfo):
            asyncio.run(migrate(conninfo))
            fill(conninfo, messages)
            yield conninfo
        return
    directory = Path(kept) / f"messages-{messages}"
    directory.mkdir(parents=True, exist_ok=True)
    for each in (directory.parent, directory):
        each.chmod(0o711)
    with EmbeddedPostgres.start(directory / "postgres") as server:
        try:
            asyncio.run(migrate(server.conninfo))
        except MigrationError:  # there is a new migration, but no new version yet
            (directory / "filled").unlink(missing_ok=True)
            with psycopg.connect(server.conninfo, autocommit=True) as connection:
                connection.execute("drop schema slack cascade")
            asyncio.run(migrate(server.conninfo))
        if not (directory / "filled").exists():
            fill(server.conninfo, messages)
            (directory / "filled").touch()
        yield server.conninfo


def fill(conninfo: str, messages: int, begin: datetime = START, days: int = DAYS) -> None:
    """Copy messages of so many days and their documents into the tables.

    The documents are those that the database itself would make.
    """
    began = time.perf_counter()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("truncate slack.message, slack.message_search")
        connection.execute(
            'insert into slack."user" (id, user_name)'
            " select 'U' || lpad(n::text, 8, '0'), 'person' || n from generate_series(0, %s - 1) n"
            " on conflict do nothing",
            (USERS,),
        )
        connection.execute(
            "insert into slack.channel (id, channel_name, channel_type)"
            " select 'C' || lpad(n::text, 8, '0'), 'channel-' || n, 'channel' from generate_series(0, %s - 1) n"
            " on conflict do nothing",
            (CHANNELS,),
        )
        lexemes = dict(
            connection.execute(
                "select w, (tsvector_to_array(to_tsvector('slack.search_english', w)))[1] from unnest(%s::text[]) w",
                (Text().words,),
            ).fetchall()
        )
        indexes = _drop_indexes(connection)
        parts = [
            _Part(first, min(_PART, messages - first), messages, begin, days)
            for first in range(0, messages, _PART)
        ]
        with ProcessPoolExecutor(2, initializer=_begin, initargs=(lexemes,)) as pool:
            for _ in pool.map(partial(_copy, conninfo), parts):
                pass
        connection.execute("set maintenance_work_mem = '1GB'")
        for index in indexes:
            connection.execute(index.encode())
        connection.execute(
            "insert into slack.channel_week (channel_id, week)"
            " select distinct m.channel_id, date_bin('7 days', m.ts, 'epoch') from slack.message m"
            " on conflict do nothing"
        )
        connection.execute("update slack.search_progress set finished_at = now()")
        connection.execute("vacuum analyze slack.message, slack.message_search")
        _check(connection)
    print(f"{messages:,} messages were made in {time.perf_counter() - began:.0f} s", flush=True)


def _drop_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop the indexes of the documents, which are faster made at once. Returns what makes them."""
    found = connection.execute(
        "select i.indexname, i.indexdef, c.conname from pg_indexes i"
        " left join pg_constraint c on c.conname = i.indexname and c.connamespace = 'slack'::regnamespace"
        " where i.schemaname = 'slack' and i.tablename = 'message_search'"
    ).fetchall()
    made = []
    for name, definition, constraint in found:
        if constraint:
            connection.execute(
                f"alter table slack.message_search drop constraint {constraint}".encode()
            )
            made.append(
                f"alter table slack.message_search add constraint {constraint} primary key (ts, channel_id)"
            )
        else:
            connection.execute(f"drop index slack.{name}".encode())
            made.append(definition)
    return made


_lexemes: dict[str, str] = {}


def _begin(lexemes: Mapping[str, str]) -> None:
    _lexemes.update({word: f"'{lexeme}'" for word, lexeme in lexemes.items()})


def _copy(conninfo: str, part: _Part) -> None:
    """Make a part of the messages and copy it, in a process of its own."""
    text = Text(part.first + 1)
    rows, documents = [], []
    counts: dict[int, int] = {}
    threads: dict[int, str] = {}
    for number in range(part.first, part.first + part.count):
        user = text.person()
        channel = (user * 7 + text.chance.randrange(12)) % CHANNELS
        ts = str(time_of(number, part.messages, part.begin, part.days))
        n = counts.get(channel, 0)
        counts[channel] = n + 1
        if n % 8 == 0:
            threads[channel] = ts
        thread = threads[channel] if n % 8 and n // 8 % 3 == 0 else "\\N"
        words = text.message()
        key = f"{ts}\tC{channel:08}\t{thread}"
        rows.append(f"{key}\t{' '.join(words)}\tU{user:08}\tmessage\t{ts}\n")
        places: dict[str, list[str]] = {}
        for at, word in enumerate(words, 1):
            places.setdefault(_lexemes[word], []).append(str(at))
        of_words = " ".join(f"{lexeme}:{','.join(at)}" for lexeme, at in places.items())
        of_thread = "" if thread == "\\N" else " 'has:thread'"
        documents.append(f"{key}\t{of_words} 'in:C{channel:08}' 'from:U{user:08}'{of_thread}\n")
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        connection.execute("set synchronous_commit = off")
        with cursor.copy(
            "copy slack.message (ts, channel_id, thread_ts, text, user_id, type, event_ts) from stdin"
        ) as copy:
            copy.write("".join(rows))
        with cursor.copy(
            "copy slack.message_search (ts, channel_id, thread_ts, document) from stdin"
        ) as copy:
            copy.write("".join(documents))


def _check(connection: psycopg.Connection[Any]) -> None:
    """That documents are those that the database would make."""
    wrong = connection.execute(
        "select count(*) filter (where s.document is distinct from slack.search_document"
        " ( slack.document_config(), m.channel_id, m.user_id, m.bot_id, m.subtype, m.thread_ts, m.edited, m.text"
        " , m.blocks, m.attachments, m.files)), count(*)"
        " from (select * from slack.message order by ts desc limit 1000) m"
        " left join slack.message_search s on s.channel_id = m.channel_id and s.ts = m.ts"
    ).fetchone()
    assert wrong is not None
    assert wrong[0] == 0, f"{wrong[0]} of {wrong[1]} documents are not as the database makes them"
