"""Everything that the console changes: one typed method for each thing that a person can do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.replay import ReplayReport, replay
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.live_limits import LIVE_LIMIT
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.read_errors import describe_error, unexpected
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connected
from tiger_slack_tui.store.imports import count_killed
from tiger_slack_tui.store.job_runs import JobRun
from tiger_slack_tui.store.replay import ReplaySelection

if TYPE_CHECKING:
    from tiger_slack_tui.engine import Engine


log = logging.getLogger(__name__)

_COUNT_SECONDS = 2.0
"""Between two looks for killed imports that are not counted yet."""
_RETRY_SECONDS = 30.0
"""Before a count that failed is retried."""


class NoEngineError(TigerSlackError):
    """This console only observes, or its engine has not been made yet."""

    def __init__(self, *, is_observing: bool, hint: str) -> None:
        """`hint` says how to do the same without this console's engine."""
        if is_observing:
            super().__init__("This console only observes.", hint=hint)
        else:
            super().__init__("The engine has not started yet.", hint="Try again in a few seconds.")


class Operator:
    """The changes that the console makes. A view asks first, then calls the method.

    A coroutine ends when the change is committed. It raises TigerSlackError if the change could not be made.
    Its work has a connection of its own, so it never waits for the readers.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    # Ingestion

    def stop(self) -> None:
        """Ask the engine and the import to end cleanly, or keep the engine from being made. Returns at once."""
        backend = self._backend
        backend.is_stopping = True
        backend.imports.stop()
        if backend.engine is not None:
            backend.engine.stop()

    async def run_job(self, name: str) -> JobRun:
        """Run a scheduled job now, and return how it ended. Raises NoEngineError."""
        return await self._engine(f"Run the job in a shell: tiger-slack jobs {name}").run_job(name)

    async def backfill(self, gap_id: int) -> JobRun:
        """Read what a gap misses from Slack's history, and return how that ended. Raises NoEngineError."""
        engine = self._engine(f"Fill the gap in a shell: tiger-slack backfill --gap {gap_id}")
        run = await engine.close_gap(gap_id)
        self._backend.findings_reader.read_now()
        return run

    def _engine(self, hint: str) -> Engine:
        """The engine. Raises NoEngineError."""
        backend = self._backend
        if backend.engine is None:
            raise NoEngineError(is_observing=backend.is_observing, hint=hint)
        return backend.engine

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

    async def add_rule(self, match: str, note: str | None) -> str:
        """Turn a new rule on, unless there is the same one, and return what came of it, in words."""
        async with connected(self._backend.conninfo) as connection:
            added = await rules.add_rule(connection, match, note)
        return rules.same_rule_words(added.same) if added.same else f"Rule {added.id} is on"

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
        """Start to read an archive without writing anything. It stops a running check. Raises SettingsError."""
        self._backend.imports.start_check(request)

    def stop_check(self) -> None:
        """Stop the check. Its findings stay."""
        self._backend.imports.stop_check()

    def start_import(self, request: ImportRequest) -> None:
        """Begin an import, or resume an unfinished one. Raises SettingsError, ImportRunning."""
        self._backend.imports.start(request)

    def pause_import(self) -> None:
        """Pause the import after the running batches."""
        self._backend.imports.pause()

    def resume_import(self) -> None:
        """Resume the import."""
        self._backend.imports.resume()

    def stop_import(self) -> None:
        """End the import after its present batches. Returns at once."""
        self._backend.imports.stop()

    def set_live_limit(self, seconds: float | None) -> None:
        """Set the p95 of live acks above which the import waits, in seconds; None turns waiting off."""
        self._backend.imports.live_limit = seconds

    def toggle_live_limit(self) -> None:
        """Turn waiting for live events on or off."""
        self.set_live_limit(None if self._backend.imports.live_limit is not None else LIVE_LIMIT)

    async def count_killed_imports(self) -> None:
        """Store the account of each import that was killed, until cancelled.

        This is the only change that no person asks for. A console that only observes, or is read-only, must not call
        it.
        """
        while True:
            pause = _COUNT_SECONDS
            for past in self._backend.monitor.state.imports:
                if past.needs_count and not await self._count_killed_import(past.id):
                    pause = _RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _count_killed_import(self, import_id: int) -> bool:
        """Store the account of a killed import; False if that failed, which is logged."""
        try:
            async with connected(self._backend.conninfo) as connection:
                is_counted = await count_killed(connection, import_id)
        except Exception as error:
            why = describe_error(error)
            log.warning("import %d was not counted: %s", import_id, why, exc_info=unexpected(error))
            return False
        if is_counted:
            self._backend.monitor.refresh_now()
        return True

    async def save_channel_map(self, request: ImportRequest) -> None:
        """Write the request's channel map to the file that its command names."""
        try:
            await asyncio.to_thread(self._backend.imports.save_map, request)
        except OSError as error:
            raise TigerSlackError(f"The file cannot be written: {error.strerror}") from None
