"""A rule that is added, turned off or removed during an import counts from the next batch on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.archives import long_export, write_folder
from tests.auditing import asking
from tests.support import until
from tiger_slack_tui.audit.rules import add_rule, remove_rule, turn_rule_off
from tiger_slack_tui.imports.job import Import
from tiger_slack_tui.imports.options import ImportOptions
from tiger_slack_tui.imports.progress_events import RecordsMerged
from tiger_slack_tui.imports.result import ImportResult

EVERY = "exists($.text)"
RECORDS, BATCH = 20_000, 2000
UNDER_WAY = 3
"""Batches that may be merged or begun when the import is paused after its first batch."""


class PausedImport:
    """An import of so many files that is paused after its first batch."""

    def __init__(self, conninfo: str, directory: Path, files: int = 1) -> None:
        path = write_folder(directory, long_export(files, RECORDS // files))
        self._job = Import(conninfo, path, ImportOptions(workers=1), instance="test")
        self._run: asyncio.Task[ImportResult] | None = None

    async def begin(self) -> None:
        def on_event(event: object) -> None:
            if isinstance(event, RecordsMerged) and not self._paused:
                self._paused = True
                self._job.pause()

        self._paused = False
        self._run = asyncio.create_task(self._job.run(on_event))
        await until(lambda: self._paused)

    async def finish(self) -> ImportResult:
        assert self._run is not None
        self._job.resume()
        return await asyncio.wait_for(self._run, 60)


@pytest.mark.parametrize("files", [1, 16])
async def test_a_rule_that_is_added(conninfo: str, tmp_path: Path, files: int) -> None:
    job = PausedImport(conninfo, tmp_path, files)
    await job.begin()
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, EVERY, None)).id
    result = await job.finish()
    total = result.total
    assert result.mismatch is None
    assert total.read == RECORDS == total.inserted + total.discarded[str(rule)]
    assert BATCH - files <= total.inserted <= UNDER_WAY * BATCH


@pytest.mark.parametrize("end", [turn_rule_off, remove_rule])
async def test_a_rule_that_ends(conninfo: str, tmp_path: Path, end: object) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, EVERY, None)).id
        job = PausedImport(conninfo, tmp_path)
        await job.begin()
        await (turn_rule_off if end is turn_rule_off else remove_rule)(connection, rule)
    total = (await job.finish()).total
    assert total.read == RECORDS == total.inserted + total.discarded[str(rule)]
    assert BATCH <= total.discarded[str(rule)] <= UNDER_WAY * BATCH
