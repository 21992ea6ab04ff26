"""The screen of the discard rules, with an editor that previews what a rule would discard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tiger_slack_tui.audit.preview import Preview, Tested
from tiger_slack_tui.audit.rules import READY_RULES, ReadyRule
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.console.formats import moment
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.backend import Backend
from tiger_slack_tui.console.model.findings import Finding
from tiger_slack_tui.console.model.read_errors import describe_error, unexpected
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    Column,
    Columns,
    StyledText,
    line,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.screens.dialog import Dialog
from tiger_slack_tui.store.preview import Example
from tiger_slack_tui.store.rules import Rule, failure_words

log = logging.getLogger(__name__)

_TYPING_SECONDS = 0.2
"""The rule is tested when no key was pressed for so long."""
_NEWEST = 20_000
"""The newest messages that are tested while typing; F5 tests all messages of the days."""
_DAYS = 7
_SECONDS = 30.0
_RULES = Columns(
    Column("id", 4, right=True),
    Column("", 3),
    Column("discarded", 9, right=True),
    Column("24 h", 7, right=True),
    Column("last", 19, least=110),
    Column("note", 20, least=70),
    Column("match"),
)


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


def paint_rule(rule: Rule | ReadyRule, width: int) -> Content:
    """A rule, or a ready-made one to choose."""
    if isinstance(rule, ReadyRule):
        needs = f" (takes the {rule.needs} of the selected event)" if rule.needs else ""
        return line(("  ready: ", DIM), rule.title, (needs, DIM)).truncate(width)
    state: StyledText = ("on", GOOD) if rule.is_on else ("off", NOTE)
    return _RULES.row(
        width,
        [
            str(rule.id),
            state,
            f"{rule.hits:,}",
            f"{rule.hits_of_a_day:,}",
            (moment(rule.last_hit), DIM),
            rule.note or "",
            f"▲ fails on {rule.failures:,}: {rule.failure}  {rule.readable}"
            if rule.failures
            else rule.readable,
        ],
    )


def preview_lines(preview: Preview, width: int) -> list[Content]:
    """What the rule would have discarded, with examples."""
    lines = [_tested("stored messages", preview.stored), _tested("recent events", preview.recent)]
    if preview.recent.known:
        lines.append(line((f"  {preview.recent.known:,} of these are discarded already", DIM)))
    if preview.failed and preview.sqlstate:
        why = failure_words(preview.sqlstate)
        lines.append(line((f"  ▲ fails on {preview.failed:,} of these: {why}", NOTE)))
    if preview.is_out_of_time:
        lines.append(line(("  ▲ the time was too short: not all were tested", NOTE)))
    examples = sorted(
        {*preview.stored.examples, *preview.recent.examples}, key=lambda e: e.at, reverse=True
    )
    lines += [_example(example).truncate(width) for example in examples]
    return lines


def _tested(name: str, tested: Tested) -> Content:
    style = KEY if tested.matched else DIM
    whole = "all" if tested.is_whole else "the newest"
    return line(
        f"  {name:<16}",
        (f"{tested.matched:,} ({tested.share:.1%})", style),
        (f"  of {whole} {tested.tested:,} tested", DIM),
    )


def _example(example: Example) -> Content:
    where = f"#{example.channel_name}" if example.channel_name else example.channel_id or "-"
    who = example.user_id or example.bot_id or "-"
    return line(
        (f"  {example.at:%m-%d %H:%M} ", DIM),
        f"{where} {who}  ",
        (f"{example.subtype or ''} ", DIM),
        example.text or "",
    )


class RulesScreen(Dialog[RuleDraft]):
    """Lists the rules above an editor. Leaving keeps the draft; only Ctrl+S makes it a rule."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("ctrl+s", "save", "Save"),
        Binding("f5,ctrl+t", "test_all", "Test all"),
        Binding("T,shift+t", "switch", "On or off"),
        Binding("D,shift+d", "remove", "Remove"),
        Binding("enter", "pick", "Pick"),
        Binding("down,j", "move(1)", "Down"),
        Binding("up,k", "move(-1)", "Up"),
    ]

    def __init__(
        self, host: Host, backend: Backend, draft: RuleDraft, on_saved: Callable[[RuleDraft], None]
    ) -> None:
        """`on_saved` gets the draft that became a rule. That can be after the screen was left."""
        super().__init__()
        self._host = host
        self._on_saved = on_saved
        self._backend = backend
        self._draft = draft
        self._rules: tuple[Rule, ...] = ()
        self._verdict: StyledText = ""
        self._checked: str | None = None
        self._preview: Preview | None = None

    def compose(self) -> ComposeResult:
        yield Pane[Rule | ReadyRule](paint_rule, id="rules", key=_key, selectable=True)
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
        yield Pane[Content](lambda row, width: row.truncate(width), id="preview")
        yield Static(id="rule-keys")

    def on_mount(self) -> None:
        self._show()
        self.run_worker(self._load(), group="rules", exit_on_error=False)
        self.query_one("#match" if not self._backend.read_only else "#rules").focus()
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
                head=_RULES.head,
            )
        )
        about = self._draft.about
        made = f"new rule, from {about.key} " if about else "new rule "
        self.query_one("#editor-title", Static).update(
            line(("── ", DIM), (made, "bold"), ("─" * width, DIM)).truncate(width)
        )
        self.query_one("#verdict", Static).update(line("  ", self._verdict).truncate(width))
        rows = preview_lines(self._preview, width) if self._preview else []
        took = f"{self._preview.seconds:.1f} s" if self._preview else ""
        self.query_one("#preview", Pane).show(
            Body(
                rows=rows,
                title=f"what it would have discarded in {_DAYS} days",
                note=took,
                empty_text=("A rule applies to new events. Nothing that is stored is deleted.",),
            )
        )
        keys: list[StyledText] = [(" Esc", KEY), " Back (keeps the draft)  "]
        if not self._backend.read_only:
            keys += [("^s", KEY), " Save  ", ("F5", KEY), " Test all  "]
            keys += [("T", KEY), " On/off  ", ("D", KEY), " Remove  "]
        keys += [("Tab", KEY), " Field  ", ("Enter", KEY), " Use row"]
        self.query_one("#rule-keys", Static).update(line(*keys).truncate(width))

    async def _load(self) -> None:
        try:
            self._rules = await self._backend.audit.rules()
        except Exception as error:
            self._verdict = (f"✗ {describe_error(error)}", BAD)
            _log(error)
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "note":
            self._draft = replace(self._draft, note=event.value)
        else:
            self._draft = replace(self._draft, match=event.value)
            self._test(_NEWEST)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._test(_NEWEST)

    def _test(self, most: int | None) -> None:
        self._checked = None
        work = self._check(self._draft.match, most)
        self.run_worker(work, exclusive=True, group="preview", exit_on_error=False)

    async def _check(self, match: str, most: int | None) -> None:
        """Let the database check the condition, then test it on the newest messages and events."""
        await asyncio.sleep(_TYPING_SECONDS)
        self._preview = None
        if not match.strip():
            self._verdict = ""
            self._show()
            return

        audit = self._backend.audit
        try:
            await audit.check_rule(match)
            self._verdict, self._checked = ("✓ a condition; testing …", GOOD), match
            self._show()
            since = datetime.now(UTC) - timedelta(days=_DAYS)
            seconds = 5.0 if most else _SECONDS
            found = audit.previews(match, since=since, most=most, seconds=seconds)
            async for self._preview in found:
                self._show()
            self._verdict = ("✓ a condition", GOOD)
        except Exception as error:
            hint = f"  {error.hint}" if isinstance(error, TigerSlackError) and error.hint else ""
            self._verdict, self._checked = (f"✗ {describe_error(error)}{hint}", BAD), None
            _log(error)
        self._show()

    def action_move(self, rows: int) -> None:
        if isinstance(self.focused, Pane):
            self.focused.move(rows)

    def action_test_all(self) -> None:
        self._test(None)

    def action_leave(self) -> None:
        self.leave()

    def leave(self) -> None:
        self.answer(self._draft)

    def action_pick(self) -> None:
        """Copy the selected rule to the editor."""
        row = self.query_one("#rules", Pane).row
        if isinstance(row, Rule):
            self.query_one("#match", Input).value = row.readable
        elif isinstance(row, ReadyRule):
            self.query_one("#match", Input).value = row.match(self._value_for(row))
            self.query_one("#note", Input).value = row.title
        self.query_one("#match").focus()

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

    def action_save(self) -> None:
        """Ask, then save the rule and turn it on."""
        draft = self._draft
        match, note = draft.match, draft.note.strip() or None
        if self._backend.read_only:
            return
        if self._checked != match:
            text = "Not saved: the database has not accepted the condition."
            self._host.say(text, severity="warning")
            return
        found = self._preview or Preview(datetime.now(UTC))
        details = (
            match,
            f"In {_DAYS} days it would have discarded {found.stored.matched:,} stored messages.",
            "It applies to new events, in every instance. Nothing that is stored is deleted.",
        )

        async def make() -> str:
            number = await self._host.operator.add_rule(match, note)
            self._on_saved(draft)
            return f"Rule {number} is on"

        self._ask("Save this rule and turn it on?", details, "Save", make)

    def action_switch(self) -> None:
        rule = self._selected()
        if rule is None:
            return
        verb = "off" if rule.is_on else "on"
        operator = self._host.operator
        change = operator.turn_rule_off if rule.is_on else operator.turn_rule_on
        details = (
            rule.readable,
            f"It has discarded {rule.hits:,} events. They stay in the audit trail.",
        )

        async def switch() -> str:
            await change(rule.id)
            return f"Rule {rule.id} is {verb}"

        self._ask(f"Turn rule {rule.id} {verb}?", details, f"Turn {verb}", switch)

    def action_remove(self) -> None:
        rule = self._selected()
        if rule is None:
            return
        details = (rule.readable, "R in Triage replays the events that it discarded.")

        async def remove() -> str:
            await self._host.operator.remove_rule(rule.id)
            return f"Rule {rule.id} is removed"

        self._ask(f"Remove rule {rule.id}?", details, "Remove", remove)

    def _ask(
        self,
        question: str,
        details: Sequence[str],
        verb: str,
        work: Callable[[], Awaitable[str]],
    ) -> None:
        def reload() -> None:
            if self.is_attached:
                self.run_worker(self._load(), group="rules", exit_on_error=False)

        self._host.ask(
            question,
            details,
            verb=verb,
            then=lambda: self._host.attempt("Rules", work(), then=reload),
        )

    def _selected(self) -> Rule | None:
        row = self.query_one("#rules", Pane).row
        is_here = self.focused is self.query_one("#rules")
        return row if is_here and isinstance(row, Rule) and not self._backend.read_only else None


def _key(row: Rule | ReadyRule) -> str:
    return str(row.id) if isinstance(row, Rule) else row.name


def _log(error: Exception) -> None:
    if (stack := unexpected(error)) is not None:
        log.error("rules cannot be read or tested", exc_info=stack)
