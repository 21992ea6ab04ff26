"""Paints discard rules, and what a rule would have discarded."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tiger_slack_tui.audit.preview import Preview, TablePreview
from tiger_slack_tui.audit.rule_names import with_names
from tiger_slack_tui.audit.rules import ReadyRule
from tiger_slack_tui.audit.words import format_channel, format_user
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
from tiger_slack_tui.store.preview import Example
from tiger_slack_tui.store.rules import Rule, failure_words

RULES = Columns(
    Column("id", 4, right=True),
    Column("", 3),
    Column("discarded", 9, right=True),
    Column("24 h", 7, right=True, least=90),
    Column("last", 19, least=110),
    Column("note", 20, least=70),
    Column("match"),
)


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


def preview_lines(preview: Preview, width: int) -> list[Content]:
    """What the rule would have discarded, with examples."""
    lines = [_tested("stored messages", preview.stored), _tested("recent events", preview.recent)]
    if preview.recent.known:
        lines.append(line((f"  {preview.recent.known:,} of these are discarded already", DIM)))
    if preview.failed and preview.sqlstate:
        why = failure_words(preview.sqlstate)
        lines.append(line((f"  ▲ fails on {preview.failed:,} of these: {why}", NOTE)))
    if preview.is_out_of_time:
        lines.append(line(("  ▲ the time was too short: not all were tested", NOTE)))
    examples = sorted(
        {*preview.stored.examples, *preview.recent.examples}, key=lambda e: e.at, reverse=True
    )
    lines += [_example(example).truncate(width, ellipsis=True) for example in examples]
    return lines


def _tested(name: str, tested: TablePreview) -> Content:
    style = KEY if tested.matched else DIM
    whole = "all" if tested.is_whole else "the newest"
    return line(
        f"  {name:<16}",
        (f"{tested.matched:,} ({tested.share:.1%})", style),
        (f"  of {whole} {tested.tested:,} tested", DIM),
    )


def _example(example: Example) -> Content:
    where = format_channel(example.channel_id, example.channel_name)
    who = format_user(example.user_id or example.bot_id, example.user_name)
    return line(
        (f"  {example.at:%m-%d %H:%M} ", DIM),
        f"{where} {who}  ",
        (f"{example.subtype or ''} ", DIM),
        example.text or "",
    )
