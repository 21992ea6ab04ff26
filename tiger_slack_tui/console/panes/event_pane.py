"""The pane that shows everything about the selected event. It reads the event itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from textual.content import Content

from tiger_slack_tui.audit.detail import EventDetail
from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.console.model.read_errors import log_failure
from tiger_slack_tui.console.panes.background import run_latest
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.details import event_lines
from tiger_slack_tui.console.panes.paint import worded
from tiger_slack_tui.console.panes.pane import Body, Paint, Pane

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.15
"""How long a row must be selected before its event is read."""
_FRESH_SECONDS = 5.0
"""The shown event is read again when it is older than this: others may replay it."""
_MISSING = (
    "The audit trail does not have it. It is still in the spool, or retention has deleted it."
)
ReadEvent = Callable[[EventId], Awaitable[EventDetail | None]]


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What was read of an event: its lines for a width, and the text that copying gives."""

    event_id: EventId
    lines: Callable[[int], list[Content]]
    copied: str | None
    at: float
    """When it was read, by the monotonic clock."""


class EventPane(Pane[Any]):
    """Shows one event: its outcome and why, its row, and its payload."""

    def __init__(
        self,
        read: ReadEvent,
        clock: Clock,
        *,
        id: str,  # noqa: A002 as Textual names it
        paint: Paint[Any] = Content.truncate,
    ) -> None:
        """`paint` is for the rows of `show_other`."""
        super().__init__(paint, id=id)
        self._read = read
        self._clock = clock
        self._wanted: EventId | None = None
        self._answer: ReadAnswer | None = None
        self._answer_lines: CachedValue[list[Content]] = CachedValue()
        self._is_reading = False
        self._version: object = None
        """What the caller knew of the event when it was read."""

    @property
    def answer(self) -> ReadAnswer | None:
        """What was read of the event that is shown; None while it is read."""
        answer = self._answer
        return answer if answer is not None and answer.event_id == self._wanted else None

    def show_event(
        self,
        event_id: EventId | None,
        *,
        version: object = None,
        pause: float = 0.0,
        is_fresh: bool = True,
    ) -> None:
        """Show this event; None shows a hint. It is read after `pause` seconds, unless another one is wanted then.

        With `is_fresh`, it is read again every few seconds, and when `version` has changed.
        """
        is_other, self._wanted = event_id != self._wanted, event_id
        if event_id is not None and (is_other or (is_fresh and self._is_old(version))):
            self._version = version
            self._is_reading = True
            run_latest(self, "event", partial(self._load, event_id, pause))
        self._show()

    def _is_old(self, version: object) -> bool:
        """Whether the shown event should be read again."""
        if self._is_reading:
            return False
        answer = self.answer
        age = None if answer is None else self._clock.elapsed() - answer.at
        return age is None or age > _FRESH_SECONDS or version != self._version

    def show_other(self, body: Body[Any]) -> None:
        """Show something that is not an event."""
        self._wanted = None
        self.show(body)

    def read_again(self) -> None:
        """Read the shown event again at the next `show_event`."""
        if self._answer is not None:
            self._answer = replace(self._answer, at=float("-inf"))

    def on_resize(self) -> None:
        super().on_resize()
        if self._wanted is not None:
            self._show()

    async def _load(self, event_id: EventId, pause: float) -> None:
        await asyncio.sleep(pause)
        now = self._clock.elapsed()
        try:
            self._answer = _answer(event_id, await self._read(event_id), now)
        except Exception as error:
            failure = log_failure(log, "an event cannot be read", error)
            words = f"It cannot be read: {failure.problem}"
            self._answer = ReadAnswer(event_id, partial(worded, words), None, now)
        self._is_reading = False
        self._show()

    def _show(self) -> None:
        # Without a size yet, lines would be folded for a narrow pane, and a slow machine would show them so.
        width, answer = max(self.size.width, 20), self.answer if self.size.width else None
        rows = (
            [] if answer is None else self._answer_lines(lambda: answer.lines(width), answer, width)
        )
        empty = (
            "Select an event to see what became of it." if self._wanted is None else "Reading it …"
        )
        self.show(
            Body(
                rows=rows,
                title=self._wanted or "event",
                note="Enter full screen" if self._wanted else "",
                empty_text=(empty,),
            )
        )


def _answer(event_id: EventId, event: EventDetail | None, at: float) -> ReadAnswer:
    if event is None:
        return ReadAnswer(event_id, partial(worded, _MISSING), None, at)
    return ReadAnswer(event_id, lambda width: list(event_lines(event, width)), event.payload, at)
