"""Checks of the tokens, the scopes, and this machine's clock."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from typing import TypeVar

import aiohttp

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import SettingsError, SlackUnavailable, TigerSlackError
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.slack.pages import OnWait, wait
from tiger_slack_tui.slack.web import Identity, SlackWeb

T = TypeVar("T")

_LONGEST_WAIT = 60.0
"""Seconds that a check waits in all if Slack asks for it."""

_MOST_SKEW = 2.0
"""Seconds between Slack's clock and this machine's; above that, lateness and gaps are measured wrongly."""

# The events that Slack does not send without a scope: https://docs.slack.dev/reference/events
_EVENTS = {
    "app_mentions:read": "mentions of the app",
    "channels:history": "messages of public channels",
    "channels:read": "changes of public channels, and who joins them",
    "groups:history": "messages of private channels",
    "groups:read": "changes of private channels",
    "im:history": "direct messages",
    "mpim:history": "messages of group conversations",
    "reactions:read": "reactions",
    "users:read": "new and changed users",
}
# The scopes without which other data is missing.
_OTHER_SCOPES = {
    "channels:join": "joining public channels by tiger-slack init",
    "users:read.email": "e-mail address of a user",
    "im:read": "name of a direct message, and no closing of its gaps",
    "mpim:read": "name of a group message, and no closing of its gaps",
}


async def check_slack(on_wait: OnWait | None = None) -> AsyncIterator[Check]:
    """Check the tokens, the scopes and the clock. The tokens come from the environment and .env."""
    try:
        _, slack = settings.load_with_slack()
    except SettingsError as error:
        yield Check("tokens", CheckState.FAILED, Exception.__str__(error), error.hint)
        return
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session)
        async for check in check_bot_token(web, on_wait):
            yield check
        yield await check_app_token(web, on_wait)
    yield Check(
        "delayed events",
        CheckState.OK,
        "cannot be checked. With “Delayed Events” on, at the app's page “Event Subscriptions”, Slack retries a"
        " delivery for 24 h, not for 6 min",
    )


async def check_bot_token(web: SlackWeb, on_wait: OnWait | None = None) -> AsyncIterator[Check]:
    """Check whose bot token it is, its scopes, and the clock."""

    async def ask() -> tuple[float, Identity]:
        return time.time(), await web.identity()

    try:
        asked, identity = await _served(ask, on_wait)
    except TigerSlackError as error:
        yield Check.of_error("bot token", error)
        return
    yield Check("bot token", CheckState.OK, f"{identity.user_id} of {identity.team}")
    for check in _identity_checks(identity, asked):
        yield check


async def check_app_token(web: SlackWeb, on_wait: OnWait | None = None) -> Check:
    """Check that Socket Mode gives a connection; none is opened."""
    try:
        await _served(web.open_connection, on_wait)
    except TigerSlackError as error:
        return Check.of_error("app token", error)
    return Check("app token", CheckState.OK, "Socket Mode opens a connection")


async def _served(call: Callable[[], Awaitable[T]], on_wait: OnWait | None) -> T:
    """The result of the call, also if Slack first asks to wait, in all for at most a minute."""
    left = _LONGEST_WAIT
    while True:
        try:
            return await call()
        except SlackUnavailable as error:
            asked = error.retry_after or 1.0
            if not error.is_rate_limit or asked > left:
                raise
        left -= asked
        await wait(asked, on_wait)


SCOPES = (*_EVENTS, *_OTHER_SCOPES)
"""The scopes that are checked."""


def _identity_checks(identity: Identity, asked: float) -> Iterator[Check]:
    """Check the scopes and the clock by Slack's answer to a request that was sent at `asked`."""
    if identity.scopes is None:
        yield Check("scopes", CheckState.WARNING, "Slack did not send them")
    else:
        yield from _scope_checks(identity.scopes)
    if identity.server_time is not None:
        skew = max(abs(asked - identity.server_time) - 1, 0)  # Slack sends whole seconds
        if skew > _MOST_SKEW:
            fix = "Synchronise this machine's clock with a time server (NTP)."
            yield Check("clock", CheckState.WARNING, f"differs from Slack's by {skew:.0f} s", fix)
        else:
            yield Check("clock", CheckState.OK, "agrees with Slack's")


def _scope_checks(scopes: Collection[str]) -> Iterator[Check]:
    """One line for each missing scope, which says what is lacking without it."""
    events = {scope: what for scope, what in _EVENTS.items() if scope not in scopes}
    others = {scope: what for scope, what in _OTHER_SCOPES.items() if scope not in scopes}
    if not events and not others:
        number = len(_EVENTS) + len(_OTHER_SCOPES)
        yield Check("scopes", CheckState.OK, f"all {number} needed ones")
        return
    lines = [f"missing: {', '.join([*events, *others])}"]
    lines += [f"without {scope}, Slack does not send {what}" for scope, what in events.items()]
    lines += [f"without {scope}, there is no {what}" for scope, what in others.items()]
    yield Check(
        "scopes",
        CheckState.FAILED if events else CheckState.WARNING,
        "\n".join(lines),
        "Add them at the app's page “OAuth & Permissions”, as in slack-app-manifest.json, then reinstall it.",
    )
