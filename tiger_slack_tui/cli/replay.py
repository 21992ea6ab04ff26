"""`tiger-slack replay`: processes events of the audit trail again."""

from __future__ import annotations

import click

from tiger_slack_tui.audit.replay import ReplayReport
from tiger_slack_tui.audit.replay import (
    replay as replay_events,
)
from tiger_slack_tui.audit.rules import require_rule
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.events import NoSuchEvent
from tiger_slack_tui.cli.output import echo_json
from tiger_slack_tui.cli.queries import last, run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.replay import ReplaySelection, unknown_events


class NotReplayed(TigerSlackError):
    """Some of the events failed again."""


@click.command()
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All events that failed.")
@click.option(
    "--discarded-by",
    "rule",
    metavar="ID",
    type=options.RULE_ID,
    help="All events that this rule discarded.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@options.as_json
@plain_errors
def replay(
    event_ids: tuple[str, ...], failed: bool, rule: int | None, dry_run: bool, as_json: bool
) -> None:
    """Process received events again.

    This version's code and the present rules decide what becomes of them. Events that are stored do not change, and
    the same replay can be repeated.

    Exit code 1: an event does not exist, or failed again.
    """
    if failed + (rule is not None) + bool(event_ids) != 1:
        raise click.UsageError("Name the events by --failed, --discarded-by or their EVENT_IDs.")
    selection = ReplaySelection(
        failed=failed, rule=rule, event_ids=tuple(map(EventId, dict.fromkeys(event_ids)))
    )
    _replay(settings.load(), selection, dry_run=dry_run, as_json=as_json)


def _replay(loaded: Settings, selection: ReplaySelection, *, dry_run: bool, as_json: bool) -> None:
    """Replay the events, and print what became of them. Raises NotReplayed."""

    async def run(connection: Connection) -> tuple[ReplayReport, tuple[EventId, ...]]:
        unknown = await unknown_events(connection, selection.event_ids)
        reports = replay_events(connection, selection, dry_run=dry_run)
        report = await last(reports, ReplayReport())
        if not report.events and selection.rule is not None:
            await require_rule(connection, selection.rule, removed=True)
        return report, unknown

    report, unknown = run_query(loaded, "replay", run)
    if as_json:
        echo_json(_as_json(report, unknown, dry_run=dry_run))
    elif report.events or not unknown:
        click.echo("\n".join(_lines(report, dry_run=dry_run)))
    still = report.changes.get((Outcome.DISCARDED, Outcome.DISCARDED))
    if still and selection.rule is not None and not as_json:
        click.echo(
            f"Rules still discard {amount(still, 'event')}: tiger-slack discard off {selection.rule}"
        )
    if unknown:
        raise NoSuchEvent(f"The audit trail has no event {visible(', '.join(unknown))}.")
    if failed := report.outcomes().get(Outcome.FAILED):
        raise NotReplayed(
            f"{amount(failed, 'event')} failed again.",
            hint="To see an event's error: tiger-slack event EVENT_ID",
        )


def _as_json(report: ReplayReport, unknown: tuple[str, ...], *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "events": report.events,
        "outcomes": report.outcomes(),
        "changes": [
            {"before": before, "after": after, "events": n}
            for (before, after), n in sorted(report.changes.items())
        ],
        "refused": report.refused,
        "gone": report.gone,
        "unknown": unknown,
    }


def _lines(report: ReplayReport, *, dry_run: bool) -> list[str]:
    if not report.events:
        return ["There are no such events: nothing to replay."]
    verb = "would be replayed" if dry_run else "replayed"
    lines = [f"{amount(report.events, 'event')} {verb}:"]
    for (before, after), n in sorted(report.changes.items()):
        change = f"{after}, as before" if before == after else f"{before} → {after}"
        lines.append(f"  {n:>9,}  {change}")
    lines += [
        f"  {visible(event.event_id)} failed: {event.reason}" for event in report.refused[:20]
    ]
    if report.gone:
        lines.append(f"  {report.gone:>9,}  no longer in the audit trail")
    return lines
