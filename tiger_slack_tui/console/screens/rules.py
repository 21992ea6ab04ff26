"""The screen of the discard rules, with an editor that previews what a rule would discard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tiger_slack_tui.audit.preview import Preview
from tiger_slack_tui.audit.rule_names import with_names
from tiger_slack_tui.audit.rules import READY_RULES, ReadyRule
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import (
    Action,
    action,
    actions_in,
    bindings,
    declared,
    implements,
)
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.findings import Finding
from tiger_slack_tui.console.model.read_errors import log_failure
from tiger_slack_tui.console.model.sources import ViewSources
from tiger_slack_tui.console.panes.background import run_latest
from tiger_slack_tui.console.panes.chrome import footer_line
from tiger_slack_tui.console.panes.keys_line import KeysLine
from tiger_slack_tui.console.panes.navigation import move_down, move_up
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    StyledText,
    as_is,
    line,
    worded,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.panes.rules import RULES, paint_preview, paint_rule
from tiger_slack_tui.console.screens.dialog import Dialog
from tiger_slack_tui.store.rules import Rule

log = logging.getLogger(__name__)

_TYPING_SECONDS = 0.2
"""Seconds without a key after which the rule is tested."""
_NEWEST = 20_000
"""The newest messages that are tested while typing; F5 tests all messages of the days."""
_DAYS = 7
TEST: Final = Action(
    "rules.test",
    "enter",
    "Test",
    "Enter",
    "In a field: test the newest messages again.",
    footer=False,
    is_fixed=True,
)
_FAILED = "rules cannot be read or tested"
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """A rule that is not saved yet. `about` is the event that it is made from."""

    note: str = ""
    match: str = ""
    about: Finding | None = None

    @property
    def is_touched(self) -> bool:
        return bool(self.note or self.match)

    def without(self, saved: RuleDraft) -> RuleDraft:
        """The draft after `saved` became a rule: empty if it is the same, else unchanged."""
        return RuleDraft() if (self.note, self.match) == (saved.note, saved.match) else self


class RulesScreen(Dialog[RuleDraft]):
    """Lists the rules above an editor. Leaving keeps the draft; only Ctrl+S makes it a rule."""

    def __init__(
        self,
        host: Host,
        sources: ViewSources,
        draft: RuleDraft,
        on_saved: Callable[[RuleDraft], None],
    ) -> None:
        """`on_saved` gets the draft that became a rule. That can be after the screen was left."""
        super().__init__()
        self._host = host
        self._on_saved = on_saved
        self._sources = sources
        self._draft = draft
        self._rules: tuple[Rule, ...] = ()
        self._names: Mapping[str, str] = {}
        """The names of the channels and people in the rules and in the draft, by id."""
        self._verdict: StyledText = ""
        self._checked: str | None = None
        self._preview: Preview | None = None

    def compose(self) -> ComposeResult:
        yield Pane[Rule | ReadyRule](
            lambda row, width: paint_rule(row, self._names, width),
            id="rules",
            key=_key,
            selectable=True,
        )
        yield Static(id="editor-title")
        with Horizontal(classes="field"):
            yield Static("  note   ", classes="label")
            yield Input(self._draft.note, id="note", compact=True)
        with Horizontal(classes="field"):
            yield Static("  match  ", classes="label")
            yield Input(
                self._draft.match,
                id="match",
                compact=True,
                placeholder='$.subtype == "channel_join"',
            )
        yield Static(id="verdict")
        yield Pane[Content](as_is, id="preview")
        yield KeysLine(id="rule-keys")

    def on_mount(self) -> None:
        self._show()
        self.run_worker(self._load(), group="rules", exit_on_error=False)
        self.query_one("#rules").focus()
        if self._draft.match:
            self._test(_NEWEST)

    def _show(self) -> None:
        if not self.is_mounted or not self.is_attached:
            return  # the answer came after the screen was left
        width = self.size.width
        on = sum(rule.is_on for rule in self._rules)
        self.query_one("#rules", Pane).show(
            Body(
                rows=(*self._rules, *READY_RULES),
                title="discard rules",
                note=f"{on} on, {len(self._rules) - on} off · what they discarded can be replayed",
                head=RULES.head,
                newest=0,  # the rules are read after the ready ones are shown
            )
        )
        about = self._draft.about
        made = f"new rule, from {about.key} " if about else "new rule "
        self.query_one("#editor-title", Static).update(
            line(("── ", DIM), (made, "bold"), ("─" * width, DIM)).truncate(width)
        )
        self.query_one("#verdict", Static).update(self._verdict_lines(width))
        rows = paint_preview(self._preview, width) if self._preview else []
        took = f"{self._preview.seconds:.1f} s" if self._preview else ""
        self.query_one("#preview", Pane).show(
            Body(
                rows=rows,
                title=f"what it would have discarded in {_DAYS} days",
                note=took,
                empty_text=("A rule applies to new events. Nothing that is stored is deleted.",),
            )
        )
        methods = declared(type(self)).values()
        shown = [one.action for one in methods if one.is_possible(self)]
        self.query_one("#rule-keys", KeysLine).show_keys(
            footer_line(shown, self._host.keys_shown, width)
        )

    def _verdict_lines(self, width: int) -> Content:
        """What the database says of the condition: as many lines as it needs."""
        text, style = (self._verdict, "") if isinstance(self._verdict, str) else self._verdict
        rows = worded(text, width - 4) or [Content("")]
        return Content("\n").join(Content("  ") + row.stylize(style) for row in rows)

    def on_descendant_focus(self) -> None:
        self._show()

    @property
    def _is_in_list(self) -> bool:
        return self.focused is self.query_one("#rules")

    async def _load(self) -> None:
        try:
            self._rules, names = await self._sources.audit.rules()
            self._names = {**self._names, **names}
        except Exception as error:
            self._verdict = (f"✗ {log_failure(log, _FAILED, error).problem}", BAD)
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "note":
            self._draft = replace(self._draft, note=event.value)
        else:
            self._draft = replace(self._draft, match=event.value)
            self._test(_NEWEST)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.act_test()

    def _test(self, most: int | None) -> None:
        self._checked = None
        run_latest(self, "preview", partial(self._check, self._draft.match, most))

    async def _check(self, match: str, most: int | None) -> None:
        """Let the database check the condition, then test it on the newest messages and events."""
        await asyncio.sleep(_TYPING_SECONDS)
        self._preview = None
        if not match.strip():
            self._verdict = ""
            self._show()
            return

        audit = self._sources.audit
        try:
            names = await audit.check_rule(match)
            self._names = {**self._names, **names}
            about = "".join(f", {id_} is {name}" for id_, name in names.items())
            self._verdict, self._checked = (f"✓ a condition{about}; testing …", GOOD), match
            self._show()
            since = datetime.now(UTC) - timedelta(days=_DAYS)
            seconds = 5.0 if most else _SECONDS
            found = audit.previews(match, since=since, most=most, seconds=seconds)
            async for self._preview in found:
                self._show()
            self._verdict = (f"✓ a condition{about}", GOOD)
        except Exception as error:
            failure = "  ".join(filter(None, log_failure(log, _FAILED, error)))
            self._verdict, self._checked = (f"✗ {failure}", BAD), None
        self._show()

    # Actions. Their order is that of the footer.

    @action("rules.back", "escape", "Back", shown="Esc")
    def act_back(self) -> None:
        """Leave the rules. The draft is kept."""
        self.leave()

    @action("rules.save", "ctrl+s", "Save", shown="^s", changes=True)
    def act_save(self) -> None:
        """Save the rule, and turn it on."""
        draft = self._draft
        match, note = draft.match, draft.note.strip() or None
        if self._checked != match:
            text = "Not saved: the database has not accepted the condition."
            self._host.say(text, severity="warning")
            return
        found = self._preview or Preview(datetime.now(UTC))
        details = (
            with_names(match, self._names),
            f"In {_DAYS} days it would have discarded {amount(found.stored.matched, 'stored message')}.",
            "It applies to new events, in every instance. Nothing that is stored is deleted.",
        )

        async def save() -> str:
            ended = await self._host.operator.add_rule(match, note)
            self._on_saved(draft)
            return ended

        self._confirm("Save this rule and turn it on?", details, "Save", save)

    @act_save.when
    def _can_save(self) -> bool:
        return not self._sources.read_only and bool(self._draft.match.strip())

    @implements(TEST)
    def act_test(self) -> None:
        self._test(_NEWEST)

    @action("rules.test_all", "f5,ctrl+t", "Test all", shown="F5")
    def act_test_all(self) -> None:
        """Test all messages of the days, not only the newest."""
        self._test(None)

    @act_test_all.when
    def _can_test(self) -> bool:
        return bool(self._draft.match.strip())

    @action("rules.new", "n", "New rule")
    def act_new(self) -> None:
        """Type the condition of a new rule."""
        self.query_one("#match").focus()

    @act_new.when
    def _can_type(self) -> bool:
        return self._is_in_list and not self._sources.read_only

    @action("rules.switch", "T,shift+t", "On/off", changes=True)
    def act_switch(self) -> None:
        """Turn the selected rule on or off."""
        rule = self._selected()
        if rule is None:
            return
        verb = "off" if rule.is_on else "on"
        operator = self._host.operator
        change = operator.turn_rule_off if rule.is_on else operator.turn_rule_on
        details = (
            with_names(rule.readable, self._names),
            f"It has discarded {amount(rule.hits, 'event')}, which stay in the audit trail.",
        )

        async def switch() -> str:
            await change(rule.id)
            return f"Rule {rule.id} is {verb}"

        self._confirm(f"Turn rule {rule.id} {verb}?", details, f"Turn {verb}", switch)

    @action("rules.remove", "D,shift+d", "Remove", changes=True)
    def act_remove(self) -> None:
        """Remove the selected rule."""
        rule = self._selected()
        if rule is None:
            return

        async def remove() -> str:
            await self._host.operator.remove_rule(rule.id)
            return f"Rule {rule.id} is removed"

        details = (
            with_names(rule.readable, self._names),
            "R in Triage replays the events that it discarded.",
        )
        self._confirm(f"Remove rule {rule.id}?", details, "Remove", remove)

    @act_switch.when
    @act_remove.when
    def _has_selected(self) -> bool:
        return self._selected() is not None

    @action("rules.next_field", "tab", "Field", shown="Tab")
    def act_next_field(self) -> None:
        """Go to the next field."""
        self.focus_next()

    @action("rules.use", "enter", "Use row", shown="Enter")
    def act_use(self) -> None:
        """Copy the selected rule to the editor."""
        row = self.query_one("#rules", Pane).row
        if isinstance(row, Rule):
            self.query_one("#match", Input).value = row.readable
        elif isinstance(row, ReadyRule):
            self.query_one("#match", Input).value = row.match(self._value_for(row))
            self.query_one("#note", Input).value = row.title
        self.query_one("#match").focus()

    @act_use.when
    def _can_use(self) -> bool:
        return self._is_in_list

    @property
    def pane(self) -> Pane[Any] | None:
        """The list that has the focus."""
        return self.focused if isinstance(self.focused, Pane) else None

    @action("rules.copy", "y", "Copy", footer=False)
    def act_copy(self) -> None:
        """Copy the selected row to the terminal's clipboard."""
        if self.pane:
            self._host.attempt("Copy", self._copy(self.pane, whole=False))

    @action("rules.copy_all", "Y,shift+y", "Copy the pane", footer=False)
    def act_copy_all(self) -> None:
        """Copy the pane to the terminal's clipboard."""
        if self.pane:
            self._host.attempt("Copy", self._copy(self.pane, whole=True))

    async def _copy(self, pane: Pane[Any], *, whole: bool) -> str:
        return self._host.copy((await pane.copy_rows()).text if whole else await pane.copy_text())

    act_down = move_down.under("rules.down")
    act_up = move_up.under("rules.up")

    def leave(self) -> None:
        self.answer(self._draft)

    def _value_for(self, ready: ReadyRule) -> str | None:
        about = self._draft.about
        if about is None or ready.needs is None:
            return "…" if ready.needs else None
        return {"channel": about.channel_id, "user": about.user_id}.get(ready.name) or "…"

    def forget(self, saved: RuleDraft) -> None:
        """Empty the editor if it still has the rule that was saved."""
        left = self._draft.without(saved)
        if left is not self._draft and self.is_attached:
            self._draft = left
            self.query_one("#match", Input).value = ""
            self.query_one("#note", Input).value = ""

    def _confirm(
        self,
        question: str,
        details: Sequence[str],
        verb: str,
        work: Callable[[], Awaitable[str]],
    ) -> None:
        self._host.confirm_and_run(
            question, details, verb=verb, what="Rules", work=work, then=self._reload
        )

    def _reload(self) -> None:
        if self.is_attached:
            self.run_worker(self._load(), group="rules", exit_on_error=False)

    def _selected(self) -> Rule | None:
        row = self.query_one("#rules", Pane).row
        return (
            row
            if self._is_in_list and isinstance(row, Rule) and not self._sources.read_only
            else None
        )

    ACTIONS: ClassVar[tuple[Action, ...]] = tuple(actions_in(vars()))
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(a for a in ACTIONS if not a.is_fixed)]


def _key(row: Rule | ReadyRule) -> str:
    return str(row.id) if isinstance(row, Rule) else row.name
