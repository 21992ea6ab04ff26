"""The question before events are replayed, and the replay."""

from __future__ import annotations

from collections.abc import Callable

from tiger_slack_tui.base.text import amount
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.store.replay import ReplaySelection


def ask_replay(
    host: Host, about: str, selection: ReplaySelection, then: Callable[[], None]
) -> None:
    """Ask whether to replay the events, which `about` names, and do it. `then` is called at its end."""

    async def replay() -> str:
        report = await host.operator.replay(selection)
        outcomes = ", ".join(f"{n:,} {outcome}" for outcome, n in report.outcomes().items())
        return f"Replayed {amount(report.events, 'event')}: {outcomes or 'nothing to do'}"

    details = (
        "The present rules and code decide what becomes of them.",
        "Stored rows do not change, newer content wins, and deleted messages stay deleted.",
        "A replay can be repeated.",
    )
    host.confirm_and_run(
        f"Replay {about}?",
        details,
        verb="Replay",
        what="Replay",
        work=replay,
        then=then,
    )
