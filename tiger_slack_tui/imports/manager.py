"""Runs imports and checks of archives for the console: one import and one check at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tiger_slack_tui.base import private_files
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.live_limits import LIVE_LIMIT, RESUME_BELOW
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.progress_events import ImportNote
from tiger_slack_tui.imports.report import save_report
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.imports.workers.handle import ImportFailed
from tiger_slack_tui.store.imports import ImportOutcome, ImportRunning

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
"""Seconds between two checks of the live events."""
_LEAST_WAIT_SECONDS = 2.0
"""Shortest wait."""
_END_SECONDS = 15.0
"""Seconds in which the running batches have to end at `close`. Then the workers are killed."""

ReasonToWait = Callable[[float], str | None]
"""Function of a limit in seconds: why an import has to wait for live events; None if it need not."""


class ImportManager:
    """Runs imports, and keeps their state: `run` is the current or last import, `check` the current or last check.

    A started import runs until it ends, `stop`, or `close`. All calls come from one event loop.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        instance: str,
        limits: ArchiveLimits,
        reports: Path,
        reason_to_wait: ReasonToWait,
    ) -> None:
        """`reports` is a directory. It is made when a report is saved."""
        self.run: ImportState | None = None
        self.check: ImportState | None = None
        self.reports = reports
        self.live_limit: float | None = LIVE_LIMIT
        """In seconds; None if imports do not wait for live events."""
        self._conninfo = conninfo
        self._instance = instance
        self._limits = limits
        self._reason_to_wait = reason_to_wait
        self._import: Import | None = None
        self._checking: Import | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def is_running(self) -> bool:
        """Whether an import runs; also while it is paused."""
        return self.run is not None and not self.run.phase.is_over

    @property
    def is_checking(self) -> bool:
        return self.check is not None and not self.check.phase.is_over

    def start_check(self, request: ImportRequest) -> None:
        """Start a check: read everything and write nothing. It replaces a running check. Raises SettingsError."""
        request = replace(request, dry_run=True)
        state = ImportState(request)
        job = self._new_job(request, state)
        before = self._end_check()
        self.check = state
        self._checking = job
        self._tasks["check"] = asyncio.create_task(self._run_job(job, state, after=before))

    def start(self, request: ImportRequest) -> None:
        """Start or continue an import, after a running check has ended. Raises SettingsError, ImportRunning."""
        if self.is_running:
            raise ImportRunning(
                "An import is already running here.", hint="Wait for its end, or stop it."
            )
        state = ImportState(request)
        job = self._new_job(request, state)
        before = self._end_check()
        self.run = state
        self._import = job
        self._tasks["run"] = asyncio.create_task(self._import_all(job, state, after=before))

    def pause(self) -> None:
        """Start no further batch until `resume`."""
        self._hold(paused=True)

    def resume(self) -> None:
        """Start batches again."""
        self._hold(paused=False)

    def stop(self) -> None:
        """End the import after its running batches. The same import then continues from there."""
        if self._import is not None and self.run is not None and self.is_running:
            self.run.is_stopping = True
            self._import.cancel()

    def stop_check(self) -> None:
        """End the check. Its state stays."""
        self._end_check()

    async def wait(self) -> None:
        """Wait for the end of the import."""
        if (task := self._tasks.get("run")) is not None:
            await asyncio.wait({task})

    async def close(self) -> None:
        """Stop the import and the check, and wait for their end, by force after some seconds."""
        self.stop()
        self.stop_check()
        tasks = set(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def command(self, request: ImportRequest) -> str:
        """The command line that does the same as the request."""
        return request.command(self._map_file(request))

    def save_map(self, request: ImportRequest) -> None:
        """Write the file that `command` names after --channel-map. Blocks. Raises OSError."""
        if request.channel_map:
            text = json.dumps(dict(request.channel_map), indent=2) + "\n"
            private_files.write(self._map_file(request), text)

    def _map_file(self, request: ImportRequest) -> Path:
        content = json.dumps(dict(request.channel_map), sort_keys=True).encode()
        return self.reports / f"channel-map-{hashlib.sha256(content).hexdigest()[:8]}.json"

    def _new_job(self, request: ImportRequest, state: ImportState) -> Import:
        options = request.options(self._limits, datetime.now(UTC))
        return Import(
            self._conninfo, request.path, options, instance=self._instance, ledger=state.ledger
        )

    def _end_check(self) -> asyncio.Task[None] | None:
        """Stop the check; its task."""
        if self._checking is not None and self.check is not None and self.is_checking:
            self.check.is_stopping = True
            self._checking.cancel()
        return self._tasks.get("check")

    def _hold(self, *, paused: bool | None = None, waits_for: str | None = None) -> None:
        """Hold the import for the operator (`paused`) or for live events (`waits_for`); else resume it."""
        job, state = self._import, self.run
        if job is None or state is None:
            return
        if paused is None:
            paused = state.is_paused
        else:
            waits_for = state.waits_for
        state.hold(paused=paused, waits_for=waits_for)
        if paused or waits_for is not None:
            job.pause()
        else:
            job.resume()

    async def _import_all(
        self, job: Import, state: ImportState, *, after: asyncio.Task[None] | None
    ) -> None:
        log.info("import started", extra={"path": str(state.request.path)})
        watch = asyncio.create_task(self._watch_live())
        try:
            await self._run_job(job, state, after=after)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        details = {"error": str(state.error.args[0])} if state.error else {}
        log.log(
            logging.INFO if state.phase is Phase.DONE else logging.WARNING,
            "import %s",
            state.phase.value,
            extra={"read": state.total.read, "inserted": state.total.inserted, **details},
        )

    async def _run_job(
        self, job: Import, state: ImportState, *, after: asyncio.Task[None] | None
    ) -> None:
        """Run a job once the task `after` has ended. Its result and errors go to the state."""
        error: TigerSlackError | None = None
        result: ImportResult | None = None
        try:
            if after is not None:
                await asyncio.wait({after})
            try:
                result = await job.run(state.handle)
            except TigerSlackError as failure:
                # After a stop, unfinished work can fail: that error is not the import's.
                error = None if state.is_stopping else failure
            except Exception as failure:
                log.error("an internal error ended an import", exc_info=failure)
                text = f"An internal error ended the import: {where(failure)}."
                error = ImportFailed(text, hint="Start it again.")
            if job.import_id is not None:
                known = result or job.result(
                    ImportOutcome.FAILED if error else ImportOutcome.CANCELLED
                )
                state.report = await self._report(state, known, error)
        except asyncio.CancelledError:
            state.is_stopping = True
            raise
        finally:
            state.end(result, error)

    async def _report(
        self, state: ImportState, result: ImportResult, error: TigerSlackError | None
    ) -> Path | None:
        command = self.command(state.request)
        try:
            await asyncio.to_thread(self.save_map, state.request)
            return await save_report(self.reports, self._conninfo, state, result, command, error)
        except OSError as failure:
            why = failure.strerror or type(failure).__name__
        except Exception as failure:
            log.error("the report of an import was not saved", exc_info=failure)
            why = where(failure)
        state.handle(ImportNote(f"The report was not saved: {why}", is_warning=True))
        return None

    async def _watch_live(self) -> None:
        """Hold the import while live events take too long.

        If the lateness is unknown, the import continues, and an error is logged once.
        """
        since = 0.0
        has_failed = False
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            state, limit = self.run, self.live_limit
            if state is None:
                continue
            is_waiting = state.waits_for is not None
            why = None
            if limit is not None:
                try:
                    why = self._reason_to_wait(limit * RESUME_BELOW if is_waiting else limit)
                except Exception as error:  # without this, the import would wait without end
                    if not has_failed:
                        log.error("it is unknown whether live events are late", exc_info=error)
                    has_failed = True
                else:
                    has_failed = False
            if why is None and is_waiting and time.monotonic() - since < _LEAST_WAIT_SECONDS:
                why = state.waits_for
            if why is not None and not is_waiting:
                since = time.monotonic()
            if why != state.waits_for:
                self._hold(waits_for=why)
