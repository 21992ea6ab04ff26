"""The view Events: every event that was received, and a line of filters to find some."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tiger_slack_tui.audit.event_query import FILTERS, EventQuery
from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.console.actions import ACCEPT, EVENTS, LEAVE, action, declared, implements
from tiger_slack_tui.console.model.event_list import PAGE, EventList
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.read_errors import QUERY_SECONDS, ReadFailure, log_failure
from tiger_slack_tui.console.panes.action_field import ActionField
from tiger_slack_tui.console.panes.background import run_latest
from tiger_slack_tui.console.panes.event_pane import LOOK_SECONDS, EventPane
from tiger_slack_tui.console.panes.events import EVENT_FIELDS, events_head, paint_event
from tiger_slack_tui.console.panes.paint import DIM, line
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.questions.replay import ask_replay
from tiger_slack_tui.console.questions.why import explain
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.store.audit_events import EventRow
from tiger_slack_tui.store.replay import ReplaySelection

log = logging.getLogger(__name__)

_TS = re.compile(r"p?[0-9]{9,16}([.,][0-9]{1,6})?")
"""A ts after a channel. Other numbers are words of the text: port 5432."""

_LEAST_SECONDS = 2.0
"""The list is read again after this time, or later if that takes long."""
_NEAR_END = 50
"""The next page is read when the cursor is this close to the last row."""


class QueryField(ActionField):
    """The field for the filters."""

    @action("events.complete", "tab", "Complete", shown="Tab")
    def act_complete(self) -> None:
        """Complete the name of a filter, if only one begins so."""
        head, space, part = self.value.rpartition(" ")
        found = [f"{name}:" for name in FILTERS if part and name.startswith(part.lower())]
        if len(found) == 1:
            self.value = head + space + found[0]
            self.cursor_position = len(self.value)

    @implements(ACCEPT)
    def act_accept(self) -> None:
        """Look for the events; explain the message of a link."""
        self.screen.query_one(EventsView).find(self.value)

    @implements(LEAVE)
    def act_leave(self) -> None:
        """Leave the filters as they were."""
        self.screen.query_one(EventsView).leave_field()


class EventsView(View):
    """Shows every received event, and finds those that you look for, with / and a line of filters.

    The list follows new events until you move. Filters are channel:#ops, user:ana, type:reaction_*, outcome:failed,
    rule:3, since:2h and until:2026-03-01; other words are searched in the text. A message's link, or its channel and
    ts, shows why that message is stored or not.
    """

    NAME: ClassVar[str] = EVENTS

    def compose(self) -> ComposeResult:
        with Horizontal(id="events-query"):
            yield Static(line(("  find  ", DIM)), id="events-label")
            yield QueryField(
                self.host.keys_shown,
                id="events-field",
                placeholder="press / and type filters, or a message's link to explain it",
            )
        yield Pane[EventRow](
            paint_event,
            id="events-list",
            key=lambda row: row.event_id,
            selectable=True,
            copy=lambda row: row.event_id,
            fields=EVENT_FIELDS,
            rest=self._read_rest,
        )
        yield EventPane(self.sources.audit.event, self.sources.clock, id="events-event")

    def on_mount(self) -> None:
        self._list = EventList()
        self._model: Model | None = None
        self._text = ""
        """The filters as they were typed."""
        self._is_reading = False
        self._field.can_focus = False

    @property
    def _field(self) -> QueryField:
        return self.query_one(QueryField)

    @property
    def _pane(self) -> Pane[EventRow]:
        return self.query_one("#events-list", Pane)

    @property
    def _event(self) -> EventPane:
        return self.query_one(EventPane)

    def on_pane_selected(self, event: Pane.Selected) -> None:
        if event.pane is self._pane:
            self._event.show_event(event.row.event_id, pause=LOOK_SECONDS)

    def show(self, model: Model) -> None:
        self._model = model
        if model.has_tables and not model.is_frozen and not self._is_reading:
            self._read_if_due()
        self._show_list()
        row = self._pane.row
        self._event.show_event(row.event_id if row else None, is_fresh=not model.is_frozen)

    def _read_if_due(self) -> None:
        found, pane = self._list, self._pane
        if found.is_wrong:
            return
        is_due = found.is_due(self.sources.clock.elapsed(), _LEAST_SECONDS)
        if found.at is None or ((pane.is_following or not found.rows) and is_due):
            self._start_reading(found, is_more=False)
        elif found.has_more and found.failure is None and pane.rows_below < _NEAR_END:
            self._start_reading(found, is_more=True)

    def _start_reading(self, wanted: EventList, *, is_more: bool) -> None:
        """Read a page in the background. A later call cancels it, so that an old answer never replaces a new one."""
        self._is_reading = True
        run_latest(self, "events", partial(self._read, wanted, is_more))

    async def _read(self, wanted: EventList, is_more: bool) -> None:
        audit, clock = self.sources.audit, self.sources.clock
        began = clock.elapsed()
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                if is_more and wanted.chosen is not None and wanted.next is not None:
                    page = await audit.more_events(wanted.chosen, wanted.next, most=PAGE)
                    self._list = wanted.next_page(page.rows, page.next)
                else:
                    chosen, page = await audit.find_events(wanted.query, most=PAGE)
                    self._list = wanted.first_page(chosen, page, began, clock.elapsed() - began)
        except Exception as error:
            failure = log_failure(log, "the events cannot be read", error)
            if isinstance(error, TimeoutError) and wanted.query.text:
                hint = "No index serves texts. Add since:, channel:, user: or type:."
                failure = ReadFailure(failure.problem, hint)
            self._list = wanted.failed(failure, began, clock.elapsed() - began)
        self._is_reading = False
        self._show_list()

    async def _read_rest(self) -> AsyncIterator[Sequence[EventRow]]:
        """Read the pages after the loaded ones."""
        chosen, after = self._list.chosen, self._list.next
        while chosen is not None and after is not None:
            async with asyncio.timeout(QUERY_SECONDS):
                page = await self.sources.audit.more_events(chosen, after, most=PAGE)
            yield page.rows
            after = page.next

    def _show_list(self) -> None:
        found = self._list
        more = "+" if found.next is not None else ""
        note = f"{len(found.rows):,}{more}, newest first"
        if found.next is not None and not found.has_more:
            note = f"the newest {found.MOST:,}; filters show older ones"
        self._pane.show(
            Body(
                rows=found.rows,
                title="events found" if self._text else "all events",
                note=note if found.rows else "",
                head=events_head,
                empty_text=self._empty(),
                problem=found.failure.problem if found.failure and found.rows else None,
                is_old=found.failure is not None,
                has_more=found.next is not None,
                newest=0,
            )
        )

    def _empty(self) -> Sequence[str]:
        found, model = self._list, self._model
        if model is not None and not (model.has_tables or found.is_wrong):
            return (model.asking_text,)
        if found.failure is not None:
            return (*filter(None, found.failure), "/ changes the filters.")
        if found.at is None:
            return ("Reading …",)
        if found.query == EventQuery():
            return ("No event was received yet, or retention has deleted all of them.",)
        return ("No event passes these filters.", "/ changes them, Esc removes them.")

    def leave_field(self) -> None:
        """Give the focus back to the list. The field then shows the present filters."""
        field = self._field
        field.value = self._text
        field.can_focus = False
        self.screen.set_focus(self._pane)

    def find(self, text: str) -> None:
        """Show the events that pass these filters, or explain the message that the text names.

        If the text cannot be read, the list says why.
        """
        if (message := _named_message(text)) is not None:
            self.leave_field()
            explain(self.host, self.sources, message)
            return
        self._text = text.strip()
        self.leave_field()
        try:
            self._look_for(EventQuery.parse(text))
        except TigerSlackError as refused:
            self.workers.cancel_group(self, "events")
            self._is_reading = False
            failure = ReadFailure(str(refused.args[0]), refused.hint)
            self._list = EventList().refused(failure, self.sources.clock.elapsed())
            self._show_list()

    def _look_for(self, query: EventQuery) -> None:
        self._list = EventList(query=query)
        self._pane.follow()
        if self._model is None or self._model.has_tables:
            self._start_reading(self._list, is_more=False)

    def back(self) -> bool:
        if not self._text:
            return False
        self._text = ""
        self.leave_field()
        self._look_for(EventQuery())
        return True

    @implements(declared(View)["pane.filter"].action)
    def act_filter(self) -> None:
        """Type filters; a message's link is explained."""
        field = self._field
        field.can_focus = True
        field.cursor_position = len(field.value)
        field.focus()

    @action("events.open", "enter", "Open", shown="Enter")
    def act_open(self) -> None:
        """Show the whole event."""
        row, answer = self._pane.row, self._event.answer
        if row is not None and answer is not None:
            self.host.read(row.event_id, answer.lines, copied=answer.copied)

    @action("events.message", "m", "Message")
    async def act_message(self) -> None:
        """Show its message in the thread or channel."""
        if (message := self._message()) is not None:
            await self.host.show_message(message)

    @action("events.why", "w", "Why")
    def act_why(self) -> None:
        """Explain why its message is stored, or not."""
        if (message := self._message()) is not None:
            explain(self.host, self.sources, message)

    @act_why.when
    @act_message.when
    def _has_message(self) -> bool:
        return self._message() is not None

    def _message(self) -> MessageReference | None:
        row = self._pane.row
        if row is None or row.channel_id is None or row.message_ts is None:
            return None
        return MessageReference(row.channel_id, slack_ts(row.message_ts))

    @action("events.replay", "R,shift+r", "Replay", changes=True)
    def act_replay(self) -> None:
        """Process the selected event again."""
        if (row := self._pane.row) is not None:
            ask_replay(
                self.host,
                f"the event {row.event_id}",
                ReplaySelection(event_ids=(row.event_id,)),
                self._event.read_again,
            )

    @act_open.when
    @act_replay.when
    def _has_event(self) -> bool:
        return self._pane.row is not None


def _named_message(text: str) -> MessageReference | None:
    """The message of a link in Slack, or of a channel and a ts; None if the text is neither."""
    parts = text.split()
    if len(parts) == 1:
        return MessageReference.parse(parts[0], None)
    if len(parts) == 2 and _TS.fullmatch(parts[1]) and ":" not in parts[0]:
        return MessageReference.parse(*parts)
    return None
