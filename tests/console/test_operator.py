"""What the Operator changes, over a real database; and what it says where there is no engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from tests.console.canned import no_imports
from tiger_slack_tui.audit.rules import NoSuchRule
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.live_limits import LIVE_LIMIT
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.findings_reader import FindingsReader
from tiger_slack_tui.console.model.log_ring import LogRing
from tiger_slack_tui.console.model.monitor import Monitor
from tiger_slack_tui.console.operator import NoEngineError, Operator
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.store.replay import ReplaySelection


def backend_of(home: Path, conninfo: str = "") -> Backend:
    settings = Settings(home=home, conninfo=conninfo)
    return Backend(
        settings,
        conninfo,
        Monitor(conninfo, settings.jobs),
        LogRing(),
        FindingsReader(conninfo),
        no_imports(home),
    )


async def test_rules_and_replays_are_committed(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    operator = Operator(backend_of(tmp_path, conninfo))

    def rules() -> tuple[list[int], list[int]]:
        """Those that are on, and those that are off."""
        on = database.execute("select id from slack.message_discard").fetchall()
        off = database.execute("select id from slack.message_discard_off where not is_removed")
        found = [id_ for (id_,) in on], [id_ for (id_,) in off.fetchall()]
        database.commit()
        return found

    assert await operator.add_rule('$.bot_id == "B1"', "bots") == "Rule 1 is on"
    assert rules() == ([1], [])
    same = await operator.add_rule('($."bot_id"=="B1")', None)
    assert same == "Rule 1 is the same, and it is on. Nothing was added."
    assert rules() == ([1], [])
    await operator.turn_rule_off(1)
    assert rules() == ([], [1])
    await operator.turn_rule_on(1)
    assert rules() == ([1], [])
    await operator.remove_rule(1)
    assert rules() == ([], [])
    with pytest.raises(NoSuchRule):
        await operator.turn_rule_on(1)
    assert (await operator.replay(ReplaySelection(failed=True))).events == 0
    assert await operator.migrate() == []


async def test_what_needs_the_engine_says_how_to_do_it_without(tmp_path: Path) -> None:
    backend = backend_of(tmp_path)
    operator = Operator(backend)
    with pytest.raises(NoEngineError, match="has not started yet"):
        await operator.run_job("users")
    backend.is_observing = True
    for work, command in (
        (operator.run_job("users"), "tiger-slack jobs users"),
        (operator.backfill(7), "tiger-slack backfill --gap 7"),
    ):
        with pytest.raises(NoEngineError, match="only observes") as refused:
            await work
        assert command in str(refused.value.hint)

    async def run(given: object) -> object:
        return given

    backend.engine = SimpleNamespace(run_job=run, close_gap=run)  # type: ignore[assignment]
    assert [await operator.run_job("users"), await operator.backfill(7)] == ["users", 7]


async def test_imports_are_controlled_and_a_map_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backend_of(tmp_path)
    operator, manager = Operator(backend), backend.imports
    called: list[str] = []
    for name in ("stop_check", "pause", "resume", "stop"):
        monkeypatch.setattr(manager, name, lambda name=name: called.append(name))
    for method in (
        operator.stop_check,
        operator.pause_import,
        operator.resume_import,
        operator.stop_import,
        operator.stop,
    ):
        method()
    assert called == ["stop_check", "pause", "resume", "stop", "stop"]
    assert backend.is_stopping
    limits = []
    for _ in range(2):
        operator.toggle_live_limit()
        limits.append(manager.live_limit)
    assert set(limits) == {None, LIVE_LIMIT}
    request = ImportRequest(tmp_path, channel_map={"old": "C1"})
    await operator.save_channel_map(request)
    monkeypatch.setattr(manager, "save_map", _no_room)
    with pytest.raises(TigerSlackError, match="cannot be written: No space left"):
        await operator.save_channel_map(request)


def _no_room(request: ImportRequest) -> None:
    raise OSError(28, "No space left on device")
