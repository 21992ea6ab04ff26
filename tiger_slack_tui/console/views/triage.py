"""The view Triage: why is a message not in the table? Events that were not simply stored, and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

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
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.cached_value import CachedValue
from tiger_slack_tui.console.panes.details import gap_lines
from tiger_slack_tui.console.panes.event_pane import LOOK_SECONDS, EventPane
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
)
from tiger_slack_tui.console.panes.pane import Body, Pane
from tiger_slack_tui.console.questions.replay import ask_replay
from tiger_slack_tui.console.screens.rules import RuleDraft, RulesScreen
from tiger_slack_tui.console.views.view import View
from tiger_slack_tui.store.job_runs import RunOutcome
from tiger_slack_tui.store.replay import ReplaySelection

_GROUPS = Columns(
    Column("what", 11),
    Column("count", 7, right=True),
    Column("first", 8, least=90),
    Column("last", 8),
    Column("cause", 24),
    Column("newest"),
)


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
        yield EventPane(
            self.sources.audit.event, self.sources.clock, id="finding", paint=_paint_detail
        )

    def on_mount(self) -> None:
        self._model: Model | None = None
        self._kind: str | None = None
        self._cause: str | None = None
        self._is_grouped = False
        self._gap_lines: CachedValue[list[Content]] = CachedValue()
        self._draft = RuleDraft()
        self._rules: RulesScreen | None = None
        """The screen of the rules that was opened last."""

    def badge(self, model: Model) -> str:
        failed = model.findings.counts.get(Outcome.FAILED, 0)
        more = "+" if Outcome.FAILED in model.stored_findings.more else ""
        return f"✗ {failed:,}{more} failed" if failed else ""

    def show(self, model: Model) -> None:
        self._model = model
        if model.has_tables:
            self.sources.findings_reader.keep_reading()
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
        unread = sorted(model.stored_findings.more & ({self._kind} if self._kind else {*KINDS}))
        only = " ".join(filter(None, (self._kind, self._cause)))
        none = "findings" if model.stored_findings.at is None else "nothing to look at"
        self.query_one("#findings", Pane).show(
            Body(
                rows=rows,
                title=f"only {only}" if only else kinds or none,
                note="by cause" if self._is_grouped else "newest first",
                newest=None if self._is_grouped else 0,
                head=_GROUPS.head if self._is_grouped else findings_head,
                left_out=f"only the newest of {', '.join(unread)}" if unread else "",
                empty_text=self._empty(model),
                problem=findings_problem(model),
                is_old=model.stored_findings.problem is not None or found.problem is not None,
            )
        )
        self._show_detail(is_fresh=not model.is_frozen)

    def _empty(self, model: Model) -> Sequence[str]:
        if self._kind or self._cause:
            return ("None of this kind.", "a shows all.")
        if model.stored_findings.at is None:
            return (model.asking_text,)
        now = model.engine
        live = f"{amount(now.received, 'event')} handled since the start." if now else ""
        return (
            "No failed, discarded, unrouted or late events.",
            live,
            "n shows the rules.",
        )

    @property
    def _event(self) -> EventPane:
        return self.query_one("#finding", EventPane)

    def _show_detail(self, *, pause: float = 0.0, is_fresh: bool = True) -> None:
        """Show the selected event, gap or group. An event is read after `pause` seconds."""
        pane, row = self._event, self._row()
        if isinstance(row, FindingGroup):
            title = f"{row.kind}, {row.cause}"
            pane.show_other(Body(rows=row.findings, title=title, note="Enter shows only these"))
        elif row is not None and (gap := row.gap) is not None:
            width = max(pane.size.width, 20)
            lines = self._gap_lines(lambda: list(gap_lines(gap, row.channel, width)), gap, width)
            pane.show_other(Body(rows=lines, title=row.key, note="Enter full screen"))
        else:
            event_id = row.event_id if row else None
            pane.show_event(event_id, version=row, pause=pause, is_fresh=is_fresh)

    def _row(self) -> Finding | FindingGroup | None:
        pane: Pane[Finding | FindingGroup] = self.query_one("#findings", Pane)
        return pane.row

    def on_pane_selected(self, event: Pane.Selected) -> None:
        if event.pane.id == "findings":
            self._show_detail(pause=LOOK_SECONDS)

    def back(self) -> bool:
        if self._cause is None and self._kind is None:
            return False
        self._only(None)
        return True

    @action("triage.open", "enter", "Open", shown="Enter")
    def act_open(self) -> None:
        """Show the whole event, or the group's events."""
        row = self._row()
        if isinstance(row, FindingGroup):
            self._kind, self._cause, self._is_grouped = row.kind, row.cause, False
            self.query_one("#findings", Pane).follow()
        elif row is not None and row.gap is not None:
            self.host.read(row.key, partial(gap_lines, row.gap, row.channel))
        elif row is not None and (answer := self._event.answer) is not None:
            self.host.read(row.key, answer.lines, copied=answer.copied)

    @action("triage.group", "o", "Group or order")
    def act_group(self) -> None:
        """Group events by their cause, or end that."""
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
        """Show the discard rules and an editor."""
        row = self._row()
        if isinstance(row, Finding) and not self._draft.is_touched:
            self._draft = replace(self._draft, about=row)

        def on_left(draft: RuleDraft | None) -> None:
            self._draft = draft or RuleDraft()
            self.sources.findings_reader.read_now()

        self._rules = RulesScreen(self.host, self.sources, self._draft, self._forget)
        self.host.open_screen(self._rules, on_left)

    def _forget(self, saved: RuleDraft) -> None:
        """Drop the draft that became a rule. Its screen may have been left or opened again meanwhile."""
        self._draft = self._draft.without(saved)
        if self._rules is not None:
            self._rules.forget(saved)

    @action("triage.replay", "R,shift+r", "Replay", changes=True)
    def act_replay(self) -> None:
        """Process the selected event or group again."""
        row = self._row()
        if isinstance(row, FindingGroup) and row.findings[0].rule is not None:
            selection = ReplaySelection(rule=row.findings[0].rule)
            about = f"all events that {row.cause} discarded"
        elif isinstance(row, FindingGroup):
            ids = tuple(each.event_id for each in row.findings if each.event_id is not None)
            selection = ReplaySelection(event_ids=ids)
            about = amount(len(row.findings), "event")
        elif row is not None and row.event_id is not None:
            selection = ReplaySelection(event_ids=(row.event_id,))
            about = f"the event {row.event_id}"
        else:
            return
        ask_replay(self.host, about, selection, self._event.read_again)

    @act_replay.when
    def _can_replay(self) -> bool:
        row = self._row()
        if isinstance(row, FindingGroup):
            return row.kind in FROM_DATABASE
        return row is not None and row.gap is None and row.kind != LATE

    @action("triage.replay_failed", "F,shift+f", "Replay failed", changes=True)
    def act_replay_failed(self) -> None:
        """Process all events that failed again."""
        selection = ReplaySelection(failed=True)
        ask_replay(self.host, "all events that failed", selection, self._event.read_again)

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
            return f"{gap.title.capitalize()}: {found}"

        details = (
            f"{gap.reason}, {moment(gap.started_at)}Z to {moment(gap.ended_at)}Z",
            "Slack limits how fast its history can be read, so a long time takes long.",
            "Only missing messages are added. Newer content and deletions stay.",
        )
        self.host.confirm_and_run(
            f"Backfill {gap.title}?",
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
        return is_over and self._model is not None and self._model.has_engine


def _paint_detail(row: Finding | Content, width: int) -> Content:
    return paint_finding(row, width) if isinstance(row, Finding) else row.truncate(width)


def _key(row: Finding | FindingGroup) -> str:
    return row.key if isinstance(row, Finding) else f"{row.kind} {row.cause}"


def _searched(row: Finding | FindingGroup) -> str:
    """The text that a filter searches."""
    if isinstance(row, FindingGroup):
        return f"{row.kind} {row.cause} {row.findings[0].channel} {row.findings[0].detail}"
    return f"{row.kind} {row.what} {row.channel} {row.user} {row.detail} {row.key}"
