"""The figures of a running backfill: how much is read, how fast, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tiger_slack_tui.base.text import amount
from tiger_slack_tui.cli.progress import ProgressPrinter, rate_and_rest
from tiger_slack_tui.imports.rate import LEAST_SECONDS, WorkRate
from tiger_slack_tui.slack.pages import wait_words
from tiger_slack_tui.store.gaps import Gap

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.result import BackfillProgress

_MILLION = 1_000_000
"""The whole work, as `WorkRate` counts it."""
_BEFORE = 3 * 86_400
"""Seconds of history that are read before each gap."""


class BackfillFigures:
    """Counts and shows the progress of the backfill. `clock` counts seconds."""

    def __init__(
        self, printer: ProgressPrinter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.gaps: Sequence[Gap] = ()
        """The gaps to close, in their order."""
        self._printer = printer
        self._rate = WorkRate(clock)
        self._read = 0
        self.planned: float | None = None
        """The seconds of the plan, which count until the work has a rate of its own."""
        printer.wait("asking Slack")

    def print(self, line: str) -> None:
        """Print a line of the plan."""
        self._printer.print(line)

    def wait(self, seconds: float) -> None:
        """Show that Slack asks to wait."""
        self.note(wait_words(seconds))

    def note(self, what: str) -> None:
        """Show for what the backfill waits."""
        self._printer.note(what)

    def begin(self, found: Sequence[Gap]) -> None:
        """Begin to close these gaps."""
        self.gaps = found
        self._printer.start("reading")

    def show(self, now: BackfillProgress) -> None:
        """Count a page or a thread, and show the figures."""
        self._read += now.account.read
        done = round(self._share(now) * _MILLION)
        if self._rate.is_due:
            self._rate.add(self._read, done)
        seconds, read, advance = self._rate.recent(self._read, done)
        is_known = seconds > LEAST_SECONDS
        left = self.planned and self.planned * (1 - done / _MILLION)
        if is_known and advance > 0:
            left = (_MILLION - done) * seconds / advance
        figures = (
            f"{'' if now.of_all else f'{now.gap.title}: '}{now.channels_done:,}/{now.channels:,} channels,"
            f" {amount(self._read, 'message')}, {rate_and_rest(read / seconds if is_known else 0, left)}"
        )
        self._printer.show(done / _MILLION, figures)

    def _share(self, now: BackfillProgress) -> float:
        """How much of all gaps is read, 0 to 1, by their length. Histories that are read at once come last."""
        if now.of_all:
            others = sum(not gap.is_history for gap in self.gaps)
            return (others + now.share * (len(self.gaps) - others)) / max(len(self.gaps), 1)
        lengths = [_seconds(gap) for gap in self.gaps]
        at = [gap.id for gap in self.gaps].index(now.gap.id)
        return (sum(lengths[:at]) + now.share * lengths[at]) / sum(lengths)


def _seconds(gap: Gap) -> float:
    """How much history is read for the gap."""
    return ((gap.ended_at or gap.started_at) - gap.started_at).total_seconds() + _BEFORE
