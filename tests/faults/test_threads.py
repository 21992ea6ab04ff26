"""A blocking call delays neither the end of the loop, nor the end of the process, nor other calls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from tiger_slack_tui.base.threads import DaemonThreads


def test_the_loop_ends_while_a_call_blocks() -> None:
    release, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        release.wait(60)
        ended.set()

    async def work() -> None:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        waiting = asyncio.create_task(asyncio.to_thread(block))
        assert await asyncio.to_thread(begun.wait, 60)
        waiting.cancel()

    asyncio.run(work())
    assert not ended.is_set()
    release.set()
    assert ended.wait(60)


_PROGRAM = """
import asyncio, os, signal, socket, threading, time
from types import SimpleNamespace
from tiger_slack_tui.headless.run import run_headless

def silent(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3600)

socket.getaddrinfo = silent

class Engine:
    def __init__(self):
        self.ended = asyncio.Event()
        self.published = self.snapshot = lambda: SimpleNamespace(outcomes={})
    async def run(self):
        look_up = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo("slack.test", 443))
        await self.ended.wait()
        look_up.cancel()
    def stop(self):
        self.ended.set()

async def main():
    await run_headless(Engine())

asyncio.run(main())
print("ended")
"""


def test_a_process_ends_while_the_dns_is_silent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


async def test_calls_return_raise_and_do_not_wait_for_each_other() -> None:
    threads, release = DaemonThreads(), threading.Event()
    loop = asyncio.get_running_loop()

    def fail() -> None:
        raise KeyError("odd")

    blocked = [loop.run_in_executor(threads, release.wait, 60) for _ in range(40)]
    assert await loop.run_in_executor(threads, sum, (1, 2)) == 3
    with pytest.raises(KeyError):
        await loop.run_in_executor(threads, fail)
    release.set()
    assert all(await asyncio.gather(*blocked))
    idents: list[Any] = [await loop.run_in_executor(threads, threading.get_ident) for _ in range(9)]
    assert len(set(idents)) <= 41  # threads are used again
    threads.shutdown()
    with pytest.raises(RuntimeError):
        threads.submit(fail)
