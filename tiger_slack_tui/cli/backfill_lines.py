"""A backfill in words: the plan before it, and the account after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tiger_slack_tui.backfill.result import STOPPED, GapResult
from tiger_slack_tui.base.text import amount, cut, visible
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.cli.backfill_status import time_of
from tiger_slack_tui.store.import_account import Account

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.plan import HistoryPlan

_KINDS = {
    "public_channel": "public",
    "private_channel": "private",
    "mpim": "of groups",
    "im": "direct",
}
_NAME = 20
"""Columns of a channel's name. With the usual account, a line then fits 80 columns."""


def plan_lines(plan: HistoryPlan, *, is_slow: bool) -> Iterator[str]:
    """What is left to read, and how long it takes."""
    kinds = ", ".join(f"{plan.kinds[k]:,} {word}" for k, word in _KINDS.items() if k in plan.kinds)
    members = f", up to {plan.most_members:,} members" if plan.most_members else ""
    yield f"To read: {amount(plan.channels, 'channel')} ({kinds}){members}."
    if plan.not_joined:
        are, them = ("is", "it") if plan.not_joined == 1 else ("are", "them")
        yield (
            f"{amount(plan.not_joined, 'public channel')} {are} left out, because the app is not in {them}."
            " To join all: tiger-slack init --join-public"
        )
    if plan.begun:
        are, them = ("is", "it") if plan.begun == 1 else ("are", "them")
        yield (
            f"It goes on where it stopped: {amount(plan.begun, 'channel')} {are} begun,"
            f" {amount(plan.read, 'message')} of {them} read."
        )
    begin = f"since {plan.since:%Y-%m-%d}" if plan.since else "from the beginning on"
    what = "Left of the history" if plan.begun else "History"
    yield (
        f"{what} {begin}: about {plan.messages:,} messages and {plan.threads:,} threads,"
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
    yield "Faster: use an app that the workspace created itself, or import an export: tiger-slack import PATH"
    if not is_slow:
        yield "Nothing was read. To read at this pace, add --slow: tiger-slack backfill --all --slow"


def result_lines(result: GapResult) -> Iterator[str]:
    """What became of a gap or a history."""
    gap, skipped = result.gap, sum(result.skipped_channels.values())
    yield f"{gap.title}, {gap.reason}: {result.state}"
    yield f"  {time_of(gap)}"
    yield (
        f"  {amount(result.channels, 'channel')} read, {skipped:,} skipped;"
        f" {amount(result.threads, 'thread')}, {amount(result.deleted, 'deletion')} found"
    )
    yield f"  {_sum(result.messages)}"
    if result.error:
        yield f"  {visible(result.error)}"


def result_json(result: GapResult) -> dict[str, Any]:
    """What became of a gap or a history, for `--json`."""
    gap = result.gap
    return {
        "id": gap.id,
        "reason": gap.reason,
        "started_at": gap.started_at,
        "ended_at": gap.ended_at,
        "channel_id": gap.channel_id,
        "is_closed": result.is_closed,
        "error": result.error,
    } | result.as_json()


def account_lines(results: Sequence[GapResult], names: Mapping[str, str]) -> Iterator[str]:
    """What became of each channel's messages, and of all. A channel can have several results.

    `names` has the channels' names by id.
    """
    channels: dict[str, list[GapResult]] = {}
    for result in results:
        channels.setdefault(result.gap.channel_id or "", []).append(result)
    accounts = {channel: _added_up(found) for channel, found in channels.items()}
    for channel in sorted(channels, key=lambda channel: -accounts[channel].read):
        found = channels[channel]
        name = cut(visible(names.get(channel) or channel), _NAME)
        threads = sum(result.threads for result in found)
        shown = f", {amount(threads, 'thread')}" if threads else ""
        state = "" if all(map(_is_read, found)) else f", {_worst_state(found)}"
        yield f"{name:<{_NAME}} {_short_sum(accounts[channel])}{shown}{state}"
        for error in dict.fromkeys(result.error for result in found):
            if error and error != STOPPED:
                yield f"  {visible(error)}"
    whole = sum(all(map(_is_read, found)) for found in channels.values())
    threads = sum(result.threads for result in results)
    deleted = sum(result.deleted for result in results)
    yield (
        f"{amount(len(channels), 'channel')}, {whole:,} of them read to the end;"
        f" {amount(threads, 'thread')}, {amount(deleted, 'deletion')} found"
    )
    yield _sum(_added_up(results))


def _is_read(result: GapResult) -> bool:
    return result.is_closed and not result.is_given_up


def _worst_state(found: Iterable[GapResult]) -> str:
    """The state of the histories of a channel of which not all are read."""
    return "given up" if all(result.is_closed for result in found) else "not finished"


def _added_up(results: Iterable[GapResult]) -> Account:
    total = Account()
    for result in results:
        total.add(result.messages)
    return total


def _sum(account: Account) -> str:
    """The account, which adds up."""
    return f"{account.read:,} messages read = {' + '.join(_terms(account))}"


def _short_sum(account: Account) -> str:
    """The account without what is zero."""
    terms = [term for term in _terms(account) if not term.startswith("0 ")]
    return f"{account.read:>9,} read{' = ' if terms else ''}{' + '.join(terms)}"


def _terms(account: Account) -> list[str]:
    return [
        f"{account.inserted:,} inserted",
        f"{account.already_there:,} already there",
        f"{account.updated:,} updated",
        f"{sum(account.discarded.values()):,} discarded",
        f"{sum(account.skipped.values()):,} skipped",
    ]
