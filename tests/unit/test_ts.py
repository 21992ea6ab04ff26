"""How Slack names a message."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.slack.ts import read_permalink, read_ts, slack_ts

AT = datetime(2023, 11, 14, 22, 13, 20, 100, UTC)


@pytest.mark.parametrize(
    "link",
    [
        "https://acme.slack.com/archives/C0123ABC/p1700000000000100",
        "https://acme.slack.com/archives/C0123ABC/p1700000000000100?thread_ts=1690000000.000200&cid=C0123ABC",
        "https://acme.enterprise.slack.com/archives/C0123ABC/p1700000000000100/",
    ],
)
def test_a_permalink_names_channel_and_ts(link: str) -> None:
    assert read_permalink(link) == ("C0123ABC", AT)


@pytest.mark.parametrize(
    "text",
    [
        "C0123ABC",
        "https://acme.slack.com/archives/C0123ABC",
        "https://acme.slack.com/archives/C0123ABC/p17",
        "https://acme.slack.com/files/C0123ABC/p1700000000000100",
        "https://acme.slack.com/archives/C0123ABC/p1700000000000100x",
    ],
)
def test_what_is_no_permalink(text: str) -> None:
    assert read_permalink(text) is None


def test_ts() -> None:
    assert read_ts("1700000000.000100") == AT
    assert read_ts("1700000000.0001") == AT
    assert read_ts("1700000000") == AT.replace(microsecond=0)
    for text in ("", "x", "1700000000.", "NaN", "-1", "1.0000001", "99999999999999"):
        assert read_ts(text) is None


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_ts_keeps_every_microsecond(time: datetime) -> None:
    aware = time.replace(tzinfo=UTC)
    assert read_ts(slack_ts(aware)) == aware
    link = f"https://acme.slack.com/archives/C1/p{slack_ts(aware).replace('.', '')}"
    assert read_permalink(link) == ("C1", aware)
