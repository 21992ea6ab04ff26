"""The view Messages: results while one types, conversations, and what it says where there is nothing to show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.console.canned import NOW, CannedBackend, screen_text, shows
from tests.console.conftest import SIZES, Pictures
from tests.console.test_triage import live, message
from tests.support import until
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.message_reader import MessageContext, MessageReader, Place
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.views.messages import SearchField
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.search.render import Piece
from tiger_slack_tui.search.search import Message, Result, SearchPage
from tiger_slack_tui.store.history import IncompleteChannel
from tiger_slack_tui.store.search import SearchPosition
from tiger_slack_tui.store.search_index import IndexProgress

AWAY = DatabaseUnavailable("The database does not answer.")
DONE = datetime.fromtimestamp(NOW, UTC)


def one(number: int, text: str, **changes: Any) -> Message:
    """The message of this number; 1 is the newest."""
    at = datetime.fromtimestamp(NOW - 47 * number, UTC)
    ts = f"{NOW - 47 * number:.6f}"
    values = {
        "channel_id": "C01", "channel_name": "billing", "ts": ts, "time": at, "user_id": "U01", "user_name": "ana",
        "bot_id": None, "subtype": None, "text": text, "thread_ts": None, "is_edited": False, "reactions": (),
        "permalink": f"https://example.slack.com/archives/C01/p{number}",
    }  # fmt: skip
    return Message(**values | changes)


MESSAGES = (
    one(5, "Has anybody seen the invoice of March? The customer asks for it again."),
    one(4, "It is in our folder:\nfinance/2026/03", user_name="josé", reactions=(("eyes", 2), ("+1", 11))),
    one(3, "請求書は明日送ります \x1b[31m invoice", user_name="林", is_edited=True),
    one(2, "The invoice is out, " * 20, user_name=None, user_id=None, bot_id="B0BILL"),
    one(1, "invoice", channel_name=None, channel_id="C0PRIVATE"),
)  # fmt: skip


def result(found: Message) -> Result:
    head, match, tail = found.text.partition("invoice")
    pieces = (Piece(head), Piece(match, is_match=True), Piece(tail))
    return Result(found, pieces, SearchPosition(found.ts, found.channel_id))


class CannedMessages(MessageReader):
    """Finds the messages that contain the text."""

    def __init__(
        self,
        messages: Sequence[Message] = MESSAGES,
        *,
        problem: Exception | None = None,
        percent: int = 100,
    ) -> None:
        super().__init__("")
        self.messages = messages
        self.problem = problem
        self.limited_to: int | None = None
        self.progress = IndexProgress("english", (), percent, 100, DONE if percent == 100 else None)
        self.incomplete: tuple[IncompleteChannel, ...] = ()
        self.may_read_context = asyncio.Event()
        self.may_read_context.set()
        self.contexts_begun = 0
        self.delay: dict[str, float] = {}
        """Seconds before an answer, by the text that is searched."""

    async def search(
        self, text: str, *, newest: bool, after: SearchPosition | None, most: int
    ) -> SearchPage:
        await asyncio.sleep(self.delay.get(text, 0))
        if self.problem is not None:
            raise self.problem
        found = tuple(result(one) for one in self.messages[::-1] if text in one.text)
        return SearchPage(found, None, not newest, self.progress, self.limited_to, self.incomplete)

    async def context(self, channel_id: str, ts: str, place: Place) -> MessageContext:
        self.contexts_begun += 1
        await self.may_read_context.wait()
        at = next(n for n, one in enumerate(self.messages) if one.ts == ts)
        return MessageContext(place, tuple(self.messages), at)


def console(home: Path, reader: MessageReader) -> ConsoleApp:
    backend = CannedBackend(home)
    backend.messages = reader
    return ConsoleApp(backend, ConsoleOptions())


@pytest.mark.parametrize(
    ("state", "reader", "query", "shown"),
    [
        ("empty", CannedMessages(), "", "/ searches"),
        ("found", CannedMessages(), "invoice", "4 found"),
        ("not-indexed", CannedMessages(percent=43), "nothing like it", "No message matches"),
        ("wrong", CannedMessages(), "invoice frm:ana", "Did you mean"),
        ("away", CannedMessages(problem=AWAY), "a", "does not answer"),
    ],
)
async def test_pictures(
    tmp_path: Path,
    pictures: Pictures,
    state: str,
    reader: MessageReader,
    query: str,
    shown: str,
) -> None:
    app = console(tmp_path, reader)
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.press("6", "slash", *query, "enter")
        await shows(app, shown)
        await pilot.press("down")
        await pictures(f"messages-{state}", app, pilot)


async def test_what_is_not_complete_is_said(tmp_path: Path) -> None:
    reader = CannedMessages()
    reader.incomplete = (IncompleteChannel(ChannelId("C1"), "ops", DONE, None, True, False),)
    app = console(tmp_path, reader)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("6", "slash", *"invoice", "enter")
        await shows(app, "most relevant first · 1 channel not complete")
        await pilot.press("slash", "escape", "slash", *"nothing like it", "enter")
        await shows(app, f"Messages may be missing: #ops is not complete before {DONE:%Y-%m-%d}")


async def test_an_old_answer_never_replaces_a_newer_one(tmp_path: Path) -> None:
    reader = CannedMessages()
    reader.delay = {"folder": 1.0}
    app = console(tmp_path, reader)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("6", "slash")
        field = app.query_one(SearchField)
        field.value = "folder"
        await asyncio.sleep(0.4)  # the search has begun
        field.value = "March"
        await shows(app, "1 found")
        await asyncio.sleep(1.2)
        assert "Has anybody seen the invoice of March?" in screen_text(app)
        assert field.value == "March"


async def test_where_too_many_match_to_rank_them_all(tmp_path: Path) -> None:
    reader = CannedMessages()
    reader.limited_to = 30_000
    app = console(tmp_path, reader)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("6", "slash", *"invoice", "enter")
        await shows(app, "most relevant of the newest 30,000 matches first")
        await pilot.press("o")
        await shows(app, "── newest first")


async def test_a_conversation_of_an_earlier_query_is_not_shown(tmp_path: Path) -> None:
    reader = CannedMessages()
    reader.may_read_context.clear()
    app = console(tmp_path, reader)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("6", "slash", *"invoice")
        await shows(app, "Reading it")
        await until(lambda: reader.contexts_begun > 0)
        app.query_one(SearchField).value = "nothing like it"
        await shows(app, "No message matches")
        reader.may_read_context.set()
        await asyncio.sleep(0.5)  # a late answer would be shown now
        assert "Select a message to see its thread." in screen_text(app)


async def test_a_resized_conversation_is_wrapped_again(tmp_path: Path) -> None:
    app = console(tmp_path, CannedMessages())
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("6", "slash", *"customer", "enter")
        await shows(app, "The customer asks for it again.")
        await pilot.resize_terminal(80, 24)
        await pilot.press("c")
        await pilot.resize_terminal(64, 24)
        await shows(app, "▌ it again.")


async def test_tab_completes_and_enter_leaves_the_field_at_once(tmp_path: Path) -> None:
    app = console(tmp_path, CannedMessages())
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("6", "slash", *"invoice h")
        await shows(app, "has:")
        await pilot.press("tab", "l", "tab")
        field = app.query_one(SearchField)
        assert field.value == "invoice has:link"
        hints = app.query_one("#messages-hints")
        assert not hints.display  # the word is complete
        await pilot.press("backspace")
        assert hints.display
        await pilot.press("enter")
        assert not hints.display
        await pilot.press("slash")
        field.value = "invoice"
        await shows(app, "4 found")
        await pilot.press("enter", "j", "j")
        assert field.value == "invoice"
        await shows(app, "▸ 2026-09-20 14:05  #billing        @林")
        await shows(app, "▌ @林")
        await pilot.press("enter")
        await shows(app, "thread in #billing C01  https://example.slack.com")
        await pilot.press("escape", "escape")
        await shows(app, "/ searches all stored messages")


async def test_search_over_a_real_database(conninfo: str, tmp_path: Path) -> None:
    async with (
        LocalSlack() as slack,
        live(slack, conninfo, tmp_path, size=(160, 48)) as (app, pilot),
    ):
        parent = message(1, text="who pays this invoice")
        ts = parent["event"]["ts"]
        reply = message(2, text="the second floor", thread_ts=ts)
        await slack.send_all([parent, reply, message(3, text="lunch at noon")])
        await asyncio.wait_for(slack.wait_acked(), 30)
        await pilot.press("6", "slash", *"invoices", "enter")
        await shows(app, "1 found")
        await shows(app, "the second floor")
        assert "lunch at noon" not in screen_text(app)
        await pilot.press("c")
        await shows(app, "lunch at noon")
        await pilot.press("w")
        await shows(app, "It is stored.")
        await pilot.press("escape", "v")
        await shows(app, "events found")
        await shows(app, "Ev1")
        await pilot.press("m")
        await shows(app, "1 found")
        await pilot.press("slash", "ctrl+u", *"floor", "enter")
        await shows(app, " around a reply of ")
        for text in ("who pays this invoice", "▌ the second floor", "lunch at noon"):
            await shows(app, text)
        await pilot.press("c")
        await shows(app, "thread in C")
        assert "lunch at noon" not in screen_text(app)
