"""The view Triage: why is a message not in the table? Events that were not simply stored, and gaps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, TypeVar

import orjson
from textual.app import ComposeResult
from textual.content import Content

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import TRIAGE, action
from tiger_slack_tui.console.formats import clock, moment
from tiger_slack_tui.console.model.findings import (
    FROM_DATABASE,
    GAP,
    KINDS,
    LATE,
    Finding,
    FindingGroup,
)
from tiger_slack_tui.console.model.model import Model
from tiger_slack_tui.console.model.read_errors import describe_error, unexpected
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.details import event_lines, gap_lines
from tiger_slack_tui.console.panes.findings import (
    FINDING_FIELDS,
    KIND_STYLES,
    findings_head,
    findings_problem,
    paint_finding,
)
from tiger_slack_tui.console.panes.paint import (
    Column,
    Columns,
    StyledText,
    worded,
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.screens.rules import RuleDraft, RulesScreen
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.store.job_runs import RunOutcome
from tiger_slack_tui.store.replay import ReplaySelection

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_SECONDS = 0.15
"""How long a row must be selected before its event is read."""
_DETAIL_SECONDS = 5.0
"""The shown event is read again when it is older than this."""
_GROUPS = Columns(
    Column("what", 10),
    Column("count", 7, right=True),
    Column("first", 8, least=90),
    Column("last", 8),
    Column("cause", 24),
    Column("newest"),
)


@dataclass(frozen=True, slots=True)
class Detail:
    """The details of a finding, as lines of a given width, and the text that copying gives."""

    of: Finding | None
    lines: Callable[[int], list[Content]]
    copied: str | None = None
    at: float = 0.0
    """When it was read, by the monotonic clock."""

    def is_of(self, row: Finding | FindingGroup | None) -> bool:
        """Whether it has the details of that row, perhaps old ones."""
        return isinstance(row, Finding) and self.of is not None and row.key == self.of.key


def paint_row(row: Finding | FindingGroup, width: int) -> Content:
    """A finding, or a group of them."""
    if isinstance(row, Finding):
        return paint_finding(row, width)
    first, last = row.findings[-1], row.findings[0]
    newest = f"{last.channel} {last.detail}"
    kind: StyledText = KIND_STYLES[row.kind]
    cells = [kind, f"{len(row.findings):,}", clock(first.at), clock(last.at), row.cause, newest]
    return _GROUPS.row(width, cells)


def _newest(row: Finding | FindingGroup) -> Finding:
    return row if isinstance(row, Finding) else row.findings[0]


def _of_newest(field: Field[Finding]) -> Field[Finding | FindingGroup]:
    """The field of a finding; of a group, that of its newest finding."""
    return Field(field.name, lambda row: field.of(_newest(row)), field.is_sortable)


_FIELDS: tuple[Field[Finding | FindingGroup], ...] = (
    *map(_of_newest, FINDING_FIELDS),
    Field("count", lambda row: 1 if isinstance(row, Finding) else len(row.findings)),
)


class TriageView(View):
    """Shows events that failed, were discarded by a rule, are unrouted or came late, and gaps.

    Unrouted events are of a type that this version does not store. They are harmless, and kept in slack.event. The
    tab shows how many events failed.

    Select an event to see what became of it and why. If a rule discards too much, press n to turn it off or remove
    it; then R replays the events that it discarded.
    """

    NAME: ClassVar[str] = TRIAGE

    def compose(self) -> ComposeResult:
        yield Pane[Finding | FindingGroup](
            paint_row,
            id="findings",
            key=_key,
            selectable=True,
            copy=lambda row: _key(row),
            find=_searched,
            fields=_FIELDS,
        )
        yield Pane[Finding | Content](_paint_detail, id="finding")

    def on_mount(self) -> None:
        self._model: Model | None = None
        self._kind: str | None = None
        self._cause: str | None = None
        self._is_grouped = False
        self._detail = Detail(None, lambda _: [])
        self._detail_lines: CachedValue[list[Content]] = CachedValue()
        self._is_loading = False
        self._draft = RuleDraft()
        self._rules: RulesScreen | None = None
        """The screen of the rules that was opened last."""

    def badge(self, model: Model) -> str:
        failed = model.findings.counts.get(Outcome.FAILED, 0)
        more = "+" if Outcome.FAILED in model.stored_findings.more else ""
        return f"✗ {failed:,}{more} failed" if failed else ""

    def show(self, model: Model) -> None:
        self._model = model
        self.backend.findings_reader.keep_reading()
        found = model.findings
        counts = found.counts
        rows: Sequence[Finding | FindingGroup] = found.of(self._kind, self._cause)
        if self._is_grouped:
            rows = found.groups_of(self._kind, self._cause)
        kinds = " · ".join(
            f"{kind} {counts[kind]:,}{'+' if kind in model.stored_findings.more else ''}"
            for kind in KINDS
            if counts.get(kind)
        )
        only = " ".join(filter(None, (self._kind, self._cause)))
        self.query_one("#findings", Pane).show(
            Body(
                rows=rows,
                title=f"only {only}" if only else kinds or "nothing to look at",
                note="by cause" if self._is_grouped else "newest first",
                newest=None if self._is_grouped else 0,
                head=_GROUPS.head if self._is_grouped else findings_head,
                empty_text=self._empty(model),
                problem=findings_problem(model),
                is_old=model.stored_findings.problem is not None or found.problem is not None,
            )
        )
        if not model.is_frozen:
            self._refresh_detail()
        self._show_detail()

    def _empty(self, model: Model) -> Sequence[str]:
        if self._kind or self._cause:
            return ("None of this kind.", "a shows all.")
        now = model.engine
        live = f"{amount(now.received, 'event')} handled since the start." if now else ""
        return (
            "No failed, discarded, unrouted or late events.",
            live,
            "n shows the rules.",
        )

    def _show_detail(self) -> None:
        pane, row = self.query_one("#finding", Pane), self._row()
        width = max(pane.size.width, 20)
        if isinstance(row, FindingGroup):
            title = f"{row.kind}, {row.cause}"
            pane.show(Body(rows=row.findings, title=title, note="Enter shows only these"))
            return
        detail = self._detail
        is_here = detail.is_of(row)
        pane.show(
            Body(
                rows=self._detail_lines(lambda: detail.lines(width), detail, width)
                if is_here
                else (),
                title=row.key if row else "event",
                note="Enter full screen" if row else "",
                empty_text=("Reading it …",)
                if row
                else ("Select an event to see what became of it.",),
            )
        )

    def _row(self) -> Finding | FindingGroup | None:
        pane: Pane[Finding | FindingGroup] = self.query_one("#findings", Pane)
        return pane.row

    def on_pane_selected(self, event: Pane.Selected) -> None:
        if event.pane.id == "findings" and isinstance(event.row, Finding):
            self._start_loading(event.row, _LOOK_SECONDS)
        self._show_detail()

    def _refresh_detail(self) -> None:
        """Read the selected event again if it has changed, and every few seconds: others may replay it."""
        row, detail = self._row(), self._detail
        if self._is_loading or not isinstance(row, Finding):
            return
        is_old = self.backend.clock.elapsed() - detail.at > _DETAIL_SECONDS
        if not detail.is_of(row) or row != detail.of or (is_old and row.gap is None):
            self._start_loading(row, 0)

    def _start_loading(self, finding: Finding, pause: float) -> None:
        self._is_loading = True
        work = partial(
            self._load, finding, pause
        )  # a function: a coroutine that is replaced before it begins would never be awaited
        self.run_worker(work, exclusive=True, group="detail", exit_on_error=False)  # type: ignore[arg-type]

    async def _load(self, finding: Finding, pause: float) -> None:
        """Read the event of the selected row. Selecting another row cancels this."""
        await asyncio.sleep(pause)
        now = self.backend.clock.elapsed()
        try:
            self._detail = replace(await self._read(finding), at=now)
        except Exception as error:
            words = f"It cannot be read: {describe_error(error)}"
            if (stack := unexpected(error)) is not None:
                log.error("an event cannot be read", exc_info=stack)
            self._detail = Detail(finding, _text(words), at=now)
        self._is_loading = False
        self._show_detail()

    async def _read(self, finding: Finding) -> Detail:
        if (gap := finding.gap) is not None:
            return Detail(finding, lambda width: list(gap_lines(gap, finding.channel, width)))
        event = await self.backend.audit.event(finding.key)
        if event is None:
            missing = "The audit trail does not have it. It is still in the spool, or retention has deleted it."
            return Detail(finding, _text(missing))
        payload = orjson.dumps(event.event, option=orjson.OPT_INDENT_2).decode()
        return Detail(finding, lambda width: list(event_lines(event, width)), payload)

    def back(self) -> bool:
        if self._cause is None and self._kind is None:
            return False
        self._only(None)
        return True

    @action("triage.open", "enter", "Open", shown="Enter")
    def act_open(self) -> None:
        """Show the whole event, or the events of the group."""
        row = self._row()
        if isinstance(row, FindingGroup):
            self._kind, self._cause, self._is_grouped = row.kind, row.cause, False
            self.query_one("#findings", Pane).follow()
        elif row is not None and self._detail.is_of(row):
            lines = self._detail.lines(self.app.size.width - 2)
            self.host.read(row.key, lines, copied=self._detail.copied)

    @action("triage.group", "o", "Group or order")
    def act_group(self) -> None:
        """Group events by their cause, or show them in order."""
        self._is_grouped = not self._is_grouped

    def _only(self, kind: str | None) -> None:
        self._kind, self._cause = (None if kind == self._kind else kind), None
        self.query_one("#findings", Pane).follow()

    @action("triage.only_failed", "f", "Only failed", footer=False)
    def act_only_failed(self) -> None:
        """Show only events that failed."""
        self._only(Outcome.FAILED)

    @action("triage.only_discarded", "d", "Only discarded", footer=False)
    def act_only_discarded(self) -> None:
        """Show only events that a rule discarded."""
        self._only(Outcome.DISCARDED)

    @action("triage.only_unrouted", "u", "Only unrouted", footer=False)
    def act_only_unrouted(self) -> None:
        """Show only unrouted events: this version does not store their type."""
        self._only(Outcome.UNROUTED)

    @action("triage.only_late", "l", "Only late", footer=False)
    def act_only_late(self) -> None:
        """Show only events that came late."""
        self._only(LATE)

    @action("triage.only_gaps", "p", "Only gaps", footer=False)
    def act_only_gaps(self) -> None:
        """Show only gaps."""
        self._only(GAP)

    @action("triage.all", "a", "All kinds", footer=False)
    def act_all(self) -> None:
        """Show events of all kinds, and gaps."""
        self._only(None)

    @action("triage.rules", "n", "Rules")
    def act_rules(self) -> None:
        """Show the discard rules, and an editor for a new one."""
        row = self._row()
        if isinstance(row, Finding) and not self._draft.is_touched:
            self._draft = replace(self._draft, about=row)

        def on_left(draft: RuleDraft | None) -> None:
            self._draft = draft or RuleDraft()
            self.backend.findings_reader.read_now()

        self._rules = RulesScreen(self.host, self.backend, self._draft, self._forget)
        self.host.open_screen(self._rules, on_left)

    def _forget(self, saved: RuleDraft) -> None:
        """Drop the draft that became a rule. Its screen may have been left or opened again meanwhile."""
        self._draft = self._draft.without(saved)
        if self._rules is not None:
            self._rules.forget(saved)

    @action("triage.replay", "R,shift+r", "Replay", changes=True)
    def act_replay(self) -> None:
        """Process the selected event, or all events of the group, again."""
        row = self._row()
        if isinstance(row, FindingGroup) and row.findings[0].rule is not None:
            selection = ReplaySelection(rule=row.findings[0].rule)
            about = f"all events that {row.cause} discarded"
        elif isinstance(row, FindingGroup):
            selection = ReplaySelection(event_ids=tuple(finding.key for finding in row.findings))
            about = amount(len(row.findings), "event")
        elif row is not None:
            selection = ReplaySelection(event_ids=(row.key,))
            about = f"the event {row.key}"
        else:
            return
        self._ask_replay(about, selection)

    @act_replay.when
    def _can_replay(self) -> bool:
        row = self._row()
        if isinstance(row, FindingGroup):
            return row.kind in FROM_DATABASE
        return row is not None and row.gap is None and row.kind != LATE

    @action("triage.replay_failed", "F,shift+f", "Replay failed", changes=True)
    def act_replay_failed(self) -> None:
        """Process all events that failed again."""
        self._ask_replay("all events that failed", ReplaySelection(failed=True))

    @act_replay_failed.when
    def _has_failed(self) -> bool:
        return self._model is not None and bool(self._model.findings.counts.get(Outcome.FAILED))

    @action("triage.backfill", "B,shift+b", "Backfill gap", changes=True)
    def act_backfill(self) -> None:
        """Fill the selected gap from Slack's history."""
        row = self._row()
        gap = row.gap if isinstance(row, Finding) else None
        if gap is None:
            return

        async def backfill() -> str:
            run = await self.host.operator.backfill(gap.id)
            found = f"{amount(run.rows_seen, 'message')} read, {run.rows_changed:,} of them missing or older here"
            if run.outcome != RunOutcome.DONE:
                raise TigerSlackError(f"{run.outcome}: {run.error or found}")
            return f"Gap {gap.id}: {found}"

        details = (
            f"{gap.reason}, {moment(gap.started_at)}Z to {moment(gap.ended_at)}Z",
            "Slack limits how fast its history can be read, so a long gap takes long.",
            "Only missing messages are added. Newer content and deletions stay.",
        )
        self.host.confirm_and_run(
            f"Backfill gap {gap.id}?",
            details,
            verb="Backfill",
            what="Backfill",
            work=backfill,
        )

    @act_backfill.when
    def _can_backfill(self) -> bool:
        row = self._row()
        gap = row.gap if isinstance(row, Finding) else None
        is_over = gap is not None and gap.ended_at is not None
        return is_over and self.backend.engine is not None

    def _ask_replay(self, about: str, selection: ReplaySelection) -> None:
        async def replay() -> str:
            report = await self.host.operator.replay(selection)
            self._detail = replace(self._detail, at=float("-inf"))
            outcomes = ", ".join(f"{n:,} {outcome}" for outcome, n in report.outcomes().items())
            return f"Replayed {report.events:,}: {outcomes or 'nothing to do'}"

        details = (
            "The present rules and code decide what becomes of them. Stored rows do not change,",
            "newer content wins, deleted messages stay deleted. It can be repeated.",
        )
        self.host.confirm_and_run(
            f"Replay {about}?",
            details,
            verb="Replay",
            what="Replay",
            work=replay,
        )


def _paint_detail(row: Finding | Content, width: int) -> Content:
    return paint_finding(row, width) if isinstance(row, Finding) else row.truncate(width)


def _text(text: str) -> Callable[[int], list[Content]]:
    return lambda width: worded(text, width)


def _key(row: Finding | FindingGroup) -> str:
    return row.key if isinstance(row, Finding) else f"{row.kind} {row.cause}"


def _searched(row: Finding | FindingGroup) -> str:
    """The text that a filter searches."""
    if isinstance(row, FindingGroup):
        return f"{row.kind} {row.cause} {row.findings[0].channel} {row.findings[0].detail}"
    return f"{row.kind} {row.what} {row.channel} {row.user} {row.detail} {row.key}"
