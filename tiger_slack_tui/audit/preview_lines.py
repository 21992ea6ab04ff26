"""What a discard rule would have done as lines, for `tiger-slack discard` and the console."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tiger_slack_tui.audit.preview import Preview, TablePreview
from tiger_slack_tui.audit.words import format_channel, format_time, format_user
from tiger_slack_tui.base.text import amount, cut
from tiger_slack_tui.store.preview import Example
from tiger_slack_tui.store.rules import failure_words

_MOST_EXAMPLES = 5


class PreviewPart(StrEnum):
    """What a line says."""

    MATCHES = "matches"
    NO_MATCH = "no match"
    NOTE = "note"
    PROBLEM = "problem"
    EXAMPLE = "example"
    TEXT = "text"
    """The text of the example in the line before."""


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One line, with visible characters only, and what it says."""

    part: PreviewPart
    text: str


def preview_lines(preview: Preview, width: int = 79) -> Iterator[PreviewLine]:
    """What the rule would have discarded, with examples. A line about a problem can be wider than `width`."""
    yield _tested("stored messages", preview.stored)
    yield _tested("recent events", preview.recent)
    if preview.recent.known:
        known = f"{'':19}{preview.recent.known:,} of these are discarded already"
        yield PreviewLine(PreviewPart.NOTE, known)
    if preview.failed and preview.sqlstate:
        fails = f"  ▲ It fails on {amount(preview.failed, 'message')}, and discards none of these:"
        yield PreviewLine(PreviewPart.PROBLEM, fails)
        yield PreviewLine(PreviewPart.PROBLEM, f"    {failure_words(preview.sqlstate)}")
    if preview.is_out_of_time:
        ended = f"  ▲ Not all messages were tested: the time of {preview.seconds:.0f} s was over."
        yield PreviewLine(PreviewPart.PROBLEM, ended)
    examples = {*preview.stored.examples, *preview.recent.examples}
    for example in sorted(examples, key=lambda one: one.at, reverse=True)[:_MOST_EXAMPLES]:
        yield from _example(example, width)


def _tested(name: str, tested: TablePreview) -> PreviewLine:
    part = PreviewPart.MATCHES if tested.matched else PreviewPart.NO_MATCH
    found = "none to test"
    if tested.tested:
        found = f"{tested.matched:,} of {tested.tested:,} ({tested.share:.1%})"
        found += "" if tested.is_whole else f", back to {format_time(tested.oldest)}"
    return PreviewLine(part, f"  {name:<17}{found}")


def _example(example: Example, width: int) -> Iterator[PreviewLine]:
    who = format_user(example.user_id or example.bot_id, example.user_name, 26)
    where = format_channel(example.channel_id, example.channel_name, 25)
    yield PreviewLine(PreviewPart.EXAMPLE, f"  {format_time(example.at)}  {where}  {who}")
    text = cut(example.text or f"({example.subtype or 'no text'})", width - 6)
    yield PreviewLine(PreviewPart.TEXT, f"      {text}")
