"""The console as a process at a terminal of its own, whose bytes the test reads, or does not."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyte

from tests.support import until

# What Textual and our frames may write: moves and styles, modes, queries, the shape of the mouse's pointer.
_ALLOWED = re.compile(
    rb"\x1b\[[0-9;]*[Hm]"  # move, style
    rb"|\x1b\[\?[0-9]+[hl]|\x1b\[\?[0-9]+\$p"  # modes, and whether there are such
    rb"|\x1b\[[<>=][0-9]*u"  # the keyboard protocol
    rb"|\x1b\]22;[a-z-]*\x07"
    rb"|[\r\n]"
)


class Terminal:
    """A process at a pty, and the screen that its bytes make.

    `raw` is all that it wrote; `arrivals` tells when, and how much there was then.
    """

    def __init__(self, process: asyncio.subprocess.Process, fd: int, size: tuple[int, int]) -> None:
        self.process = process
        self.fd = fd
        self.raw = bytearray()
        self.arrivals: list[tuple[float, int]] = []
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn = 0
        self._is_reading = False
        self.attributes = termios.tcgetattr(fd)
        self.read()

    def read(self) -> None:
        """Take what comes, from now on."""
        if not self._is_reading:
            asyncio.get_running_loop().add_reader(self.fd, self._take)
            self._is_reading = True

    def stall(self) -> None:
        """Read nothing, as over a line that hangs."""
        if self._is_reading:
            asyncio.get_running_loop().remove_reader(self.fd)
            self._is_reading = False

    def hang_up(self) -> None:
        """The terminal is gone."""
        self.stall()
        os.close(self.fd)
        self.fd = -1

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._draw(len(self.raw))
        self._screen.resize(rows, columns)

    @property
    def text(self) -> str:
        """The screen, line by line."""
        return self.text_at(len(self.raw))

    def text_at(self, end: int) -> str:
        """The screen after so many bytes, not fewer than before."""
        self._draw(end)
        return "\n".join(line.rstrip() for line in self._screen.display)

    async def shows(self, text: str, seconds: float = 60) -> None:
        """Wait until the text is on the screen; fail after so many seconds."""
        try:
            await until(lambda: text in self.text, seconds)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not on the screen:\n{self.text}") from None

    def foreign_bytes(self) -> bytes:
        """What it wrote beside text and what it is to write."""
        rest = _ALLOWED.sub(b"", bytes(self.raw))
        text = rest.decode("utf-8", "replace")
        return "".join(c for c in text if not c.isprintable() or c == "\ufffe").encode()

    def _draw(self, end: int) -> None:
        data, self._drawn = bytes(self.raw[self._drawn : end]), end
        # pyte takes private modes with a $ for text.
        self._stream.feed(re.sub(rb"\x1b\[\?[0-9]+\$p|\x1b\[[<>=][0-9]*u", b"", data))

    def _take(self) -> None:
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            data = b""
        if not data:
            self.stall()
            return
        self.raw += data
        self.arrivals.append((time.perf_counter(), len(self.raw)))


@asynccontextmanager
async def at_terminal(
    command: Sequence[str],
    environ: Mapping[str, str],
    home: Path,
    size: tuple[int, int] = (80, 24),
) -> AsyncIterator[Terminal]:
    """`python COMMAND…` at a terminal; killed at the end, if it still runs."""
    home.mkdir(exist_ok=True)
    # The size of the terminal counts, not what the runner of the tests says of its own.
    environ = {k: v for k, v in environ.items() if k not in ("COLUMNS", "LINES")}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=environ | {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
        cwd=home,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=own_terminal,
    )
    terminal = Terminal(process, ours, size)
    os.close(theirs)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        terminal.stall()
        with contextlib.suppress(OSError):
            if terminal.fd >= 0:
                os.close(terminal.fd)
