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
from tiger_slack_tui.slack.pages import pages, retry
from tiger_slack_tui.slack.web import SlackWeb

JOIN_SECONDS = 1.2
"""Between two calls of conversations.join. Slack's tier 3 allows 50 calls a minute."""


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


def join_minutes(channels: int) -> str:
    """How long joining takes, in words."""
    seconds = channels * JOIN_SECONDS
    return "a few seconds" if seconds < 15 else f"about {max(round(seconds / 60), 1)} min"


async def joinable_channels(web: SlackWeb) -> list[PublicChannel]:
    """The public channels that are not archived and that the app is not in, by name. Raises as `pages`."""
    found: dict[ChannelId, PublicChannel] = {}
    async for page in pages(web.channels_page):
        for item in page.items:
            id_, name = item.get("id"), item.get("name")
            hidden = (item.get(flag) for flag in ("is_private", "is_archived", "is_member"))
            if isinstance(id_, str) and isinstance(name, str) and not any(hidden):
                found[ChannelId(id_)] = PublicChannel(ChannelId(id_), name)
    return sorted(found.values(), key=lambda channel: channel.name)


async def join_channels(
    web: SlackWeb,
    channels: Sequence[PublicChannel],
    on_joined: Callable[[], None],
) -> Joining:
    """Join the channels one by one, at Slack's pace, and call `on_joined` after each.

    A channel that refuses does not stop the others. Another failure, such as a missing scope, ends it: see `Joining`.
    Joining again changes nothing, so an interrupted run can be repeated.
    """
    joined, refused = 0, []
    for number, channel in enumerate(channels):
        if number:
            await asyncio.sleep(JOIN_SECONDS)
        try:
            await retry(partial(web.join, channel.id))
        except SlackAbsent as error:
            refused.append((channel, error.args[0]))
        except (SlackRefused, SlackUnavailable) as error:
            return Joining(joined, tuple(refused), len(channels) - number, error)
        else:
            joined += 1
        on_joined()
    return Joining(joined, tuple(refused))
