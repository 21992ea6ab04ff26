"""How Overview and Triage show a finding."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.console.formats import age, clock
from tiger_slack_tui.console.model.findings import GAP, LATE, Finding
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.read_errors import STALE_SECONDS
from tiger_slack_tui.console.panes.paint import BAD, DIM, KEY, NOTE, Column, Columns, StyledText

KIND_STYLES: Mapping[str, tuple[str, str]] = {
    Outcome.FAILED: ("✗ failed", BAD),
    Outcome.DISCARDED: ("○ discard", KEY),
    Outcome.UNROUTED: ("▲ unrouted", NOTE),
    LATE: ("▲ late", NOTE),
    GAP: ("✗ gap", BAD),
}
FINDINGS = Columns(
    Column("received", 8),
    Column("what", 10),
    Column("event", 17),
    Column("channel", 13),
    Column("user", 12, least=100),
    Column("why"),
)


def findings_problem(model: Model) -> str | None:
    """Why the findings are old; None if they are not."""
    if model.findings.problem is not None:
        return model.findings.problem
    stored, old = model.stored_findings, model.stored_findings_age
    since = f"as of {age(old)} ago" if old is not None else "not read yet"
    if stored.problem is None:
        return since if old is not None and old > STALE_SECONDS else None
    return (
        f"{stored.problem}: the database's part is {since}; newer ones are those of this instance"
    )


def paint_finding(row: Finding, width: int) -> Content:
    """A finding as a line of `width` cells."""
    kind = KIND_STYLES[row.kind]
    cells: list[StyledText] = [
        (clock(row.at), DIM),
        kind,
        row.what,
        row.channel,
        row.user,
        row.detail,
    ]
    return FINDINGS.row(width, cells)
