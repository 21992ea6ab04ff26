"""Where a program that does other things, too, has its imports: one at a time, and the check of the next one."""

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
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.imports.archive.members import ArchiveLimits
from tiger_slack_tui.imports.events import ImportNote
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.report import save_report
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.imports.workers.handle import ImportFailed
from tiger_slack_tui.store.imports import ImportRunning

log = logging.getLogger(__name__)

LIVE_LIMIT = 0.2
"""Seconds that live events may take to their ack (p95) before an import waits for them."""
_LIVE_SECONDS = 0.5
"""Between two looks at the live events."""
_CALM = 0.7
"""Share of the limit below which a waiting import goes on: it shall not start and stop all the time."""
_CALM_SECONDS = 2.0
"""How long it waits at least."""
_END_SECONDS = 15.0
"""How long the batches under way may take at the end before their processes are killed, and they are rolled back."""

Live = Callable[[float], str | None]
"""Why an import shall wait for live events that may take so many seconds; None where it may go on."""


class ImportManager:
    """Runs imports, and keeps how they stand: `run` is the present or last one, `check` the present or last check.

    An import that is started goes on whoever looks, until it ends, `stop`, or `close`. Of one event loop.
    """

    def __init__(
        self, conninfo: str, *, instance: str, limits: ArchiveLimits, reports: Path, live: Live
    ) -> None:
        """`reports` is a directory, made when it is needed."""
        self.run: ImportState | None = None
        self.check: ImportState | None = None
        self.reports = reports
        self.live_limit: float | None = LIVE_LIMIT
        """None where imports do not wait for live events."""
        self._conninfo = conninfo
        self._instance = instance
        self._limits = limits
        self._live = live
        self._import: Import | None = None
        self._checking: Import | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def is_running(self) -> bool:
        """Whether an import runs, be it paused."""
        return self.run is not None and not self.run.phase.is_over

    @property
    def is_checking(self) -> bool:
        return self.check is not None and not self.check.phase.is_over

    def start_check(self, request: ImportRequest) -> None:
        """Read everything and write nothing; in place of a check that runs. Raises SettingsError."""
        request = replace(request, dry_run=True)
        job = self._make(request)
        before = self._end_check()
        self.check = ImportState(request)
        self._checking = job
        self._tasks["check"] = asyncio.create_task(self._attend(job, self.check, after=before))

    def start(self, request: ImportRequest) -> None:
        """Import, or go on with the same import. A check ends first. Raises SettingsError, ImportRunning."""
        if self.is_running:
            raise ImportRunning(
                "An import runs here already.", hint="Wait for its end, or stop it."
            )
        job = self._make(request)
        before = self._end_check()
        self.run = ImportState(request)
        self._import = job
        self._tasks["run"] = asyncio.create_task(self._import_all(job, self.run, after=before))

    def pause(self) -> None:
        """Let no further batch begin, until `resume`."""
        self._hold(paused=True)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._hold(paused=False)

    def stop(self) -> None:
        """End the import after the batches under way; the same one goes on from there."""
        if self._import is not None and self.run is not None and self.is_running:
            self.run.is_stopping = True
            self._import.cancel()

    def stop_check(self) -> None:
        """End the check; what it found stays."""
        self._end_check()

    async def wait(self) -> None:
        """Wait until no import runs."""
        if (task := self._tasks.get("run")) is not None:
            await asyncio.wait({task})

    async def close(self) -> None:
        """Stop everything, and wait for its end."""
        self.stop()
        self.stop_check()
        tasks = set(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def command(self, request: ImportRequest) -> str:
        """The command line that does the same."""
        return request.command(self._map_file(request))

    def save_map(self, request: ImportRequest) -> None:
        """Write the file of channel ids that `command` names. Blocks. Raises OSError."""
        if request.channel_map:
            text = json.dumps(dict(request.channel_map), indent=2) + "\n"
            private_files.write(self._map_file(request), text)

    def _map_file(self, request: ImportRequest) -> Path:
        content = json.dumps(dict(request.channel_map), sort_keys=True).encode()
        return self.reports / f"channel-map-{hashlib.sha256(content).hexdigest()[:8]}.json"

    def _make(self, request: ImportRequest) -> Import:
        options = request.options(self._limits, datetime.now(UTC))
        return Import(self._conninfo, request.path, options, instance=self._instance)

    def _end_check(self) -> asyncio.Task[None] | None:
        """The task of the check that ends."""
        if self._checking is not None and self.check is not None and self.is_checking:
            self.check.is_stopping = True
            self._checking.cancel()
        return self._tasks.get("check")

    def _hold(self, *, paused: bool | None = None, waits_for: str | None = None) -> None:
        """Hold the import up for the operator, or for live events; let it go on where neither is so."""
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
        watching = asyncio.create_task(self._watch_live())
        try:
            await self._attend(job, state, after=after)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        why = {"error": str(state.error.args[0])} if state.error else {}
        log.log(
            logging.INFO if state.phase is Phase.DONE else logging.WARNING,
            "import %s",
            state.phase.value,
            extra={"read": state.total.read, "inserted": state.total.inserted, **why},
        )

    async def _attend(
        self, job: Import, state: ImportState, *, after: asyncio.Task[None] | None
    ) -> None:
        """Follow a job to its end, when that of `after` is over; its errors are the state's."""
        error: TigerSlackError | None = None
        result: ImportResult | None = None
        try:
            if after is not None:
                await asyncio.wait({after})
            try:
                result = await job.run(state.handle)
            except TigerSlackError as failure:
                # What was asked to stop may end by an error of its broken-off work.
                error = None if state.is_stopping else failure
            except Exception as failure:
                log.error("an import broke off", exc_info=failure)
                text = f"The import broke off: {where(failure)}."
                error = ImportFailed(text, hint="Start it again.")
            if job.import_id is not None:
                account = result or job.account("failed" if error else "cancelled")
                state.report = await self._report(state, account, error)
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
        """Hold the import up while live events take too long. Where that is not known, it goes on; that is logged."""
        since = 0.0
        has_failed = False
        while True:
            await asyncio.sleep(_LIVE_SECONDS)
            state, limit = self.run, self.live_limit
            if state is None:
                continue
            is_waiting = state.waits_for is not None
            why = None
            if limit is not None:
                try:
                    why = self._live(limit * _CALM if is_waiting else limit)
                except Exception as error:  # an import that waits for nothing would wait for ever
                    if not has_failed:
                        log.error("it is not known whether live events are late", exc_info=error)
                    has_failed = True
                else:
                    has_failed = False
            if why is None and is_waiting and time.monotonic() - since < _CALM_SECONDS:
                why = state.waits_for
            if why is not None and not is_waiting:
                since = time.monotonic()
            if why != state.waits_for:
                self._hold(waits_for=why)
