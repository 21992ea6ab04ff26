"""A worker process, as the import that started it sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys

from tiger_slack_tui.history import protocol

_END_SECONDS = 10.0
"""How long a worker may take to end its batch before it is killed; then its transaction is rolled back."""
_CREDITS = 2
"""Batches that a worker may begin before it hears of the first one's end, so that it need not wait between them."""

_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(8 << 20)}
"""A worker keeps the memory of a batch for the next one: to get it from the system anew, page by page, took an
eighth of its time. https://man7.org/linux/man-pages/man3/mallopt.3.html"""


class WorkerProcess:
    """Speaks the protocol of `tiger_slack_tui.history.protocol`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin  # noqa: S101 both are pipes
        assert process.stdout  # noqa: S101
        self._input, self._output = process.stdin, process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls) -> WorkerProcess:
        """Start one. It gets no signals of our terminal, and ends with us."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing of the current directory, which may be an archive
            "-m",
            "tiger_slack_tui.history.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | _MEMORY,
        )
        return cls(process)

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
        """What it says next; None where it has ended."""
        try:
            length = await self._output.readexactly(protocol.LENGTH.size)
            content = await self._output.readexactly(protocol.LENGTH.unpack(length)[0])
        except asyncio.IncompleteReadError:
            return None
        report: protocol.Report = pickle.loads(content)  # noqa: S301 from our own child
        return report

    def stop(self) -> None:
        """Let it end after the batch that it is at. Go on receiving until None."""
        self._input.close()

    async def close(self) -> None:
        """End it, at last by force."""
        self._input.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                while await self.receive() is not None:
                    pass
                await self._process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
