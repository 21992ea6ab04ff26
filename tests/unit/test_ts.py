"""How Slack names a message."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.slack.ts import (
    normalize_ts,
    number_text,
    parse_channel_link,
    parse_pasted_ts,
    parse_permalink,
    parse_ts,
    slack_ts,
    to_micros,
)


@pytest.mark.parametrize(
    "link",
    [
        "https://acme.slack.com/archives/C0123ABC/p1700000000000100",
        "https://acme.slack.com/archives/C0123ABC/p1700000000000100?thread_ts=1690000000.000200&cid=C0123ABC",
        "https://acme.enterprise.slack.com/archives/C0123ABC/p1700000000000100/",
        " <https://acme.slack.com/archives/C0123ABC/p1700000000000100?thread_ts=1.2&cid=C0123ABC>.\n",
        "<https://acme.slack.com/archives/C0123ABC/p1700000000000100|a label with blanks>",
        "(acme.slack.com/archives/C0123ABC/p1700000000000100),",
        "C0123ABC/p1700000000000100",
        "https://app.slack.com/client/T1/C0123ABC/p1700000000000100",
        "https://app.slack.com/client/T1/C0123ABC/thread/C0123ABC-1700000000.000100",
    ],
)
def test_a_permalink_names_channel_and_ts(link: str) -> None:
    assert parse_permalink(link) == ("C0123ABC", "1700000000.000100")


@pytest.mark.parametrize(
    "text",
    [
        "C0123ABC",
        "https://acme.slack.com/archives/C0123ABC",
        "https://acme.slack.com/archives/C0123ABC/p17",
        "https://acme.slack.com/files/C0123ABC/p1700000000000100",
        "https://acme.slack.com/archives/C0123ABC/p1700000000000100x",
        "https://acme.slack.com/archives/C0123ABC/p17000000000001000",
    ],
)
def test_what_is_no_permalink(text: str) -> None:
    assert parse_permalink(text) is None


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("1700000000.000100", "1700000000.000100"),
        (" '1700000000,000100', ", "1700000000.000100"),
        ("p1700000000000100", "1700000000.000100"),
        ("1700000000000100", "1700000000.000100"),
        ("1700000000.0001", "1700000000.000100"),
        ("1700000000", "second"),
        ("1700000000.", "second"),
        ("1700000000000", "second"),  # milliseconds
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_pasted_ts(text: str, ts: str | None) -> None:
    second = ("1700000000.000000", True)
    assert parse_pasted_ts(text) == (ts and (second if ts == "second" else (ts, False)))


def test_a_pasted_channel() -> None:
    for text in (
        " <#C012|ops> ",
        "<#C012>",
        "https://acme.slack.com/archives/C012",
        "https://app.slack.com/client/T1/C012",
    ):
        assert parse_channel_link(text) == "C012"
    assert parse_channel_link(" #ops\n") is None


def test_ts() -> None:
    assert (
        normalize_ts("1700000000.0001") == normalize_ts("01700000000.000100") == "1700000000.000100"
    )
    assert normalize_ts("1700000000") == "1700000000.000000"
    for text in ("253402300800.000000", "9224318015999.999999", "-62135596801.000001"):
        assert normalize_ts(text) == text
    for text in ("", "x", "1700000000.", "NaN", "1.0000001", "9224318016000", "-210866803201"):
        assert normalize_ts(text) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(2286, 11, 20)))  # a link has ten digits at most
def test_ts_keeps_every_microsecond(time: datetime) -> None:
    ts = slack_ts(time.replace(tzinfo=UTC))
    assert normalize_ts(ts) == ts
    assert parse_permalink(f"https://acme.slack.com/archives/C1/p{ts.replace('.', '')}") == (
        "C1",
        ts,
    )


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("1700000000.000100", 1_700_000_000_000_100),
        ("1700000000", 1_700_000_000_000_000),
        (1700000000, 1_700_000_000_000_000),
        (1700000000.5, 1_700_000_000_500_000),
        (0.00001, 10),
        ("1.0000004", 1_000_000),
        ("1.0000005", 1_000_001),
        ("999999999999", 999_999_999_999_000_000),
    ],
)
def test_a_peers_ts_is_read_from_text_and_numbers(value: object, micros: int) -> None:
    assert parse_ts(value) == micros


@pytest.mark.parametrize(
    "value",
    ["", "x", "-1", "-0.5", "1700000000000", "1.", "1.0000000001", "\u0661", None, True, [], {}],
)
def test_what_is_no_ts_of_a_peer(value: object) -> None:
    assert parse_ts(value) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_what_is_no_number_of_seconds(value: float) -> None:
    assert parse_ts(value) is None


def test_a_number_is_written_as_jsonb_writes_it() -> None:
    assert (number_text(0.00001), number_text(12), number_text("x")) == ("0.00001", "12", "x")


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_both_readers_agree(time: datetime) -> None:
    ts = slack_ts(time.replace(tzinfo=UTC))
    assert parse_ts(ts) == to_micros(time.replace(tzinfo=UTC))
