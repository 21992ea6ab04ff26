"""A driver for Textual whose terminal never blocks the event loop, even if it stalls or vanishes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import IO, Any, Protocol, runtime_checkable

from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

_FRAMES = 2
"""The number of waiting writes from which frames are left out: a late frame would show an old state."""
_MOST = 1000
"""The most writes that may wait. Further ones are dropped."""
_END_SECONDS = 0.5
"""How long `stop` waits for a terminal that does not read."""
_POLL_MS = 500


class NonBlockingWriter(WriterThread):
    """Writes in a thread, straight to the file descriptor: a write that hangs holds no lock that others need."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()

    def write(self, text: str) -> None:
        """Queue the text. Never waits."""
        if self._waiting.qsize() < _MOST:
            self._waiting.put(text.encode(errors="replace"))

    def offer(self, text: str) -> bool:
        """Queue the text unless the terminal is behind. Returns whether it was queued."""
        if self._waiting.qsize() >= _FRAMES:
            return False
        self.write(text)
        return True

    def run(self) -> None:
        """Write until `stop` is called or the terminal is gone."""
        with contextlib.suppress(OSError):
            while (data := self._waiting.get()) is not None:
                while data:
                    data = data[os.write(self._file.fileno(), data) :]

    def stop(self) -> None:
        """End the thread. Waits at most half a second for what is queued; the rest is dropped."""
        self._waiting.put(None)
        self.join(_END_SECONDS)

    def drop_frames(self) -> None:
        """Drop what is queued."""
        with contextlib.suppress(Empty):
            while True:
                self._waiting.get_nowait()


@runtime_checkable
class LosesTerminal(Protocol):
    """An app whose `terminal_lost` is called when its terminal is gone."""

    def terminal_lost(self) -> None: ...


class NonBlockingDriver(LinuxDriver):
    """Writes with a NonBlockingWriter. Calls the app's `terminal_lost` when the terminal can no longer be read."""

    _writer: NonBlockingWriter | None = None

    # LinuxDriver assigns its writer thread to this attribute, then starts it. The setter puts ours in its place.
    @property
    def _writer_thread(self) -> NonBlockingWriter | None:
        return self._writer

    @_writer_thread.setter
    def _writer_thread(self, given: WriterThread | None) -> None:
        self._writer = None if given is None else NonBlockingWriter(given._file)

    def offer(self, text: str) -> bool:
        """Queue the text unless the terminal is behind. Returns whether it was queued."""
        return self._writer is not None and self._writer.offer(text)

    def stop_application_mode(self) -> None:
        """Restore the terminal. Frames that still wait are dropped."""
        if self._writer is not None:
            self._writer.drop_frames()
        super().stop_application_mode()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            if isinstance(self._app, LosesTerminal):
                self._loop.call_soon_threadsafe(self._app.terminal_lost)


@contextmanager
def watching_terminal(fd: int, lost: Callable[[], Any]) -> Iterator[None]:
    """Call `lost` once, from a thread, if the terminal at `fd` hangs up while the block runs.

    A thread is needed: when a terminal has ended, Textual reads from it without a pause, and the event loop may get
    no turn.
    """
    ended = threading.Event()

    def watch() -> None:
        poll = select.poll()
        poll.register(fd, 0)  # 0: poll reports hang-ups and errors in any case
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
