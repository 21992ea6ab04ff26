"""A worker process, as the import that started it sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys

from tiger_slack_tui.base.errors import DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.imports.workers import protocol

log = logging.getLogger(__name__)

_GRACE_SECONDS = 1.0
_KILL_SECONDS = 5.0
_END_SECONDS = 10.0
"""How long a worker may take to end its batch before it is killed; then its transaction is rolled back."""
_CREDITS = 2
"""Batches that a worker may begin before it hears of the first one's end, so that it need not wait between them."""

_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(8 << 20)}
"""A worker keeps the memory of a batch for the next one: to get it from the system anew, page by page, took an
eighth of its time. https://man7.org/linux/man-pages/man3/mallopt.3.html"""


class ImportFailed(TigerSlackError):
    """The import broke off. The same command goes on where it was."""


class WorkerProcess:
    """Speaks the protocol of `tiger_slack_tui.imports.workers.protocol`."""

    def __init__(self, process: asyncio.subprocess.Process, silent_seconds: float) -> None:
        self._process = process
        assert process.stdin  # noqa: S101 both are pipes
        assert process.stdout  # noqa: S101
        self._input, self._output = process.stdin, process.stdout
        self._silent_seconds = silent_seconds
        self._reading: asyncio.Task[protocol.Report | None] | None = None
        self._is_over = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, silent_seconds: float) -> WorkerProcess:
        """Start one. It gets no signals of our terminal, and ends with us. Raises ImportFailed.

        It is killed when it says nothing for `silent_seconds`.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing of the current directory, which may be an archive
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
                f"A process of the import could not be started: {error.strerror}.",
                hint="Start it again.",
            ) from None
        return cls(process, silent_seconds)

    def begin(self, setup: protocol.Setup) -> None:
        """Give it something to work on."""
        self.send(setup)
        for _ in range(_CREDITS):
            self.send(protocol.Go())

    def send(self, command: protocol.Command) -> None:
        """Give it a command; lost where it has ended. Commands are small, and each is answered before the next."""
        if not self._input.is_closing():
            self._input.write(protocol.frame(command))

    async def receive(self) -> protocol.Report | None:
        """What it says next; None where it has ended.

        One that falls silent, or writes what cannot be read, is killed: Crashed. A crash is logged with its stack.
        """
        report = await self._receive()
        if isinstance(report, protocol.Crashed):
            log.error("a worker of the import crashed: %s", report.where, extra=report.error)
        return report

    async def _receive(self) -> protocol.Report | None:
        while not self._is_over:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            if not await self._is_heard(self._reading):
                return self._kill(f"it said nothing for {self._silent_seconds:g} s")
            try:
                report = self._reading.result()
            except protocol.Garbage:
                return self._kill("what it said cannot be read")
            finally:
                self._reading = None
            if not isinstance(report, protocol.Alive):
                return report
        return None

    def stop(self) -> None:
        """Let it end after the batch that it is at. Go on receiving until None."""
        self._input.close()

    async def close(self) -> None:
        """End it, at last by force. Takes some seconds longer than the batch may take; raises nothing."""
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
        with contextlib.suppress(TimeoutError):  # what the kernel does not let go of
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

    async def _is_heard(self, reading: asyncio.Task[protocol.Report | None]) -> bool:
        """Whether something comes in time."""
        # After a stop of this process itself the time is over at once, though there is something to read.
        for seconds in (self._silent_seconds, _GRACE_SECONDS):
            await asyncio.wait({reading}, timeout=seconds)
            if reading.done():
                return True
        return False

    def _kill(self, why: str) -> protocol.Crashed:
        self._is_over = True
        if self._reading is not None:
            self._reading.cancel()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return protocol.Crashed(why)


def failure_of(report: protocol.Report | None) -> TigerSlackError:
    """Why a worker answered with something else."""
    if isinstance(report, protocol.Broken):
        return DatabaseUnavailable(report.reason)
    where = report.where if isinstance(report, protocol.Crashed) else "it was killed"
    return ImportFailed(f"A process of the import ended: {where}.", hint="Start it again.")
