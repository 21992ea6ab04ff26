"""`tiger-slack replay`: puts events of the audit trail through the same code again."""

from __future__ import annotations

import click

from tiger_slack_tui.audit.replay import ReplayReport, Selection, replay, unknown_events
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.cli.questions import ask, echo_json, last
from tiger_slack_tui.postgres.connection import Connection


class NotReplayed(TigerSlackError):
    """Some of the events are not there, or failed again."""


def run_replay(settings: Settings, selection: Selection, *, dry_run: bool, as_json: bool) -> None:
    """Replay the events, and print what became of them. Raises NotReplayed."""

    async def work(connection: Connection) -> tuple[ReplayReport, tuple[str, ...]]:
        unknown = await unknown_events(connection, selection.event_ids)
        growing = replay(connection, selection, dry_run=dry_run)
        return await last(growing, ReplayReport()), unknown

    report, unknown = ask(settings, "replay", work)
    if as_json:
        echo_json(_as_json(report, unknown, dry_run=dry_run))
    elif report.events or not unknown:
        click.echo("\n".join(_lines(report, dry_run=dry_run)))
    if unknown:
        raise NotReplayed(f"The audit trail has no event {visible(', '.join(unknown))}.")
    if report.outcomes()["failed"]:
        raise NotReplayed(
            f"{report.outcomes()['failed']:,} failed again.",
            hint="Each tells why: tiger-slack event EVENT_ID",
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
        return ["No such events: nothing to replay."]
    would = "would be " if dry_run else ""
    lines = [f"{amount(report.events, 'event')} {would}replayed:"]
    for (before, after), n in sorted(report.changes.items()):
        change = f"{after}, as before" if before == after else f"{before} → {after}"
        lines.append(f"  {n:>9,}  {change}")
    lines += [
        f"  {visible(event.event_id)} failed: {event.reason}" for event in report.refused[:20]
    ]
    if report.gone:
        lines.append(f"  {report.gone:>9,}  deleted meanwhile")
    return lines
