"""How Overview and Triage show a finding."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from textual.content import Content

from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.console.formats import age, clock
from tiger_slack_tui.console.model.findings import GAP, LATE, Finding
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.read_errors import STALE_ANSWER_SECONDS
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.paint import BAD, DIM, KEY, NOTE, Column, Columns, StyledText

KIND_STYLES: Mapping[str, tuple[str, str]] = {
    Outcome.FAILED: ("✗ failed", BAD),
    Outcome.DISCARDED: ("○ discarded", KEY),
    Outcome.UNROUTED: ("○ unrouted", DIM),
    LATE: ("▲ late", NOTE),
    GAP: ("✗ gap", BAD),
}
_HISTORY: tuple[str, str] = ("✗ history", BAD)
"""A history whose backfill has failed. It is listed with the gaps."""
_WIDE = 90
"""Narrower tables have the name of the channel without its id, and no user."""
_NARROW = Columns(
    Column("received", 8),
    Column("what", 11),
    Column("event", 16),
    Column("channel", 13),
    Column("why"),
)
_WITH_IDS = Columns(
    Column("received", 8),
    Column("what", 11),
    Column("event", 17),
    Column("channel", 24),
    Column("user", 24, least=120),
    Column("why"),
)


FINDING_FIELDS = (
    Field[Finding]("received", lambda row: datetime.fromtimestamp(row.at, UTC)),
    Field[Finding]("what", lambda row: row.kind),
    Field[Finding]("event", lambda row: row.what),
    Field[Finding]("channel", lambda row: row.channel),
    Field[Finding]("user", lambda row: row.user),
    Field[Finding]("why", lambda row: row.detail),
    Field[Finding]("event_id", lambda row: row.key, is_sortable=False),
    Field[Finding]("channel_id", lambda row: row.channel_id, is_sortable=False),
    Field[Finding]("user_id", lambda row: row.user_id, is_sortable=False),
)


def findings_problem(model: Model) -> str | None:
    """Why the findings are old; None if they are not."""
    if model.findings.problem is not None:
        return model.findings.problem
    stored, old = model.stored_findings, model.stored_findings_age
    since = f"as of {age(old)} ago" if old is not None else "not read yet"
    if stored.problem is None:
        is_late = model.has_tables and model.stored_findings_waited > STALE_ANSWER_SECONDS
        return since if is_late else None
    newer = "" if model.is_observing else ", newer ones are only of this instance"
    return f"{since}{newer}: {stored.problem}"


def paint_finding(row: Finding, width: int) -> Content:
    """A finding as a line of `width` cells."""
    is_history = row.gap is not None and not row.gap.is_loss
    kind = _HISTORY if is_history else KIND_STYLES[row.kind]
    first: list[StyledText] = [(clock(row.at), DIM), kind, row.what]
    if width < _WIDE:
        return _NARROW.row(width, [*first, row.channel, row.detail])
    channel, user = _with_id(row.channel, row.channel_id), _with_id(row.user, row.user_id)
    return _WITH_IDS.row(width, [*first, channel, user, row.detail])


def findings_head(width: int) -> Content:
    """The titles of the columns of `paint_finding`."""
    return (_NARROW if width < _WIDE else _WITH_IDS).head(width)


def _with_id(name: str, given: str | None) -> str:
    """The name with the id behind it. A name that is not known is the id."""
    return name if given is None or given == name else f"{name} {given}"
