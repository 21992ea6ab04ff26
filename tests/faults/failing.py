"""Fails in every way in which an error can be logged or recorded, with a secret in each, and exports all of it.

python tests/faults/failing.py OTLP_ADDRESS CONNINFO HOME
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import aiohttp
import psycopg

from tiger_slack_tui.base.log_setup import log_to_stderr
from tiger_slack_tui.base.settings import LogfireSettings, Settings
from tiger_slack_tui.base.spans import span

SECRET = "SECRET-WORD"


async def in_a_task() -> None:
    raise ValueError(SECRET)


def in_a_thread() -> None:
    raise KeyError(SECRET)


def in_del() -> None:
    class Odd:
        def __del__(self) -> None:
            raise LookupError(SECRET)

    Odd()


def in_a_span() -> None:
    with span("made"):
        error = OSError(SECRET, {SECRET})
        error.add_note(SECRET)
        raise error from ExceptionGroup(SECRET, [TypeError(SECRET)])


def logged() -> None:
    try:
        raise RuntimeError(SECRET)
    except RuntimeError as error:
        logging.getLogger("tiger_slack_tui.made").exception("it failed: %s", error)
        logging.getLogger("slack_sdk.web").error(f"Failed to send: {error}")


async def in_psycopg(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("create temp table made (word text check (length(word) < 3))")
        await connection.execute("insert into made values (%s)", (SECRET,))


async def in_aiohttp() -> None:
    async with aiohttp.ClientSession() as session:
        await session.get(f"http://127.0.0.1:9/path?ticket={SECRET}", headers={"X": SECRET})


async def main(conninfo: str) -> None:
    task = asyncio.create_task(in_a_task())
    await asyncio.wait({task})
    del task
    asyncio.get_running_loop().call_soon(lambda word: 1 / 0, SECRET)
    thread = threading.Thread(target=in_a_thread, name=SECRET)
    thread.start()
    thread.join()
    in_del()
    gc.collect()
    logged()
    warnings.warn(SECRET, UserWarning, stacklevel=1)
    with contextlib.suppress(OSError):
        in_a_span()
    with contextlib.suppress(psycopg.Error):
        await in_psycopg(conninfo)
    with contextlib.suppress(aiohttp.ClientError):
        await in_aiohttp()
    raise IndexError(SECRET)


if __name__ == "__main__":
    address, conninfo, home = sys.argv[1:]
    endpoints = LogfireSettings(
        traces_endpoint=f"{address}/traces", logs_endpoint=f"{address}/logs"
    )
    settings = replace(Settings(home=Path(home), conninfo=conninfo), logfire=endpoints)
    log_to_stderr(settings)
    asyncio.run(main(conninfo))
