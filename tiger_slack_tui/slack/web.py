"""The Web API calls that the ingestion and its jobs make."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from tiger_slack_tui.errors import SlackAbsent, SlackRefused, SlackUnavailable
from tiger_slack_tui.settings import SlackSettings
from tiger_slack_tui.slack.payload import clean

_PAGE = 999  # the list methods take less than 1000
MESSAGES_PAGE = 200  # what Slack recommends for history and replies

_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")

# Reasons that another try cannot mend: https://docs.slack.dev/reference/methods/apps.connections.open
_FINAL = {
    "access_denied": "the token may not do this",
    "account_inactive": "the token belongs to a deleted user or workspace",
    "app_token_required": "the method needs an app-level token",
    "forbidden_team": "the workspace does not allow it",
    "invalid_auth": "the token is not valid",
    "missing_scope": "the app lacks a scope",
    "no_permission": "the token may not do this",
    "not_allowed_token_type": "the token is of the wrong kind",
    "not_authed": "no token was sent",
    "team_access_not_granted": "the app has no access to this workspace",
    "token_expired": "the token has expired",
    "token_revoked": "the token was revoked",
}

# Reasons that concern the one channel or thread that was asked for.
_ABSENT = frozenset(
    {
        "channel_not_found",
        "not_in_channel",
        "thread_not_found",
        "method_not_supported_for_channel_type",
    }
)
CONVERSATION_TYPES = {
    "public_channel": "channels",
    "private_channel": "groups",
    "im": "im",
    "mpim": "mpim",
}
"""Kinds of conversations, and what the names of their scopes begin with."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot token speaks for, and what Slack said beside it."""

    team: str
    team_id: str
    user_id: str
    scopes: frozenset[str] | None
    """What the token may do; None where Slack did not say."""
    server_time: float | None
    """Slack's clock, in whole seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: objects as Slack sends them, fit for jsonb, and where the next page begins."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    has_more: bool = False
    """Of messages: whether there are more in the time asked for."""
    is_limited: bool = False
    """Of messages: whether Slack hides older ones, because of the workspace's plan."""


class SlackWeb:
    """The calls, over one HTTP session. Tokens never appear in errors.

    Each raises SlackRefused where another try cannot help, SlackUnavailable otherwise.
    """

    def __init__(self, settings: SlackSettings, session: aiohttp.ClientSession) -> None:
        self._bot = AsyncWebClient(
            settings.bot_token, base_url=settings.api_url, timeout=10, session=session
        )
        self._app = AsyncWebClient(
            settings.app_token, base_url=settings.api_url, timeout=10, session=session
        )

    async def identity(self) -> Identity:
        """auth.test: whether the bot token is accepted, and by whom."""
        answer = await _call("auth.test", "SLACK_BOT_TOKEN", self._bot.auth_test)
        headers = _headers(answer)
        scopes = headers.get("x-oauth-scopes")
        return Identity(
            str(answer["team"]),
            str(answer["team_id"]),
            str(answer["user_id"]),
            None if scopes is None else frozenset(filter(None, re.split(r"[,\s]+", scopes))),
            _time(headers.get("date", "")),
        )

    async def users_page(self, cursor: str | None) -> Page:
        """A page of users.list, from the cursor or the beginning. Pages can be short, and empty before the end."""
        call = self._bot.users_list
        answer = await _call(
            "users.list", "SLACK_BOT_TOKEN", lambda: call(cursor=cursor, limit=_PAGE)
        )
        return _page(answer, "members")

    async def channels_page(self, cursor: str | None) -> Page:
        """A page of conversations.list with all public channels, and the private ones that the app is in."""
        call = self._bot.conversations_list
        answer = await _call(
            "conversations.list",
            "SLACK_BOT_TOKEN",
            lambda: call(cursor=cursor, limit=_PAGE, types="public_channel,private_channel"),
        )
        return _page(answer, "channels")

    async def own_conversations_page(self, kinds: Iterable[str], cursor: str | None) -> Page:
        """A page of users.conversations: those of CONVERSATION_TYPES that the app is a member of."""
        call, types = self._bot.users_conversations, ",".join(kinds)
        answer = await _call(
            "users.conversations",
            "SLACK_BOT_TOKEN",
            lambda: call(cursor=cursor, limit=200, types=types),
        )
        return _page(answer, "channels")

    async def history_page(
        self,
        channel: str,
        *,
        oldest: str,
        latest: str,
        cursor: str | None,
        limit: int = MESSAGES_PAGE,
    ) -> Page:
        """A page of conversations.history, the newest first, without replies; both times (Slack's ts) included.

        Raises SlackAbsent where the channel is not shown.
        """
        call = self._bot.conversations_history
        answer = await _call(
            "conversations.history",
            "SLACK_BOT_TOKEN",
            lambda: call(
                channel=channel,
                oldest=oldest,
                latest=latest,
                inclusive=True,
                cursor=cursor,
                limit=limit,
            ),
        )
        return _page(answer, "messages")

    async def replies_page(
        self, channel: str, thread: str, *, oldest: str, latest: str, cursor: str | None
    ) -> Page:
        """A page of conversations.replies: a thread's replies in the time given, and its parent in any case.

        Raises SlackAbsent where channel or thread are not shown.
        """
        call = self._bot.conversations_replies
        answer = await _call(
            "conversations.replies",
            "SLACK_BOT_TOKEN",
            lambda: call(
                channel=channel,
                ts=thread,
                oldest=oldest,
                latest=latest,
                inclusive=True,
                cursor=cursor,
                limit=MESSAGES_PAGE,
            ),
        )
        return _page(answer, "messages")

    async def open_connection(self) -> str:
        """A new address for one WebSocket connection; it holds a ticket that is a secret and works once."""
        call = self._app.apps_connections_open
        answer = await _call(
            "apps.connections.open",
            "SLACK_APP_TOKEN",
            lambda: call(app_token=self._app.token or ""),
        )
        return str(answer["url"])


def _page(answer: AsyncSlackResponse, name: str) -> Page:
    items: Any = clean(answer.get(name) or [])
    cursor = (answer.get("response_metadata") or {}).get("next_cursor")
    return Page(
        [item for item in items if isinstance(item, dict)],
        cursor or None,
        bool(answer.get("has_more")),
        bool(answer.get("is_limited")),
    )


async def _call(
    method: str, token: str, call: Callable[[], Awaitable[AsyncSlackResponse]]
) -> AsyncSlackResponse:
    try:
        answer = await call()
        if not isinstance(answer.data, dict):
            raise SlackUnavailable(f"Slack could not serve {method}: no proper answer")
        return answer
    except SlackApiError as error:
        data = getattr(error.response, "data", None)  # a page of HTML, where a proxy answers
        reason = str(data.get("error") or "") if isinstance(data, dict) else ""
        if reason in _FINAL:
            raise SlackRefused(
                f"Slack refused {method}: {reason} ({_FINAL[reason]})",
                hint=f"Check {token} on the app's page at Slack; after a change of scopes, reinstall the app.",
            ) from None
        if reason in _ABSENT:
            raise SlackAbsent(f"Slack refused {method}: {reason}", reason=reason) from None
        raise SlackUnavailable(
            f"Slack could not serve {method}: {reason or 'no proper answer'}",
            retry_after=_retry_after(error),
        ) from None
    except (
        aiohttp.ClientError,
        SlackClientError,
        TimeoutError,
        OSError,
        ValueError,
        LookupError,
        AttributeError,  # slack_sdk takes every JSON for an object
        TypeError,
    ) as error:
        raise SlackUnavailable(
            f"Slack was not reached for {method}: {type(error).__name__}"
        ) from None


def _retry_after(error: SlackApiError) -> float | None:
    """The seconds to wait; None where Slack asked for none, or not in seconds."""
    value = _headers(error.response).get("retry-after", "")
    return (float(value) or None) if _SECONDS.fullmatch(value) else None


def _headers(answer: object) -> dict[str, str]:
    headers = getattr(answer, "headers", None) or {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _time(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
