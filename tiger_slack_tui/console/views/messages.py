"""The view Messages: search, and the thread or the channel around what was found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.audit.words import format_channel
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.name_patterns import NameUnknown
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.console.actions import ACCEPT, LEAVE, MESSAGES, action, declared, implements
from tiger_slack_tui.console.formats import clock
from tiger_slack_tui.console.model.findings import GAP
from tiger_slack_tui.console.model.message_reader import PAGE, MessageContext, Place
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.read_errors import QUERY_SECONDS, log_failure
from tiger_slack_tui.console.model.search_results import SearchResults
from tiger_slack_tui.console.panes.action_field import ActionField
from tiger_slack_tui.console.panes.background import run_latest
from tiger_slack_tui.console.panes.messages import (
    RESULT_FIELDS,
    RESULTS,
    context_lines,
    first_line_of_selected,
    paint_result,
)
from tiger_slack_tui.console.panes.paint import DIM, as_is, line
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.questions.why import explain
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.search.completeness import (
    completeness_note,
    membership_note,
    short_completeness_note,
)
from tiger_slack_tui.search.query import QueryError, completions, parse_query
from tiger_slack_tui.search.search import Message, Result, SearchPage

log = logging.getLogger(__name__)

_TYPING_SECONDS = 0.2
"""How long the operator must pause before what was typed is searched."""
_LOOK_SECONDS = 0.15
"""How long a result must be selected before its conversation is read."""
_RETRY_SECONDS = 3.0
"""When a search is repeated that the database could not answer, or later if that took long."""
_NEAR_END = 10
"""The next page is read when the cursor is this close to the last result."""
_EXPORTED_AT_ONCE = 200
"""Results of one page that an export reads."""


class SearchField(ActionField):
    """The field for the query. Results appear while the operator types."""

    @action("messages.complete", "tab", "Complete", shown="Tab")
    def act_complete(self) -> None:
        """Complete a modifier, such as from: or has:link."""
        found = completions(self.value)
        if len(found) == 1 or (found and all(one.startswith(found[0]) for one in found)):
            head, space, _ = self.value.rpartition(" ")
            self.value = head + space + found[0]
            self.cursor_position = len(self.value)

    @implements(ACCEPT)
    def act_accept(self) -> None:
        """Go to the results."""
        self.screen.query_one(MessagesView).leave_field()

    @implements(LEAVE)
    def act_leave(self) -> None:
        """Go to the results, too."""
        self.screen.query_one(MessagesView).leave_field()


class MessagesView(View):
    """Finds stored messages, and shows what was said around them.

    Press / and type: invoice "pay now" deploy* -draft, bill or invoice, from:@ana in:#ops after:7d on:today has:link
    has::eyes: is:edited. All of it must hold. Beside the results is the thread of the selected message, or its
    channel.
    """

    NAME: ClassVar[str] = MESSAGES

    def compose(self) -> ComposeResult:
        with Horizontal(id="messages-query"):
            yield Static(line(("  search  ", DIM)), id="messages-label")
            yield SearchField(
                self.host.keys_shown,
                id="messages-field",
                placeholder="press / and type what to look for",
            )
        yield Static(id="messages-hints")
        with Container(id="messages-panes"):
            yield Pane[Result](
                paint_result,
                id="results",
                key=lambda result: (result.message.channel_id, result.message.ts),
                selectable=True,
                copy=lambda result: result.message.permalink,
                fields=RESULT_FIELDS,
                rest=self._read_rest,
            )
            yield Pane[Content](as_is, id="conversation")

    def on_mount(self) -> None:
        self._found = SearchResults()
        self._is_searching = False
        self._place = Place.THREAD
        self._reference: MessageReference | None = None
        """The message whose conversation is shown, or read."""
        self._message_context: MessageContext | None = None
        self._lines: Sequence[Content] = ()
        self._wrapped_for = 0
        """The width of the pane that `_lines` were made for."""
        self._problem: str | None = None
        """Why the conversation cannot be shown."""
        self._model: Model | None = None
        self._field.can_focus = False

    @property
    def _field(self) -> SearchField:
        return self.query_one(SearchField)

    @property
    def _results(self) -> Pane[Result]:
        return self.query_one("#results", Pane)

    def show(self, model: Model) -> None:
        self._model = model
        is_due = self._is_unread or self._is_retry_due or self._is_near_end
        if model.has_tables and not self._is_searching and is_due:
            self._search(self._found, pause=0)
        self._wrap_again_if_resized()
        self._show_results()
        self._show_context()

    @property
    def _is_unread(self) -> bool:
        found = self._found
        return bool(found.text) and found.page is None and found.failure is None

    @property
    def _is_retry_due(self) -> bool:
        found = self._found
        may_help = found.failure is not None and not found.is_wrong
        return may_help and found.is_due(self.sources.clock.elapsed(), _RETRY_SECONDS)

    @property
    def _is_near_end(self) -> bool:
        found = self._found
        return found.has_more and found.failure is None and self._results.rows_below < _NEAR_END

    # The query

    @implements(declared(View)["pane.filter"].action, title="Search")
    def act_filter(self) -> None:
        """Search all stored messages while you type."""
        self._field.can_focus = True
        self._field.cursor_position = len(self._field.value)
        self._field.focus()
        self._show_hints()

    def leave_field(self) -> None:
        """Give the focus back to the results."""
        self._field.can_focus = False
        self.screen.set_focus(self._results)
        self._show_hints()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._show_hints()
        if event.value.strip() != self._found.text:
            self._look_for(event.value.strip(), pause=_TYPING_SECONDS)

    def back(self) -> bool:
        if not self._field.value:
            return False
        self._field.value = ""
        return True

    def _look_for(self, text: str, *, pause: float) -> None:
        self._found = SearchResults(text=text, newest=self._found.newest)
        self._results.follow()
        self._forget_context()
        if text and (self._model is None or self._model.has_tables):
            self._search(self._found, pause=pause)
        else:
            self.workers.cancel_group(self, "search")
            self._is_searching = False
        self._show_results()

    def _search(self, wanted: SearchResults, *, pause: float) -> None:
        """Read a page in the background. A later call cancels it, so that an old answer never replaces a new one."""
        self._is_searching = True
        run_latest(self, "search", partial(self._read_page, wanted, pause))

    async def _read_page(self, wanted: SearchResults, pause: float) -> None:
        await asyncio.sleep(pause)
        began = self.sources.clock.elapsed()
        try:
            parse_query(wanted.text, datetime.now(UTC))  # a wrong query needs no connection
            async with asyncio.timeout(QUERY_SECONDS):
                page = await self.sources.messages.search(
                    wanted.text, newest=wanted.newest, after=wanted.next, most=PAGE
                )
        except Exception as error:
            failure = log_failure(log, "the search failed", error)
            if isinstance(error, QueryError | NameUnknown):
                self._found = wanted.refused(failure, began)
            else:
                seconds = self.sources.clock.elapsed() - began
                self._found = wanted.failed(failure, began, seconds)
        else:
            self._found = wanted.with_page(page)
        self._is_searching = False
        self._show_results()

    async def _read_rest(self) -> AsyncIterator[Sequence[Result]]:
        """Read the pages after the loaded ones."""
        found = self._found
        after = found.next
        while after is not None:
            async with asyncio.timeout(QUERY_SECONDS):
                page = await self.sources.messages.search(
                    found.text, newest=found.newest, after=after, most=_EXPORTED_AT_ONCE
                )
            yield page.results
            after = page.next

    def _show_hints(self) -> None:
        """Say what the part that is being typed can become."""
        hints = self.query_one("#messages-hints", Static)
        text = self._field.value
        # Not `has_focus`, which changes only when the field has handled the message about it.
        found = completions(text)[:12] if self._field.can_focus else ()
        found = tuple(one for one in found if one != text.rpartition(" ")[2])
        hints.display = bool(found)
        hints.update(line(("          " + "  ".join(found), DIM)))

    def _show_results(self) -> None:
        found, page = self._found, self._found.page
        more = "+" if found.has_more else ""
        self._results.show(
            Body(
                rows=found.rows,
                title=f"{len(found.rows):,}{more} found" if found.rows else "results",
                note=_note(page),
                head=RESULTS.head if found.rows else None,
                empty_text=self._empty(),
                problem=found.failure.problem if found.failure and found.rows else None,
                is_old=found.failure is not None,
                has_more=found.next is not None,
                newest=0,
            )
        )

    def _empty(self) -> Sequence[str]:
        found = self._found
        if found.failure is not None:
            return tuple(filter(None, found.failure))
        if not found.text:
            return ("/ searches all stored messages.", "? shows what can be written.")
        if found.page is None:
            model = self._model
            return ("Searching …" if model is None or model.has_tables else model.asking_text,)
        *_, last = found.text.split()
        return (
            "No message matches.",
            *(f"{it}* finds words that begin with “{it}”." for it in [last] if it.isalnum()),
            *(f"{text}." for text in [_indexed(found.page)] if text),
            *filter(None, [membership_note(found.page.without_app, visible)]),
            *filter(None, [completeness_note(found.page.incomplete, visible)]),
            *(f"The history is being read: {it}." for it in [found.page.running_backfill] if it),
            *self._gaps(),
        )

    def _gaps(self) -> Sequence[str]:
        gaps = self._model.findings.of(GAP, None) if self._model else ()
        open_ones = [gap for gap in gaps if gap.gap is not None and gap.gap.may_miss_events]
        if not open_ones:
            return ()
        return (f"Messages may be missing: {amount(len(open_ones), 'open gap')} (3 Triage).",)

    # The conversation

    def on_pane_selected(self, event: Pane.Selected) -> None:
        if event.pane is self._results:
            message = event.row.message
            self.open_message(MessageReference(message.channel_id, message.ts), _LOOK_SECONDS)

    def open_message(self, reference: MessageReference, pause: float = 0.0) -> None:
        """Show the conversation around a message. It is read after `pause` seconds, unless another one is wanted."""
        self._forget_context()
        self._reference = reference
        work = partial(self._read_context, reference, self._place, pause)
        run_latest(self, "conversation", work)
        self._show_context()

    def _forget_context(self) -> None:
        self.workers.cancel_group(self, "conversation")
        self._reference = self._message_context = self._problem = None
        self._lines = ()

    async def _read_context(self, reference: MessageReference, place: Place, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                read = await self.sources.messages.context(
                    ChannelId(reference.channel), reference.ts, place
                )
        except Exception as error:
            self._problem = log_failure(log, "a conversation cannot be read", error).problem
            self._show_context()
            return
        await self._wrap(read)

    async def _wrap(self, read: MessageContext) -> None:
        """Show the conversation in lines that fit the pane, from the selected message on."""
        pane = self.query_one("#conversation", Pane)
        self._wrapped_for = pane.size.width
        width = max(self._wrapped_for, 20)
        self._lines = await _lines_of(read, width)
        self._message_context = read
        self._show_context()
        pane.scroll_to_row(first_line_of_selected(self._lines))

    def _wrap_again_if_resized(self) -> None:
        read, width = self._message_context, self.query_one("#conversation", Pane).size.width
        if read is not None and width not in (0, self._wrapped_for):
            self._wrapped_for = width
            run_latest(self, "conversation", partial(self._wrap, read))

    def _show_context(self) -> None:
        read, wanted = self._message_context, self._reference
        empty = "Select a message to see its thread." if wanted is None else "Reading it …"
        title = str(self._place)
        if read is not None:
            title = _title(read)
        self.query_one("#conversation", Pane).show(
            Body(
                rows=self._lines,
                title=title,
                note=amount(len(read.messages), "message") if read is not None else "",
                empty_text=(self._problem or empty,),
            )
        )

    def _selected(self) -> Message | None:
        """The message whose conversation is shown."""
        read = self._message_context
        return read.messages[read.selected] if read is not None else None

    @action("messages.open", "enter", "Open", shown="Enter")
    def act_open(self) -> None:
        """Show the whole conversation."""
        if (read := self._message_context) is not None:
            link = read.messages[read.selected].permalink
            make = partial(context_lines, read.messages, read.selected)
            self.host.read(f"{_title(read)}  {link}", make, copied=link)

    @act_open.when
    def _has_context(self) -> bool:
        return self._message_context is not None

    @action("messages.place", "c", "Channel or thread")
    def act_place(self) -> None:
        """Show the channel around it, or its thread."""
        self._place = Place.THREAD if self._place is Place.CHANNEL else Place.CHANNEL
        if self._reference is not None:
            self.open_message(self._reference)

    @action("messages.order", "o", "Order")
    def act_order(self) -> None:
        """Order the results by relevance, or by time."""
        self._found = SearchResults(newest=not self._found.newest)
        self._look_for(self._field.value.strip(), pause=0)

    @action("messages.why", "w", "Why")
    def act_why(self) -> None:
        """Explain why it is stored; list its events."""
        if (message := self._selected()) is not None:
            explain(self.host, self.sources, MessageReference(message.channel_id, message.ts))

    @action("messages.events", "v", "Events")
    async def act_events(self) -> None:
        """Show the events of the message."""
        if (message := self._selected()) is not None:
            await self.host.show_events(f"channel:{message.channel_id} message:{message.ts}")

    @act_why.when
    @act_events.when
    def _has_message(self) -> bool:
        return self._selected() is not None


def _title(read: MessageContext) -> str:
    """What is shown: the thread, or what was written in the channel around the message."""
    message = read.messages[read.selected]
    channel = format_channel(message.channel_id, message.channel_name)
    if read.place is Place.THREAD:
        return f"thread in {channel}"
    is_reply = message.thread_ts not in (None, message.ts)
    return f"{channel} around {'a reply of ' if is_reply else ''}{clock(message.time)[:5]}"


async def _lines_of(read: MessageContext, width: int) -> list[Content]:
    """The lines of a conversation. A thread makes them, because the texts can be long."""
    return await asyncio.to_thread(lambda: list(context_lines(read.messages, read.selected, width)))


def _note(page: SearchPage | None) -> str:
    """In which order the results are, and what may be missing among them."""
    notes = [_order(page)]
    if page is not None and _indexed(page):
        notes.append(f"{page.progress.percent} % indexed")
    if page is not None and (incomplete := short_completeness_note(page.incomplete)):
        notes.append(incomplete)
    return " · ".join(notes)


def _order(page: SearchPage | None) -> str:
    """Which results come first."""
    if page is None or not page.is_ranked:
        return "newest first"
    if page.limited_to is not None:
        return f"most relevant of the newest {page.limited_to:,} matches first"
    return "most relevant first"


def _indexed(page: SearchPage | None) -> str | None:
    """How much of the history cannot be searched yet; None if all of it can."""
    if page is None or page.progress.finished_at is not None:
        return None
    return f"{page.progress.percent} % of the history is indexed"
