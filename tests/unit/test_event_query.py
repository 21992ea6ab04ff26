"""The line of filters that an operator types in the console's events."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.audit.event_query import EventQuery, FilterRefused
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.name_patterns import NameUnknown


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", EventQuery()),
        ("  disk   full ", EventQuery(text="disk full")),
        ('"disk  full"', EventQuery(text="disk  full")),
        ('"no end', EventQuery(text="no end")),
        ("https://example.com", EventQuery(text="https://example.com")),
        (
            "https://acme.slack.com/archives/C01AB2 outcome:failed",
            EventQuery(outcome="failed", channels=("C01AB2",)),
        ),
        ('"a: b"', EventQuery(text="a: b")),
        ("text:refund text:paid", EventQuery(text="refund paid")),
        ("outcome:failed RULE:7", EventQuery(outcome="failed", rule=7)),
        (
            "channel:#ops channel:eng-* refund",
            EventQuery(channels=("#ops", "eng-*"), text="refund"),
        ),
        ('user:"Ana Lima" since:2h', EventQuery(users=("Ana Lima",), since="2h")),
        (
            "type:reaction_* since:2026-03-01T12:00 until:2026-03-02",
            EventQuery(types=("reaction_*",), since="2026-03-01T12:00", until="2026-03-02"),
        ),
    ],
)
def test_a_line_of_filters(text: str, query: EventQuery) -> None:
    assert EventQuery.parse(text) == query


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chanel:#ops", "Did you mean channel:?"),
        ("outcome:bogus", "The outcomes are stored, discarded"),
        ("nonsense:1", "The filters are outcome, type, channel"),
        ("outcome:faild", "Did you mean failed?"),
        ("rule:x", "by its number"),
        ("rule:99999999999999999999", "by its number"),
        ("refund channel:", "needs a value"),
        ("since:1h since:2h", "only once"),
    ],
)
def test_a_line_that_is_refused(text: str, words: str) -> None:
    with pytest.raises((FilterRefused, NameUnknown)) as refused:
        EventQuery.parse(text)
    assert words in f"{refused.value} {refused.value.hint}"


@given(st.text(st.sampled_from('ab:"#* rule:since:outcome:1\\\n') | st.characters()))
def test_any_line_is_read_or_refused(text: str) -> None:
    with suppress(TigerSlackError):
        EventQuery.parse(text)
