"""The query language of the search."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import SCALE
from tiger_slack_tui.search.query import Filter, Query, QueryError, Words, completions, parse_query

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        ("  ** - \"\" or", [[Words("-")]]),
        ("pay the invoice", [[Words("pay")], [Words("the")], [Words("invoice")]]),
        ('"pay now" -draft dep*', [[Words("pay now")], [Words("draft", is_negated=True)], [Words("dep", True)]]),
        ("a or b OR c d", [[Words("a"), Words("b"), Words("c")], [Words("d")]]),
        ("or a", [[Words("or")], [Words("a")]]),
        ("a or", [[Words("a")]]),
        ("a or or b", [[Words("a"), Words("b")]]),
        ('a "or" b', [[Words("a")], [Words("or")], [Words("b")]]),
        ('"not closed', [[Words("not closed")]]),
        ('-"a b"', [[Words("a b", is_negated=True)]]),
        ("from:@ana IN:#ops", [[Filter("from", "@ana")], [Filter("in", "#ops")]]),
        ('from:"Ana Lima" -in:ops-*', [[Filter("from", "Ana Lima")], [Filter("in", "ops-*", True)]]),
        ("has:Link -has:file", [[Filter("has", "link")], [Filter("has", "file", True)]]),
        ("has::eyes: has::+1", [[Filter("has", ":eyes:")], [Filter("has", ":+1:")]]),
        ("has:👀 has::👀:", [[Filter("has", ":👀:")], [Filter("has", ":👀:")]]),
        ("is:bot subtype:channel_join", [[Filter("is", "bot")], [Filter("subtype", "channel_join")]]),
        ("a or from:ana", [[Words("a"), Filter("from", "ana")]]),
        ("https://x.org/a a::b 12:30 :eyes:", [[Words(w)] for w in ("https://x.org/a", "a::b", "12:30", ":eyes:")]),
    ],
)  # fmt: skip
def test_conditions(text: str, clauses: list[list[Words | Filter]]) -> None:
    assert parse_query(text, NOW) == Query(tuple(map(tuple, clauses)))


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("before:2026-03-01", None, day(2026, 3, 1)),
        ("after:2026-03-01", day(2026, 3, 2), None),
        ("after:7d", datetime(2026, 3, 8, 12, 30, tzinfo=UTC), None),
        ("before:2026-03-01T10:00", None, datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("on:2026-03-01", day(2026, 3, 1), day(2026, 3, 2)),
        ("on:today", day(2026, 3, 15), day(2026, 3, 16)),
        ("on:Yesterday", day(2026, 3, 14), day(2026, 3, 15)),
        ("during:2026-02", day(2026, 2, 1), day(2026, 3, 1)),
        ("during:2025", day(2025, 1, 1), day(2026, 1, 1)),
        ("during:december", day(2025, 12, 1), day(2026, 1, 1)),
        ("during:mar", day(2026, 3, 1), day(2026, 4, 1)),
        ("after:2026-01-01 before:2026-02-01 after:2025", day(2026, 1, 2), day(2026, 2, 1)),
    ],
)
def test_times(text: str, since: datetime | None, until: datetime | None) -> None:
    assert parse_query(text, NOW) == Query((), since, until)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("form:@ana", "Did you mean from:? To search for the text, quote it: \"form:@ana\""),
        ("zzz:top", "There is no modifier zzz:.\n  To search for the text, quote it: \"zzz:top\""),
        ("from:me", "from:me is not supported"),
        ("from:@me", "from:me is not supported"),
        ("from:", "from: has no value"),
        ("in:\"\"", "in: has no value"),
        ("has:: deploy", "has:: has no value"),
        ("has:lnk", "Did you mean has:link?"),
        ("has:zzzz", "There are has:link, has:file, has:reaction, has:thread and has::emoji:."),
        ("is:botty", "Did you mean is:bot?"),
        ("on:2026-02-30", "on:2026-02-30 is not a time"),
        ("during:never", "during:never is not a time"),
        ("before:whenever", "before: 'whenever' is neither a date"),
        ("-on:today", "on: cannot follow a minus"),
        ("a or on:today", "on: cannot be combined by or"),
        ("on:today or a", "on: cannot be combined by or"),
        ("a or has:reaction", "cannot be combined by or"),
        ("has:thread or a", "cannot be combined by or"),
        ("subtype:a-b", "a-b is not a subtype of Slack"),
        ("a " * 501, "at most 1,000 characters"),
        ("a " * 41, "at most 40 conditions"),
    ],
)  # fmt: skip
def test_errors(text: str, said: str) -> None:
    with pytest.raises(QueryError) as error:
        parse_query(text, NOW)
    assert said in str(error.value)


pieces = st.sampled_from(
    ['"', "-", "*", " ", "or", ":", "from:", "has::", "has:", "before:", "9999", "0000-00", "on:", "during:9999-12",
     "today", "\\", "'", "\0", "数", "1d", "in:#", "👀", "\u200d", ":eyes:"]
)  # fmt: skip


@pytest.mark.timeout(180 * SCALE)
@settings(max_examples=300 * SCALE)
@given(st.lists(pieces | st.text(max_size=4), max_size=12).map("".join))
def test_whatever_is_typed_is_a_query_or_an_error(text: str) -> None:
    completions(text)
    try:
        query = parse_query(text, NOW)
    except QueryError:
        return
    assert all(query.clauses)


def test_completions() -> None:
    assert completions("a f") == ("from:",)
    assert completions("-b") == ("-before:",)
    assert completions("has:") == ("has:link", "has:file", "has:reaction", "has:thread", "has::")
    assert completions("x is:e") == ("is:edited",)
    assert completions("on:t") == ("on:today",)
    assert completions("") == completions("a ") == completions("from:a") == ()
