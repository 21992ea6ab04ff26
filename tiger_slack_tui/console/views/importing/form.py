"""The form of step 3 as rows, and why an import cannot start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.base.times import parse_time
from tiger_slack_tui.console.formats import millis, moment
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.paint import BAD, DIM, GOOD, NOTE, StyledText
from tiger_slack_tui.console.views.importing.check_findings import exports_of, is_refused
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.imports.state import ImportState


class Option(StrEnum):
    """What can be chosen for an import. The value is its name in the form."""

    SINCE = "since"
    UNTIL = "until"
    ROOT = "root"
    WORKSPACE = "workspace"
    CHANNELS = "channels"
    WORKERS = "workers"
    LIVE_EVENTS = "live events"
    LIVE_LIMIT = "above"
    DISCARD = "discard"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class FormRow:
    """A row of the form."""

    option: Option
    value: StyledText
    about: StyledText

    @property
    def name(self) -> str:
        """The option's name; that of a part of another option is indented."""
        return f"  {self.option}" if self.option is Option.LIVE_LIMIT else self.option


def option_rows(draft: ImportDraft, check: ImportState | None, model: Model) -> list[FormRow]:
    """The rows of the form."""
    folders = check.folders.values() if check else ()
    names = draft.chosen(check)
    chosen = [folder for folder in folders if folder.name in names]
    files = f"{sum(f.files for f in chosen):,} of {amount(sum(f.files for f in folders), 'file')}"
    nameless = [f for f in folders if f.channel is None and f.name not in draft.channel_map]
    if nameless:
        about: StyledText = (f"{files}; {amount(len(nameless), 'folder')} without a channel", NOTE)
    else:
        about = files
    channels = f"all {len(chosen):,}" if draft.channels is None else f"{len(chosen):,} selected"
    rows = [
        FormRow(Option.SINCE, draft.since or "-", _when(draft.since, "the first message")),
        FormRow(
            Option.UNTIL, draft.until or "-", _when(draft.until, "the last message", is_end=True)
        ),
        *_choice_rows(draft, check),
        FormRow(Option.CHANNELS, channels, about),
        FormRow(Option.WORKERS, str(draft.workers), "processes that read the files"),
        *_live_rows(model),
        _discards(check, model),
    ]
    past = draft.find_unfinished(model.database.imports)
    if past is not None or draft.restart:
        why = "no unfinished import"
        if past is not None:
            done = "" if past.needs_count else f", {amount(past.files_done, 'file')} done"
            why = f"unfinished import of {moment(past.started_at):.16}{done}"
        value: StyledText = (
            ("✓ from the beginning", NOTE) if draft.restart else ("○ continues", GOOD)
        )
        rows.append(FormRow(Option.RESTART, value, why))
    return rows


def _choice_rows(draft: ImportDraft, check: ImportState | None) -> list[FormRow]:
    """The rows for a choice among several exports, if the archive was refused or one is chosen."""
    if not (draft.root or draft.workspace or (check is not None and is_refused(check))):
        return []
    return [
        FormRow(
            Option.ROOT,
            draft.root or "-",
            _choice(draft, "root", "path of an export in the archive"),
        ),
        FormRow(
            Option.WORKSPACE,
            draft.workspace or "-",
            _choice(draft, "workspace", "exports of this workspace (T…)"),
        ),
    ]


def _choice(draft: ImportDraft, name: str, about: str) -> StyledText:
    """The known choices, or `about`."""
    choices = draft.choices(name)
    return (
        (f"of {choices}", NOTE if not (draft.root or draft.workspace) else DIM)
        if choices
        else (about, DIM)
    )


def check_problem(draft: ImportDraft, check: ImportState | None) -> str | None:
    """Why an import cannot start after this check: its archive was not listed. None if it can."""
    if check is None:
        return "The archive was not checked. Esc returns to the check."
    if check.is_planned:
        return None
    if exports_of(check):
        return "The archive holds several exports. Choose a root or a workspace."
    if check.error is not None:
        return str(check.error.args[0])
    if check.phase.is_over:
        return "The check was stopped too early. Press Esc, then c, to check again."
    return "The archive is still being listed."


def _when(text: str, without: str, *, is_end: bool = False) -> StyledText:
    if not text:
        return (f"{without} of the archive", DIM)
    try:
        at = parse_time(text, datetime.now(UTC), "it", is_end=is_end)
    except SettingsError as error:
        return (f"✗ {error.args[0]}", BAD)
    return f"{'before' if is_end else 'from'} {moment(at)} UTC"


def _live_rows(model: Model) -> list[FormRow]:
    limit = model.live_limit
    if model.engine is None:
        return [
            FormRow(
                Option.LIVE_EVENTS, ("○ off", DIM), ("this process receives no live events", DIM)
            )
        ]
    now = f"now {millis(model.engine.ack_p95_now)}"
    if limit is None:
        return [
            FormRow(
                Option.LIVE_EVENTS,
                ("○ no wait", NOTE),
                f"live events may be acknowledged late; {now}",
            )
        ]
    return [
        FormRow(Option.LIVE_EVENTS, ("✓ wait", GOOD), f"pauses if acks are slower; {now} (p95)"),
        FormRow(Option.LIVE_LIMIT, f"{limit * 1000:.0f} ms", "p95 of live acks"),
    ]


def _discards(check: ImportState | None, model: Model) -> FormRow:
    rules = model.database.discard_rules
    found = sum(check.total.discarded.values()) if check else 0
    value = "?" if rules is None else amount(rules, "rule")
    about = f"would discard {found:,} of {amount(check.total.read, 'message')}" if check else ""
    return FormRow(Option.DISCARD, (value, DIM), (about, DIM))
