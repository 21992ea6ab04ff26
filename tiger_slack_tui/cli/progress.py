"""Shows how far a command has come: a bar on a terminal, and a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tiger_slack_tui.base.times import duration
from tiger_slack_tui.cli.output import wrapped

_LINE_SECONDS = 5.0
"""Time between two lines of progress where there is no terminal."""
_BAR = 10
"""Columns of the bar. With the figures, it fits 80 columns."""


class ProgressPrinter:
    """Prints lines to stderr, and the figures of the running work."""

    def __init__(self, console: Console, bar: Progress | None) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("", total=None, figures="") if bar else None
        self._next_line = 0.0

    def start(self, description: str) -> None:
        """Show the bar with this description, from 0 %."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=1.0, description=description)
        self._next_line = time.monotonic() + _LINE_SECONDS

    def wait(self, description: str) -> None:
        """Show the bar with this description and without a percentage."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=None, description=description)

    def show(self, share: float, figures: str) -> None:
        """Show that this share of the work (0 to 1) is done, and the figures."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=share, figures=figures)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self.print(f"{share:.0%}, {figures}")

    def note(self, text: str) -> None:
        """Show the text in place of the figures, until the next ones."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, figures=text)

    def print(self, text: str) -> None:
        """Print the text, above the bar if there is one."""
        shown = "\n".join(wrapped(text, hang=2, err=True))
        self._console.print(shown, markup=False, highlight=False, soft_wrap=True)

    def end(self, text: str) -> None:
        """End the bar, if there is one, and print the text."""
        if self._bar:
            self._bar.stop()
            self._bar = None
        self.print(text)


def rate_and_rest(per_second: float, seconds_left: float | None) -> str:
    """The end of the figures: the rate, by the minute if it is small, and the time to the end if it is known."""
    rest = (
        "" if seconds_left is None else f", {duration(timedelta(seconds=round(seconds_left)))} left"
    )
    is_slow = 0 < per_second < 1
    rate = f"{per_second * 60:,.0f}/min" if is_slow else f"{per_second:,.0f}/s"
    return f"{rate}{rest}"


@contextmanager
def progress(*, has_terminal: bool) -> Iterator[ProgressPrinter]:
    """The progress of the work in the block. The bar is gone after it."""
    console = Console(stderr=True)
    if not has_terminal:
        yield ProgressPrinter(console, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console, refresh_per_second=4, transient=True) as bar:
        yield ProgressPrinter(console, bar)
