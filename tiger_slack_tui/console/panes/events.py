"""How the view Events shows an event as a line."""

from __future__ import annotations

from textual.content import Content

from tiger_slack_tui.audit.words import channel_name, format_channel, format_user, person_name
from tiger_slack_tui.console.formats import moment
from tiger_slack_tui.console.model.findings import event_name
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.paint import DIM, OUTCOMES, Column, Columns, StyledText
from tiger_slack_tui.store.audit_events import EventRow

_WIDE = 130
"""Narrower tables have the names of channels and people without their ids, which the event itself shows."""


def _columns(width: int) -> Columns:
    of_name = 24 if width >= _WIDE else 13
    return Columns(
        Column("happened (UTC)", 14),
        Column("outcome", 9),
        Column("event", 16),
        Column("channel", of_name),
        Column("user", of_name, least=90),
        Column("text or error"),
    )


EVENT_FIELDS = (
    Field[EventRow]("happened", lambda row: row.event_ts),
    Field[EventRow]("outcome", lambda row: row.outcome),
    Field[EventRow]("event", lambda row: event_name(row.type, row.subtype)),
    Field[EventRow]("channel", lambda row: channel_of(row)),
    Field[EventRow]("user", lambda row: user_of(row)),
    Field[EventRow]("text", lambda row: row.text or ""),
    Field[EventRow]("rule", lambda row: row.discard_id, is_sortable=False),
    Field[EventRow]("error", lambda row: row.error, is_sortable=False),
    Field[EventRow]("event_id", lambda row: row.event_id, is_sortable=False),
    Field[EventRow]("channel_id", lambda row: row.channel_id, is_sortable=False),
    Field[EventRow]("user_id", lambda row: row.user_id, is_sortable=False),
)


def channel_of(row: EventRow) -> str:
    return channel_name(row.channel_id, row.channel_name)


def user_of(row: EventRow) -> str:
    return person_name(row.user_id, row.user_name)


def paint_event(row: EventRow, width: int) -> Content:
    """An event as a line of `width` cells."""
    is_wide = width >= _WIDE
    cells: list[StyledText] = [
        (moment(row.event_ts)[5:], DIM),  # without the year, which the event itself shows
        (row.outcome, OUTCOMES.get(row.outcome, "")),
        event_name(row.type, row.subtype),
        format_channel(row.channel_id, row.channel_name, 24) if is_wide else channel_of(row),
        format_user(row.user_id, row.user_name, 24) if is_wide else user_of(row),
        _about(row),
    ]
    return _columns(width).row(width, cells)


def events_head(width: int) -> Content:
    """The titles of the columns of `paint_event`."""
    return _columns(width).head(width)


def _about(row: EventRow) -> str:
    reason = f"rule {row.discard_id}  " if row.discard_id is not None else ""
    reason += f"{row.error}  " if row.error else ""
    return reason + (row.text or "")
