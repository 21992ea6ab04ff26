"""Imports frozen in time, for pictures of the wizard."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.archives import report
from tests.console.canned import AT
from tiger_slack_tui.imports.archive.members import Member
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.progress_events import (
    FileDone,
    FileFailed,
    FilesListed,
    FileStarted,
    Planned,
    RecordsMerged,
)
from tiger_slack_tui.imports.request import ImportRequest
from tiger_slack_tui.imports.result import ChannelResult, ImportResult
from tiger_slack_tui.imports.state import ImportState, TimedNote
from tiger_slack_tui.store.import_account import Account, ImportProblem
from tiger_slack_tui.store.import_messages import Channel
from tiger_slack_tui.store.past_imports import PastImport

PATH = Path("/srv/exports/2026-09-19")
CHANNELS = ("general", "random", "support", "ops", "ünïcode-名前")
DAYS = 60


class Clock:
    """Time that goes on by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def planned() -> list[PlannedFile]:
    """The files of five channels."""
    return [
        PlannedFile(
            Member(
                f"{name}/2026-0{4 + day // 30}-{day % 30 + 1:02}.json", 40_000 + 900 * day, None
            ),
            name,
            Channel(f"C0{number}ABC", "channel"),
        )
        for number, name in enumerate(CHANNELS)
        for day in range(DAYS)
    ]


def listed(clock: Clock, request: ImportRequest | None = None) -> ImportState:
    """An import that is about to read."""
    state = ImportState(request or ImportRequest(PATH), clock=clock)
    files = planned()
    size = sum(file.member.size for file in files)
    report(state, Planned(len(files), size, {"folder without a channel": 41}, None))
    report(state, FilesListed(files, {"ops-old": 41}))
    return state


def half(clock: Clock, request: ImportRequest | None = None) -> ImportState:
    """Three of seven files are read; two are bad."""
    state = listed(clock, request)
    for number, file in enumerate(state.files[:128]):
        _read(state, file, clock, number)
    for worker, file in ((4188, state.files[128]), (4190, state.files[140])):
        report(state, FileStarted(file.member.path, worker))
        report(state, RecordsMerged(file.member.path, _account(1000), file.member.size // 2))
    warning = "No channel for the folder 'ops-old': not in the lists; --channel-map can name one."
    state.notes.append(TimedNote(AT.timestamp() - 60, warning, True))
    return state


def whole(clock: Clock, outcome: str = "done") -> ImportState:
    """One that has ended."""
    state = half(clock)
    if outcome == "done":
        for number, file in enumerate(state.files[128:], 128):
            _read(state, file, clock, number)
    by_channel = {
        folder.name: ChannelResult(folder.files, folder.account)
        for folder in state.folders.values()
    }
    result = ImportResult(
        12, outcome, 95.0, None, len(state.files), state.ledger.files_done, 1,
        state.left_out, 3, 8114, 902, 0, state.total, by_channel, (), None,
    )  # fmt: skip
    state.report = Path("/var/lib/tiger-slack/imports/import-12-20260920-140731.json")
    state.end(result, None)
    return state


def past() -> tuple[PastImport, ...]:
    """Imports of every kind."""

    def one(number: int, days: int, outcome: str | None, **more: object) -> PastImport:
        began = AT - timedelta(days=days)
        fields = {
            "source": f"/srv/exports/2026-09-{20 - days:02}",
            "options": {"since": None, "until": None, "channels": [], "channel_map": {}},
            "instance": "tiger-slack-ingest@prod-slack-1:4121",
            "started_at": began,
            "resumed_at": None,
            "finished_at": began + timedelta(minutes=4) if outcome else None,
            "error": None,
            "account": Account(1_204_118, 498_106, 706_012),
            "files_planned": 14_542,
            "files_done": 14_542,
            "files_failed": 0,
            "is_running": False,
            "files_now": 0,
        }
        return PastImport(id=number, outcome=outcome, **(fields | more))

    options = {"since": "30D", "until": None, "channels": ["general"], "channel_map": {}}
    return (
        one(
            12, 1, "cancelled", options=options, files_done=8871, account=Account(700_418, 700_418)
        ),
        one(
            11, 8, "done", account=Account(1_204_118, 498_106, 706_009, skipped={"no usable ts": 3})
        ),
        one(
            10, 9, "failed", error="The import ended because of the database: AdminShutdown 57P01."
        ),
        one(9, 10, None, account=Account()),
        one(8, 11, None, is_running=True, files_now=412, account=Account()),
    )


def _read(state: ImportState, file: PlannedFile, clock: Clock, number: int) -> None:
    path, size = file.member.path, file.member.size
    report(state, FileStarted(path, 4188))
    clock.now += 0.25
    if number == 17:
        report(state, ImportProblem(path, None, "malformed JSON"))
        report(state, RecordsMerged(path, _account(0), size))
        report(state, FileFailed(path, size, "malformed JSON"))
        return
    account = _account(1900 + 7 * number)
    if number == 40:
        account.read += 1
        account.skipped = {"no usable ts": 1}
        report(state, ImportProblem(path, 41, "no usable ts"))
    report(state, RecordsMerged(path, account, size))
    report(state, FileDone(path, size))


def _account(read: int) -> Account:
    there = read // 3
    return Account(read, read - there - read // 50, there, discarded={"3": read // 50})
