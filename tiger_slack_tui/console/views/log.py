"""The view Log: the newest lines of the program's log."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui.base.text import fit
from tiger_slack_tui.console.actions import LOG, action
from tiger_slack_tui.console.formats import clock, moment
from tiger_slack_tui.console.model.log_ring import MOST, LogLine
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.paint import BAD, DIM, NOTE, line, wrapped
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.view import View

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_STYLES = {logging.DEBUG: DIM, logging.WARNING: NOTE, logging.ERROR: BAD, logging.CRITICAL: BAD}


def paint_line(row: LogLine, width: int) -> Content:
    """A line of the log."""
    style = _STYLES.get(row.level, "")
    name = row.logger.rpartition(".")[2]
    return line(
        (clock(row.at), DIM),
        " ",
        (fit(logging.getLevelName(row.level), 8), style),
        (f"{fit(name, 11)} ", DIM),
        (row.text.partition("\n")[0][:width], style),
    )


_FIELDS = (
    Field[LogLine]("time", lambda row: datetime.fromtimestamp(row.at, UTC)),
    Field[LogLine]("level", lambda row: logging.getLevelName(row.level)),
    Field[LogLine]("logger", lambda row: row.logger),
    Field[LogLine]("text", lambda row: row.text),
)


class LogView(View):
    """Shows the program's own log: starts and stops, problems, jobs. It never contains messages or tokens.

    The log file has the same records as JSON lines.
    """

    NAME: ClassVar[str] = LOG

    def compose(self) -> ComposeResult:
        yield Pane[LogLine](
            paint_line,
            id="log-lines",
            key=lambda row: row.number,
            selectable=True,
            fields=_FIELDS,
            find=lambda row: f"{logging.getLevelName(row.level)} {row.logger} {row.text}",
        )

    def on_mount(self) -> None:
        self._level = 1
        self._rows: CachedValue[list[LogLine]] = CachedValue()

    def show(self, model: Model) -> None:
        least = _LEVELS[self._level]
        rows = self._rows(
            lambda: [row for row in model.log if row.level >= least], model.log, least
        )
        name = logging.getLevelName(_LEVELS[self._level]).lower()
        pane = self.query_one("#log-lines", Pane)
        pane.show(
            Body(
                rows=rows,
                title="log",
                newest=len(rows) - 1,
                note=f"{name} and above · {'following' if pane.is_following else 'G follows'}",
                left_out=f"the newest {MOST:,}; the log file has all"
                if len(model.log) == MOST
                else "",
                empty_text=("Nothing was logged at this level.", "l shows other levels."),
            )
        )

    @action("log.open", "enter", "Open", shown="Enter")
    def act_open(self) -> None:
        """Show the whole record."""
        row = self.query_one("#log-lines", Pane).row
        if row is not None:
            text = (
                f"{moment(row.at)}Z\n{logging.getLevelName(row.level)}\n{row.logger}\n\n{row.text}"
            )
            copied = json.dumps({"at": row.at, "logger": row.logger, "text": row.text})
            self.host.read("log line", lambda width: wrapped(text, width), copied=copied)

    @action("log.level", "l", "Level")
    def act_level(self) -> None:
        """Show another level and above."""
        self._level = (self._level + 1) % len(_LEVELS)
        self.query_one("#log-lines", Pane).follow()
