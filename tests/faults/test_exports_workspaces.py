"""Several exports in one archive, and one of another workspace than the database's, are not imported unasked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import Files, day_file, export, message, run_import, write_folder, write_zip
from tests.support import count
from tiger_slack_tui.imports.archive.members import ArchiveRefused
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.imports.archive.workspaces import ExportChoice
from tiger_slack_tui.imports.request import ImportRequest

pytestmark = pytest.mark.slow

MESSAGES = "select count(*) from slack.message"


def of_team(team: str, number: int, top: str = "") -> Files:
    files = export({f"in-{team.lower()}": {"2023-11-14": [message(number, team)]}})
    users = [{"id": f"U{n}{team}", "name": "x", "team_id": team} for n in range(3)]
    users.append({"id": "UX", "name": "guest", "team_id": "TGUEST"})
    files["users.json"] = json.dumps(users).encode()
    files["channels.json"] = json.dumps([{"id": f"C{team}", "name": f"in-{team.lower()}"}]).encode()
    return {f"{top}{path}": content for path, content in files.items()}


def selection(**choice: str) -> ImportSelection:
    return ImportSelection(choice=ExportChoice(**choice))


@pytest.mark.parametrize("as_zip", [True, False])
async def test_two_exports_are_listed_and_one_is_chosen(
    conninfo: str, tmp_path: Path, as_zip: bool
) -> None:
    files = of_team("T1", 1, "one/") | of_team("T2", 2, "two/sub/") | of_team("T1", 3, "three/")
    path = write_zip(tmp_path / "e.zip", files) if as_zip else write_folder(tmp_path / "e", files)
    with pytest.raises(ArchiveRefused) as refused:
        await run_import(conninfo, path)
    shown = str(refused.value)
    for part in ("3 exports", "one  T1", "two/sub  T2", "three  T1", "--root", "--workspace"):
        assert part in shown
    assert refused.value.exports == (("one", ("T1",)), ("three", ("T1",)), ("two/sub", ("T2",)))
    assert count(conninfo, MESSAGES) == count(conninfo, 'select count(*) from slack."user"') == 0
    for wrong in (selection(root="four"), selection(workspace="T9")):
        with pytest.raises(ArchiveRefused, match="holds no export"):
            await run_import(conninfo, path, selection=wrong)
    both = await run_import(conninfo, path, selection=selection(workspace="T1"))
    assert (both.result.total.inserted, both.result.exit_code) == (2, 0)
    one = await run_import(conninfo, path, selection=selection(root="one"))
    assert (one.result.total.read, one.result.total.already_there) == (1, 1)
    with pytest.raises(ArchiveRefused, match="of workspace T2, the database holds T1"):
        await run_import(conninfo, path, selection=selection(root="two/sub"))
    forced = await run_import(conninfo, path, selection=selection(root="two/sub/", workspace="T2"))
    assert forced.result.total.inserted == 1


@pytest.mark.parametrize("users", [None, [{"id": "U1", "name": "x"}]])
async def test_without_workspaces_in_the_lists_the_messages_name_it(
    conninfo: str, tmp_path: Path, users: list[dict[str, str]] | None
) -> None:
    await run_import(conninfo, write_folder(tmp_path / "one", of_team("T1", 1)))
    records = [message(n, team="T2") for n in range(3)] + [message(9, team="T1"), message(10)]
    files = export({"general": {"2023-11-14": records}})
    files["users.json"] = json.dumps(users).encode()
    if users is None:
        del files["users.json"]
    with pytest.raises(ArchiveRefused, match="of workspace T2, the database holds T1"):
        await run_import(conninfo, write_folder(tmp_path / "two", files))


async def test_an_export_that_names_no_workspace_is_imported_with_a_warning(
    conninfo: str, tmp_path: Path
) -> None:
    path = write_folder(tmp_path / "two", export({"general": {"2023-11-14": [message(0)]}}))
    assert (await run_import(conninfo, path, dry_run=True)).result.warnings == []
    await run_import(conninfo, write_folder(tmp_path / "one", of_team("T1", 1)))
    [warning] = (await run_import(conninfo, path)).result.warnings
    assert "does not name its workspace; the database holds T1" in warning


async def test_the_workspace_of_the_database_is_that_of_its_instances(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    path = write_folder(tmp_path, of_team("T1", 1))
    await run_import(conninfo, path)
    database.execute(
        "insert into slack.instance (instance, team_id, version, host, pid, started_at, last_seen_at, status,"
        " status_since, queue, queue_limit, spool_events, spool_bytes, received, acked, events_per_second)"
        " values ('i', 'T5', '1', 'h', 1, now(), now(), 'connected', now(), 0, 1, 0, 0, 0, 0, 0)"
    )
    with pytest.raises(ArchiveRefused, match="of workspace T1, the database holds T5"):
        await run_import(conninfo, path)


async def test_an_enterprise_grid_is_one_import(conninfo: str, tmp_path: Path) -> None:
    def listed(id_: str) -> bytes:
        return json.dumps([{"id": id_, "name": "general"}]).encode()

    def user(team: str) -> dict[str, Any]:
        return {
            "id": f"U{team}",
            "team_id": team,
            "enterprise_user": {"enterprise_id": "E1", "teams": [team]},
        }

    files = {
        "org_users.json": json.dumps([user("T1"), user("T2"), user("T2")]).encode(),
        "channels.json": listed("C0"),
        "teams/one/channels.json": listed("C1"),
        "teams/two/channels.json": listed("C2"),
    }
    for number, folder in enumerate(("", "teams/one/", "teams/two/")):
        files[f"{folder}general/2023-11-14.json"] = day_file(message(number))
    path = write_folder(tmp_path, files)
    for _ in range(2):  # the database then holds T2 most often
        imported = await run_import(conninfo, path)
        assert (imported.result.total.read, imported.result.exit_code) == (3, 0)
    assert count(conninfo, "select count(distinct channel_id) from slack.message") == 3
    del files["org_users.json"], files["channels.json"], files["general/2023-11-14.json"]
    path = write_folder(tmp_path / "without", files)
    assert (await run_import(conninfo, path)).result.total.read == 2


async def test_an_export_whose_workspace_is_unknown(conninfo: str, tmp_path: Path) -> None:
    await run_import(conninfo, write_folder(tmp_path / "1", of_team("T1", 1)))
    unknown = export({"general": {"2023-11-14": [message(5)]}})
    imported = await run_import(conninfo, write_folder(tmp_path / "2", unknown))
    assert imported.result.total.inserted == 1


def test_the_command_line_has_the_choice() -> None:
    request = ImportRequest(path=Path("e"), root="one two", workspace="T1")
    assert request.command() == "tiger-slack import e --root 'one two' --workspace T1"
    assert request.as_given["root"] == "one two"
    assert "root" not in ImportRequest(path=Path("e")).as_given
