"""The lines around every view: status, tabs and problems above it, keys below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from textual.content import Content

from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.snapshot import SlackStatus, Snapshot
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.actions import TITLES, VIEWS, Action
from tiger_slack_tui.console.formats import age, clock, count, millis
from tiger_slack_tui.console.model.model import ImportSummary, Model
from tiger_slack_tui.console.panes.paint import (
    BAD,
    DIM,
    GOOD,
    KEY,
    NOTE,
    StyledText,
    facing,
    folded,
    line,
    mark,
)
from tiger_slack_tui.imports.state import Phase

PHASES = {
    Phase.LISTING: ("▶", KEY),
    Phase.READING: ("▶", KEY),
    Phase.PAUSED: ("○", NOTE),
    Phase.WAITING: ("▲", NOTE),
    Phase.STOPPING: ("▲", NOTE),
    Phase.ENDING: ("▶", KEY),
    Phase.DONE: ("✓", GOOD),
    Phase.STOPPED: ("○", NOTE),
    Phase.FAILED: ("✗", BAD),
}
"""Symbol and style of each phase of an import."""
_DELAYED = 30.0
"""Seconds that the oldest event may wait in the spool before a line says that the spool is drained."""
_QUIET_STATUSES = (SlackStatus.CONNECTED, SlackStatus.STOPPED)
"""No line says that these are problems."""
_LEAST = "60 columns and 15 rows"
_ONLY_KEPT = (Outcome.DISCARDED, Outcome.FAILED)
"""Outcomes of events that are only in the audit trail, although this version stores more of their type."""
_FAULTS = 2
"""The most faults that are shown."""


def storage_state(
    database_problem: str | None, spool_problem: str | None
) -> tuple[str, str] | None:
    """Where live events cannot be written: (a state of `paint.MARKS`, the words); None if nowhere."""
    if database_problem and spool_problem:
        return "bad", "not storing"
    if database_problem:
        return "note", "spooling"
    return ("note", "no spool") if spool_problem else None


def overall(model: Model) -> tuple[str, str]:
    """The whole state in one word: (a state of `paint.MARKS`, the word)."""
    now = model.engine
    if now is None and not model.is_observing:
        return "note", "STARTING"
    if now is None:
        return _observed(model)
    if now.slack_status == SlackStatus.STOPPED:
        return "off", "STOPPED"
    stored = storage_state(now.database_problem, now.spool_problem)
    if stored is not None and stored[0] == "bad":
        return stored[0], stored[1].upper()
    if _is_starting(now):
        return "note", "STARTING"
    if now.slack_status != SlackStatus.CONNECTED:
        return "bad", "NO SLACK"
    if stored is not None and now.database_problem is not None:
        return stored[0], stored[1].upper()
    if now.spool_events:
        return "note", "DRAINING"
    return "ok", "LIVE"


def _is_starting(now: Snapshot) -> bool:
    """Whether the first try to connect to Slack has not ended."""
    return now.slack_status == SlackStatus.STARTING or (
        now.slack_status == SlackStatus.CONNECTING
        and not now.slack_connects
        and now.slack_reason is None
    )


def _observed(model: Model) -> tuple[str, str]:
    """The whole state, as a console sees it that only observes."""
    instances = model.instances
    if model.database.problem:
        return "bad", "NO DATABASE"
    if model.database.at is None:
        return "note", "STARTING"
    if model.is_old("instances"):
        return "note", "OLD NUMBERS"
    if all(row.is_stopped for row in instances):
        return "off", "NONE RUNS"
    if all(row.is_stopped or row.is_lost for row in instances):
        return "bad", "ALL LOST"
    if model.is_silent:
        return "note", "NO HEARTBEAT"
    return "ok", "OBSERVING"


def status_line(model: Model, width: int) -> Content:
    """The first line: whether all is well, and if not, what is not. The less important parts are left out first."""
    now = model.engine
    name = model.instance if width >= 120 else model.instance.partition("@")[0]
    slack, schema = _slack(now) if now is not None else [], _schema(model)
    groups: list[list[StyledText]] = [
        [(f" {name} ", "bold"), " ", mark(*overall(model))],
        _database(model),
        *((schema, slack) if model.is_migrating else (slack, schema)),
    ]
    if now is not None and now.spool_events:
        groups.append([f"spool {count(now.spool_events)}"])
    if now is not None and now.gaps_open:
        groups.append([mark("note", f"{amount(now.gaps_open, 'gap')}")])
    right: list[StyledText] = []
    if model.read_only:
        right.append(("read-only ", NOTE))
    if width >= 120 and now is not None:
        right.append((f"late {millis(now.lateness_p50)}  up {age(now.at - now.started)}  ", DIM))
    right.append((f"{clock(model.at)}Z ", DIM))
    end = line(*right)
    shown = line(*groups[0])
    for group in filter(None, groups[1:]):
        longer = shown + line("   ", *group)
        if longer.cell_length + end.cell_length < width:
            shown = longer
    return facing(shown, end, width)


def _database(model: Model) -> list[StyledText]:
    now, database = model.engine, model.database
    problem = (now.database_problem if now else None) or database.problem
    if problem is not None:
        since = now.database_since if now and now.database_problem else database.problem_since
        return ["db ", mark("bad", age(model.at - (since or model.at)))]
    return ["db ", mark("ok"), f" {millis(database.ping)}" if database.ping is not None else ""]


def _slack(now: Snapshot) -> list[StyledText]:
    if now.slack_status != SlackStatus.CONNECTED:
        state = "note" if _is_starting(now) else "bad"
        return ["slack ", mark(state, f"{now.slack_status} {age(now.at - now.slack_since)}")]
    sockets = now.slack_connections
    return ["slack ", mark("ok"), f" {amount(sockets, 'socket')}"]


def _schema(model: Model) -> list[StyledText]:
    found = model.database.migrations
    if found is None:
        return []
    if found.database_version == found.version:
        return [f"schema {found.version} ", ("✓", GOOD)]
    if model.is_migrating:
        return [("schema migrating …", NOTE)]
    return [(f"schema {found.database_version or 'none'} ▲ not {found.version}", NOTE)]


def problem_lines(model: Model, width: int) -> list[Content]:
    """The lines below the tabs: what is wrong now and what it means for the data. None if all is well."""
    return [row for problem in _problems(model) for row in folded(problem, width)]


def _problems(model: Model) -> list[Content]:
    now, database = model.engine, model.database
    lines: list[Content] = []
    if now is None:
        if database.problem:
            lines.append(_bad(f"The database does not answer: {database.problem}"))
        elif model.is_observing:
            lines += _lost_lines(model)
        return lines
    if now.slack_status not in _QUIET_STATUSES and not _is_starting(now):
        why = f": {now.slack_reason}" if now.slack_reason else ""
        since = age(now.at - now.slack_since)
        lines.append(_bad(f"Slack: {now.slack_status} for {since}{why}"))
    if now.database_problem is not None and now.slack_status != SlackStatus.STARTING:
        since = age(now.at - now.database_since)
        lines.append(
            _bad(f"No event could be written to the database for {since}: {now.database_problem}")
        )
        if now.spool_problem is None:
            waiting = f"{amount(now.spool_events, 'acknowledged event')} in the spool"
            lines.append(line((f"   Nothing is lost: {waiting}.", DIM)))
    if now.spool_problem is not None:
        lines.append(_bad(f"No event can be written to the spool: {now.spool_problem}"))
        if now.database_problem is not None:
            lines.append(
                line(("   Nothing is acknowledged. Slack delivers events again for a while.", BAD))
            )
        else:
            lines.append(line(("   Nothing is lost: events are written to the database.", DIM)))
    elif now.spool_oldest and now.at - now.spool_oldest > _DELAYED and not now.database_problem:
        lines.append(
            line((f" ▲ The spool is being drained: {amount(now.spool_events, 'event')} left", NOTE))
        )
    lines += [line((f" ▲ {fault}", NOTE)) for fault in now.faults[:_FAULTS]]
    return lines


def _lost_lines(model: Model) -> list[Content]:
    """A line for each lost instance, at most two."""
    lost = [row for row in model.instances if row.is_lost]
    lines = [
        _bad(
            f"Lost: {row.host}:{row.pid}, silent for {age(row.silence)}. It crashed or is cut off."
        )
        for row in lost[:_FAULTS]
    ]
    if len(lost) > _FAULTS:
        lines.append(_bad(f"{len(lost) - _FAULTS:,} more are lost."))
    return lines


def _bad(text: str) -> Content:
    return line((f" ✗ {text}", BAD))


def tabs_line(current: str, badges: Mapping[str, str], width: int, *, frozen: str) -> Content:
    """The second line: the views with their badges. The current one is in brackets."""
    note = line((frozen, f"bold {NOTE}"))
    widest = _tabs(current, badges, gap=4)
    narrower = (_tabs(current, badges, gap=2), _tabs(current, badges, gap=1))
    narrowest = _tabs(current, badges, gap=1, title=4)
    room = width - note.cell_length
    tabs = next((t for t in (widest, *narrower) if t.cell_length <= room), narrowest)
    return facing(tabs, note, width)


def _tabs(current: str, badges: Mapping[str, str], *, gap: int, title: int = 20) -> Content:
    """The views, `gap` spaces apart. The current one has brackets in place of two spaces, if there are two.

    Titles of the others are cut to `title` cells.
    """
    side = " " if gap > 1 else ""
    parts: list[StyledText] = []
    for number, name in enumerate(VIEWS, 1):
        badge: list[StyledText] = [(f" {badges[name]}", NOTE)] if badges.get(name) else []
        if name == current:
            text = f"{number} {TITLES[name]}"
            parts += [(f"[{text}", f"bold {KEY}"), *badge, ("]", f"bold {KEY}")]
        else:
            parts += [f"{side}{number} {TITLES[name][:title]}", *badge, side]
        parts.append(" " * max(gap - 2, gap == 1))
    return line(" ", *parts[:-1])


def footer_line(actions: Iterable[Action], keys: Mapping[str, str], width: int) -> Content:
    """The last line: as many keys as there is room for. The last three are always there."""
    titles: dict[str, str] = {}  # a key does its first action
    for action in actions:
        if action.footer:
            titles.setdefault(keys.get(action.id, action.key), action.title)
    shown = [line((key, f"bold {KEY}"), f" {title}") for key, title in titles.items()]
    end = shown[-3:]
    room = width - sum(part.cell_length + 2 for part in end)
    fitting = []
    for part in shown[:-3]:
        if part.cell_length + 2 > room:
            break
        room -= part.cell_length + 2
        fitting.append(part)
    return Content(" ") + Content("  ").join([*fitting, *end])


def typing_line(actions: Iterable[Action], keys: Mapping[str, str], hint: str = "") -> Content:
    """The last line while a text is typed, with the actions of the field. Other keys are part of the text then."""
    parts: list[StyledText] = [" "]
    for action in actions:
        parts += [(keys.get(action.id, action.key), f"bold {KEY}"), f" {action.title}  "]
    end: list[StyledText] = [(f" {hint}", DIM)] if hint else []
    return line(*parts, *end)


def import_parts(summary: ImportSummary) -> list[StyledText]:
    """An import in a few words: phase, share, speed, time left, files."""
    symbol, style = PHASES[summary.phase]
    parts: list[StyledText] = [(f"{symbol} {summary.phase}", style)]
    parts.append(f"  {summary.share * 100:.0f} %")
    if not summary.phase.is_over:
        parts.append(f"  {summary.rate:,.0f} msg/s")
        if summary.seconds_left is not None:
            parts.append(f"  left {age(summary.seconds_left)}")
    parts.append(f"  {summary.files_done:,} of {amount(summary.files, 'file')}")
    parts += [(f"  {summary.bad:,} bad", BAD)] if summary.bad else []
    return parts


def short_lines(model: Model, width: int, height: int) -> list[Content]:
    """The state in words, for a terminal that has no room for panes. The most important lines come first."""
    lines = [line(" ", mark(*overall(model)), (f"   {clock(model.at)}Z", DIM))]
    problems = problem_lines(model, width)
    lines += problems
    now = model.engine
    if now is not None:
        lines += _short_state(now, model.rates.now)
    elif model.is_silent:
        if any(not row.is_stopped for row in model.instances):  # else the next line says it
            lines.append(_short("heartbeat", model.silent_for))
    else:
        lines.append(_short("events", f"{model.rates.now:,.1f} a second"))
    lines += _short_instances(model)
    if model.import_summary is not None:
        lines.append(line((f" {'import':<9}", DIM), *import_parts(model.import_summary)))
    if not (problems or model.is_silent):
        lines.append(_short("problems", "none"))
    lines = lines[: max(height - 1, 1)]
    lines.append(line((" q", KEY), " Quit", (f"   The views need {_LEAST}.", DIM)))
    return [shown.truncate(width, ellipsis=True) for shown in lines]


def _short_state(now: Snapshot, rate: float) -> list[Content]:
    outcomes = now.by_outcome()
    failed, discarded = outcomes.get(Outcome.FAILED, 0), outcomes.get(Outcome.DISCARDED, 0)
    sockets = amount(now.slack_connections, "connection")
    spool = f"{amount(now.spool_events, 'event')} waiting" if now.spool_events else "empty"
    lines = [
        _short("Slack", f"{now.slack_status}, {sockets}"),
        _short("database", "away" if now.database_problem else "takes events"),
        _short("events", f"{rate:,.1f} a second, {failed:,} failed, {discarded:,} discarded"),
        _short("ack", f"after {millis(now.ack_p50)}, at most {millis(now.ack_p99)} for 99 %"),
        _short("queue", f"{now.queue:,} of {now.queue_limit:,}"),
        _short("spool", spool),
    ]
    if now.gaps_open:
        lines.append(_short("gaps", f"{now.gaps_open:,} open"))
    return lines


def _short_instances(model: Model) -> list[Content]:
    if not model.is_observing:
        return []
    rows = model.instances
    running, lost = sum(row.is_running for row in rows), sum(row.is_lost for row in rows)
    late = sum(row.is_late for row in rows) - lost
    words = f"{running:,} running, " + (f"{late:,} late, " if late else "") + f"{lost:,} lost"
    return [_short("instances", words)]


def _short(name: str, text: str) -> Content:
    return line((f" {name:<9} ", DIM), text)


def farewell(now: Snapshot, log_file: Path | None) -> str:
    """The line that stays on the terminal: what became of the events of this run."""
    text = f"Stopped. {_kept(now)}"
    if now.spool_events:
        text += (
            f" {amount(now.spool_events, 'more event')} in the spool: the next start stores them."
        )
    if (left := now.received - now.acked) > 0:
        text += f" {left:,} not acknowledged: Slack sends them again."
    return f"{text} Log: {log_file}" if log_file else text


def _kept(now: Snapshot) -> str:
    """How many events are in the database, and how many of them are only kept there to be looked at or replayed."""
    outcomes = now.by_outcome()
    kept = sum(outcomes.values())
    only_kept = [(outcomes[one], one) for one in _ONLY_KEPT if outcomes.get(one)]
    if not only_kept:
        return f"{amount(kept, 'event')} stored, none lost."
    stored = kept - sum(number for number, _ in only_kept)
    words = ", ".join(f"{n:,} {outcome}" for n, outcome in ((stored, Outcome.STORED), *only_kept))
    return f"{amount(kept, 'event')} kept, none lost: {words}."


def quit_question(model: Model) -> tuple[str, list[str]] | None:
    """The question before leaving, and its details; None if leaving stops nothing."""
    details, running = [], []
    if model.engine is not None:
        running.append("ingestion")
        details += [
            f"{model.rates.now:,.0f} events a second arrive now.",
            "Events that were read are stored first. Slack repeats later ones for a while.",
        ]
    if model.import_summary is not None and not model.import_summary.phase.is_over:
        running.append("import")
        details += [
            f"The import of {model.import_summary.path} is at {model.import_summary.share:.0%}.",
            "It stops after its present batches. The same import can be resumed later.",
        ]
    return (f"Stop the {' and the '.join(running)}, and quit?", details) if running else None
