"""The account of a backfill in words: by channel, whatever the number of its histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tiger_slack_tui.backfill.result import STOPPED, GapResult
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.cli.backfill_lines import account_lines
from tiger_slack_tui.store.gaps import BY_HAND, Gap
from tiger_slack_tui.store.import_account import Account

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def result(id_: int, channel: str, error: str | None, account: Account, threads: int) -> GapResult:
    ended = BEGAN + timedelta(days=1)
    gap = Gap(id_, BY_HAND, BEGAN, ended, ChannelId(channel), None, BEGAN, None, None, None, error)
    return GapResult(gap, error is None, error, threads=threads, messages=account)


def test_a_line_for_each_channel_and_sums_that_add_up() -> None:
    results = [
        result(1, "C1", None, Account(read=3, inserted=2, already_there=1), 1),
        result(2, "C1", STOPPED, Account(read=4, inserted=4), 0),
        result(3, "C2", "Slack does not show it", Account(), 0),
        result(4, "C3", None, Account(read=900, inserted=899, discarded={"1": 1}), 0),
    ]
    assert list(account_lines(results, {"C1": "#ops", "C3": f"#{'x' * 30}"})) == [
        "#xxxxxxxxxxxxxxxxxx…       900 read = 899 inserted + 1 discarded",
        "#ops                         7 read = 6 inserted + 1 already there, 1 thread, not finished",
        "C2                           0 read, not finished",
        "  Slack does not show it",
        "3 channels, 1 of them read to the end; 1 thread, 0 deletions found",
        "907 messages read = 905 inserted + 1 already there + 0 updated + 1 discarded + 0 skipped",
    ]
