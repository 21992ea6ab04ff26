"""Triage and the rules, driven by keys, over a real engine and a real database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.console.canned import NOW, CannedBackend, no_imports, screen_text, shows
from tests.console.conftest import Golden
from tests.support import make_engine, until
from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.words import UNROUTED
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.console.app import ConsoleApp
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.findings import Finding, StoredFindings
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.log_ring import LogRing
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.screens.rules import RulesScreen
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.store.gaps import Gap


@asynccontextmanager
async def live(
    slack: LocalSlack, conninfo: str, home: Path, *, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console over an engine that is connected to the local Slack."""
    settings = Settings(home=home, conninfo=conninfo)
    engine = make_engine(slack, conninfo, home)
    monitor, reader = Monitor(conninfo, settings.jobs), FindingsReader(conninfo)
    backend = Backend(settings, conninfo, monitor, LogRing(), reader, no_imports(home), engine)
    app = ConsoleApp(backend, ConsoleOptions(), engine_work=engine.run())
    watching = [asyncio.create_task(work) for work in (monitor.run(), reader.run())]
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            await slack.wait_connected()
            yield app, pilot
            app.stop()
            await until(lambda: app.return_code is not None)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def message(number: int, **fields: Any) -> dict[str, Any]:
    ts = f"{int(time.time()) - 10 + number}.000100"
    event = {"type": "message", "channel": "C1", "user": "U1", "text": f"text {number}", "ts": ts}
    return {"event_id": f"Ev{number}", "event": event | {"event_ts": ts} | fields}


def add_names(database: psycopg.Connection[Any]) -> None:
    """Let the database know a channel and a person."""
    database.execute("""select slack.upsert_channel('{"channel": {"id": "C1", "name": "ops"}}')""")
    database.execute("""select slack.upsert_user('{"user": {"id": "U7", "name": "ana"}}')""")
    database.commit()


async def test_a_rule_is_made_by_keys_and_what_it_discarded_comes_back(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        add_names(database)
        await slack.send_all([message(1, bot_id="B1", text="<@U7> &amp; <#C1|x>"), message(2)])
        await asyncio.wait_for(slack.wait_acked(), 30)
        await pilot.press("7")
        await shows(app, "@ana & #ops")
        await pilot.press("3", "n")
        await shows(app, "discard rules")
        app.screen.query_one("#match", Input).value = "$.bot_id"
        await shows(app, "is a path, not a condition")
        await pilot.press("ctrl+s")
        await pilot.pause(0.3)
        assert database.execute("select count(*) from slack.message_discard").fetchone() == (0,)
        app.screen.query_one("#match", Input).value = '$.bot_id == "B1" && $.channel == "C1"'
        await shows(app, "1 of 2 (50.0%)")
        await shows(app, "a condition, C1 is #ops")
        await shows(app, "  @ana & #ops")
        await pilot.press("ctrl+s")
        await shows(app, '"C1" (#ops)')
        await shows(app, "Save this rule and turn it on?")
        await pilot.press("enter")  # changes nothing
        await pilot.press("ctrl+s")
        await shows(app, "Save this rule and turn it on?")
        await pilot.press("y")
        await shows(app, "1 on, 0 off")
        await shows(app, '"C1" (#ops)')
        await pilot.press("escape")
        await slack.send(message(3, bot_id="B1", text="<@U7>"))
        await asyncio.wait_for(slack.wait_acked(), 30)
        await shows(app, "rule 1  @ana")
        await shows(app, "(#ops)")
        assert database.execute("select count(*) from slack.message").fetchone() == (2,)
        await pilot.press("n")
        await shows(app, "1 on, 0 off")
        app.screen.query_one("#rules").focus()
        await pilot.press("T")
        await shows(app, "Turn rule 1 off?")
        await pilot.press("y")
        await shows(app, "0 on, 1 off")
        # A slow machine makes gaps: only the discarded event is to be selected.
        await pilot.press("escape", "d")
        await shows(app, "only discarded")
        await pilot.press("R")
        await shows(app, "Replay the event Ev3?")
        await pilot.press("y")
        await shows(app, "Replayed 1 event: 1 stored")
        await until(lambda: "rule 1" not in screen_text(app), 20)
        assert database.execute("select count(*) from slack.message").fetchone() == (3,)


async def test_the_draft_of_a_rule_survives_leaving(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        await pilot.press("3", "n")
        await until(lambda: isinstance(app.screen, RulesScreen))
        await shows(app, "? Help")
        await pilot.press("n", *"$.user == 1 && $.text == 2")
        await until(lambda: "? Help" not in screen_text(app))  # there the key is part of the text
        await pilot.press("escape", "n")
        await until(lambda: isinstance(app.screen, RulesScreen))
        assert app.screen.query_one("#match", Input).value == "$.user == 1 && $.text == 2"
        await pilot.press("escape")


@pytest.mark.parametrize("is_open_again", [False, True], ids=["left", "opened again"])
async def test_a_rule_that_is_made_after_its_screen_was_left_is_no_draft(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path, is_open_again: bool
) -> None:
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        await pilot.press("3", "n")
        await until(lambda: isinstance(app.screen, RulesScreen))
        await pilot.press("n", *'$.text == "x"')
        await shows(app, "✓ a condition")
        await pilot.press("ctrl+s")
        await shows(app, "Save this rule and turn it on?")
        with database.transaction():
            database.execute("lock table slack.message_discard in exclusive mode")
            await pilot.press("y")
            await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, RulesScreen))
            if is_open_again:
                await pilot.press("n")
                await until(lambda: isinstance(app.screen, RulesScreen))
                assert app.screen.query_one("#match", Input).value == '$.text == "x"'
        await shows(app, "Rule 1 is on")
        if not is_open_again:
            await pilot.press("n")
            await until(lambda: isinstance(app.screen, RulesScreen))
        await until(lambda: app.screen.query_one("#match", Input).value == "")
        await pilot.press("escape")


async def test_an_event_is_explained_whole(conninfo: str, tmp_path: Path) -> None:
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        await slack.send(message(1, type="star_added", text="\x1b[31m[/red]日本"))
        await asyncio.wait_for(slack.wait_acked(), 30)
        await pilot.press("3")
        await shows(app, "○ unrouted")
        await shows(app, "outcome")
        await pilot.press("enter")
        await until(lambda: len(app.screen_stack) == 2)
        await shows(app, "[/red]日本")
        await pilot.press("escape")


FINDINGS = (
    Finding("Ev1", "failed", NOW - 2, "message", "#ops", "@ana", "untranslatable character (22P05)",
            "untranslatable character (22P05)  see [/etc/hosts]", channel_id="C04QX8", user_id="U7TTA"),
    Finding("Ev2", "discarded", NOW - 19, "bot_message", "#releases", "B0BOT", "rule 3", "rule 3  deploy", rule=3),
    Finding("Ev3", "discarded", NOW - 40, "bot_message", "#releases", "B0BOT", "rule 3", "rule 3  build", rule=3),
    Finding("Ev4", "unrouted", NOW - 95, "star_added", "-", "@vk", "star_added", UNROUTED,
            user_id="U02VK"),
)  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("keys", "name"), [("", "order"), ("o", "groups"), ("l", "none-of-a-kind"), ("n", "rules")]
)
async def test_triage(
    tmp_path: Path,
    golden: Golden,
    size: tuple[int, int],
    keys: str,
    name: str,
) -> None:
    backend = CannedBackend(
        tmp_path, stored_findings=StoredFindings(FINDINGS, NOW, None, frozenset({"failed"}))
    )
    assert backend.model.engine is not None
    backend.change(engine=replace(backend.model.engine, problems=()))
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=size) as pilot:
        await pilot.press("3", *keys)
        await golden(f"triage-{name}-{size[0]}x{size[1]}", app)


async def test_the_detail_of_a_gap_follows_what_becomes_of_it(tmp_path: Path) -> None:
    began = datetime.fromtimestamp(NOW - 600, UTC)
    gap = Gap(
        7,
        "not connected",
        began,
        began + timedelta(minutes=2),
        "C1",
        "a@b:1",
        began,
        None,
        None,
        None,
        None,
    )

    def state(gap: Gap, at: float) -> StoredFindings:
        found = Finding("gap 7", "gap", NOW - 600, "open", "all", "-", gap.reason, "", gap=gap)
        return StoredFindings((found,), at, None)

    backend = CannedBackend(tmp_path, stored_findings=state(gap, NOW))
    assert backend.model.engine is not None
    backend.change(engine=replace(backend.model.engine, problems=()))
    app = ConsoleApp(backend, ConsoleOptions())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await shows(app, "✗ open")
        closed = replace(gap, closed_at=began + timedelta(minutes=5))
        backend.change(stored_findings=state(closed, NOW + 5))
        await shows(app, "✓ closed")
        history = replace(gap, reason="joined", error="Slack does not show the channel")
        backend.change(stored_findings=state(history, NOW + 10))
        for words in ("✗ history", "✗ not finished", "history   7, joined"):
            await shows(app, words)


async def test_the_detail_of_an_event_is_read_again(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        await slack.send(message(1, type="star_added"))
        await asyncio.wait_for(slack.wait_acked(), 30)
        await pilot.press("3", "u")
        await shows(app, "outcome   ○ unrouted")
        assert "replayed" not in screen_text(app)
        await pilot.press("R")
        await shows(app, "Replay the event Ev1?")
        await pilot.press("y")
        await shows(app, "replayed ")


async def test_a_rule_that_is_saved_after_its_screen_was_left_is_on(
    conninfo: str,
    database: psycopg.Connection[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = asyncio.Event()
    add_rule = rules.add_rule

    async def slow(*given: Any) -> rules.AddedRule:
        await left.wait()
        return await add_rule(*given)

    monkeypatch.setattr(rules, "add_rule", slow)
    async with LocalSlack() as slack, live(slack, conninfo, tmp_path) as (app, pilot):
        await pilot.press("3", "n")
        await shows(app, "discard rules")
        app.screen.query_one("#match", Input).value = '$.bot_id == "B1"'
        await shows(app, "✓ a condition")
        await pilot.press("ctrl+s")
        await shows(app, "Save this rule and turn it on?")
        await pilot.press("y")
        await until(lambda: isinstance(app.screen, RulesScreen))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, RulesScreen))
        left.set()
        await shows(app, "Rule 1 is on")
        assert "Rules failed" not in screen_text(app)
        assert database.execute("select count(*) from slack.message_discard").fetchone() == (1,)
