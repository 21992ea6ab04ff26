"""All about one event or one gap, as lines."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from textual.content import Content

from tiger_slack_tui.audit.detail import EventDetail
from tiger_slack_tui.audit.detail_lines import detail_lines
from tiger_slack_tui.console.formats import moment
from tiger_slack_tui.console.panes.findings import (
    KIND_STYLES,
)
from tiger_slack_tui.console.panes.paint import (
    BAD,
    GOOD,
    KEY,
    StyledText,
    pairs,
    wrapped,
)
from tiger_slack_tui.store.gaps import Gap

_STYLES = {"rule": KEY, "matched": KEY, "error": BAD}
"""By the name of a line. The outcome has its own style."""


def event_lines(event: EventDetail, width: int) -> Iterator[Content]:
    """All about one event: its outcome and why, its row, and its payload."""
    for found in detail_lines(event):
        text: StyledText = (found.text, _STYLES.get(found.name, ""))
        if found.name == "outcome":
            text = KIND_STYLES.get(event.outcome, found.text)
        yield from pairs(width, (found.name, text))
    yield Content("")
    yield from wrapped(event.payload, width, most=5000)


def _begin(gap: Gap) -> str:
    is_first = gap.started_at.timestamp() <= 0
    return "the beginning" if is_first else f"{moment(gap.started_at)}Z"


def gap_lines(gap: Gap, channel: str, width: int) -> Iterator[Content]:
    """All about a gap: from when to when, why, and what a backfill found. `channel` is the name of its channel."""
    where = f"{channel} {gap.channel_id}" if gap.channel_id not in (None, channel) else channel
    is_bad = gap.closed_at is None or gap.is_given_up
    state: StyledText = (f"✗ {gap.state}", BAD) if is_bad else (f"✓ {gap.state}", GOOD)
    yield from pairs(
        width,
        ("gap" if gap.is_loss else "history", f"{gap.id}, {gap.reason}"),
        ("state", state),
        ("from", _begin(gap)),
        ("to", f"{moment(gap.ended_at)}Z" if gap.ended_at else "not ended yet"),
        ("channel", where),
        ("found by", gap.instance or "-"),
        ("tried", f"{moment(gap.tried_at)}Z" if gap.tried_at else "not yet"),
        ("closed", f"{moment(gap.closed_at)}Z" if gap.closed_at else "-"),
    )
    if gap.error:
        yield Content("")
        yield from wrapped(gap.error, width)
    if gap.account:
        yield Content("")
        yield from wrapped(orjson.dumps(gap.account, option=orjson.OPT_INDENT_2).decode(), width)
