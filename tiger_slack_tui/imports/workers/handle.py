"""Starts a worker process of an import, and exchanges messages with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from tiger_slack_tui.base.errors import DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.imports.workers import protocol

log = logging.getLogger(__name__)

_GRACE_SECONDS = 1.0
"""Seconds to read a report that has arrived already."""
_STOP_SECONDS = 5.0
"""Seconds for which a worker may be silent after `stop`. A running worker reports at least once a second."""
_KEEP_ALIVE_SECONDS = 1.0
"""Interval between two `KeepAlive` messages of a worker."""
_KILL_SECONDS = 5.0
"""Seconds for which `close` waits for a killed worker."""
_END_SECONDS = 10.0
"""Seconds in which a worker has to end its batch. Then it is killed, and its transaction is rolled back."""
_BATCHES_AHEAD = 2
"""Batches that a worker may merge before the import handles the first one, so that the worker need not wait."""

_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(8 << 20)}
"""A worker keeps the memory of a batch for the next one. Getting it from the system again, page by page, took an
eighth of its time. https://man7.org/linux/man-pages/man3/mallopt.3.html"""


class ImportFailed(TigerSlackError):
    """An error ended the import. The same command continues from what is committed."""


class WorkerProcess:
    """A worker process: sends commands and receives reports (`tiger_slack_tui.imports.workers.protocol`)."""

    def __init__(self, process: asyncio.subprocess.Process, silent_seconds: float) -> None:
        self._process = process
        assert process.stdin  # noqa: S101 both are pipes
        assert process.stdout  # noqa: S101
        self._input, self._output = process.stdin, process.stdout
        self._silent_seconds = silent_seconds
        self._reading: asyncio.Task[protocol.Report | None] | None = None
        self._stopped = asyncio.Event()
        self._is_over = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, silent_seconds: float) -> WorkerProcess:
        """Start a worker. It gets no signals of our terminal, and ends when we end. Raises ImportFailed.

        It is killed when it reports nothing for `silent_seconds`.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # import nothing from the current directory, which may be an archive
                "-m",
                "tiger_slack_tui.imports.workers.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | _MEMORY,
            )
        except OSError as error:  # no memory, no more processes, no more files
            raise ImportFailed(
                f"A worker of the import could not be started: {error.strerror}.",
                hint="Start the import again.",
            ) from None
        return cls(process, silent_seconds)

    def begin(self, path: Path, conninfo: str, import_id: int | None) -> None:
        """Set the worker up for an archive. Without `import_id` it changes nothing."""
        keep_alive_seconds = min(_KEEP_ALIVE_SECONDS, self._silent_seconds / 12)
        self.send(protocol.Setup(path, conninfo, import_id, keep_alive_seconds))
        for _ in range(_BATCHES_AHEAD):
            self.send(protocol.Permit())

    def send(self, command: protocol.Command) -> None:
        """Send a command. It is lost if the worker has ended.

        It never waits: commands are small, and the worker has at most a few of them.
        """
        if not self._input.is_closing():
            self._input.write(protocol.frame(command))

    async def receive(self) -> protocol.Report | None:
        """The worker's next report; None when the worker has ended.

        A worker that is silent for too long, or sends anything but a report, is killed: Crashed. A crash is logged
        with its stack.
        """
        report = await self._receive()
        if isinstance(report, protocol.Crashed):
            log.error("a worker of the import crashed: %s", report.where, extra=report.error)
        return report

    async def _receive(self) -> protocol.Report | None:
        while not self._is_over:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            if not await self._reports_in_time(self._reading):
                if self._stopped.is_set():
                    log.warning("a worker of the import did not react to the stop and was killed")
                    self._kill("it did not react to the stop")
                    return None
                return self._kill(f"it reported nothing for {self._silent_seconds:g} s")
            try:
                report = self._reading.result()
            except protocol.BadFrame:
                return self._kill("it sent bytes that are not a report")
            finally:
                self._reading = None
            if not isinstance(report, protocol.KeepAlive):
                return report
        return None

    def stop(self) -> None:
        """Let the worker end after its batch. Go on receiving until None.

        From now on it is killed when it is silent for a few seconds.
        """
        self._stopped.set()
        self._input.close()

    async def close(self) -> None:
        """End the worker, by force if it has not ended after some seconds. Raises nothing."""
        self._input.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                while await self.receive() is not None:
                    pass
                await self._process.wait()
        except TimeoutError:
            log.warning("a worker of the import did not end in time and was killed")
        finally:
            self._kill("it is closed")
        with contextlib.suppress(
            TimeoutError
        ):  # a process in an uninterruptible wait outlives SIGKILL
            async with asyncio.timeout(_KILL_SECONDS):
                await self._process.wait()

    async def _read(self) -> protocol.Report | None:
        try:
            head = await self._output.readexactly(protocol.HEAD.size)
            content = await self._output.readexactly(protocol.content_length(head))
        except (asyncio.IncompleteReadError, OSError):
            return None
        report: protocol.Report = protocol.message(head, content)
        return report

    async def _reports_in_time(self, reading: asyncio.Task[protocol.Report | None]) -> bool:
        """Whether a report comes within the limit."""
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait(
                {reading, stopped},
                timeout=self._silent_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stopped.cancel()
        if not reading.done() and self._stopped.is_set():
            await asyncio.wait({reading}, timeout=min(_STOP_SECONDS, self._silent_seconds))
        if not reading.done():
            # If this process itself was stopped (SIGSTOP), the time is up at once, though there is something to read.
            await asyncio.wait({reading}, timeout=_GRACE_SECONDS)
        return reading.done()

    def _kill(self, why: str) -> protocol.Crashed:
        self._is_over = True
        if self._reading is not None:
            self._reading.cancel()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return protocol.Crashed(why)


def failure_of(report: protocol.Report | None) -> TigerSlackError:
    """The error for a worker that ended, or sent another report than the expected one."""
    if isinstance(report, protocol.DatabaseFailed):
        return DatabaseUnavailable(report.reason)
    where = report.where if isinstance(report, protocol.Crashed) else "it was killed"
    return ImportFailed(f"A worker of the import ended: {where}.", hint="Start the import again.")
