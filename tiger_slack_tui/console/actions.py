"""Every action that there is: keys, footer, help and the command palette are made from this one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from textual.binding import Binding
from textual.keys import Keys

CONFIRM_KEY: Final = "y"
"""Says yes. It opens no dialog, so that a key that is held down, and repeats, never confirms."""
OVERVIEW, JOBS, TRIAGE, IMPORT, LOG = VIEWS = ("overview", "jobs", "triage", "import", "log")
TITLES: Final = {
    OVERVIEW: "Overview",
    JOBS: "Jobs",
    TRIAGE: "Triage",
    IMPORT: "Import",
    LOG: "Log",
}


@dataclass(frozen=True, slots=True)
class Action:
    """Something an operator can do. An upper-case key changes something, and asks before it does."""

    id: str
    """Name for the settings file; what does it is the method act_NAME of the view, or of the app."""
    keys: str
    """As Textual names them, with commas between."""
    title: str
    shown: str = ""
    """The key as people read it."""
    view: str | None = None
    """Where it can be done; everywhere without one."""
    changes: bool = False
    footer: bool = True

    @property
    def asks(self) -> bool:
        """Whether a question comes before it is done."""
        return self.changes or self.id == "app.quit"

    @property
    def is_of_app(self) -> bool:
        """Whether it needs no view that is shown."""
        return self.id.startswith(("view.", "app."))

    @property
    def method(self) -> str:
        return "act_" + self.id.rpartition(".")[2]

    @property
    def key(self) -> str:
        """The first key, as people read it."""
        return self.shown or self.keys.split(",")[0]


ACTIONS: Final = (
    *(
        Action(f"view.{name}", str(number), f"View {TITLES[name]}", footer=False)
        for number, name in enumerate(VIEWS, 1)
    ),
    # Overview
    Action("overview.open", "enter", "Open", "Enter", OVERVIEW),
    # Jobs
    Action("jobs.details", "enter", "Details", "Enter", JOBS),
    Action("jobs.run_job", "R,shift+r", "Run job now", "R", JOBS, changes=True),
    Action("jobs.migrate", "M,shift+m", "Migrate", "M", JOBS, changes=True),
    # Triage
    Action("triage.open", "enter", "Open", "Enter", TRIAGE),
    Action("triage.group", "o", "Group or order", "o", TRIAGE),
    Action("triage.only_failed", "f", "Failed", "f", TRIAGE, footer=False),
    Action("triage.only_discarded", "d", "Discarded", "d", TRIAGE, footer=False),
    Action("triage.only_unrouted", "u", "Unrouted", "u", TRIAGE, footer=False),
    Action("triage.only_late", "l", "Late", "l", TRIAGE, footer=False),
    Action("triage.only_gaps", "p", "Gaps", "p", TRIAGE, footer=False),
    Action("triage.all", "a", "All", "a", TRIAGE, footer=False),
    Action("triage.rules", "n", "Rules", "n", TRIAGE),
    Action("triage.replay", "R,shift+r", "Replay", "R", TRIAGE, changes=True),
    Action("triage.replay_failed", "F,shift+f", "Replay failed", "F", TRIAGE, changes=True),
    Action("triage.backfill", "B,shift+b", "Backfill gap", "B", TRIAGE, changes=True),
    # Import
    Action("import.take", "enter", "Take path", "Enter", IMPORT),
    Action("import.options", "enter", "Options", "Enter", IMPORT),
    Action("import.change", "enter", "Change", "Enter", IMPORT),
    Action("import.details", "enter", "Details", "Enter", IMPORT),
    Action("import.toggle", "space", "Select", "Space", IMPORT),
    Action("import.all", "a", "All or none", "a", IMPORT),
    Action("import.start", "I,shift+i", "Import", "I", IMPORT, changes=True),
    Action("import.check", "c", "Check", "c", IMPORT),
    Action("import.end_check", "x", "Stop check", "x", IMPORT),
    Action("import.bad", "f", "Bad only", "f", IMPORT),
    Action("import.files", "f", "Files", "f", IMPORT),
    Action("import.pause", "P,shift+p", "Pause", "P", IMPORT, changes=True),
    Action("import.resume", "P,shift+p", "Go on", "P", IMPORT, changes=True),
    Action("import.stop", "S,shift+s", "Stop", "S", IMPORT, changes=True),
    Action("import.live", "L,shift+l", "Live first", "L", IMPORT, changes=True),
    Action("import.retry", "R,shift+r", "Retry bad", "R", IMPORT, changes=True),
    Action("import.go_on", "R,shift+r", "Go on", "R", IMPORT, changes=True),
    Action("import.path", "n", "New path", "n", IMPORT),
    # Log
    Action("log.open", "enter", "Open", "Enter", LOG),
    Action("log.level", "l", "Level", "l", LOG),
    # Everywhere
    Action("pane.next", "tab", "Pane", "Tab"),
    Action("pane.filter", "slash", "Filter", "/"),
    Action("display.freeze", "space", "Freeze", "Space"),
    Action("pane.zoom", "z", "Zoom", "z", footer=False),
    Action("pane.copy", "y", "Copy", "y", footer=False),
    Action("pane.copy_all", "Y,shift+y", "Copy the whole pane", "Y", footer=False),
    Action("pane.export", "e", "Export the pane to a file", "e", footer=False),
    Action("pane.down", "down,j", "Down", "↓ j", footer=False),
    Action("pane.up", "up,k", "Up", "↑ k", footer=False),
    Action("pane.page_down", "pagedown", "Page down", "PgDn", footer=False),
    Action("pane.page_up", "pageup", "Page up", "PgUp", footer=False),
    Action("pane.first", "g,home", "First", "g", footer=False),
    Action("pane.last", "G,shift+g,end", "Last, and follow", "G", footer=False),
    Action("pane.back", "escape", "Back", "Esc", footer=False),
    Action("display.narrower", "left_square_bracket", "Shorter window", "[", footer=False),
    Action("display.wider", "right_square_bracket", "Longer window", "]", footer=False),
    Action("display.faster", "plus", "Show more often", "+", footer=False),
    Action("display.slower", "minus", "Show less often", "-", footer=False),
    Action("display.theme", "t", "Next theme", "t", footer=False),
    Action("help.commands", "colon,ctrl+p", "Commands", ":"),
    Action("help.keys", "question_mark", "Help", "?"),
    Action("app.quit", "q,ctrl+q", "Quit", "q"),
)
BY_ID: Final = {action.id: action for action in ACTIONS}


def bindings() -> list[Binding]:
    """The table as Textual's bindings; each can be remapped by its id."""
    return [
        Binding(
            action.keys, f"do('{action.id}')", action.title, key_display=action.key, id=action.id
        )
        for action in ACTIONS
    ]


def available(view: str, *, read_only: bool) -> list[Action]:
    """What can be done in a view, its own actions first."""
    return [
        action
        for action in ACTIONS
        if action.view in (None, view) and not (read_only and action.changes)
    ]


def remapped(keys: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """The keymap for Textual, and what is wrong with the wrong entries; those are left out.

    The key that confirms can open no dialog: held down, it would confirm at once.
    """
    known = {key.value for key in Keys}
    keymap, warnings = {}, []
    for name, text in keys.items():
        parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else [""]
        bad = [part for part in parts if len(part) != 1 and part.rpartition("+")[2] not in known]
        if name not in BY_ID:
            warnings.append(f"{name}: there is no such action")
        elif bad:
            warnings.append(f"{name}: {bad[0]!r} is no key")
        elif CONFIRM_KEY in parts and BY_ID[name].asks:
            warnings.append(f"{name}: {CONFIRM_KEY!r} confirms, and cannot be the key that asks")
        else:
            keymap[name] = ",".join(parts)
    return keymap, warnings
