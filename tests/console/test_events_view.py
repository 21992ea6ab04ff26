"""The view Events: the list, its filters, its pages, and what it says where there is nothing to show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.console.canned import NOW, CannedBackend, screen_text, shows
from tests.console.conftest import SIZES, Pictures
from tests.console.test_triage import live, message
from tests.support import until
from tiger_slack_tui.audit.detail import EventDetail
from tiger_slack_tui.audit.event_query import EventQuery
from tiger_slack_tui.base.errors import DatabaseUnavailable
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.audit_reader import AuditReader
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.views.events import EventsView
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.store.audit_events import EventFilter, EventPage, EventPosition, EventRow


def row(number: int, kind: type[EventRow] = EventRow, **changes: Any) -> EventRow:
    """The event of this number; 1 is the newest."""
    at = datetime.fromtimestamp(NOW, UTC) - timedelta(seconds=7 * number)
    values = {
        "id": 10_000 - number, "event_id": f"Ev{number:05}", "event_ts": at, "exact_ts": str(at), "received_at": at,
        "type": "message", "subtype": None, "outcome": "stored", "discard_id": None, "channel_id": "C01",
        "channel_name": "ops", "user_id": "U01", "user_name": "ana", "message_ts": at, "error": None,
        "text": f"text {number}", "replays": 0,
    }  # fmt: skip
    return kind(**values | changes)  # type: ignore[arg-type]


ROWS = (
    row(1, text="The deployment of payments is through"),
    row(2, outcome="discarded", discard_id=3, user_name=None, user_id="U0BOT", text="Build 4711 passed"),
    row(3, type="reaction_added", text="eyes"),
    row(4, outcome="failed", error="23514", text="日本語のテキスト \x1b[31mred"),
    row(5, type="emoji_changed", outcome="unrouted", channel_name=None, channel_id=None, text=None),
    row(6, subtype="message_changed", channel_name=None, channel_id="C0SECRET"),
)  # fmt: skip


class CannedAudit(AuditReader):
    """Answers with these events, page by page."""

    def __init__(self, rows: Sequence[EventRow], problem: Exception | None = None) -> None:
        super().__init__("")
        self.rows = rows
        self.problem = problem
        self.delay: dict[str | None, float] = {}
        """Seconds before an answer, by the text that is searched."""

    async def event(self, event_id: str) -> EventDetail | None:
        found = next((row for row in self.rows if row.event_id == event_id), None)
        if found is None:
            return None
        return EventDetail(
            id=found.id, event_id=event_id, event_ts=found.event_ts, received_at=found.received_at,
            last_received_at=found.received_at, deliveries=1, type=found.type, subtype=found.subtype,
            outcome=found.outcome, team_id="T01", channel_id=found.channel_id, user_id=found.user_id,
            message_ts=found.message_ts, slack_ts=None, event={"type": found.type, "text": found.text},
            error=None, rule_id=None, rule=None, matched=(), replays=(), rows=(),
            channel_name=found.channel_name, user_name=found.user_name,
        )  # fmt: skip

    async def find_events(self, query: EventQuery, *, most: int) -> tuple[EventFilter, EventPage]:
        await asyncio.sleep(self.delay.get(query.text, 0))
        if self.problem is not None:
            raise self.problem
        return EventFilter(text=query.text), self._page(query.text, 0, most)

    async def more_events(
        self, chosen: EventFilter, before: EventPosition, *, most: int
    ) -> EventPage:
        return self._page(chosen.text, before.id, most)

    def _page(self, text: str | None, begin: int, most: int) -> EventPage:
        found = [row for row in self.rows if (text or "") in (row.text or "")]
        end = begin + most
        more = EventPosition("", end) if end < len(found) else None
        return EventPage(tuple(found[begin:end]), more)


def console(home: Path, audit: AuditReader) -> ConsoleApp:
    backend = CannedBackend(home)
    backend.audit = audit
    return ConsoleApp(backend, ConsoleOptions())


@pytest.mark.parametrize(
    ("state", "audit"),
    [
        ("well", CannedAudit(ROWS)),
        ("empty", CannedAudit(())),
        ("away", CannedAudit((), DatabaseUnavailable("The database does not answer."))),
    ],
)
async def test_pictures(tmp_path: Path, pictures: Pictures, state: str, audit: AuditReader) -> None:
    app = console(tmp_path, audit)
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.press("7")
        await pictures(f"events-{state}", app, pilot)


class Unprintable(EventRow):
    """Fails if somebody makes a text of all of its data: Textual does of the work that it runs."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise AssertionError("all data is printed on the event loop")


async def test_more_pages_are_read_at_the_end_of_the_list(tmp_path: Path) -> None:
    app = console(tmp_path, CannedAudit([row(number, Unprintable) for number in range(1, 451)]))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("7")
        await shows(app, "200+")
        await pilot.press("end")
        await shows(app, "400+")
        await pilot.press("end")
        await shows(app, "450, newest first")
        await pilot.press("end")
        await shows(app, "text 450")


async def test_exports_and_copies_hold_all_events_that_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the page that is loaded. Where there are too many, the message says so."""
    app = console(tmp_path, CannedAudit([row(number) for number in range(1, 451)]))
    copied: list[str] = []
    said: list[str] = []
    async with app.run_test(size=(100, 30)) as pilot:
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        app.say = lambda text, **_: said.append(text)  # type: ignore[assignment, method-assign]

        async def says(text: str) -> None:
            await until(lambda: any(text in one for one in said), 20)

        await pilot.press("7")
        await shows(app, "200+")
        for name, words in (("a.txt", "Wrote 450 rows to"), ("b.csv", "first 400 rows, not all")):
            await pilot.press("e", *name, "enter")  # the name replaces the proposed path
            await says(words)
            monkeypatch.setattr("tiger_slack_tui.console.views.view.MOST_READ", 400)
        await pilot.press("Y")
        await says("Copied 450 rows")
        monkeypatch.setattr("tiger_slack_tui.console.panes.pane.MOST_COPIED", 300)
        await pilot.press("Y")
        await says("first 300 rows")
        await pilot.press("s", "s", "s", "s", "s", "s")
        await shows(app, "by text ↓ of the 200 loaded")
        await pilot.press("e", *"c.txt", "enter")
        await says("c.txt")
        await pilot.press("e", *"a.txt", "enter")
        await says("a.txt exists already")
        await shows(app, "Enter Accept")  # to type another name
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert [lines[1].endswith("text 1"), lines[450].endswith("text 450")] == [True, True]
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 401
    assert [len(text.splitlines()) for text in copied] == [451, 302]
    [_, *texts] = (tmp_path / "c.txt").read_text().splitlines()
    assert texts == sorted(texts, key=lambda text: text.rpartition("text ")[2])


async def test_the_events_are_sorted_by_a_column(tmp_path: Path) -> None:
    app = console(tmp_path, CannedAudit(ROWS))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("7")
        await shows(app, "Build 47")
        await pilot.press("s", "s")  # the second column
        await until(lambda: outcomes(app) == sorted(outcomes(app)), 20)


def outcomes(app: ConsoleApp) -> list[str]:
    """The column of outcomes, from the top."""
    lines = [line[2:] for line in screen_text(app).splitlines()]
    return [line.split()[2] for line in lines if line.startswith("09-20")]


async def test_a_number_behind_a_word_is_text_and_a_ts_behind_a_channel_a_message(
    tmp_path: Path,
) -> None:
    app = console(tmp_path, CannedAudit(ROWS))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("7", "slash", *"Build 4711", "enter")
        await shows(app, "events found")
        await shows(app, "Build 4711 passed")
        await pilot.press("slash", *" channel:#ops", "enter")
        await shows(app, "events found")
        await pilot.press("escape", "slash", *"#ops 1700000000.000100", "enter")
        await shows(app, "Why:")  # there is no database to ask


async def test_an_old_answer_never_replaces_a_newer_one(tmp_path: Path) -> None:
    audit = CannedAudit(ROWS)
    app = console(tmp_path, audit)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("7")
        await shows(app, "Build 4711")
        audit.delay = {"Build": 1.0}
        await pilot.press("slash", *"Build", "enter", "slash", *"\b" * 5)
        app.query_one(EventsView).query_one("#events-field").value = "eyes"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await shows(app, "events found")
        await asyncio.sleep(1.5)
        assert "reaction_added" in screen_text(app)
        assert "Build 4711" not in screen_text(app)


async def test_filters_over_a_real_database(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        await slack.send_all([message(1, user="U7"), message(2), message(3, type="odd_type")])
        await asyncio.wait_for(slack.wait_acked(), 30)
        await pilot.press("7")
        await shows(app, "text 3")
        await pilot.press("slash", *"user:U7", "enter")
        await shows(app, "events found")
        await until(lambda: "text 2" not in screen_text(app), 20)
        assert "text 1" in screen_text(app)
        await pilot.press("enter")
        await shows(app, '"user": "U7"')
        await pilot.press("escape", "escape")
        await shows(app, "text 2")
        await pilot.press("slash", *"type:mesage", "enter")
        await shows(app, "Did you mean message?")
        await pilot.press("slash")
        app.query_one("#events-field").value = "chanel:x"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await shows(app, "Did you mean channel:?")
        await pilot.press("escape")
        assert app.query_one("#events-field").value == ""  # type: ignore[attr-defined]
        await shows(app, "text 3")
        await pilot.press("slash", *"outc", "tab", *"unrouted", "enter")
        await shows(app, "events found")
        await until(lambda: "text 1" not in screen_text(app), 20)
        await pilot.press("R")
        await shows(app, "Replay the event Ev3?")
        await pilot.press("y")
        await shows(app, "Replayed 1 event: 1 unrouted")
