"""Searches: what queries find, in which order, page by page; snippets, names and links."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import SCALE
from tests.unit.test_search_query import pieces
from tiger_slack_tui.base.name_patterns import NameUnknown
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.search.query import QueryError
from tiger_slack_tui.search.search import SearchPage, search
from tiger_slack_tui.store import search as store
from tiger_slack_tui.store.visible_channels import VisibleChannels

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
BASE = 1772000000
"""2026-02-25 06:13:20 UTC."""


class Searching:
    """Stores messages and searches them, in one database."""

    def __init__(self, database: psycopg.Connection[Any], conninfo: str) -> None:
        self._database = database
        self._runner = asyncio.Runner()
        self._connection: Connection = self._runner.run(connect(conninfo))
        self._n = 0

    def post(self, text: str, *, channel: str = "C1", user: str = "U1", **content: Any) -> str:
        """Store a message, newer than the ones before by a minute. Returns its ts."""
        self._n += 1
        ts = f"{BASE + 60 * self._n}.000100"
        message = {"channel": channel, "ts": ts, "user": user, "text": text} | content
        self._database.execute("select slack.insert_message(%s)", (json.dumps(message),))
        return ts

    def upsert(self, kind: str, **content: Any) -> None:
        event = json.dumps({kind: content})
        self._database.execute(f"select slack.upsert_{kind}(%s)".encode(), (event,))

    def page(self, text: str, **options: Any) -> SearchPage:
        return self._runner.run(search(self._connection, text, now=NOW, **options))

    def texts(self, text: str, **options: Any) -> list[str]:
        return [each.message.text for each in self.page(text, **options).results]

    def statements(self, text: str, **options: Any) -> int:
        """How many statements a search sends to the server: each is a round trip."""
        sent = 0

        class CountingCursor(psycopg.AsyncCursor[Any]):
            async def execute(self, *args: Any, **more: Any) -> Any:
                nonlocal sent
                sent += 1
                return await super().execute(*args, **more)

        self._connection.cursor_factory = CountingCursor
        self.page(text, **options)
        self._connection.cursor_factory = psycopg.AsyncCursor
        return sent

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@pytest.fixture
def searching(database: psycopg.Connection[Any], conninfo: str) -> Iterator[Searching]:
    searching = Searching(database, conninfo)
    searching.upsert("user", id="U1", name="ana", profile={"real_name": "Ana Lima"})
    searching.upsert("user", id="U2", name="bob", profile={"display_name": "Bobby"})
    searching.upsert("channel", id="C1", name="ops")
    searching.upsert("channel", id="C2", name="ops-alerts")
    yield searching
    searching.close()


def test_conditions(searching: Searching, database: psycopg.Connection[Any]) -> None:
    find = searching.texts
    searching.post("one invoice", user="U1")
    searching.post("two invoices to pay", user="U2", channel="C2")
    ts = searching.post("three bills", user="U2")
    searching.post("four <https://x.org/a>", thread_ts=ts, edited={"user": "U1", "ts": ts})
    searching.post("five", files=[{"name": "plan.pdf"}], subtype="file_share")
    searching.post("six from a bot", user=None, bot_id="B1", subtype="bot_message")
    for user, name in (("U1", "eyes"), ("U2", "+1::skin-tone-2")):
        reaction = {"type": "reaction_added", "user_id": user, "event": {"reaction": name}}
        about = {"channel_id": "C1", "message_ts": ts, "event_ts": f"{BASE + 9999}.0"}
        event = reaction | about | {"event_id": name, "effects": ["reaction"]}
        database.execute(
            "select slack.apply_effects(slack.routed_events(%s))", (json.dumps([event]),)
        )
    cases = {
        "invoice": ["two", "one"],
        "invoice pay": ["two"],
        "invoice -pay": ["one"],
        '"invoices to"': ["two"],
        '"to invoices"': [],
        "inv*": ["two", "one"],
        "invoice or bill": ["three", "two", "one"],
        "invoice or bill -two": ["three", "one"],
        "from:@bob": ["three", "two"],
        "from:Bobby invoice": ["two"],
        "-from:bob -from:ana": ["six"],
        "from:U1 in:#ops": ["five", "four", "one"],
        "in:ops-*": ["two"],
        "-in:ops": ["two"],
        "has:link": ["four"],
        "has:file": ["five"],
        "plan.pdf": ["five"],
        "has:thread": ["four", "three"],
        "bill has:thread": ["three"],
        "in:ops -has:thread": ["six", "five", "one"],
        "has:thread -has:thread": [],
        "is:edited": ["four"],
        "is:bot": ["six"],
        "subtype:file_share": ["five"],
        "has:reaction": ["three"],
        "has::eyes:": ["three"],
        "has::👀:": ["three"],
        "has:👀 -has:🎉": ["three"],
        "has::+1:": ["three"],
        "has::👍🏿:": ["three"],
        "bill has::eyes:": ["three"],
        "bill has::tada:": [],
        "-has:reaction from:bob": ["two"],
        "on:2026-02-25 invoice": ["two", "one"],
        "before:2026-02-25 invoice": [],
        "after:2026-02-25": [],
        "during:2026-02 bill": ["three"],
        "-invoice": ["six", "five", "four", "three"],
        "invoice !!!": ["two", "one"],
    }
    found = {q: [text.split()[0] for text in find(q, newest=True)] for q in cases}
    assert {q: f[0].split()[0] if isinstance(f, str) else f for q, f in found.items()} == cases
    for wrong in ("!!!", '""', "-"):
        with pytest.raises(QueryError, match="no words"):
            find(wrong)
    with pytest.raises(NameUnknown, match="Did you mean @ana"):
        find("from:@anna")


def test_order(searching: Searching) -> None:
    searching.post("apple " + "filler " * 30 + "pear")
    searching.post("apple pear")
    searching.post("pear and then some other words before apple")
    assert [len(text) for text in searching.texts("apple pear")] == [10, 43, 220]
    assert [len(text) for text in searching.texts("apple pear", newest=True)] == [43, 10, 220]
    # Equally relevant: the newest first.
    searching.post("plum 1 x")
    searching.post("plum 2 x")
    assert searching.texts("plum") == ["plum 2 x", "plum 1 x"]


@pytest.mark.parametrize("sample", [4, 2000])
@pytest.mark.parametrize("fetch", [0, 1 << 20], ids=["by index", "in order"])
def test_where_very_many_match_only_the_newest_matches_are_ranked(
    searching: Searching, monkeypatch: pytest.MonkeyPatch, sample: int, fetch: int
) -> None:
    """Whichever way they are found, however old they are, and whatever is hidden."""
    monkeypatch.setattr(store, "_RANKED", 9)
    monkeypatch.setattr(store, "_FEW", 1)
    monkeypatch.setattr(store, "_FETCH", fetch)
    monkeypatch.setattr(store, "_SAMPLE", sample)
    visible = VisibleChannels({"C1": "channel"})
    for n in range(9):
        searching.post("kiwi " * (9 - n) + str(n))
        searching.post("kiwi", channel="C9")

    def numbers(query: str, **options: Any) -> tuple[list[str], int | None]:
        page = searching.page(query, **options)
        return [each.message.text[-1] for each in page.results], page.limited_to

    best = [*"012345678"]
    assert numbers("kiwi", visible=visible) == (best, None)
    assert numbers("kiwi or plum", visible=visible) == (best, None)
    assert sorted(numbers("kiwi")[0]) == ["5", "6", "7", "8", *"iiiii"]
    searching.post("plum kiwi 9")
    newest = [*best[1:], "9"]
    for _ in range(2):
        assert numbers("kiwi", visible=visible) == (newest, 9)
        assert numbers("kiwi or plum", visible=visible) == (["9", *best[1:]], 9)
        page = searching.page("kiwi", visible=visible, limit=5)
        assert [each.message.text[-1] for each in page.results] == newest[:5]
        assert numbers("kiwi", visible=visible, limit=5, after=page.next) == (newest[5:], 9)
        assert numbers("kiwi", newest=True, visible=visible) == (["9", *best[::-1]], None)
        for _ in range(30):
            searching.post("other")


def test_words_are_found_by_their_index_without_statistics(
    searching: Searching, database: psycopg.Connection[Any]
) -> None:
    for n in range(200):
        searching.post(f"message {n}")
    database.execute("set enable_seqscan = off")
    match = store.Match("'kiwi'", ranking="'kiwi'")
    values = match.values(most=9, limit=9, few=1, score=None, after_ts=None, after_channel=None)
    for query in (store._RANKED_INDEXED, store._INDEXED):
        plan = database.execute(b"explain " + query.encode(), values).fetchall()
        assert "message_search_document_idx" in str(plan)
        assert "message_search_pkey" not in str(plan)


def test_a_search_asks_little(searching: Searching, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements for terms, matches, messages, names, words of the snippets, and channels that are not complete."""
    for n in range(9):
        searching.post(f"plum {n}")
    searching.post("kiwi")
    monkeypatch.setattr(store, "_FEW", 8)
    assert searching.statements("kiwi") == 6
    assert (
        searching.statements("plum") == 7
    )  # so many match that the sample decides how they are found


def test_rarer_alternatives_count_more(searching: Searching) -> None:
    for n in range(8):
        searching.post("plum pear apple" if n == 3 else "plum pear")
    searching.post("apple and " + "more words " * 9)
    found = searching.texts("plum or apple", limit=2)
    assert found[0] == "plum pear apple"
    assert found[1].startswith("apple and")


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("sample", [2, 2000])
def test_pages(
    searching: Searching, monkeypatch: pytest.MonkeyPatch, sample: int, newest: bool
) -> None:
    """All pages together are the whole list, whichever way the messages are found."""
    monkeypatch.setattr(store, "_SAMPLE", sample)
    monkeypatch.setattr(store, "_WALK", 2 * sample)
    parent = searching.post("nothing of a thread")
    searching.post("nothing of a reply", thread_ts=parent)
    for n in range(23):
        searching.post("kiwi " * (1 + n % 3) + f"number{n}" + " other" * (n % 2))
        searching.post("nothing")
    for query in ("kiwi", "kiwi -other", "-nothing", "has:thread", "kiwi other from:ana"):
        whole = searching.page(query, newest=newest, limit=100)
        assert whole.next is None
        found, after = [], None
        while True:
            page = searching.page(query, newest=newest, limit=4, after=after)
            found += [each.message.text for each in page.results]
            if (after := page.next) is None:
                break
        assert found == [each.message.text for each in whole.results]
        counts = {"kiwi": 23, "kiwi -other": 12, "-nothing": 23, "has:thread": 2}
        assert len(found) == counts.get(query, 11)


def test_results(searching: Searching, database: psycopg.Connection[Any]) -> None:
    parent = searching.post("start")
    ts = searching.post(
        "Running &amp; <@U2> in <#C2|old> <https://x.org|the link> <!here>", thread_ts=parent
    )
    (result,) = searching.page("run bobby").results
    message = result.message
    assert message.text == "Running & @Bobby in #ops-alerts the link @here"
    assert (message.user_name, message.channel_name, message.ts) == ("Ana Lima", "ops", ts)
    assert [piece.text for piece in result.snippet if piece.is_match] == ["Running", "Bobby"]
    assert (
        message.permalink
        == f"https://slack.com/archives/C1/p{ts.replace('.', '')}?thread_ts={parent}&cid=C1"
    )
    database.execute("insert into slack.workspace values ('T1', 'x', 'https://x.slack.com/')")
    (result,) = searching.page("start").results
    assert result.message.permalink == f"https://x.slack.com/archives/C1/p{parent.replace('.', '')}"
    searching.post("前文" * 200 + "数据库迁移" + "后文" * 200)
    (result,) = searching.page("数据库").results
    shown = "".join(piece.text for piece in result.snippet)
    assert [piece.text for piece in result.snippet if piece.is_match] == ["数据库"]
    assert shown[0] == shown[-1] == "…"


def test_emoji_are_marked_by_name_and_by_character(searching: Searching) -> None:
    searching.post("by name :eyes:")
    searching.post("by character 👀")
    for query in ("👀", ":eyes:"):
        marked = [
            [piece.text for piece in each.snippet if piece.is_match]
            for each in searching.page(query, newest=True).results
        ]
        assert marked == [["👀"], ["eyes"]]


def test_what_was_found_in_attachments_and_files_is_shown(searching: Searching) -> None:
    attachment = {
        "title": "Plan of <@U2>",
        "fallback": "Plan",
        "fields": [{"value": "it costs ninety &amp; more"}],
    }
    files = [{"name": "tables.xlsx", "title": "Quarterly Tables"}]
    searching.post("see the plan here", attachments=[attachment], files=files)
    searching.post("", attachments=[attachment])

    def shown(query: str) -> list[tuple[str, list[str], str | None]]:
        return [
            (
                "".join(piece.text for piece in each.snippet),
                [piece.text for piece in each.snippet if piece.is_match],
                each.attached,
            )
            for each in searching.page(query, newest=True).results
        ]

    both = "Plan of @Bobby it costs ninety & more Plan Quarterly Tables tables.xlsx"
    assert shown("see plan") == [("see the plan here", ["see", "plan"], None)]
    assert shown("see quarter*")[0][1:] == (["see", "Quarterly"], both)
    assert shown("ninety see") == [(f"see the plan here {both}", ["see", "ninety"], both)]
    assert [each[1] for each in shown("ninety")] == [["ninety"], ["ninety"]]
    # Slack does not limit attachments, so that only their beginning is read.
    many = [{"title": f"long{n} " * 50} for n in range(100)]
    searching.post("see", attachments=[{"text": "hippo"}, *many, {"text": "rhino"}])
    assert [each[1] for query in ("hippo", "rhino") for each in shown(query)] == [["hippo"], []]


def test_history_that_is_not_indexed(
    searching: Searching, database: psycopg.Connection[Any]
) -> None:
    searching.post("kiwi")
    assert searching.page("kiwi").progress.percent == 100
    database.execute("update slack.search_progress set finished_at = null, total = 3, done = 2")
    assert searching.page("kiwi").progress.percent == 66
    # A document in the language before is found until it is made again.
    database.execute("update slack.search_progress set finished_at = now()")
    searching.post("houses")
    database.execute("select slack.set_search_language('german')")
    assert searching.texts("house") == ["houses"]


@pytest.mark.timeout(180 * SCALE)
@settings(
    max_examples=100 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(pieces | st.text(max_size=5), max_size=8).map("".join), st.booleans())
def test_whatever_is_typed_never_is_an_error_of_the_database(
    searching: Searching, text: str, newest: bool
) -> None:
    with contextlib.suppress(QueryError, NameUnknown):
        searching.page(text, newest=newest)
