"""Textual's driver, made so that no terminal can hold up the event loop: it may stall, or vanish."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import IO, Any

from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

_FRAMES = 2
"""Writes that may wait for the terminal before frames are left out: what it shows late shall not be old."""
_MOST = 1000
"""Writes that may wait at all."""
_END_SECONDS = 0.5
"""How long the end of the screen waits for a terminal that does not read."""
_POLL_MS = 500


class PatientWriter(WriterThread):
    """Writes in a thread, by the file descriptor: a write that hangs holds no lock that anybody else needs."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()

    def write(self, text: str) -> None:
        """Write the text some time; never waits."""
        if self._waiting.qsize() < _MOST:
            self._waiting.put(text.encode(errors="replace"))

    def offer(self, text: str) -> bool:
        """Write the text unless the terminal is behind; whether it will be written."""
        if self._waiting.qsize() >= _FRAMES:
            return False
        self.write(text)
        return True

    def run(self) -> None:
        """Write until `stop`, or until the terminal is gone."""
        with contextlib.suppress(OSError):
            while (data := self._waiting.get()) is not None:
                while data:
                    data = data[os.write(self._file.fileno(), data) :]

    def stop(self) -> None:
        """End; waits a moment for a terminal that reads. What it has not read by then is lost."""
        self._waiting.put(None)
        self.join(_END_SECONDS)

    def drop_frames(self) -> None:
        """Forget what waits."""
        with contextlib.suppress(Empty):
            while True:
                self._waiting.get_nowait()


class PatientDriver(LinuxDriver):
    """Writes by a PatientWriter, and calls the app's `terminal_lost` where the terminal cannot be read any more."""

    _writer: PatientWriter | None = None

    # LinuxDriver makes its own thread and starts it; this is the one place to put ours in.
    @property
    def _writer_thread(self) -> PatientWriter | None:
        return self._writer

    @_writer_thread.setter
    def _writer_thread(self, given: WriterThread | None) -> None:
        self._writer = None if given is None else PatientWriter(given._file)

    def offer(self, text: str) -> bool:
        """Write the text unless the terminal is behind; whether it will be written."""
        return self._writer is not None and self._writer.offer(text)

    def stop_application_mode(self) -> None:
        """Restore the terminal; frames that it has not taken yet are left out."""
        if self._writer is not None:
            self._writer.drop_frames()
        super().stop_application_mode()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            lost: Callable[[], None] | None = getattr(self._app, "terminal_lost", None)
            if lost is not None:
                self._loop.call_soon_threadsafe(lost)


@contextmanager
def watching_terminal(fd: int, lost: Callable[[], Any]) -> Iterator[None]:
    """Call `lost` from a thread, once, when the terminal at `fd` hangs up while the block runs.

    A thread, because Textual reads an ended terminal without a pause, and may keep the event loop from anything else.
    """
    ended = threading.Event()

    def watch() -> None:
        poll = select.poll()
        poll.register(fd, 0)  # hang-ups and errors are told in any case
        while not ended.is_set():
            if poll.poll(_POLL_MS):
                lost()
                return

    thread = threading.Thread(target=watch, name="terminal-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
