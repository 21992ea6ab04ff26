"""Step 3 of the wizard: what to import, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.sizes import byte_size
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.base.times import parse_time
from tiger_slack_tui.console.actions import ACCEPT, LEAVE, action, implements
from tiger_slack_tui.console.formats import count, moment
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.action_field import ActionField
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    as_is,
    folded,
    line,
    wrapped,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.views.importing.check_findings import exports_of
from tiger_slack_tui.console.views.importing.draft import (
    ImportDraft,
    parse_channel,
    parse_limit,
    parse_workers,
)
from tiger_slack_tui.console.views.importing.fields import FOLDER_FIELDS
from tiger_slack_tui.console.views.importing.form import FormRow, Option, check_problem, option_rows
from tiger_slack_tui.console.views.importing.step import WizardStep
from tiger_slack_tui.console.views.importing.step_line import CHECK
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.imports.archive.names import shown
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.imports.state import ImportState

_OPTIONS = Columns(Column("", 11), Column("", 18), Column(""))
_FOLDERS = Columns(
    Column("", 3),
    Column("channel"),
    Column("id", 12),
    Column("files", 8, right=True),
    Column("size", 9, right=True, least=60),
    Column("checked", 9, right=True, least=60),
)


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A value that is being typed. `check` says what it means, or raises SettingsError; `save` keeps it."""

    label: str
    value: str
    check: Callable[[str], str]
    save: Callable[[str], None]


class OptionField(ActionField):
    """The field for the value of an option."""

    @implements(ACCEPT)
    def act_accept(self) -> None:
        """Set the option."""
        self.screen.query_one(OptionsStep).accept()

    @implements(LEAVE)
    def act_leave(self) -> None:
        """Leave the option as it was."""
        self.screen.query_one(OptionsStep).back()


class OptionsStep(WizardStep):
    """Shows the options; Enter changes one. I asks, then starts the import: nothing is written before."""

    TITLE: ClassVar[str] = "Step 3, Options"

    def compose(self) -> ComposeResult:
        yield Pane[FormRow](
            lambda row, width: _OPTIONS.row(width, [(row.name, DIM), row.value, row.about]),
            id="options-form",
            key=lambda row: row.option,
            selectable=True,
        )
        with Horizontal(id="options-edit"):
            yield Static(id="options-label")
            yield OptionField(self.host.keys_shown, id="options-field")
            yield Static(id="options-verdict")
        yield Pane[FolderProgress](
            self._paint_folder,
            id="options-channels",
            key=lambda row: row.name,
            selectable=True,
            find=lambda row: f"{row.name} {row.channel}",
            fields=FOLDER_FIELDS,
        )
        yield Pane[Content](as_is, id="options-command", can_focus=False)

    def on_mount(self) -> None:
        self._edit: FieldEdit | None = None
        self._edited_from: Pane[object] | None = None
        self._chosen: frozenset[str] = frozenset()
        self._folders: CachedValue[list[FolderProgress]] = CachedValue()
        self._command: CachedValue[list[Content]] = CachedValue()

    def show(self, model: Model) -> None:
        check, draft = model.check_state, self.wizard.draft
        draft.exports = exports_of(check) or draft.exports
        self._chosen = draft.chosen(check)
        self.pane("options-form").show(
            Body(
                rows=option_rows(draft, check, model),
                title="options",
                note="Enter changes · I imports",
            )
        )
        folders = self._folders(
            lambda: sorted(
                check.folders.values() if check else (),
                key=lambda f: (f.channel is not None, f.name),
            ),
            check.folders if check else None,
        )
        self.pane("options-channels").show(
            Body(
                rows=folders,
                title="channels",
                note="Space selects · a all or none · / filters",
                head=lambda width: _FOLDERS.head(width),
                empty_text=_not_listed(draft, check),
            )
        )
        self._show_command(model)

    def _show_command(self, model: Model) -> None:
        """Show the command that does the same, below the reason why the import cannot start now."""
        draft = self.wizard.draft
        command = self.pane("options-command")
        width = max(command.size.width - 4, 20)
        lines = self._command(
            lambda: wrapped(
                self.wizard.sources.import_command(draft.request), width, 30, at_words=True
            ),
            width,
            draft.channels,
            str(replace(draft, channels=None)),
        )
        problem = self._problem(model.check_state)
        rows = [Content("  ") + row for row in lines]
        if problem:
            rows[:0] = folded(line((f"  ✗ {problem}", BAD)), width)
        note = (
            "but it does not wait for live events"
            if model.engine and model.live_limit is not None
            else ""
        )
        command.show(Body(rows=rows, title="the same as a command (y copies)", note=note))

    def _problem(self, check: ImportState | None) -> str | None:
        """Why the import cannot start now; None if it can."""
        draft = self.wizard.draft
        return check_problem(draft, check) or draft.problem() or self.wizard.schema_problem()

    def _paint_folder(self, folder: FolderProgress, width: int) -> Content:
        draft = self.wizard.draft
        mapped = draft.channel_map.get(folder.name)
        if folder.channel is None and mapped is None:
            name: StyledText = (folder.name, NOTE)
            return _FOLDERS.row(
                width,
                [
                    ("▲", NOTE),
                    name,
                    ("Enter: id", NOTE),
                    f"{folder.files:,}",
                    "",
                    ("left out", NOTE),
                ],
            )
        is_chosen = folder.name in self._chosen
        box: StyledText = ("[✓]", GOOD) if is_chosen else ("[ ]", DIM)
        name = folder.name if is_chosen else (folder.name, DIM)
        size = byte_size(folder.bytes) if folder.bytes else ""
        return _FOLDERS.row(
            width,
            [
                box,
                name,
                (folder.channel or mapped or "", KEY if mapped else DIM),
                f"{folder.files:,}",
                (size, DIM),
                (count(folder.account.read) if folder.account.read else "", DIM),
            ],
        )

    # Actions

    @action("import.change", "enter", "Change", shown="Enter")
    def act_change(self) -> None:
        """Change the option, or a folder's channel."""
        channels: Pane[FolderProgress] = self.pane("options-channels")
        if channels.has_focus:
            self._change_folder(channels.row)
            return
        row: FormRow | None = self.pane("options-form").row
        draft = self.wizard.draft
        match row.option if row else None:
            case Option.CHANNELS:
                channels.focus()
            case Option.LIVE_EVENTS:
                self.host.operator.toggle_live_limit()
            case Option.RESTART:
                draft.restart = not draft.restart
            case Option() as option if (edit := self._edit_of(option)) is not None:
                self._open_field(edit)

    def _edit_of(self, option: Option) -> FieldEdit | None:
        """How the option is typed; None if it is not."""
        draft, model = self.wizard.draft, self.wizard.model
        match option:
            case Option.SINCE:
                return _time_edit(draft, "since", is_end=False)
            case Option.UNTIL:
                return _time_edit(draft, "until", is_end=True)
            case Option.ROOT:
                return FieldEdit(
                    option,
                    draft.root,
                    lambda text: draft.describe_root(text.strip()),
                    lambda text: self._choose_exports(root=text),
                )
            case Option.WORKSPACE:
                return FieldEdit(
                    option,
                    draft.workspace,
                    lambda text: draft.describe_workspace(text.strip()),
                    lambda text: self._choose_exports(workspace=text),
                )
            case Option.WORKERS:
                workers = str(draft.workers)
                return FieldEdit(option, workers, _checked(parse_workers), self._save_workers)
            case Option.LIVE_LIMIT:
                seconds = model.live_limit if model is not None else None
                limit = f"{(seconds or 0) * 1000:.0f}"
                return FieldEdit("live acks, ms", limit, _checked(parse_limit), self._save_limit)
        return None

    @action("import.toggle", "space", "Select", shown="Space")
    def act_toggle(self) -> None:
        """Select the channel, or end that."""
        folder: FolderProgress | None = self.pane("options-channels").row
        if folder is not None:
            self._change_folder(folder)

    @action("import.all", "a", "All or none")
    def act_all(self) -> None:
        """Select all channels, or none."""
        self.wizard.draft.toggle_all()

    @act_toggle.when
    @act_all.when
    def _is_in_channels(self) -> bool:
        return self.pane("options-channels").has_focus

    def _change_folder(self, folder: FolderProgress | None) -> None:
        check, draft = self.wizard.check_state, self.wizard.draft
        if folder is None or check is None:
            return
        if folder.channel is None:
            mapped = draft.channel_map.get(folder.name, "")

            def save(text: str) -> None:
                draft.channel_map.pop(folder.name, None)
                if text.strip():
                    draft.channel_map[folder.name] = parse_channel(text)
                self.host.attempt("The channel map", self._save_map())

            self._open_field(
                FieldEdit(f"id of {folder.name}", mapped, _optional(parse_channel), save)
            )
            return
        draft.toggle(folder, list(check.folders.values()))

    async def _save_map(self) -> str:
        request = self.wizard.draft.request
        await self.host.operator.save_channel_map(request)
        return ""

    def _choose_exports(self, *, root: str | None = None, workspace: str | None = None) -> None:
        """Set the root or the workspace, and check the chosen exports."""
        draft = self.wizard.draft
        draft.root = draft.root if root is None else root
        draft.workspace = draft.workspace if workspace is None else workspace
        draft.channels = None
        self.wizard.start_check()

    def _save_workers(self, text: str) -> None:
        self.wizard.draft.workers = parse_workers(text)

    def _save_limit(self, text: str) -> None:
        self.host.operator.set_live_limit(parse_limit(text))

    @implements(View.act_copy.action)
    async def act_copy(self) -> None:
        """Copy the command; in the channels, the row."""
        pane = self.host.focused_pane
        if pane is not None and pane.id == "options-channels":
            text = await pane.copy_text()
        else:
            text = self.wizard.sources.import_command(self.wizard.draft.request)
        self.host.say(self.host.copy(text))

    @action("import.start", "I,shift+i", "Import", changes=True)
    def act_start(self) -> None:
        """Start the import."""
        draft, check = self.wizard.draft, self.wizard.check_state
        problem = self._problem(check)
        if problem is not None:
            self.host.say(problem, severity="error")
            return
        model = self.wizard.model
        past = draft.find_unfinished(model.database.imports) if model else None
        names = draft.chosen(check)
        chosen = [f for f in check.folders.values() if f.name in names] if check else []
        files = amount(sum(f.files for f in chosen), "file")
        details = [
            f"{draft.request.path}",
            f"{files} of {amount(len(chosen), 'channel')}, {amount(draft.workers, 'worker')}.",
            "It adds what is missing. Newer live messages and deletions stay.",
        ]
        if past is not None and not draft.restart:
            details.append(f"It continues the import of {moment(past.started_at)}.")
        if model is not None and "imports" in model.database.problems:
            details.append("Earlier imports cannot be read. It may continue one of them.")
        if self.wizard.is_checking:
            details.append("The check, which still runs, is stopped.")
        self.host.ask(
            "Import this archive?",
            details,
            verb="Import",
            then=lambda: self.wizard.start_import(self.wizard.draft.request),
        )

    @act_start.when
    def _can_start(self) -> bool:
        return not self.wizard.is_running

    # Typing a value

    def _open_field(self, edit: FieldEdit) -> None:
        self._edit = edit
        self._edited_from = self.host.focused_pane
        self.query_one("#options-label", Static).update(
            line("  ", (edit.label, f"bold {KEY}"), " ")
        )
        field = self.query_one(OptionField)
        self.query_one("#options-edit").display = True
        field.value = edit.value
        field.cursor_position = len(edit.value)
        field.focus()
        self._show_meaning(edit.value)

    def _show_meaning(self, text: str) -> bool:
        """Show what the text means, or what is wrong with it; whether it is valid."""
        if self._edit is None:
            return False
        try:
            shown, good = line((f" ✓ {self._edit.check(text)}", GOOD)), True
        except SettingsError as error:
            hint = f"  {error.hint}" if error.hint else ""
            shown, good = line((f" ✗ {error.args[0]}{hint}", BAD)), False
        self.query_one("#options-verdict", Static).update(shown)
        return good

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._show_meaning(event.value)

    def accept(self) -> None:
        """Set the option to the typed value, if it is valid."""
        text = self.query_one(OptionField).value
        if self._edit is not None and self._show_meaning(text):
            self._edit.save(text.strip())
            self._close()

    def _close(self) -> None:
        self._edit = None
        self.query_one("#options-edit").display = False
        (self._edited_from or self.pane("options-form")).focus()

    def back(self) -> bool:
        if self._edit is not None:
            self._close()
        elif self.pane("options-channels").has_focus:
            self.pane("options-form").focus()
        else:
            self.wizard.go(CHECK)
        return True


def _time_edit(draft: ImportDraft, name: str, *, is_end: bool) -> FieldEdit:
    def check(text: str) -> str:
        if not text.strip():
            return "no limit"
        at = parse_time(text.strip(), datetime.now(UTC), name, is_end=is_end)
        changed = replace(draft)
        setattr(changed, name, text.strip())
        if (problem := changed.problem()) is not None and changed.channels != ():
            raise SettingsError(problem)
        return f"{moment(at)} UTC"

    return FieldEdit(name, getattr(draft, name), check, lambda text: setattr(draft, name, text))


def _checked(read: Callable[[str], object]) -> Callable[[str], str]:
    def check(text: str) -> str:
        read(text.strip())
        return "Enter sets it"

    return check


def _optional(read: Callable[[str], object]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.strip():
            return "the folder is not imported"
        read(text)
        return "the folder is imported into it"

    return check


def _not_listed(draft: ImportDraft, check: ImportState | None) -> list[str]:
    """What is shown if there are no channels."""
    if exports := exports_of(check):
        found = [f"{shown(export.path)}  {', '.join(export.teams)}" for export in exports]
        return ["Choose one of these exports as root, or those of a workspace:", *found]
    return ["The archive was not listed.", "Esc returns to the check."]
