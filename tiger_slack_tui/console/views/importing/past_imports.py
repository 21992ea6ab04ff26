"""How earlier imports are shown."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tiger_slack_tui.console.formats import count, moment
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    line,
)
from tiger_slack_tui.console.views.importing.lines import account_parts
from tiger_slack_tui.store.imports import ImportOutcome
from tiger_slack_tui.store.past_imports import PastImport

PAST_IMPORTS = Columns(
    Column("state", 11),
    Column("began", 16),
    Column("messages", 8, right=True),
    Column("bad", 4, right=True),
    Column("path"),
)


def paint_past(past: PastImport, width: int) -> Content:
    """A line for an earlier import."""
    account = past.account
    return PAST_IMPORTS.row(
        width,
        [
            past_state(past),
            f"{moment(past.started_at):.16}",
            count(account.read)
            if account.read or not (past.is_running or past.needs_count)
            else "",
            (f"{account.bad + past.files_failed:,}", BAD if account.bad else DIM),
            past.source,
        ],
    )


def past_state(past: PastImport) -> tuple[str, str]:
    """The state of an earlier import, with its colour."""
    if past.is_running:
        return ("▶ running", KEY)
    known: Mapping[str, tuple[str, str]] = {
        ImportOutcome.DONE: ("✓ done", GOOD),
        ImportOutcome.FAILED: ("✗ failed", BAD),
        ImportOutcome.CANCELLED: ("○ stopped", NOTE),
        ImportOutcome.REPLACED: ("○ replaced", DIM),
    }
    return known.get(past.outcome or "", ("✗ cut off", BAD))


def past_lines(past: PastImport | None, width: int) -> list[Content]:
    """All that is known of an earlier import."""
    if past is None:
        return []
    given = {name: value for name, value in past.options.items() if value}
    ended = f", ended {moment(past.finished_at)}" if past.finished_at else ""
    files = f"{past.files_done:,} of {past.files_planned:,}"
    if past.needs_count:
        files = "not counted yet: the import was killed"
    elif not past.files_planned:
        files = f"{past.files_done:,} done"
    if past.is_running:
        files = f"{past.files_now:,} done so far"
    rows: list[tuple[str, StyledText]] = [
        ("state", past_state(past)),
        ("path", past.source),
        ("began", f"{moment(past.started_at)}{ended}"),
        ("by", past.instance),
        ("files", files + (f", {past.files_failed:,} failed" if past.files_failed else "")),
        ("options", ", ".join(f"{name} {value}" for name, value in given.items()) or "none"),
    ]
    rows += [("error", (past.error, BAD))] if past.error else []
    lines = [
        line((f"  {name:<9}", DIM), part).truncate(width, ellipsis=True) for name, part in rows
    ]
    if not past.needs_count:
        lines.insert(5, line(*account_parts(past.account)).truncate(width, ellipsis=True))
    if past.can_continue:
        lines.append(
            line(("  ▲ Unfinished: Enter takes its path and options, to continue it.", NOTE))
        )
    return lines
