"""`tiger-slack backfill --all` in words: the plan before it, and the account of each channel after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tiger_slack_tui.base.text import amount, cut, visible
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.store.import_account import Account

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.plan import HistoryPlan
    from tiger_slack_tui.backfill.result import GapResult

_KINDS = {
    "public_channel": "public",
    "private_channel": "private",
    "mpim": "of groups",
    "im": "direct",
}
_NAME = 24
"""Columns of a channel's name."""


def plan_lines(plan: HistoryPlan, *, is_slow: bool) -> Iterator[str]:
    """What will be read, and how long it takes."""
    kinds = ", ".join(f"{plan.kinds[k]:,} {word}" for k, word in _KINDS.items() if k in plan.kinds)
    members = f", up to {plan.most_members:,} members" if plan.most_members else ""
    yield f"To read: {amount(plan.channels, 'channel')} ({kinds}){members}."
    if plan.not_joined:
        are, them = ("is", "it") if plan.not_joined == 1 else ("are", "them")
        yield (
            f"{amount(plan.not_joined, 'public channel')} {are} left out, because the app is not in {them}."
            " To join all: tiger-slack init --join-public"
        )
    begin = f"since {plan.since:%Y-%m-%d}" if plan.since else "from the beginning on"
    yield (
        f"History {begin}: about {plan.messages:,} messages and {plan.threads:,} threads,"
        f" {amount(plan.calls, 'call')}, {duration(plan.time)}."
    )
    if plan.is_restricted:
        yield from restricted_lines(plan, is_slow=is_slow)


def restricted_lines(plan: HistoryPlan, *, is_slow: bool) -> Iterator[str]:
    """What a restriction of the app means."""
    yield (
        "Slack restricts this app to one call a minute with 15 messages, as all apps that are distributed outside"
        f" of its Marketplace: the history takes about {duration(plan.time)}."
    )
    yield (
        "Faster: import an export (tiger-slack import), or use an app that the workspace created itself."
    )
    if not is_slow:
        yield "Nothing was read. To read at this pace, add --slow: tiger-slack backfill --all --slow"


def account_lines(results: Sequence[GapResult], names: Mapping[str, str]) -> Iterator[str]:
    """What became of each channel's messages, and of all."""
    total, threads, deleted = Account(), 0, 0
    for result in sorted(results, key=lambda each: -each.messages.read):
        channel = result.gap.channel_id or ""
        name = names.get(channel)
        shown = f"#{visible(name)}" if name else channel
        total.add(result.messages)
        threads += result.threads
        deleted += result.deleted
        yield f"{cut(shown, _NAME):<{_NAME}} {_counts(result.messages, result.threads)}"
        if not result.is_closed:
            yield f"  not finished: {visible(result.error or 'it was stopped')}"
    closed = sum(result.is_closed for result in results)
    yield (
        f"{amount(len(results), 'channel')}, {closed:,} read whole,"
        f" {amount(threads, 'thread')}, {amount(deleted, 'deletion')} found"
    )
    yield (
        f"{total.read:,} messages read = {total.inserted:,} inserted + {total.already_there:,} already there"
        f" + {total.updated:,} updated + {sum(total.discarded.values()):,} discarded"
        f" + {sum(total.skipped.values()):,} skipped"
    )


def _counts(account: Account, threads: int) -> str:
    others = sum(account.discarded.values()) + sum(account.skipped.values())
    return (
        f"{account.read:>9,} read = {account.inserted:,} new + {account.already_there:,} known"
        f" + {account.updated:,} updated + {others:,} left out; {amount(threads, 'thread')}"
    )
