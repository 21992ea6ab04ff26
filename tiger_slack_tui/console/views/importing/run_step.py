"""Step 4 of the wizard: the progress of the import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import action, implements
from tiger_slack_tui.console.formats import millis
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.paint import BAD, StyledText, as_is, line, pairs
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.importing.fields import FOLDER_FIELDS
from tiger_slack_tui.console.views.importing.lines import (
    FILES,
    FOLDERS,
    folder_search_text,
    note_lines,
    paint_file,
    paint_folder,
    paint_worker,
    run_lines,
)
from tiger_slack_tui.console.views.importing.step import SHOW_DETAILS, WizardStep
from tiger_slack_tui.console.views.importing.step_line import RESULT, phase_part
from tiger_slack_tui.imports.archive.plan import PlannedFile
from tiger_slack_tui.imports.file_table import FileProgress
from tiger_slack_tui.imports.ledger import FolderProgress, WorkerProgress
from tiger_slack_tui.imports.state import ImportState, Phase
from tiger_slack_tui.store.import_account import ImportProblem

MakeLines = Callable[[int], Iterable[Content]]
"""Makes lines for this width."""


class RunStep(WizardStep):
    """Shows the progress of every file. P pauses and X stops the import, after a question; it can continue later."""

    TITLE: ClassVar[str] = "Step 4, Run"

    def compose(self) -> ComposeResult:
        yield Pane[Content](as_is, id="run-total", can_focus=False)
        yield Pane[tuple[int, WorkerProgress]](
            self._paint_worker, id="run-workers", can_focus=False
        )
        yield Pane[PlannedFile](
            self._paint_file,
            id="run-files",
            key=lambda row: row.member.path,
            selectable=True,
            find=lambda row: row.member.path,
            fields=self._file_fields(),
        )
        yield Pane[FolderProgress](
            paint_folder,
            id="run-channels",
            key=lambda row: row.name,
            selectable=True,
            find=folder_search_text,
            fields=FOLDER_FIELDS,
        )
        yield Pane[Content](as_is, id="run-notes")

    def on_mount(self) -> None:
        self._only_bad = False
        self._shown: ImportState | None = None
        self._folders: CachedValue[list[FolderProgress]] = CachedValue()
        self._notes: CachedValue[list[Content]] = CachedValue()

    def focus_first(self) -> None:
        files = self.pane("run-files")
        files.focus()
        files.follow()

    @property
    def _state(self) -> ImportState | None:
        return self.wizard.import_state

    def show(self, model: Model) -> None:
        state = self._shown = model.import_state
        if state is None:
            self.pane("run-total").show(
                Body(title="import", empty_text=("No import was started.",))
            )
            return
        total = self.pane("run-total")
        text = phase_part(state)
        total.show(
            Body(
                rows=run_lines(state, self._live(model), total.size.width),
                title="import",
                note=text if isinstance(text, str) else text[0],
            )
        )
        self._show_workers(state)
        self._show_files(state)
        self._show_channels(state)
        self._show_notes(state)

    def _show_workers(self, state: ImportState) -> None:
        busy = [(pid, worker) for pid, worker in state.workers.items() if worker.path]
        self.pane("run-workers").show(
            Body(
                rows=busy,
                title="workers",
                note=f"{len(busy)} of {state.request.workers} busy",
                empty_text=("No worker is reading.",)
                if state.phase is not Phase.LISTING
                else ("Starting …",),
            )
        )

    def _show_channels(self, state: ImportState) -> None:
        self.pane("run-channels").show(
            Body(
                rows=self._folders(lambda: list(state.folders.values()), state.folders),
                title="channels",
                note=f"{sum(f.done == f.files for f in state.folders.values()):,} of"
                f" {len(state.folders):,} done",
                head=FOLDERS.head,
            )
        )

    def _show_files(self, state: ImportState) -> None:
        bad, ledger = state.bad_files, state.ledger
        left = f"{ledger.files_done:,} done · {len(bad):,} bad · {ledger.files - ledger.files_done:,} left"
        self.pane("run-files").show(
            Body(
                rows=bad if self._only_bad else state.files,
                title="bad files" if self._only_bad else "files",
                note=left,
                head=FILES.head,
                newest=len(bad) - 1 if self._only_bad else state.first_open_index,
                empty_text=("There are no bad files so far. f shows all files.",)
                if self._only_bad
                else ("Listing the archive …",),
            )
        )

    def _show_notes(self, state: ImportState) -> None:
        pane, notes = self.pane("run-notes"), state.notes
        width = pane.size.width
        newest = notes[-1] if notes else None
        rows = self._notes(
            lambda: [row for note in notes for row in note_lines(note, width)],
            newest,
            len(notes),
            width,
        )
        pane.show(
            Body(
                rows=rows,
                title="notes",
                note=amount(len(notes), "note"),
                empty_text=("There are no notes.",),
                newest=len(rows) - 1,
            )
        )

    def _live(self, model: Model) -> str:
        if model.engine is None:
            return ""
        limit = model.live_limit
        off = (
            f"pauses above {limit * 1000:.0f} ms" if limit is not None else "does not wait for them"
        )
        return f"live acks {millis(model.engine.ack_p95_now)} (p95), {off}"

    def _paint_worker(self, row: tuple[int, WorkerProgress], width: int) -> Content:
        return paint_worker(self._shown, *row, width) if self._shown else Content("")

    def _paint_file(self, row: PlannedFile, width: int) -> Content:
        state = self._shown
        if state is None:
            return Content("")
        file = state.file(row.member.path)
        return paint_file(row, file, state.seconds_of(file) if file else 0.0, width)

    def _file_fields(self) -> tuple[Field[PlannedFile], ...]:
        def of(value: Callable[[FileProgress], object]) -> Callable[[PlannedFile], object]:
            def get(row: PlannedFile) -> object:
                file = self._shown.file(row.member.path) if self._shown else None
                return None if file is None else value(file)

            return get

        return (
            Field("file", lambda row: row.member.path),
            Field("size", lambda row: row.member.size),
            Field("state", of(lambda file: file.step.value)),
            Field("read", of(lambda file: file.account.read)),
            Field("new", of(lambda file: file.account.inserted)),
            Field("bad", of(lambda file: file.bad)),
            Field("reason", of(lambda file: file.reason)),
        )

    # Actions

    @implements(SHOW_DETAILS)
    def act_details(self) -> None:
        """Show the selected file or channel in full."""
        pane, state = self.host.focused_pane, self._shown
        if pane is None or state is None or pane.row is None:
            return
        if isinstance(pane.row, PlannedFile):
            self.host.read(pane.row.member.path, file_lines(state, pane.row))
        elif isinstance(pane.row, FolderProgress):
            self.host.read(f"channel {pane.row.name}", folder_lines(pane.row))

    @action("import.bad", "f", "Bad only")
    def act_bad(self) -> None:
        """Show only the bad files, or all files."""
        self._only_bad = not self._only_bad

    @action("import.pause", "P,shift+p", "Pause", changes=True)
    def act_pause(self) -> None:
        """Pause the import after the current batches."""
        self._ask(
            "Pause the import?",
            ["The current batches end. The workers stay. P continues the import."],
            verb="Pause",
            then=self.host.operator.pause_import,
        )

    @act_pause.when
    def _can_pause(self) -> bool:
        return self._can_stop() and not is_paused(self._state)

    @action("import.resume", "P,shift+p", "Continue", changes=True)
    def act_resume(self) -> None:
        """Continue the paused import."""
        self._ask(
            "Continue the import?", [], verb="Continue", then=self.host.operator.resume_import
        )

    @act_resume.when
    def _can_resume(self) -> bool:
        return self.wizard.is_running and is_paused(self._state)

    @action("import.stop", "X,shift+x", "Stop", changes=True)
    def act_stop(self) -> None:
        """Stop the import after the current batches."""
        self._ask(
            "Stop the import?",
            ["The current batches end. What is committed stays.", "R continues the import later."],
            verb="Stop",
            then=self.host.operator.stop_import,
        )

    @act_stop.when
    def _can_stop(self) -> bool:
        state = self._state
        return state is not None and not (state.phase.is_over or state.phase is Phase.STOPPING)

    @action("import.live", "L,shift+l", "Wait for live events", changes=True)
    def act_live(self) -> None:
        """Turn waiting for live events on or off."""
        model = self.wizard.model
        is_on = model is not None and model.live_limit is not None
        self._ask(
            "Stop waiting for live events?" if is_on else "Wait for live events?",
            ["Live events may then be acknowledged late."]
            if is_on
            else ["The import pauses while they are acknowledged late."],
            verb="Do not wait" if is_on else "Wait",
            then=self.host.operator.toggle_live_limit,
        )

    @act_live.when
    def _can_wait_for_live_events(self) -> bool:
        model = self.wizard.model
        return self.wizard.is_running and model is not None and model.has_engine

    def _ask(
        self, question: str, details: list[str], *, verb: str, then: Callable[[], None]
    ) -> None:
        self.host.ask(question, details, verb=verb, then=then)

    def back(self) -> bool:
        state = self._state
        if state is not None and state.phase.is_over:
            self.wizard.go(RESULT)
            return True
        return False


def is_paused(state: ImportState | None) -> bool:
    """Whether the operator has paused the import."""
    return state is not None and state.is_paused


def file_lines(state: ImportState, planned: PlannedFile) -> MakeLines:
    """All that is known now of a file, with those of its problems that are kept in memory."""
    file = state.file(planned.member.path)
    rows: list[tuple[str, StyledText]] = [
        ("path", planned.member.path),
        ("channel", f"{planned.folder}, {planned.channel.id}"),
        ("size", byte_size(planned.member.size)),
        ("state", "waiting" if file is None else file.step.value),
    ]
    if file is not None:
        rows += [("took", f"{state.seconds_of(file):.1f} s"), *_account(file.account.as_json())]
        rows += [("reason", file.reason)] if file.reason else []
    found = [row for row in state.problems if row.path == planned.member.path]

    def make(width: int) -> Iterator[Content]:
        yield from pairs(width, *rows, name=16)
        if found:
            yield Content("")
            yield line(("problems", "bold"))
            yield from pairs(width, *map(problem_pair, found), name=16)

    return make


def problem_pair(problem: ImportProblem) -> tuple[str, StyledText]:
    """Where the problem is, and what it is."""
    where = "whole file" if problem.position is None else f"record {problem.position:,}"
    return where, (problem.reason, BAD)


def problem_lines(problem: ImportProblem, width: int) -> list[Content]:
    """All that is known of a problem."""
    return pairs(width, ("path", problem.path), problem_pair(problem), name=16)


def folder_lines(folder: FolderProgress) -> MakeLines:
    """All that is known now of a channel."""
    rows: list[tuple[str, StyledText]] = [
        ("folder", folder.name),
        ("channel", folder.channel or "unknown: its files are left out"),
        ("files", f"{folder.done:,} of {folder.files:,}"),
        ("size", byte_size(folder.bytes)),
        *_account(folder.account.as_json()),
    ]
    return lambda width: pairs(width, *rows, name=16)


def _account(account: dict[str, object]) -> Iterator[tuple[str, StyledText]]:
    for name, value in account.items():
        if isinstance(value, dict):
            yield from ((f"{name}, {reason}", f"{n:,}") for reason, n in value.items())
        else:
            yield name.replace("_", " "), f"{value:,}"
