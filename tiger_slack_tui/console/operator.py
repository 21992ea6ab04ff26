"""Everything that a person can change from the console, one typed method for each."""

from __future__ import annotations

import asyncio

from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.replay import ReplayReport, replay
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.console.model.audit_reader import connected
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.imports.manager import LIVE_LIMIT
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.store.job_runs import JobRun
from tiger_slack_tui.store.replay import ReplaySelection


class NoEngineError(TigerSlackError):
    """This console only observes, or its engine has not been made yet."""


class Operator:
    """What a person can do. The views ask first, then call it.

    A coroutine ends when the change is committed. It raises TigerSlackError if the change could not be made.
    Its work has a connection of its own, so it never waits for the readers.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    # Ingestion

    def stop(self) -> None:
        """Ask the engine and the import to end. Returns at once."""
        self._backend.stop()

    async def run_job(self, name: str) -> JobRun:
        """Run a scheduled job now, and return how it ended. Raises NoEngineError."""
        if (engine := self._backend.engine) is None:
            raise NoEngineError("No engine runs here.")
        return await engine.run_job(name)

    async def backfill(self, gap_id: int) -> JobRun:
        """Read what a gap misses from Slack's history, and return how that ended. Raises NoEngineError."""
        if (engine := self._backend.engine) is None:
            raise NoEngineError("No engine runs here.")
        run = await engine.close_gap(gap_id)
        self._backend.findings_reader.read_now()
        return run

    # Schema

    async def migrate(self) -> list[str]:
        """Run the pending migration files, all or none, and return their names."""
        return await migrate(self._backend.conninfo)

    # Events

    async def replay(self, selection: ReplaySelection) -> ReplayReport:
        """Process the selected events again, by the present rules and code."""
        report = ReplayReport()
        async with connected(self._backend.conninfo) as connection:
            async for newer in replay(connection, selection):
                report = newer
        self._backend.findings_reader.read_now()
        return report

    # Discard rules

    async def add_rule(self, match: str, note: str | None) -> int:
        """Turn a new rule on, and return its number."""
        async with connected(self._backend.conninfo) as connection:
            return await rules.add_rule(connection, match, note)

    async def turn_rule_on(self, rule_id: int) -> None:
        async with connected(self._backend.conninfo) as connection:
            await rules.turn_rule_on(connection, rule_id)

    async def turn_rule_off(self, rule_id: int) -> None:
        async with connected(self._backend.conninfo) as connection:
            await rules.turn_rule_off(connection, rule_id)

    async def remove_rule(self, rule_id: int) -> None:
        async with connected(self._backend.conninfo) as connection:
            await rules.remove_rule(connection, rule_id)

    # Imports

    def start_check(self, request: ImportRequest) -> None:
        """Begin to read an archive without writing anything. A check that runs is stopped. Raises SettingsError."""
        self._backend.imports.start_check(request)

    def stop_check(self) -> None:
        """Stop the check. What it found stays."""
        self._backend.imports.stop_check()

    def start_import(self, request: ImportRequest) -> None:
        """Begin an import, or resume an unfinished one. Raises SettingsError, ImportRunning."""
        self._backend.imports.start(request)

    def pause_import(self) -> None:
        """Let no further batch begin."""
        self._backend.imports.pause()

    def resume_import(self) -> None:
        """Let batches begin again."""
        self._backend.imports.resume()

    def stop_import(self) -> None:
        """End the import after its present batches. Returns at once."""
        self._backend.imports.stop()

    def set_live_limit(self, seconds: float | None) -> None:
        """Let the import wait while the p95 of live acks is above the limit; None lets it never wait."""
        self._backend.imports.live_limit = seconds

    def toggle_live_limit(self) -> None:
        """Let the import wait for live events, or not."""
        self.set_live_limit(None if self._backend.imports.live_limit is not None else LIVE_LIMIT)

    async def save_channel_map(self, request: ImportRequest) -> None:
        """Write the request's channel map to the file that its command names."""
        try:
            await asyncio.to_thread(self._backend.imports.save_map, request)
        except OSError as error:
            raise TigerSlackError(f"it cannot be written: {error.strerror}") from None
