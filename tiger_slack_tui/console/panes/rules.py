"""Paints discard rules, and what a rule would have discarded."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tiger_slack_tui.audit.preview import Preview
from tiger_slack_tui.audit.preview_lines import PreviewPart, preview_lines
from tiger_slack_tui.audit.rule_names import with_names
from tiger_slack_tui.audit.rules import ReadyRule
from tiger_slack_tui.console.formats import moment
from tiger_slack_tui.console.panes.paint import (
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    line,
)
from tiger_slack_tui.store.rules import Rule

RULES = Columns(
    Column("id", 4, right=True),
    Column("", 3),
    Column("discarded", 9, right=True),
    Column("24 h", 7, right=True, least=90),
    Column("last", 19, least=110),
    Column("note", 20, least=70),
    Column("match"),
)

_STYLES = {
    PreviewPart.MATCHES: KEY,
    PreviewPart.NO_MATCH: "",
    PreviewPart.NOTE: DIM,
    PreviewPart.PROBLEM: NOTE,
    PreviewPart.EXAMPLE: DIM,
    PreviewPart.TEXT: "",
}


def paint_rule(rule: Rule | ReadyRule, names: Mapping[str, str], width: int) -> Content:
    """A rule, or a ready-made one to choose. `names` are those of the ids in rules."""
    if isinstance(rule, ReadyRule):
        needs = f" (takes the {rule.needs} of the selected event)" if rule.needs else ""
        return line(("  ready: ", DIM), rule.title, (needs, DIM)).truncate(width)
    condition = with_names(rule.readable, names)
    state: StyledText = ("on", GOOD) if rule.is_on else ("off", NOTE)
    return RULES.row(
        width,
        [
            str(rule.id),
            state,
            f"{rule.hits:,}",
            f"{rule.hits_of_a_day:,}",
            (moment(rule.last_hit), DIM),
            rule.note or "",
            f"▲ fails on {rule.failures:,}: {rule.failure}  {condition}"
            if rule.failures
            else condition,
        ],
    )


def paint_preview(preview: Preview, width: int) -> list[Content]:
    """What the rule would have discarded, with examples."""
    return [line((found.text, _STYLES[found.part])) for found in preview_lines(preview, width)]
