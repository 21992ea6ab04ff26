"""The form of step 3 as lines: what can be chosen, and why it cannot be imported as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.base.times import read_time
from tiger_slack_tui.console.formats import millis, moment
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.panes.paint import BAD, DIM, GOOD, NOTE, Part
from tiger_slack_tui.console.views.importing.draft import ImportDraft
from tiger_slack_tui.console.views.importing.lines import exports_of, is_refused
from tiger_slack_tui.imports.state import ImportState


@dataclass(frozen=True, slots=True)
class Option:
    """A line of the form."""

    name: str
    value: Part
    about: Part


def option_rows(draft: ImportDraft, check: ImportState | None, model: Model) -> list[Option]:
    """The form."""
    folders = check.folders.values() if check else ()
    names = draft.chosen(check.folders) if check else frozenset()
    chosen = [folder for folder in folders if folder.name in names]
    files = f"{sum(f.files for f in chosen):,} of {sum(f.files for f in folders):,} files"
    nameless = [f for f in folders if f.channel is None and f.name not in draft.channel_map]
    if nameless:
        about: Part = (f"{files}; {amount(len(nameless), 'folder')} without a channel", NOTE)
    else:
        about = files
    channels = f"all {len(chosen):,}" if draft.channels is None else f"{len(chosen):,} selected"
    rows = [
        Option("since", draft.since or "-", _when(draft.since, "the first message")),
        Option("until", draft.until or "-", _when(draft.until, "the last message", is_end=True)),
        *_choice_rows(draft, check),
        Option("channels", channels, about),
        Option("workers", str(draft.workers), "processes that read and write"),
        *_live_rows(model),
        _discards(check, model),
    ]
    past = draft.goes_on_with(model.facts.imports)
    if past is not None or draft.anew:
        why = "no unfinished import"
        if past is not None:
            done = "" if past.needs_count else f", {past.files_done:,} files done"
            why = f"unfinished import of {moment(past.started_at):.16}{done}"
        value: Part = ("✓ begins anew", NOTE) if draft.anew else ("○ goes on", GOOD)
        rows.append(Option("begin anew", value, why))
    return rows


def _choice_rows(draft: ImportDraft, check: ImportState | None) -> list[Option]:
    """Which of several exports, where the archive was refused or one is chosen."""
    if not (draft.root or draft.workspace or (check is not None and is_refused(check))):
        return []
    return [
        Option(
            "root", draft.root or "-", _choice(draft, "root", "path of one export in the archive")
        ),
        Option(
            "workspace",
            draft.workspace or "-",
            _choice(draft, "workspace", "exports of this workspace (T…)"),
        ),
    ]


def _choice(draft: ImportDraft, name: str, about: str) -> Part:
    """What can be chosen, where it is known."""
    choices = draft.choices(name)
    return (
        (f"of {choices}", NOTE if not (draft.root or draft.workspace) else DIM)
        if choices
        else (about, DIM)
    )


def check_problem(draft: ImportDraft, check: ImportState | None) -> str | None:
    """Why nothing can be imported after this check: what is imported was not listed."""
    if check is None:
        return "The archive was not checked: Esc goes back to the check."
    if check.is_planned:
        return None
    if exports_of(check):
        return "The archive holds several exports: choose one at root, or a workspace."
    if check.error is not None:
        return str(check.error.args[0])
    if check.phase.is_over:
        return "The check was stopped before it listed the archive: Esc, then c, checks again."
    return "The archive is being listed."


def _when(text: str, without: str, *, is_end: bool = False) -> Part:
    if not text:
        return (f"{without} of the archive", DIM)
    try:
        at = read_time(text, datetime.now(UTC), "it", is_end=is_end)
    except SettingsError as error:
        return (f"✗ {error.args[0]}", BAD)
    return f"{'before' if is_end else 'from'} {moment(at)} UTC"


def _live_rows(model: Model) -> list[Option]:
    limit = model.live_limit
    if model.engine is None:
        return [Option("live first", ("○ off", DIM), ("no live events come to this process", DIM))]
    now = f"now {millis(model.engine.ack_p95_now)}"
    if limit is None:
        return [Option("live first", ("○ off", NOTE), f"live events may have to wait; {now}")]
    return [
        Option("live first", ("✓ on", GOOD), f"waits while acks take longer; {now} (p95)"),
        Option("  above", f"{limit * 1000:.0f} ms", "p95 of live acks"),
    ]


def _discards(check: ImportState | None, model: Model) -> Option:
    rules = model.facts.discard_rules
    found = sum(check.total.discarded.values()) if check else 0
    value = "?" if rules is None else amount(rules, "rule")
    about = f"the check discarded {found:,} of {check.total.read:,}" if check else ""
    return Option("discard", (value, DIM), (about, DIM))
