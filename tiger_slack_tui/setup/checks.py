"""Checks each answer of the set-up as soon as it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.settings import SLACK_API_URL, SlackSettings
from tiger_slack_tui.base.times import parse_time
from tiger_slack_tui.checks.check import Check, CheckState
from tiger_slack_tui.checks.database import check_database
from tiger_slack_tui.checks.slack import check_app_token, check_bot_token
from tiger_slack_tui.postgres.addresses import database_name, from_setting
from tiger_slack_tui.postgres.embedded.binaries import find_binaries, reachable, server_user
from tiger_slack_tui.slack.pages import OnWait
from tiger_slack_tui.slack.web import BY_HAND_FAILURES, SlackWeb

_OTHER_KIND = {
    "xoxb-": "a bot token",
    "xapp-": "an app-level token",
    "xoxp-": "a user token",
    "xoxe": "a token of a configuration or of a rotation",
}


@asynccontextmanager
async def slack_web(
    *, bot_token: str = "", app_token: str = "", api_url: str = SLACK_API_URL
) -> AsyncIterator[SlackWeb]:
    """Slack's Web API with the tokens, for as long as the block."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        given = SlackSettings(bot_token, app_token, api_url)
        yield SlackWeb(given, session, give_up_after=BY_HAND_FAILURES)


async def try_bot_token(token: str, api_url: str, on_wait: OnWait) -> list[Check]:
    """Ask Slack whose token it is, and compare its scopes with those of the manifest."""
    if wrong := _wrong_kind("bot token", token, "xoxb-"):
        return [wrong]
    async with slack_web(bot_token=token, api_url=api_url) as web:
        return [check async for check in check_bot_token(web, on_wait)]


async def try_app_token(token: str, api_url: str, on_wait: OnWait) -> list[Check]:
    """Ask Slack for a connection, without opening it."""
    if wrong := _wrong_kind("app token", token, "xapp-"):
        return [wrong]
    async with slack_web(app_token=token, api_url=api_url) as web:
        return [await check_app_token(web, on_wait)]


def _wrong_kind(name: str, token: str, prefix: str) -> Check | None:
    """The failed check of something that is not such a token; it is not sent to Slack."""
    if not token.startswith(prefix):
        kinds = (kind for begin, kind in _OTHER_KIND.items() if token.startswith(begin))
        found = f"does not begin with {prefix}"
        if kind := next(kinds, None):
            found += f": it is {kind}"
        return Check(name, CheckState.FAILED, found, f"Copy the one that begins with {prefix}.")
    if not token.isascii() or not token.isprintable() or " " in token:
        fix = "Copy it again, without spaces."
        return Check(name, CheckState.FAILED, "contains characters that no token has", fix)
    return None


async def try_database(url: str | None) -> list[Check]:
    """Connect to the database, and check its version, the role's rights and TimescaleDB; None: the embedded one."""
    try:
        if url is None:
            await asyncio.to_thread(lambda: reachable(find_binaries(), server_user()))
            return [Check("database", CheckState.OK, "the embedded PostgreSQL can be started")]
        conninfo = settings.load({"DATABASE_URL": url}).conninfo or ""
        named = from_setting(conninfo, "DATABASE_URL")
        return [check async for check in check_database(named, database_name(named))]
    except SettingsError as error:
        return [_of_settings("database", error)]
    except TigerSlackError as error:
        return [Check.of_error("database", error)]


async def try_history_since(text: str) -> list[Check]:
    """Check that the text is "all", a date, or a duration before now."""
    try:
        settings.load({"TIGER_SLACK_HISTORY_SINCE": text})
    except SettingsError as error:
        return [_of_settings("history", error)]
    now = datetime.now(UTC)
    if text.lower() != "all" and parse_time(text, now, "history") > now:
        return [Check("history", CheckState.FAILED, "it would begin in the future")]
    return []


def _of_settings(name: str, error: SettingsError) -> Check:
    """The failed check of a value that a run would refuse. The error's first line introduces the problems."""
    _, *problems = error.args[0].splitlines()
    return Check(name, CheckState.FAILED, "\n".join(line.strip() for line in problems))
