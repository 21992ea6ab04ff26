"""All about one event or one gap, as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from textual.content import Content

from tiger_slack_tui.audit.detail import EventDetail
from tiger_slack_tui.audit.rule_names import with_names
from tiger_slack_tui.audit.words import format_channel, format_error, format_user
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.console.formats import millis, moment
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


def event_lines(event: EventDetail, width: int) -> Iterator[Content]:
    """All about one event: its outcome and why, its row, and its payload."""
    late = max(event.lateness.total_seconds(), 0)
    times = f"{event.deliveries} times, last {moment(event.last_received_at)}Z"
    yield from pairs(
        width,
        ("outcome", KIND_STYLES.get(event.outcome, (event.outcome, ""))),
        ("event", f"{event.event_id}  {'/'.join(filter(None, (event.type, event.subtype)))}"),
        ("happened", f"{moment(event.event_ts)}Z, received {millis(late)} later"),
    )
    if event.deliveries > 1:
        yield from pairs(width, ("received", times))
    about = ", ".join(
        f"{name} {value}"
        for name, value in (
            (
                "channel",
                format_channel(event.channel_id, event.channel_name, width)
                if event.channel_id
                else None,
            ),
            ("user", format_user(event.user_id, event.user_name, width) if event.user_id else None),
            ("message of", f"{moment(event.message_ts)}Z" if event.message_ts else None),
        )
        if value
    )
    yield from pairs(width, ("about", about or "-"))
    if event.outcome == Outcome.UNROUTED:
        kind = event.type or "without a type"
        yield from pairs(
            width,
            ("why", f"This version does not store Slack's events of the type {kind}."),
            ("", "That is harmless: the event is kept in slack.event."),
        )
    yield from _why(event, width)
    for again in event.replays:
        yield from pairs(width, ("replayed", f"{moment(again.at)}Z; it was {again.outcome} before"))
    states = {
        "content": "has the content of this event",
        "newer": "has newer content",
        "deleted": "was deleted",
        "merged": "merges the values of several events",
        "missing": "does not exist",
    }
    for row in event.rows:
        state = states.get(row.state, row.state)
        yield from pairs(width, ("row", f"slack.{row.table} {' '.join(row.key)}: {state}"))
    yield Content("")
    payload = orjson.dumps(event.event, option=orjson.OPT_INDENT_2).decode()
    yield from wrapped(payload, width, most=5000)


def _why(event: EventDetail, width: int) -> Iterator[Content]:
    if event.rule_id is not None:
        if event.rule is None:
            yield from pairs(width, ("rule", f"{event.rule_id}, whose text is no longer known"))
        else:
            state = "removed" if event.rule.is_removed else "on" if event.rule.is_on else "off"
            note = f"  {event.rule.note}" if event.rule.note else ""
            yield from pairs(
                width,
                ("rule", (f"{event.rule.id} ({state}){note}", KEY)),
                ("", with_names(event.rule.readable, event.names)),
            )
        for match in event.matched:
            there = ", ".join(orjson.dumps(value).decode() for value in match.found) or "nothing"
            yield from pairs(
                width,
                ("matched", (with_names(match.condition, event.names), KEY)),
                ("  found", there),
            )
    if event.error is not None:
        code = event.error.get("sqlstate") or ""
        yield from pairs(
            width,
            ("error", (format_error(code) if code else str(event.error.get("class")), BAD)),
            ("", str(event.error.get("message"))),
        )
        diagnostics: dict[str, Any] = event.error.get("diagnostics") or {}
        for name, value in diagnostics.items():
            yield from pairs(width, (f"  {name}", " ".join(str(value).split())), name=20)


def gap_lines(gap: Gap, channel: str, width: int) -> Iterator[Content]:
    """All about a gap: from when to when, why, and what a backfill found. `channel` is the name of its channel."""
    where = f"{channel} {gap.channel_id}" if gap.channel_id not in (None, channel) else channel
    state: StyledText = ("✗ open", BAD) if gap.closed_at is None else ("✓ closed", GOOD)
    yield from pairs(
        width,
        ("gap", f"{gap.id}, {gap.reason}"),
        ("state", state),
        ("from", f"{moment(gap.started_at)}Z"),
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
