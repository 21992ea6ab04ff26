"""Rows, decisions, accounts and ledgers of imports, without a database."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.archives import DAY, message, report
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.times import duration, parse_time
from tiger_slack_tui.imports.archive.members import Member
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.file_queue import take_batch
from tiger_slack_tui.imports.ledger import ImportLedger
from tiger_slack_tui.imports.merge.decisions import FileEnd, MergeItem, MergeRecord, decide
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow, parse_row
from tiger_slack_tui.imports.progress_events import (
    FileDone,
    FileResumed,
    FileSkipped,
    FilesListed,
    FileStarted,
    Planned,
    RecordsMerged,
)
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.state import ImportState
from tiger_slack_tui.imports.workers.protocol import FileBatch
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.store.import_account import Account, Reason
from tiger_slack_tui.store.import_messages import DELETED, Channel, KnownMessages

GENERAL = Channel("C1", "channel")


def row(**record: Any) -> MessageRow:
    found = parse_row(record, GENERAL)
    assert isinstance(found, MessageRow)
    return found


# Rows


@pytest.mark.parametrize(
    ("ts", "text"),
    [
        ("1700000000.000100", "1700000000.000100"),
        ("1700000000", "1700000000.000000"),
        ("1700000000.1", "1700000000.100000"),
        ("1700000000.1234567", "1700000000.123457"),
        ("1700000000.9999996", "1700000001.000000"),
        (1700000000, "1700000000.000000"),
        (1700000000.0001, "1700000000.000100"),
    ],
)
def test_ts_as_text_and_as_number(ts: Any, text: str) -> None:
    assert slack_ts(row(ts=ts).ts) == text


@pytest.mark.parametrize(
    "ts",
    [
        None,
        "",
        "NaN",
        "Infinity",
        "-1.0",
        "1700000000.",
        "12:30",
        "\u0661\u0660\u0660",
        True,
        [],
        {},
        "999999999999.000000",
        float("nan"),
        1e300,
    ],
)
def test_no_usable_ts(ts: Any) -> None:
    assert parse_row({"ts": ts}, GENERAL) is Reason.NO_TS


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("", Reason.PLACEHOLDER),
        ("text", Reason.NO_OBJECT),
        (None, Reason.NO_OBJECT),
        ([], Reason.NO_OBJECT),
        (1, Reason.NO_OBJECT),
        ({}, Reason.NO_TS),
        ({"type": "reaction_added", "ts": "1.0"}, Reason.NO_MESSAGE),
        ({"subtype": "message_replied", "ts": "1.0", "message": {"ts": "2.0"}}, Reason.NO_TARGET),
        ({"subtype": "message_changed", "ts": "1.0"}, Reason.NO_TARGET),
        ({"subtype": "message_deleted", "ts": "1.0"}, Reason.NO_TS),
    ],
)
def test_what_is_not_stored(record: Any, reason: Reason) -> None:
    assert parse_row(record, GENERAL) is reason


@pytest.mark.parametrize(
    "record",
    [
        {"subtype": "tombstone", "ts": "1700000000.000100", "text": "This message was deleted."},
        {"subtype": "message_deleted", "ts": "1.0", "deleted_ts": "1700000000.000100"},
        {
            "subtype": "message_changed",
            "ts": "1.0",
            "message": {"subtype": "tombstone", "ts": "1700000000.000100"},
        },
    ],
)
def test_what_deletes(record: Any) -> None:
    found = parse_row(record, GENERAL)
    assert isinstance(found, DeletionRow)
    assert slack_ts(found.ts) == "1700000000.000100"


def test_reactions_with_nulls_and_repetitions() -> None:
    given = [
        {"name": "+1", "users": ["U1", "U2", "U1", None, 3], "count": 9},
        {"name": "heart::skin-tone-3", "users": None},
        {"name": None, "users": ["U1"]},
        {"name": "eyes"},
        None,
        "text",
        {"name": "+1", "users": ["U3"]},
    ]
    assert row(ts="1.0", reactions=given).reactions == (("U1", "+1"), ("U2", "+1"), ("U3", "+1"))
    for nothing in (None, [], {}, "text", 1):
        assert row(ts="1.0", reactions=nothing).reactions == ()


def test_of_two_contents_the_newer_or_longer_counts() -> None:
    posted = row(ts="10.0", text="a")
    edited = row(ts="10.0", text="a", edited={"user": "U1", "ts": "12.000000"})
    longer = row(ts="10.0", text="a", attachments=[{"id": 1}])
    assert posted.version < longer.version < edited.version
    assert (posted.version[0] > posted.micros, edited.version[0] > edited.micros) == (False, True)
    # An edit within the second of posting, whose ts has whole seconds only
    within = row(ts="10.5", edited={"ts": "10.000000"})
    assert within.version[0] == within.micros
    # Reactions and replies are not part of the content.
    assert row(ts="10.0", text="a", reply_count=3, reactions=[]).version == posted.version
    # Live content of the same time wins.
    assert posted.version < (posted.micros, "Ev0123")


# Decisions


def merge(
    known: KnownMessages, *rows: MessageRow | DeletionRow | Reason | None
) -> tuple[Account, Any]:
    items: list[MergeItem] = [MergeRecord(what, None, 0, n) for n, what in enumerate(rows, 1)]
    changes = decide([*items, FileEnd(0)], {}, known)
    account = changes.accounts[0]
    assert account.adds_up
    assert changes.ended == {0: None}
    return account, changes


def test_a_message_twice_in_a_batch_is_there_once() -> None:
    account, changes = merge(
        KnownMessages(),
        row(ts="1.0", text="a"),
        row(ts="1.0", text="a"),
        row(ts="1.0", text="longer"),
    )
    assert (account.inserted, account.already_there, account.updated) == (1, 1, 1)
    assert [kept.message()["text"] for kept in changes.inserts.values()] == ["longer"]
    assert not changes.updates


def test_a_deletion_in_the_batch_beats_the_message_before_and_after() -> None:
    gone = DeletionRow(GENERAL, row(ts="1.0").micros)
    account, changes = merge(
        KnownMessages(), row(ts="1.0", reactions=[{"name": "x", "users": ["U1"]}]), gone
    )
    assert (account.inserted, account.skipped) == (1, {"deleted in Slack": 1})
    assert not changes.inserts
    assert not changes.reactions
    account, changes = merge(KnownMessages(), gone, row(ts="1.0"))
    assert account.skipped == {"deleted in Slack": 2}
    assert len(changes.deletions) == 1


def test_a_known_deletion_is_not_written_again() -> None:
    message_row = row(ts="1.0")
    known = KnownMessages(versions={("C1", message_row.micros): DELETED})
    account, changes = merge(known, message_row, DeletionRow(GENERAL, message_row.micros))
    assert account.skipped == {"deleted in Slack": 2}
    assert not changes.deletions


def test_a_removed_reaction_stays_removed() -> None:
    given = row(ts="1.0", reactions=[{"name": "+1", "users": ["U1", "U2"]}])
    key = ("C1", given.micros)
    removed = {("U1", "+1"): (given.micros + 1_000_000, False)}
    known = KnownMessages(versions={key: (given.micros, "Ev1")}, reactions={key: removed})
    account, changes = merge(known, given)
    assert account.updated == 1
    assert changes.reactions == {key: [("U2", "+1")]}


def test_every_reason_is_counted_and_bad_ones_are_reported() -> None:
    account, changes = merge(KnownMessages(), *Reason, None)
    assert account.skipped == {reason.value: 1 for reason in Reason}
    assert account.filtered == 1
    assert {problem.reason for problem in changes.problems} == {r for r in Reason if r.is_bad}
    assert account.bad == len(changes.problems)


# Accounts


def test_accounts_add_up_and_survive_json() -> None:
    one = Account(read=7, inserted=1, already_there=1, updated=1, filtered=1, reactions=2)
    one.discard(3)
    one.skip(Reason.NO_TS)
    one.skip(Reason.DELETED)
    assert one.adds_up
    assert one.bad == 1
    both = Account.from_json(json.loads(json.dumps(one.as_json())))
    assert both == one
    both.add(one)
    assert both.adds_up
    assert (both.read, both.discarded, both.skipped["no usable ts"]) == (14, {"3": 2}, 2)
    both.read += 1
    assert not both.adds_up


# Batches of files


def test_workers_get_different_channels() -> None:
    def batch(*channels: str) -> FileBatch:
        member = Member("2024-01-01.json", 2, None)
        return FileBatch.of(
            [(0, PlannedFile(member, name, Channel(name, None))) for name in channels]
        )

    first, second, third = batch("C1"), batch("C1", "C2"), batch("C3")
    waiting = deque([first, second, third])
    assert take_batch(waiting, []) is first
    assert take_batch(waiting, [first]) is third
    assert take_batch(waiting, [first, third]) is second
    assert not waiting


def test_the_front_does_not_jump_between_workers() -> None:
    files = [
        PlannedFile(Member(f"{name}/2024-01-0{day}.json", 2, None), name, Channel(name, None))
        for name in ("a", "b")
        for day in (1, 2)
    ]
    paths = [file.member.path for file in files]
    state = ImportState(ImportRequest(Path("/export")))
    report(state, Planned(4, 8, {}, None))
    report(state, FilesListed(files))
    fronts = []
    for worker, path in ((1, paths[0]), (2, paths[2]), (2, paths[3]), (1, paths[1])):
        report(state, FileStarted(path, worker))
        fronts.append(state.first_open_index)
        report(state, FileDone(path, 2))
        fronts.append(state.first_open_index)
    assert fronts == [0, 1, 1, 1, 1, 1, 1, 3]


# Times of the command line

NOW = datetime(2024, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "is_end", "time"),
    [
        ("2024-03-01", False, "2024-03-01T00:00:00+00:00"),
        ("2024-03-01", True, "2024-03-02T00:00:00+00:00"),
        ("20240301", True, "2024-03-02T00:00:00+00:00"),
        ("2024-03-01T12:30", True, "2024-03-01T12:30:00+00:00"),
        ("2024-03-01T12:30+02:00", False, "2024-03-01T10:30:00+00:00"),
        ("30D", False, "2024-03-01T12:00:00+00:00"),
        ("90m", False, "2024-03-31T10:30:00+00:00"),
        ("13mo", False, "2023-02-28T12:00:00+00:00"),
        ("4w", False, "2024-03-03T12:00:00+00:00"),
        ("1M", False, "2024-02-29T12:00:00+00:00"),
        ("13M", False, "2023-02-28T12:00:00+00:00"),
        ("1Y", False, "2023-03-31T12:00:00+00:00"),
        ("4Y", True, "2020-03-31T12:00:00+00:00"),
    ],
)
def test_read_time(text: str, is_end: bool, time: str) -> None:
    assert parse_time(text, NOW, "--since", is_end=is_end).isoformat() == time


def test_durations() -> None:
    seconds = (-3, 0.0004, 0.368, 0.99999, 1.25, 9.996, 59.4, 60, 200, 7860, 86_399.9, 90_000, 1e8)
    assert [duration(timedelta(seconds=each)) for each in seconds] == [
        *("0 ms", "0 ms", "368 ms", "1 s", "1.25 s", "10 s", "59 s", "1 min", "3 min 20 s"),
        *("2 h 11 min", "1 d", "1 d 1 h", "1,157 d 9 h"),
    ]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "30", "D", "-1D", "2024-02-30", "3000Y", "99999M", "5x", "5 minutes"]
)
def test_read_time_refuses(text: str) -> None:
    with pytest.raises(SettingsError, match="--since"):
        parse_time(text, NOW, "--since")


# Ledgers


def test_a_ledger_counts_bytes_and_records() -> None:
    now = 0.0
    ledger = ImportLedger(lambda: now)
    assert ledger.seconds_left is None
    ledger.handle(Planned(3, 300, {}, None))
    ledger.handle(FileSkipped("a", 100, Account(read=5)))
    assert (ledger.files_done, ledger.bytes_read, ledger.records) == (1, 100, 0)
    assert ledger.seconds_left is None
    ledger.handle(FileStarted("b", 1))
    now = 2.0
    ledger.handle(RecordsMerged("b", Account(read=2, inserted=1, skipped={"no usable ts": 1}), 50))
    assert (ledger.bytes_read, ledger.records, ledger.total.bad) == (150, 2, 1)
    assert ledger.seconds_left is not None
    ledger.handle(RecordsMerged("b", Account(read=1, inserted=1), 100))
    ledger.handle(FileDone("b", 100))
    assert (ledger.files_done, ledger.bytes_read, ledger.records, ledger.open_files) == (
        2,
        200,
        3,
        {},
    )


def test_a_ledger_counts_a_file_once() -> None:
    """What is committed of a continued file replaces what was counted of it."""
    file = PlannedFile(Member("general/2024-01-01.json", 9, None), "general", GENERAL)
    path = file.member.path
    for ending in (FileDone(path, 9), FileSkipped(path, 9, Account(read=7, inserted=7))):
        ledger = ImportLedger()
        ledger.handle(FilesListed([file]))
        ledger.handle(RecordsMerged(path, Account(read=5, inserted=5), 3))
        ledger.handle(FileResumed(path, Account(read=4, inserted=4)))
        ledger.handle(RecordsMerged(path, Account(read=3, inserted=3), 9))
        frozen = ledger.frozen()
        ledger.handle(ending)
        assert ledger.total == ledger.folders["general"].account == Account(read=7, inserted=7)
        assert (ledger.files_done, ledger.folders["general"].done, ledger.open_files) == (1, 1, {})
        assert (frozen.files_done, frozen.open_files[path].account.read) == (0, 7)


def test_the_days_of_exports_here() -> None:
    assert message(0)["ts"] == f"{DAY}.000100"
