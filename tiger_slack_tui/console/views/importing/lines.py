"""Lines of text about an import: its progress, files, channels, workers and problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from textual.content import Content

from tiger_slack_tui.base.text import amount, cells, cut, lines, visible
from tiger_slack_tui.console.formats import age, brief, clock, count, moment
from tiger_slack_tui.console.panes.chrome import PHASES
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    bar,
    facing,
    line,
)
from tiger_slack_tui.imports.archive.members import ArchiveRefused, Export
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.file_table import FileProgress, FileStep
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.imports.state import ImportState, Phase, TimedNote, WorkerProgress
from tiger_slack_tui.store.import_account import Account, ImportProblem
from tiger_slack_tui.store.imports import ImportOutcome
from tiger_slack_tui.store.past_imports import PastImport

STEPS = ("Source", "Check", "Options", "Run", "Result")
SOURCE, CHECK, OPTIONS, RUN, RESULT = range(5)

FILES = Columns(
    Column("", 1),
    Column("file"),
    Column("read", 7, right=True),
    Column("took", 6, right=True, least=70),
    Column("new", 7, right=True),
    Column("there", 7, right=True, least=100),
    Column("left out", 8, right=True, least=110),
    Column("", 18),
)
FOLDERS = Columns(
    Column("channel"),
    Column("", 8, least=60),
    Column("", 5, right=True),
    Column("files", 13, right=True),
    Column("new", 8, right=True, least=52),
    Column("there", 8, right=True, least=70),
)
PROBLEMS = Columns(
    Column("", 1), Column("file"), Column("record", 7, right=True), Column("why", 30)
)
PAST_IMPORTS = Columns(
    Column("state", 11),
    Column("began", 16),
    Column("messages", 8, right=True),
    Column("bad", 4, right=True),
    Column("path"),
)
_STEPS = {
    FileStep.WAITING: ("·", DIM),
    FileStep.READING: ("▶", KEY),
    FileStep.DONE: ("✓", GOOD),
    FileStep.KNOWN: ("✓", DIM),
    FileStep.FAILED: ("✗", BAD),
}
_SYMBOL = 2
"""Cells before a line of an error."""
_MOST_OF_ERROR = 10
"""The most lines of an error, and of each line of its hint."""
_MOST_PROBLEMS = 2000
"""The most problems that the check lists."""
_QUIET_SECONDS = 3.0
"""A worker that reports nothing for longer is shown as silent."""


def steps_line(current: int, path: str, width: int, ends: Mapping[int, Phase]) -> Content:
    """The current step, and the archive's path. `ends` holds the phases of earlier steps that are not done."""
    parts: list[StyledText] = [" "]
    for number, name in enumerate(STEPS):
        if number == current:
            parts.append((f"{number + 1} {name}", f"bold {KEY}"))
        else:
            symbol, style = PHASES[ends.get(number, Phase.DONE)]
            is_past = number < current
            parts.append((f"{number + 1} {name}", "" if is_past else DIM))
            parts += [(f" {symbol}", style if number in ends else "")] if is_past else []
        parts += [(" ▸ ", DIM)] if number < RESULT else []
    left = line(*parts)
    room = width - left.cell_length - 3
    return facing(left, line((end_of_path(path, room), DIM), " "), width)


def end_of_path(path: str, room: int) -> str:
    """The path in at most `room` cells. A longer path loses its beginning."""
    shown = visible(path)
    if cells(shown) <= room:
        return shown
    while shown and cells(shown) > room - 1:
        shown = shown[1:]
    return f"…{shown}" if room > 12 else ""


def phase_part(state: ImportState) -> StyledText:
    """The phase with its symbol."""
    symbol, style = PHASES[state.phase]
    return (f"{symbol} {state.phase.value}", style)


def progress_line(state: ImportState, width: int, name: str) -> Content:
    """A progress bar, the share in percent, and the number of files."""
    ledger = state.ledger
    end = f"  {state.share * 100:3.0f} %   {ledger.files_done:,} of {amount(ledger.files, 'file')}"
    room = max(width - len(end) - 12, 8)
    return line((f"  {name:<8}  ", DIM), (bar(state.share, room), KEY), end).truncate(width)


def account_parts(total: Account) -> list[StyledText]:
    """What became of the messages, in the order of the account."""
    discarded, skipped = sum(total.discarded.values()), sum(total.skipped.values())
    parts: list[StyledText] = [f"  {amount(total.read, 'message')}"]
    for name, number, style in (
        ("new", total.inserted, GOOD),
        ("bad", total.bad, BAD),
        ("there", total.already_there, ""),
        ("updated", total.updated, ""),
        ("discarded", discarded, KEY),
        ("outside dates", total.filtered, DIM),
        ("skipped", skipped - total.bad, DIM),
    ):
        if number or name in ("new", "there"):
            parts += ["   ", (f"{number:,} {name}", style)]
    return parts


def run_lines(state: ImportState, live: str, width: int) -> list[Content]:
    """The progress of the run. `live` describes the live events."""
    left = state.seconds_left
    pace: list[StyledText] = [f"  {state.rate:,.0f} msg/s", f"   elapsed {age(state.seconds)}"]
    if left is not None:
        pace.append(f"   left about {age(left)}")
    if state.resumed:
        pace.append((f"   continues the import of {moment(state.resumed)}", DIM))
    return [
        progress_line(state, width, "total"),
        line(*account_parts(state.total)).truncate(width, ellipsis=True),
        line(*pace).truncate(width, ellipsis=True),
        line("  ", *_status_parts(state, live)).truncate(width, ellipsis=True),
    ]


def _status_parts(state: ImportState, live: str) -> Iterator[StyledText]:
    """What the import does, or waits for."""
    phase = state.phase
    if phase is Phase.PAUSED:
        yield ("○ Paused. P continues.", NOTE)
    elif phase is Phase.WAITING:
        yield (f"▲ Waiting: {state.waits_for}", NOTE)
    elif phase is Phase.STOPPING:
        yield ("▲ Stopping after the current batches …", NOTE)
    elif phase is Phase.ENDING:
        last = state.notes[-1].text if state.notes else "Comparing the account with the tables."
        yield (f"▶ {last}", KEY)
    elif phase is Phase.LISTING:
        yield ("▶ Listing the archive …", KEY)
    else:
        quiet = max((state.silence_of(r) for r in state.workers.values() if r.path), default=0.0)
        if state.workers and quiet > _QUIET_SECONDS:
            yield (f"▲ Waiting for the database: no batch ended for {age(quiet)}", NOTE)
        else:
            yield ("✓ Running at full speed", DIM)
    if live:
        yield (f"   {live}", DIM)


def check_lines(state: ImportState, width: int) -> list[Content]:
    """What the check has found so far."""
    mapped = sum(folder.channel is not None for folder in state.folders.values())
    lines = [
        progress_line(state, width, "read"),
        line(*account_parts(state.total)).truncate(width, ellipsis=True),
    ]
    about = f"  {amount(mapped, 'channel')}"
    about += (
        f"   {amount(len(state.unmapped), 'folder')} without a channel" if state.unmapped else ""
    )
    about += f"   days {state.days[0]} … {state.days[1]}" if state.days else ""
    if state.result is not None:
        about += f"   lists: {amount(state.result.users, 'user')}, {amount(state.result.channels, 'channel')}"
    lines.append(line(about).truncate(width, ellipsis=True))
    left_out = [f"{amount(number, 'file')}: {reason}" for reason, number in state.left_out.items()]
    lines.append(line((f"  left out   {'   '.join(left_out)}" if left_out else "", NOTE)))
    return [shown.truncate(width, ellipsis=True) for shown in lines]


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of the error that ended a check or an import: what happened, or what to do (`is_hint`)."""

    text: str
    is_hint: bool
    is_first: bool
    """Whether the error begins with this line."""


CheckFinding = Failure | TimedNote | ImportProblem
"""Something in the archive that the operator should know before the import."""


def is_refused(state: ImportState) -> bool:
    """Whether the archive was refused. Choosing one of several exports may help."""
    return isinstance(state.error, ArchiveRefused)


def exports_of(state: ImportState | None) -> tuple[Export, ...]:
    """The exports among which the operator must choose; none unless the archive was refused for them."""
    error = None if state is None else state.error
    return error.exports if isinstance(error, ArchiveRefused) else ()


def failure_lines(state: ImportState, width: int) -> list[Failure]:
    """The error that ended the check or the import, in lines of `width` cells with their symbols."""
    if state.error is None:
        return []
    room = max(width - _SYMBOL, 1)
    shown = lines(str(state.error.args[0]), room, _MOST_OF_ERROR, at_words=True)
    hint = (state.error.hint or "").splitlines()
    return [
        *(Failure(row, is_hint=False, is_first=number == 0) for number, row in enumerate(shown)),
        *(
            Failure(row, is_hint=True, is_first=False)
            for text in hint
            for row in lines(text, room, _MOST_OF_ERROR, at_words=True)
        ),
    ]


def findings(state: ImportState, width: int) -> list[CheckFinding]:
    """What the operator should know before the import, errors first; at most `_MOST_PROBLEMS` problems."""
    warnings = [note for note in state.notes if note.is_warning]
    return [*failure_lines(state, width), *islice(state.problems, _MOST_PROBLEMS), *warnings]


def findings_left_out(state: ImportState) -> str:
    """Which problems `findings` leaves out, as a phrase; "" if none."""
    shown = min(len(state.problems), _MOST_PROBLEMS)
    problems = state.ledger.problems
    return f"{shown:,} of {problems:,} problems" if shown < problems else ""


def findings_note(state: ImportState) -> str:
    """The numbers of errors and warnings, and whether the check failed."""
    warnings = sum(note.is_warning for note in state.notes)
    counts = f"{amount(state.ledger.problems, 'error')} · {amount(warnings, 'warning')}"
    if state.error is None:
        return counts
    return f"the archive is refused · {counts}" if is_refused(state) else f"failed · {counts}"


def search_text(row: CheckFinding) -> str:
    """The text that a filter searches."""
    return f"{row.path} {row.reason}" if isinstance(row, ImportProblem) else row.text


def folder_search_text(row: FolderProgress) -> str:
    """The text that a filter searches."""
    return f"{row.name} {row.channel or 'left out'}"


def paint_check_finding(row: CheckFinding, width: int) -> Content:
    """A line for a finding."""
    if isinstance(row, ImportProblem):
        return paint_problem(row, width)
    if isinstance(row, Failure):
        symbol = "✗ " if row.is_first else " " * _SYMBOL
        shown = symbol + cut(row.text, width - _SYMBOL)
        return line((shown, "" if row.is_hint else BAD)).truncate(width)
    symbol, style = ("▲", NOTE) if row.is_warning else ("·", DIM)
    return line((symbol, style), " ", cut(row.text, width - 2)).truncate(width)


def paint_problem(row: ImportProblem, width: int) -> Content:
    """A line for a bad record or file."""
    where = f"{row.position:,}" if row.position is not None else "all"
    return PROBLEMS.row(width, [("✗", BAD), row.path, where, (row.reason, BAD)])


def paint_note(row: TimedNote, width: int) -> Content:
    """A line for a note of the import."""
    style = NOTE if row.is_warning else ""
    return line((clock(row.at), DIM), " ", (cut(row.text, max(width - 9, 1)), style))


def paint_worker(state: ImportState, pid: int, worker: WorkerProgress, width: int) -> Content:
    """A line for a worker and the file that it reads."""
    file = state.file(worker.path) if worker.path else None
    if worker.path is None or file is None:
        return line((f"{pid:>8}  ", DIM), ("· between two files", DIM)).truncate(width)
    quiet = state.silence_of(worker)
    if state.phase in (Phase.PAUSED, Phase.WAITING):
        end: StyledText = ("paused", NOTE)
    elif quiet > _QUIET_SECONDS:
        end = (f"▲ silent {brief(quiet)}", NOTE)
    else:
        end = (f"{file.account.read:,} read", DIM)
    columns = Columns(Column("", 8, right=True), Column(""), Column("", 14, right=True))
    return columns.row(width, [(str(pid), DIM), worker.path, end])


def paint_file(planned: PlannedFile, file: FileProgress | None, took: float, width: int) -> Content:
    """A line for a file: its progress, and what became of its messages."""
    name = planned.member.path
    if file is None:
        symbol = _STEPS[FileStep.WAITING]
        return FILES.row(width, [symbol, (name, DIM), "", "", "", "", "", ("waiting", DIM)])
    account = file.account
    note: StyledText = (file.reason, BAD) if file.reason else ""
    symbol = _STEPS[file.step]
    if file.step is FileStep.READING:
        share = file.bytes_read / planned.member.size if planned.member.size else 0.0
        note = (f"{bar(share, 10)} {share * 100:3.0f} %", KEY)
    elif file.reason:
        symbol = ("✗", BAD) if file.step is FileStep.FAILED else ("▲", NOTE)
        note = (f"{file.bad:,} {file.reason}" if file.bad else file.reason, BAD)
    elif file.step is FileStep.KNOWN:
        note = ("imported before", DIM)
    left_out = account.filtered + sum(account.discarded.values()) + sum(account.skipped.values())
    return FILES.row(
        width,
        [
            symbol,
            name,
            f"{account.read:,}",
            f"{took:.1f} s" if took < 1000 else brief(took),
            f"{account.inserted:,}",
            f"{account.already_there + account.updated:,}",
            f"{left_out:,}",
            note,
        ],
    )


def paint_folder(folder: FolderProgress, width: int) -> Content:
    """A line for a channel: the progress of its files."""
    share = folder.done / folder.files if folder.files else 0.0
    account = folder.account
    if folder.channel is None:
        return FOLDERS.row(
            width, [(folder.name, NOTE), "", "", (f"▲ {folder.files:,} left out", NOTE), "", ""]
        )
    return FOLDERS.row(
        width,
        [
            f"{folder.name}",
            (bar(share, 8), KEY if share < 1 else GOOD),
            f"{share * 100:.0f} %",
            f"{count(folder.done)}/{count(folder.files)}",
            f"{account.inserted:,}",
            f"{account.already_there + account.updated:,}",
        ],
    )


def paint_past(past: PastImport, width: int) -> Content:
    """A line for an earlier import."""
    account = past.account
    return PAST_IMPORTS.row(
        width,
        [
            past_state(past),
            f"{moment(past.started_at):.16}",
            count(account.read)
            if account.read or not (past.is_running or past.needs_count)
            else "",
            (f"{account.bad + past.files_failed:,}", BAD if account.bad else DIM),
            past.source,
        ],
    )


def past_state(past: PastImport) -> tuple[str, str]:
    """The state of an earlier import, with its colour."""
    if past.is_running:
        return ("▶ running", KEY)
    known: Mapping[str, tuple[str, str]] = {
        ImportOutcome.DONE: ("✓ done", GOOD),
        ImportOutcome.FAILED: ("✗ failed", BAD),
        ImportOutcome.CANCELLED: ("○ stopped", NOTE),
        ImportOutcome.REPLACED: ("○ replaced", DIM),
    }
    return known.get(past.outcome or "", ("✗ cut off", BAD))


def past_lines(past: PastImport | None, width: int) -> list[Content]:
    """All that is known of an earlier import."""
    if past is None:
        return []
    given = {name: value for name, value in past.options.items() if value}
    ended = f", ended {moment(past.finished_at)}" if past.finished_at else ""
    files = f"{past.files_done:,} of {past.files_planned:,}"
    if past.needs_count:
        files = "not counted yet: the import was killed"
    elif not past.files_planned:
        files = f"{past.files_done:,} done"
    if past.is_running:
        files = f"{past.files_now:,} done so far"
    rows: list[tuple[str, StyledText]] = [
        ("state", past_state(past)),
        ("path", past.source),
        ("began", f"{moment(past.started_at)}{ended}"),
        ("by", past.instance),
        ("files", files + (f", {past.files_failed:,} failed" if past.files_failed else "")),
        ("options", ", ".join(f"{name} {value}" for name, value in given.items()) or "none"),
    ]
    rows += [("error", (past.error, BAD))] if past.error else []
    lines = [
        line((f"  {name:<9}", DIM), part).truncate(width, ellipsis=True) for name, part in rows
    ]
    if not past.needs_count:
        lines.insert(5, line(*account_parts(past.account)).truncate(width, ellipsis=True))
    if past.can_continue:
        lines.append(
            line(("  ▲ Unfinished: Enter takes its path and options, to continue it.", NOTE))
        )
    return lines


def result_lines(state: ImportState, width: int) -> list[Content]:
    """How the import ended, and its account."""
    result, total = state.result, state.total if state.result is None else state.result.total
    symbol, style = PHASES[state.phase]
    ended = {Phase.DONE: "Finished", Phase.STOPPED: "Stopped"}.get(state.phase, "Failed")
    bad = state.num_bad
    if state.phase is Phase.DONE and bad:
        symbol, style = "▲", NOTE
    head = f"  {symbol} {ended} after {age(state.seconds)}"
    head += f" at {state.share * 100:.0f} %" if state.phase is not Phase.DONE else ""
    head += f", {bad:,} bad records and files" if bad else ""
    if state.phase is not Phase.DONE:
        head += ". R continues it." if state.is_planned else ". Nothing was imported."
    lines = [line((head, style))]
    if state.error is not None:
        lines.append(line((f"    {state.error.args[0]}", BAD)))
        hint = (state.error.hint or "").splitlines()
        lines += [line((f"    {hint[0]}", DIM))] if hint else []
    ledger = state.ledger
    files = f"  {ledger.files_done:,} of {amount(ledger.files, 'file')} done   {state.num_failed:,} failed"
    left_out = sum(state.left_out.values())
    files += f"   {left_out:,} left out" if left_out else ""
    if result is not None:
        files += f"   lists: {amount(result.users, 'user')}, {amount(result.channels, 'channel')}"
    lines += [line(files), line(*account_parts(total))]
    if result is not None and result.mismatch:
        lines.append(line((f"  ✗ The account does NOT add up: {result.mismatch}", BAD)))
    elif result is not None:
        unread = state.num_failed + left_out
        account: StyledText = (
            (f"  ▲ {amount(unread, 'file')} not read in full, the rest is accounted for", NOTE)
            if unread
            else ("  ✓ All messages are accounted for", GOOD)
        )
        lines.append(line(account, f"   {state.rate:,.0f} msg/s"))
    if state.report is not None:
        lines.append(line(("  report   ", DIM), end_of_path(str(state.report), width - 11)))
    return [shown.truncate(width, ellipsis=True) for shown in lines]
