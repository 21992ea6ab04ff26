"""What a running backfill shows: percent, rate, and time left."""

from datetime import UTC, datetime, timedelta

from tiger_slack_tui.backfill.result import BackfillProgress
from tiger_slack_tui.base.errors import SlackUnavailable
from tiger_slack_tui.cli.backfill_figures import BackfillFigures
from tiger_slack_tui.cli.progress import ProgressPrinter
from tiger_slack_tui.slack.pages import retry
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.import_account import Account

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Shown(ProgressPrinter):
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.last = ""

    def wait(self, description: str) -> None: ...

    def start(self, description: str) -> None: ...

    def show(self, share: float, figures: str) -> None:
        self.last = f"{share:.0%} {figures}"

    def note(self, text: str) -> None:
        self.last = text


def gap(id_: int, days: int) -> Gap:
    ended = BEGAN + timedelta(days=days)
    return Gap(id_, "not connected", BEGAN, ended, None, None, BEGAN, None, None, None, None)


def test_rate_and_time_left() -> None:
    now, shown = 0.0, Shown()
    figures = BackfillFigures(shown, lambda: now)
    first, second = gap(4, 7), gap(9, 17)
    figures.begin([first, second])
    figures.show(BackfillProgress(first, 0, 40, Account(read=200), 0.0))
    assert shown.last == "0% gap 4: 0/40 channels, 200 messages, 0/s"
    now = 10.0
    figures.show(BackfillProgress(first, 20, 40, Account(read=500), 0.5))
    # The first gap is a third of the work: 10 of 30 days of history.
    assert shown.last == "17% gap 4: 20/40 channels, 700 messages, 50/s, 50 s left"
    now = 60.0
    figures.show(BackfillProgress(second, 0, 40, Account(read=0), 0.5))
    assert shown.last == "67% gap 9: 0/40 channels, 700 messages, 8/s, 30 s left"


def test_the_time_left_is_the_plans_until_there_is_a_rate_also_at_one_call_a_minute() -> None:
    now, shown = 0.0, Shown()
    figures = BackfillFigures(shown, lambda: now)
    figures.planned = 6000.0
    history = gap(4, 7)
    figures.begin([history])
    figures.show(BackfillProgress(history, 0, 1, Account(read=15), 0.01))
    assert shown.last == "1% gap 4: 0/1 channels, 15 messages, 0/s, 1 h 39 min left"
    for minute in range(1, 6):
        now = 60.0 * minute
        figures.show(BackfillProgress(history, 0, 1, Account(read=15), 0.01 + 0.02 * minute))
        assert "15/min" in shown.last
    assert shown.last == "11% gap 4: 0/1 channels, 90 messages, 15/min, 44 min 30 s left"


async def test_what_slack_asks_to_wait_is_shown() -> None:
    shown = Shown()
    figures = BackfillFigures(shown)
    failures = [
        SlackUnavailable("too many calls", retry_after=0.01, is_rate_limit=True),
        SlackUnavailable("an error in Slack"),
    ]

    async def call() -> str:
        if failures:
            raise failures.pop()
        return "served"

    waits: list[float] = []

    def on_wait(seconds: float) -> None:
        waits.append(seconds)
        figures.wait(seconds + 39)

    assert await retry(call, pause_first=0.01, on_wait=on_wait) == "served"
    assert waits == [0.01]  # not for the pause after the other failure
    assert shown.last == "Slack asks to wait, goes on in 40 s"
