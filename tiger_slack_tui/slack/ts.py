"""Reads and writes Slack's ts, the time that identifies a message in its channel; reads what people paste of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tiger_slack_tui.base.ids import ChannelId, SlackTs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _END = -210_866_803_200, 9_224_318_016_000
"""PostgreSQL's first second, and the one after its last: 4714-11-24 BC and 294277-01-01
(https://www.postgresql.org/docs/current/datatype-datetime.html)."""
_MOST_SENT = 10**12
"""A peer that sends more seconds has sent milliseconds."""
_TS = re.compile(r"(-?[0-9]{1,13})(?:\.([0-9]{1,9}))?")
# https://WORKSPACE.slack.com/archives/CHANNEL/pTTTTTTTTTTUUUUUU, or what the browser shows:
# https://app.slack.com/client/TEAM/CHANNEL/p…, …/thread/CHANNEL-TTTTTTTTTT.UUUUUU. A query ?thread_ts=… may follow.
_PERMALINK = re.compile(
    r"""(?: (?:https?://)? (?:[^/\s]+/)? (?:archives|client/[A-Z0-9]+) / )?
    (?: ([A-Z0-9]{1,40}) / p | (?:[A-Z0-9]+/)? thread/ ([A-Z0-9]{1,40}) - )
    ([0-9]{1,10}) \.? ([0-9]{6}) /?(?:[?#]\S*)?""",
    re.VERBOSE,
)
# The channel of a link to a channel, or of Slack's notation for a mention of it: <#C0123|name>.
_CHANNEL_LINK = re.compile(
    r"(?:https?://)?[^/\s]+/(?:archives|client/[A-Z0-9]+)/([A-Z0-9]{1,40})/?(?:[?#]\S*)?"
)
_CHANNEL_MENTION = re.compile(r"<#([A-Z0-9]{1,40})(?:\|[^>]*)?>")
_MICROSECONDS = re.compile(r"p?([0-9]{10})([0-9]{6})")
_MILLISECONDS = re.compile(r"([0-9]{10})[0-9]{3}")
_AROUND = "()[]{}<>.,;:!?'\"`\u2018\u2019\u201c\u201d\u00ab\u00bb"
"""What people copy together with a link or a ts."""


def slack_ts(time: datetime) -> SlackTs:
    """The time as Slack writes it: seconds.microseconds."""
    seconds, micros = divmod(to_micros(time), 1_000_000)
    return SlackTs(f"{seconds}.{micros:06}")


def to_micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time that is `micros` microseconds after 1970. Raises OverflowError beyond the year 9999."""
    return _EPOCH + micros * _MICROSECOND


def parse_ts(value: object) -> int | None:
    """Microseconds since 1970 of a ts that a peer sent, as text or as a number; None if the value is not a ts.

    Up to nine decimals are rounded to microseconds, as slack.to_timestamptz() rounds them. The result can be beyond
    the year 9999.
    """
    if type(value) is str and len(value) == 17 and value[10] == ".":
        digits = value[:10] + value[11:]
        if digits.isdigit() and digits.isascii():  # nearly every ts
            return int(digits)
    text = number_text(value)
    found = _parts(text)
    if found is None or text[0] == "-" or found[0] >= _MOST_SENT:
        return None
    seconds, decimals = found
    return seconds * 1_000_000 + (int(f"{decimals:0<9}") + 500) // 1000


def lateness(event_ts: SlackTs, received_at: float) -> float:
    """Seconds from an event, by Slack's clock, to its receipt at `received_at` (seconds since 1970).

    Raises ValueError if `event_ts` is not a ts.
    """
    micros = parse_ts(event_ts)
    if micros is None:
        raise ValueError("no ts")
    return received_at - micros / 1_000_000


def number_text(value: object) -> str:
    """A number as PostgreSQL's jsonb writes it (1e-05 is 0.00001), a text as it is, and "" for other values."""
    if isinstance(value, float):
        return f"{Decimal(str(value)):f}"
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def normalize_ts(text: str) -> SlackTs | None:
    """An operator's "seconds.microseconds" as `slack_ts` writes it; None if PostgreSQL has no such time."""
    found = _parts(text)
    if found is None or len(found[1]) > 6:
        return None
    return SlackTs(f"{found[0]}.{found[1]:0<6}")


def parse_pasted_ts(text: str) -> tuple[SlackTs, bool] | None:
    """The ts in what an operator pastes, and whether only its second was given; None if there is not a ts.

    It reads 1700000000.000100, with a comma too, the p1700000000000100 of links, and 1700000000. Of milliseconds
    (1700000000000) it takes the second, because they can be rounded. Blanks and punctuation around it do not matter.
    """
    text = pasted(text).replace(",", ".")
    if found := _MICROSECONDS.fullmatch(text):
        return SlackTs(f"{found[1]}.{found[2]}"), False
    if found := _MILLISECONDS.fullmatch(text):
        return SlackTs(f"{found[1]}.000000"), True
    exact = normalize_ts(text)
    return None if exact is None else (exact, "." not in text)


def parse_permalink(text: str) -> tuple[ChannelId, SlackTs] | None:
    """Channel and ts of the message that a pasted link leads to; None if the text is not a link to a message."""
    found = _PERMALINK.fullmatch(pasted(text))
    if found is None or (ts := normalize_ts(f"{found[3]}.{found[4]}")) is None:
        return None
    return ChannelId(found[1] or found[2]), ts


def parse_channel_link(text: str) -> ChannelId | None:
    """The id in a pasted link or mention of a channel; None if the text is neither."""
    found = _CHANNEL_MENTION.fullmatch(text.strip()) or _CHANNEL_LINK.fullmatch(pasted(text))
    return ChannelId(found[1]) if found else None


def pasted(text: str) -> str:
    """The text without blanks and punctuation around it, and without the label of a link (<LINK|LABEL>)."""
    text = text.strip()
    if text.startswith("<"):
        text = text.partition("|")[0]
    return text.strip(f"{_AROUND} \t\r\n")


def _parts(text: str) -> tuple[int, str] | None:
    """Seconds and decimals; None if PostgreSQL has no such time."""
    found = _TS.fullmatch(text)
    if found is None or not _FIRST < int(found[1]) < _END:
        return None
    return int(found[1]), found[2] or ""
