"""Lines of text about an import: its progress, files, channels and workers, and its account."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from tiger_slack_tui.base.text import amount
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
    folded,
    line,
)
from tiger_slack_tui.console.views.importing.step_line import end_of_path
from tiger_slack_tui.imports.archive.layout import LeftOut
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.file_table import FileProgress, FileStep
from tiger_slack_tui.imports.ledger import FolderProgress, WorkerProgress
from tiger_slack_tui.imports.state import ImportState, Phase, TimedNote
from tiger_slack_tui.store.import_account import Account

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
_STEPS = {
    FileStep.WAITING: ("·", DIM),
    FileStep.READING: ("▶", KEY),
    FileStep.DONE: ("✓", GOOD),
    FileStep.KNOWN: ("✓", DIM),
    FileStep.FAILED: ("✗", BAD),
}
_QUIET_SECONDS = 3.0
"""A worker that reports nothing for longer is shown as silent."""


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


def folder_search_text(row: FolderProgress) -> str:
    """The text that a filter searches."""
    return f"{row.name} {row.channel or 'left out'}"


def note_lines(note: TimedNote, width: int) -> list[Content]:
    """A note of the import, in as many lines as it takes."""
    style = NOTE if note.is_warning else ""
    return folded(line((clock(note.at), DIM), " ", (note.text, style)), width)


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
    head += f", {bad:,} bad {'record or file' if bad == 1 else 'records and files'}" if bad else ""
    if state.phase is not Phase.DONE:
        head += ". R continues it." if state.is_planned else ". Nothing was imported."
    lines = [line((head, style))]
    if state.error is not None:
        lines += folded(line((f"    {state.error.args[0]}", BAD)), width)
        hint = (state.error.hint or "").splitlines()
        lines += folded(line((f"    {hint[0]}", DIM)), width) if hint else []
    ledger = state.ledger
    files = f"  {ledger.files_done:,} of {amount(ledger.files, 'file')} done   {state.num_failed:,} failed"
    left_out = sum(state.left_out.values())
    files += f"   {left_out:,} left out" if left_out else ""
    if result is not None:
        files += f"   lists: {amount(result.users, 'user')}, {amount(result.channels, 'channel')}"
    lines += [line(files), line(*account_parts(total))]
    if result is not None and result.mismatch:
        lines.append(line((f"  ✗ The account does NOT add up: {result.mismatch}", BAD)))
    elif result is not None and result.selects_nothing:
        lines.append(line(("  ▲ No message that was read is within since and until.", NOTE)))
        lines += folded(line(("    ", ""), (result.contents, DIM)), width)
    elif result is not None:
        unwanted = sum(
            number for reason, number in state.left_out.items() if not LeftOut(reason).is_wanted
        )
        unread = state.num_failed + unwanted
        account: StyledText = (
            (f"  ▲ {amount(unread, 'file')} not read in full, the rest is accounted for", NOTE)
            if unread
            else ("  ✓ All messages are accounted for", GOOD)
        )
        lines.append(line(account, f"   {state.rate:,.0f} msg/s"))
    if state.report is not None:
        lines.append(line(("  report   ", DIM), end_of_path(str(state.report), width - 11)))
    return [shown.truncate(width, ellipsis=True) for shown in lines]
