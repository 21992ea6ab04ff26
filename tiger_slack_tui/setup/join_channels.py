"""Joins the app to public channels, so that Slack sends their messages and shows their history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tiger_slack_tui.base.errors import (
    SlackAbsent,
    SlackRefused,
    SlackUnavailable,
    TigerSlackError,
)
from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.slack.pages import OnWait, pages, retry, wait_words
from tiger_slack_tui.slack.web import SlackWeb

JOIN_SECONDS = 1.2
"""Between two calls of conversations.join. Slack's tier 3 allows 50 calls a minute."""
WHICH_CHANNELS = (
    "Slack sends only what happens in channels that the app is in. It can join public channels by itself. To store a"
    " private channel, type /invite @tiger-slack there. Slack does not show the app any other private channel."
)
ALL_JOINED = "✓ The app is in every public channel."


@dataclass(frozen=True, slots=True)
class PublicChannel:
    """A public channel that the app is not in."""

    id: ChannelId
    name: str


@dataclass(frozen=True, slots=True)
class Joining:
    """The result of joining channels."""

    joined: int
    refused: tuple[tuple[PublicChannel, str], ...]
    """The channels that Slack did not let the app join, with the reason in words."""
    left: int = 0
    """The channels that were not tried, because of `stopped_by`."""
    stopped_by: TigerSlackError | None = None

    def lines(self) -> list[str]:
        """What was done, for people."""
        found = [f"✓ Joined {amount(self.joined, 'channel')}."]
        found += [
            f"! #{visible(channel.name)}: {visible(reason)}" for channel, reason in self.refused
        ]
        if self.stopped_by is not None:
            found.append(f"! {amount(self.left, 'channel')} not joined: {self.stopped_by}")
            found.append("  To go on with them: tiger-slack init --join-public")
        return found


@dataclass(frozen=True, slots=True)
class JoinProgress:
    """How many of the channels have been tried."""

    done: int
    channels: int
    wait: float | None = None
    """Seconds until it goes on, if Slack asks to wait."""

    @property
    def share(self) -> float:
        return self.done / self.channels

    def __str__(self) -> str:
        """For people: how far it is, and what it waits for or how long the rest takes."""
        rest = f"{join_time(self.channels - self.done)} left"
        words = rest if self.wait is None else wait_words(self.wait)
        return f"{self.done:,} of {amount(self.channels, 'channel')}: {words}"


def join_question(channels: int) -> str:
    """What to ask before the app joins so many channels."""
    number = amount(channels, "public channel")
    return f"Join {number} that the app is not in? It takes {join_time(channels)}."


def join_time(channels: int) -> str:
    """How long joining takes, in words."""
    seconds = channels * JOIN_SECONDS
    return "a few seconds" if seconds < 15 else f"about {max(round(seconds / 60), 1)} min"


async def joinable_channels(web: SlackWeb, on_wait: OnWait | None = None) -> list[PublicChannel]:
    """The public channels that are not archived and that the app is not in, by name. Raises as `pages`."""
    found: dict[ChannelId, PublicChannel] = {}
    async for page in pages(web.channels_page, on_wait=on_wait):
        for item in page.items:
            id_, name = item.get("id"), item.get("name")
            hidden = (item.get(flag) for flag in ("is_private", "is_archived", "is_member"))
            if isinstance(id_, str) and isinstance(name, str) and not any(hidden):
                found[ChannelId(id_)] = PublicChannel(ChannelId(id_), name)
    return sorted(found.values(), key=lambda channel: channel.name)


async def join_channels(
    web: SlackWeb,
    channels: Sequence[PublicChannel],
    on_progress: Callable[[JoinProgress], None],
) -> Joining:
    """Join the channels one by one, at Slack's pace.

    Calls `on_progress` after each, and every second while Slack asks to wait. A channel that refuses does not stop
    the others. Another failure, such as a missing scope, ends it: see `Joining`. Joining again changes nothing, so an
    interrupted run can be repeated.
    """
    joined, refused, done, number = 0, list[tuple[PublicChannel, str]](), 0, len(channels)

    def on_wait(seconds: float) -> None:
        on_progress(JoinProgress(done, number, seconds))

    for done, channel in enumerate(channels):
        if done:
            await asyncio.sleep(JOIN_SECONDS)
        try:
            await retry(partial(web.join, channel.id), on_wait=on_wait)
        except SlackAbsent as error:
            refused.append((channel, error.args[0]))
        except (SlackRefused, SlackUnavailable) as error:
            return Joining(joined, tuple(refused), number - done, error)
        else:
            joined += 1
        on_progress(JoinProgress(done + 1, number))
    return Joining(joined, tuple(refused))
