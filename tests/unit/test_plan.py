"""Plans of imports: which files of an export are read, in which order, and of which channel each is."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.archives import Files, day_file, export, write_folder
from tiger_slack_tui.imports.archive.members import ArchiveLimits, ArchiveRefused
from tiger_slack_tui.imports.archive.plan import ImportSelection, Plan, make_plan
from tiger_slack_tui.imports.archive.sources import open_source


def plan(
    tmp_path: Path,
    files: Files,
    names: dict[str, list[str]] | None = None,
    **selection: Any,
) -> Plan:
    folder = write_folder(tmp_path / "archive", files)
    source = open_source(folder)
    listing = source.list(ArchiveLimits(500, 1 << 30))
    return make_plan(folder, source, listing, ImportSelection(**selection), names or {})


def planned(found: Plan) -> list[tuple[str, str]]:
    return [(file.member.path, file.channel.id) for file in found.files]


EMPTY = day_file()


def test_lists_first_users_before_channels_then_days_in_order(tmp_path: Path) -> None:
    files = export({"b": {"2024-01-02": [], "2024-01-01": []}, "a": {"2023-12-31": []}})
    files["canvases.json"] = files["b/canvas_in_the_conversation.json"] = b"[]"
    files["b/2024-13-45.json"] = b"[]"
    found = plan(tmp_path, files)
    assert [(kind, member.path) for kind, member in found.lists] == [
        ("user", "users.json"),
        ("channel", "channels.json"),
    ]
    assert planned(found) == [
        ("a/2023-12-31.json", "C1"),
        ("b/2024-01-01.json", "C0"),
        ("b/2024-01-02.json", "C0"),
        ("b/2024-13-45.json", "C0"),
    ]
    assert (found.other_files, found.warnings, found.left_out) == (2, [], {})


def test_every_kind_of_channel(tmp_path: Path) -> None:
    files = {
        "channels.json": json.dumps([{"id": "C1", "name": "general"}]).encode(),
        "groups.json": json.dumps([{"id": "G1", "name": "secret"}, "", None, {"id": 3}]).encode(),
        "dms.json": json.dumps([{"id": "D1", "members": ["U1", "U2"]}]).encode(),
        "mpims.json": json.dumps([{"id": "G2", "name": "mpdm-a--b-1"}]).encode(),
        "users.json": b"[]",
    } | {f"{name}/2024-01-01.json": EMPTY for name in ("general", "secret", "D1", "mpdm-a--b-1")}
    found = plan(tmp_path, files)
    assert {(f.folder, f.channel.id, f.channel.type) for f in found.files} == {
        ("general", "C1", "channel"),
        ("secret", "G1", "group"),
        ("D1", "D1", "im"),
        ("mpdm-a--b-1", "G2", "mpim"),
    }
    assert found.warnings == []


@pytest.mark.parametrize("top", ["Export Jan 1 - Feb 2", "a/b"])
def test_an_extra_top_folder(tmp_path: Path, top: str) -> None:
    files = {
        f"{top}/{path}": content
        for path, content in export({"general": {"2024-01-01": []}}).items()
    }
    assert planned(plan(tmp_path, files)) == [(f"{top}/general/2024-01-01.json", "C0")]


def test_nested_workspaces_have_their_own_channels(tmp_path: Path) -> None:
    def listed(id_: str) -> bytes:
        return json.dumps([{"id": id_, "name": "general"}]).encode()

    files = {
        "org_users.json": b"[]",
        "channels.json": json.dumps([{"id": "C0", "name": "org-wide"}]).encode(),
        "org-wide/2024-01-01.json": EMPTY,
        "teams/one/channels.json": listed("C1"),
        "teams/one/general/2024-01-01.json": EMPTY,
        "teams/one/org-wide/2024-01-01.json": EMPTY,
        "teams/two/channels.json": listed("C2"),
        "teams/two/general/2024-01-01.json": EMPTY,
    }
    found = plan(tmp_path, files)
    assert [(file.folder, file.channel.id) for file in found.files] == [
        ("org-wide", "C0"),
        ("general", "C1"),
        ("teams/one/org-wide", "C0"),
        ("teams/two/general", "C2"),
    ]


def test_names_in_another_normal_form(tmp_path: Path) -> None:
    files = export({"cafe\u0301": {"2024-01-01": []}})
    files["channels.json"] = json.dumps([{"id": "C1", "name": "caf\u00e9"}]).encode()
    found = plan(tmp_path, files, channels=("caf\u00e9",))
    assert planned(found) == [("cafe\u0301/2024-01-01.json", "C1")]


def test_folders_without_a_channel(tmp_path: Path) -> None:
    files: Files = {"users.json": b"[]"}
    for name in ("known", "twice", "mapped", "unknown", "FC:F012:Title", "D9"):
        files[f"{name}/2024-01-01.json"] = files[f"{name}/2024-01-02.json"] = EMPTY
    names = {"known": ["C1"], "twice": ["C2", "C3"], "D9": ["D9"]}
    found = plan(tmp_path, files, names, channel_map={"mapped": "G7"})
    assert {(file.folder, file.channel.id, file.channel.type) for file in found.files} == {
        ("known", "C1", "channel"),
        ("mapped", "G7", "group"),
        ("D9", "D9", "im"),
    }
    assert found.left_out == {"folder without a channel": 4, "comments on canvases and files": 2}
    warnings = "\n".join(found.warnings)
    assert "no channels.json" in warnings
    assert "'twice' may be any of C2, C3" in warnings
    assert "'unknown' matches no channel" in warnings
    assert "FC:" not in warnings


def test_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "archive", export({"general": {"2024-01-01": []}}))
    odd = folder / "caf\udce9"
    odd.mkdir()
    (odd / "2024-01-01.json").write_bytes(EMPTY)
    found = plan(tmp_path, {})
    assert found.left_out == {"folder without a channel": 1}
    (warning,) = found.warnings
    assert "'caf%E9'" in warning
    warning.encode()  # can be shown and stored
    found = plan(tmp_path, {}, channel_map={"caf%E9": "C9"})
    assert planned(found)[0] == ("caf%E9/2024-01-01.json", "C9")


def test_lists_that_are_missing_or_damaged_are_told(tmp_path: Path) -> None:
    found = plan(tmp_path, {"general/2024-01-01.json": EMPTY}, {"general": ["C1"]})
    assert [w[:25] for w in found.warnings] == [
        "There is no users.json: u",
        "There is no channels.json",
    ]
    found = plan(tmp_path, {"channels.json": b"{}", "users.json": b"[]"}, {"general": ["C1"]})
    assert planned(found) == [("general/2024-01-01.json", "C1")]


@pytest.mark.parametrize(
    "files", [{}, {"a.txt": b""}, {"2024-01-01.json": b"[]"}, {"a/b.json": b"[]"}]
)
def test_no_export(tmp_path: Path, files: Files) -> None:
    (tmp_path / "archive").mkdir()
    with pytest.raises(ArchiveRefused, match="not a Slack export"):
        plan(tmp_path, files)


def test_a_day_is_left_out_only_with_a_day_to_spare(tmp_path: Path) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 11)]
    files = export({"general": {day: [] for day in days}})
    since, until = datetime(2024, 1, 4, tzinfo=UTC), datetime(2024, 1, 7, tzinfo=UTC)
    found = plan(tmp_path, files, since=since, until=until)
    read = [date.fromisoformat(file.member.path[8:18]).day for file in found.files]
    assert read == [3, 4, 5, 6, 7, 8]
    assert found.left_out == {"outside the dates": 4}


def test_channels_by_name_and_id_with_wildcards(tmp_path: Path) -> None:
    files = export({name: {"2024-01-01": []} for name in ("general", "dev", "dev-ops")})
    assert [f.folder for f in plan(tmp_path, files, channels=("dev*",)).files] == ["dev", "dev-ops"]
    assert [f.folder for f in plan(tmp_path, files, channels=("#general", "C1")).files] == [
        "dev",
        "general",
    ]
    found = plan(tmp_path, files, channels=("general", "#nope*"))
    assert found.warnings == ["--channel #nope* matches no channel of the archive."]
    for patterns in (("nope*",), ("nope", "#nope")):
        with pytest.raises(ArchiveRefused, match="nope") as refused:
            plan(tmp_path, files, channels=patterns)
        assert refused.value.hint == (
            "The archive has the channels dev, dev-ops, general and the days 2024-01-01 to 2024-01-01."
        )
    files |= export({f"c{number:02}": {"2024-01-01": []} for number in range(30)})
    with pytest.raises(ArchiveRefused) as refused:
        plan(tmp_path, files, channels=("nope",))
    assert "c08, c09 and 23 more and the days" in str(refused.value.hint)
