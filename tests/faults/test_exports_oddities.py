"""Things in an archive that are not files of an export are left out and named; the rest is imported."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.archives import export, message, run_import, write_folder
from tests.faults.test_exports_slackdump import write_database
from tiger_slack_tui.console.views.importing.paths import inspect_path
from tiger_slack_tui.imports.archive.members import ArchiveRefused
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.store.import_account import ImportProblem


def general(tmp_path: Path) -> Path:
    """An export with one message."""
    return write_folder(tmp_path / "e", export({"general": {"2023-11-14": [message(1)]}}))


async def test_links_cost_only_themselves(conninfo: str, tmp_path: Path) -> None:
    path = general(tmp_path)
    write_folder(tmp_path, {"outside/2023-11-14.json": b"[]"})
    (path / "random").symlink_to(tmp_path / "outside")
    (path / "general" / "2023-11-15.json").symlink_to(tmp_path / "outside" / "2023-11-14.json")
    (path / "general" / "2023-11-16.json").symlink_to(tmp_path / "nowhere")
    imported = await run_import(conninfo, path)
    assert (imported.result.total.inserted, imported.result.exit_code) == (1, 3)
    named = {
        event.path: event.reason for event in imported.events if isinstance(event, ImportProblem)
    }
    assert named == {
        "random": "a link to a folder",
        "general/2023-11-15.json": "a link that leads out of the archive",
        "general/2023-11-16.json": "a link that leads nowhere",
    }


async def test_an_export_of_links_alone_says_so(conninfo: str, tmp_path: Path) -> None:
    (tmp_path / "users.json").symlink_to("/etc/hostname")
    with pytest.raises(ArchiveRefused, match="not a Slack export") as refused:
        await run_import(conninfo, tmp_path)
    assert "is a link that leads out of the archive" in str(refused.value)


async def test_channels_that_are_not_there(conninfo: str, tmp_path: Path) -> None:
    path = general(tmp_path)
    with pytest.raises(ArchiveRefused, match=r"--channel nope\*") as refused:
        await run_import(conninfo, path, selection=ImportSelection(channels=("nope*",)))
    assert str(refused.value.hint).startswith(
        "The archive has the channels general and the days 2023-11-14"
    )


def sqlite_file(path: Path) -> Path:
    """A database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table message (id integer)")
        connection.commit()
    return path


async def test_a_database_that_is_not_slackdumps(conninfo: str, tmp_path: Path) -> None:
    file = sqlite_file(tmp_path / "slackdump.sqlite")
    about = "an SQLite database, but not one of Slackdump: it has no table CHANNEL, CHUNK"
    for path in (file, tmp_path):
        with pytest.raises(ArchiveRefused) as refused:
            await run_import(conninfo, path)
        assert f"is {about}" in str(refused.value)
    assert about in inspect_path(str(file)).verdict

    path = general(tmp_path)
    sqlite_file(path / "other.db")
    imported = await run_import(conninfo, path)
    assert (imported.result.total.inserted, imported.result.exit_code) == (1, 3)
    assert (
        write_database(tmp_path / "good.sqlite").name
        in inspect_path(f"{tmp_path}/go").entries[0].text
    )


async def test_a_path_that_is_neither_a_folder_nor_a_file(conninfo: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        with pytest.raises(ArchiveRefused, match="neither a folder nor a regular file"):
            await run_import(conninfo, path)
        assert "neither a folder" in inspect_path(str(path)).verdict
