"""How the view Events shows an event as a line."""

from __future__ import annotations

from textual.content import Content

from tiger_slack_tui.console.formats import moment
from tiger_slack_tui.console.model.findings import event_name
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.paint import DIM, OUTCOMES, Column, Columns, StyledText
from tiger_slack_tui.store.audit_events import EventRow

EVENTS_LIST = Columns(
    Column("happened (UTC)", 14),
    Column("outcome", 9),
    Column("event", 16),
    Column("channel", 13),
    Column("user", 13, least=90),
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
    """The channel's name, or its id."""
    return f"#{row.channel_name}" if row.channel_name else row.channel_id or "-"


def user_of(row: EventRow) -> str:
    """The user's handle, or the id."""
    return f"@{row.user_name}" if row.user_name else row.user_id or "-"


def paint_event(row: EventRow, width: int) -> Content:
    """An event as a line of `width` cells."""
    cells: list[StyledText] = [
        (moment(row.event_ts)[5:], DIM),  # without the year, which the event itself shows
        (row.outcome, OUTCOMES.get(row.outcome, "")),
        event_name(row.type, row.subtype),
        channel_of(row),
        user_of(row),
        _about(row),
    ]
    return EVENTS_LIST.row(width, cells)


def _about(row: EventRow) -> str:
    reason = f"rule {row.discard_id}  " if row.discard_id is not None else ""
    reason += f"{row.error}  " if row.error else ""
    return reason + (row.text or "")
