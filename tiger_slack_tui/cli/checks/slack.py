"""Checks of the tokens, the scopes, and this machine's clock."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterator

import aiohttp

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.cli.checks.check import Check, CheckState
from tiger_slack_tui.slack.web import Identity, SlackWeb

_MOST_SKEW = 2.0
"""Seconds between Slack's clock and this machine's; above that, lateness and gaps are measured wrongly."""

# The events that Slack does not send without a scope: https://docs.slack.dev/reference/events
_EVENTS = {
    "app_mentions:read": "app_mention",
    "channels:history": "message.channels",
    "channels:read": "channel_* and member_*",
    "groups:history": "message.groups",
    "groups:read": "group_*",
    "im:history": "message.im",
    "mpim:history": "message.mpim",
    "reactions:read": "reaction_added, reaction_removed",
    "users:read": "team_join, user_change, user_profile_changed",
}
# The scopes without which other data is missing.
_OTHER_SCOPES = {
    "users:read.email": "e-mail addresses of users",
    "im:read": "names of direct messages, and closing their gaps",
    "mpim:read": "names of group messages, and closing their gaps",
}


async def check_slack() -> AsyncIterator[Check]:
    """Check the tokens, the scopes and the clock. The tokens come from the environment and .env."""
    try:
        _, slack = settings.load_with_slack()
    except SettingsError as error:
        yield Check.of_error("tokens", error)
        return
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session)
        try:
            asked = time.time()
            identity = await web.identity()
        except TigerSlackError as error:
            yield Check.of_error("bot token", error)
        else:
            yield Check("bot token", CheckState.OK, f"{identity.user_id} of {identity.team}")
            for check in _identity_checks(identity, asked):
                yield check
        yield await _app_token(web, slack)
    yield Check(
        "delayed events",
        CheckState.WARNING,
        "Slack does not report whether “Delayed Events” is on",
        "Turn it on at the app's page “Event Subscriptions”. Slack then retries a delivery for 24 h, not for 6 min.",
    )


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
    fix = "Add them at the app's page “OAuth & Permissions”, as in slack-app-manifest.json, then reinstall it."
    events = {scope: what for scope, what in _EVENTS.items() if scope not in scopes}
    missing = [*events, *(scope for scope in _OTHER_SCOPES if scope not in scopes)]
    if missing:
        state = CheckState.FAILED if events else CheckState.WARNING
        yield Check("scopes", state, f"missing: {', '.join(missing)}", fix)
    else:
        yield Check("scopes", CheckState.OK, f"all {len(_EVENTS) + len(_OTHER_SCOPES)} needed ones")
    if events:
        found = f"Slack does not send: {'; '.join(events.values())}"
        yield Check("events", CheckState.FAILED, found, fix)
    else:
        yield Check("events", CheckState.OK, "the scopes allow all events")


async def _app_token(web: SlackWeb, slack: SlackSettings) -> Check:
    try:
        await web.open_connection()
    except TigerSlackError as error:
        return Check.of_error("app token", error)
    return Check("app token", CheckState.OK, "Socket Mode opens a connection")
