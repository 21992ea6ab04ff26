"""The calls of Slack's Web API that the program makes."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from tiger_slack_tui.base.clock import Clock, PeerClock, SystemClock
from tiger_slack_tui.base.errors import (
    SlackAbsent,
    SlackCursorExpired,
    SlackDenied,
    SlackRefused,
    SlackScopeMissing,
    SlackUnavailable,
)
from tiger_slack_tui.base.ids import ChannelId, SlackTs, TeamId, UserId
from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.slack.payload import decode, peer_text
from tiger_slack_tui.slack.unreached import unreached

log = logging.getLogger(__name__)

_PAGE = 999  # the list methods take a limit below 1000
MESSAGES_PAGE = 200  # what Slack recommends for history and replies

CALL_SECONDS = 10.0
"""Most seconds of silence of Slack, and most seconds of a call with a short answer."""
LIST_SECONDS = 120.0
"""Most seconds of a page of a list, from the DNS look-up to the last byte. It can have many megabytes."""
BY_HAND_FAILURES = 3
"""Calls without an answer after which a command by hand gives up. They take about 3 s, or 30 s if Slack is silent."""
MOST_BYTES = 64 << 20
"""Most bytes of an answer that is read. A page of the 200 longest messages has about 40 MB."""
_LONGEST_ADDRESS = 8000
_LONGEST_CURSOR = 2000

_LONGEST_WAIT = 1e9
"""Seconds. A larger number counts as this one."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")

# Errors that a retry cannot fix: https://docs.slack.dev/reference/methods/apps.connections.open
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

# Those of them that can concern only the requested channel or method.
_DENIED = {
    "access_denied": SlackDenied,
    "missing_scope": SlackScopeMissing,
    "no_permission": SlackDenied,
    "team_access_not_granted": SlackDenied,
}

# Errors that concern only the requested channel or thread.
_ABSENT = {
    "channel_not_found": "the channel does not exist, or the app is not in it: invite it",
    "not_in_channel": "the app is not in the channel: invite it",
    "thread_not_found": "the thread does not exist",
    "is_archived": "the channel is archived",
    "method_not_supported_for_channel_type": "such a channel has no history for apps",
}
# Errors that can pass, in words.
_PASSING = {
    "fatal_error": "an error in Slack",
    "internal_error": "an error in Slack",
    "rate_limited": "too many calls",
    "ratelimited": "too many calls",
    "request_timeout": "Slack did not get the whole request",
    "service_unavailable": "Slack is down",
}
_RATE_LIMIT = ("ratelimited", "rate_limited")
"""Slack also sends them with HTTP 200."""
_TOO_MANY = 429
CONVERSATION_TYPES = {
    "public_channel": "channels",
    "private_channel": "groups",
    "im": "im",
    "mpim": "mpim",
}
"""Kinds of conversations, and the prefix of their scopes."""
CHANNEL_TYPES = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
"""The same kinds, as slack.channel.channel_type names them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Slack's answer to auth.test: the owner of the bot token, and its scopes."""

    team: str
    team_id: TeamId
    user_id: UserId
    scopes: frozenset[str] | None
    """The token's scopes; None if Slack did not send them."""
    server_time: float | None
    """Slack's clock, in whole seconds since 1970."""
    url: str | None = None
    """The workspace's address, with a slash at its end."""

    @property
    def history_types(self) -> list[str]:
        """The types of channels, as in CHANNEL_TYPES, whose messages Slack sends to the app and shows in its history.

        All if the scopes are not known.
        """
        return [
            kind
            for kind, name in CHANNEL_TYPES.items()
            if self.scopes is None or f"{name}:history" in self.scopes
        ]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: Slack's objects, in a form that jsonb takes, and the cursor of the next page."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    has_more: bool = False
    """Of messages: whether there are more in the requested time."""
    is_limited: bool = False
    """Of messages: whether Slack hides older ones, because of the workspace's plan."""


class SlackWeb:
    """The calls, over one HTTP session. Errors never contain a token.

    A call ends at the latest `seconds` after the last byte from Slack. In all, a page of a list takes at most
    `list_seconds`, and another call `seconds`. A call raises SlackRefused if a retry cannot help, SlackUnavailable
    for all other failures, and no other error. After `give_up_after` calls in a row that Slack did not answer, errors
    are final: a person waits for the command.
    """

    def __init__(
        self,
        settings: SlackSettings,
        session: aiohttp.ClientSession,
        *,
        seconds: float = CALL_SECONDS,
        list_seconds: float = LIST_SECONDS,
        give_up_after: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.time = PeerClock(clock or SystemClock())
        """Slack's wall clock, from the header Date of its answers."""
        guarded = cast(aiohttp.ClientSession, _Guarded(session, seconds))
        self._seconds = seconds
        self._list_seconds = list_seconds
        self._url = settings.api_url
        self._give_up_after = give_up_after
        self._unanswered = 0
        self._bot = AsyncWebClient(settings.bot_token, base_url=settings.api_url, session=guarded)
        self._app = AsyncWebClient(settings.app_token, base_url=settings.api_url, session=guarded)

    def never_give_up(self) -> None:
        """From now on no error is final because Slack did not answer: work begins that takes hours."""
        self._give_up_after = None

    async def identity(self) -> Identity:
        """Call auth.test: the owner of the bot token."""
        answer = await self._call("auth.test", "SLACK_BOT_TOKEN", self._bot.auth_test)
        team_id = peer_text(answer.get("team_id"))
        if not team_id:
            raise _improper("auth.test", "it names no workspace")
        headers = _headers(answer.headers)
        scopes = headers.get("x-oauth-scopes")
        return Identity(
            peer_text(answer.get("team")) or team_id,
            TeamId(team_id),
            UserId(peer_text(answer.get("user_id"))),
            None if scopes is None else frozenset(filter(None, re.split(r"[,\s]+", scopes))),
            _time(headers.get("date", "")),
            _url(answer.get("url")),
        )

    async def users_page(self, cursor: str | None) -> Page:
        """A page of users.list, from the cursor or the beginning. A page before the last can be short or empty."""
        call = self._bot.users_list
        answer = await self._list(
            "users.list", "SLACK_BOT_TOKEN", lambda: call(cursor=cursor, limit=_PAGE)
        )
        return _page("users.list", answer, "members")

    async def channels_page(self, cursor: str | None) -> Page:
        """A page of conversations.list: all public channels, and the private ones that the app is in."""
        call = self._bot.conversations_list
        answer = await self._list(
            "conversations.list",
            "SLACK_BOT_TOKEN",
            lambda: call(cursor=cursor, limit=_PAGE, types="public_channel,private_channel"),
        )
        return _page("conversations.list", answer, "channels")

    async def own_conversations_page(self, kinds: Iterable[str], cursor: str | None) -> Page:
        """A page of users.conversations: conversations of these kinds that the app is a member of."""
        call, types = self._bot.users_conversations, ",".join(kinds)
        answer = await self._list(
            "users.conversations",
            "SLACK_BOT_TOKEN",
            lambda: call(cursor=cursor, limit=200, types=types),
        )
        return _page("users.conversations", answer, "channels")

    async def join(self, channel: ChannelId) -> None:
        """Call conversations.join: the app becomes a member of a public channel, or stays one.

        Raises SlackAbsent for a channel that the app cannot join.
        """
        call = self._bot.conversations_join
        await self._call("conversations.join", "SLACK_BOT_TOKEN", lambda: call(channel=channel))

    async def history_page(
        self,
        channel: ChannelId,
        *,
        oldest: SlackTs,
        latest: SlackTs,
        cursor: str | None,
        limit: int = MESSAGES_PAGE,
    ) -> Page:
        """A page of conversations.history, the newest first, without replies; both times (Slack's ts) included.

        Raises SlackAbsent if Slack does not show the channel.
        """
        call = self._bot.conversations_history
        answer = await self._list(
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
        return _page("conversations.history", answer, "messages")

    async def replies_page(
        self,
        channel: ChannelId,
        thread: SlackTs,
        *,
        oldest: SlackTs,
        latest: SlackTs,
        cursor: str | None,
    ) -> Page:
        """A page of conversations.replies: a thread's replies in this time, and always its parent.

        Raises SlackAbsent if Slack does not show the channel or the thread.
        """
        call = self._bot.conversations_replies
        answer = await self._list(
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
        return _page("conversations.replies", answer, "messages")

    async def open_connection(self) -> str:
        """A new URL for one WebSocket connection. It contains a ticket, which is a secret and works once."""
        call = self._app.apps_connections_open
        answer = await self._call(
            "apps.connections.open",
            "SLACK_APP_TOKEN",
            lambda: call(app_token=self._app.token or ""),
        )
        url = answer.get("url")
        if not isinstance(url, str) or not url.startswith(("wss://", "ws://")):
            raise _improper("apps.connections.open", "it contains no URL")
        if len(url) > _LONGEST_ADDRESS:
            raise _improper("apps.connections.open", "its URL is too long")
        return url

    async def _list(
        self, method: str, token: str, call: Callable[[], Awaitable[AsyncSlackResponse]]
    ) -> AsyncSlackResponse:
        """As `_call`, for a long answer."""
        return await self._call(method, token, call, most=self._list_seconds)

    async def _call(
        self,
        method: str,
        token: str,
        call: Callable[[], Awaitable[AsyncSlackResponse]],
        *,
        most: float | None = None,
    ) -> AsyncSlackResponse:
        """Make a call. Returns the answer if the call succeeded. Takes at most `most` seconds."""
        try:
            async with asyncio.timeout(most or self._seconds) as limit:
                answer = await call()
        except SlackUnavailable:
            raise
        except SlackApiError as error:
            self._unanswered = 0
            raise _failure(method, token, cast(AsyncSlackResponse, error.response)) from None
        except TimeoutError:
            if most is not None and limit.expired():
                raise SlackUnavailable(
                    f"Slack's answer to {method} was not complete within {most:g} s"
                ) from None
            silent = f"Slack did not answer {method} within {self._seconds:g} s: network or proxy?"
            raise self._counted(SlackUnavailable(silent)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._counted(unreached(self._url, error)) from None
        except Exception as error:  # a peer can make the library fail in any way
            raise SlackUnavailable(
                f"Slack's answer to {method} could not be read: {where(error)}"
            ) from None
        self._unanswered = 0
        if answer.get("ok") is not True:
            raise _improper(method, "it says neither success nor failure")
        if (now := _time(_headers(answer.headers).get("date", ""))) is not None:
            self.time.observe(now)
        return answer

    def _counted(self, error: SlackUnavailable) -> SlackUnavailable:
        """The error of a call without an answer; after `give_up_after` of them in a row, one that ends retries."""
        self._unanswered += 1
        error.is_final = self._unanswered >= (self._give_up_after or math.inf)
        return error


class _Guarded:
    """An HTTP session for slack_sdk that is safe against any answer.

    An answer has a maximum size and is read by `decode`. An answer that is not a JSON object becomes {}, which
    slack_sdk treats as a failed call. Redirects are not followed: the Web API has none, and a proxy's log-in page
    must not get the token. After `seconds` without a byte, a request raises TimeoutError.
    """

    def __init__(self, session: aiohttp.ClientSession, seconds: float) -> None:
        self._session = session
        self._seconds = seconds

    @property
    def closed(self) -> bool:
        return self._session.closed

    @asynccontextmanager
    async def request(self, verb: str, url: str, **arguments: Any) -> AsyncIterator[_Response]:
        yield await self._answer(verb, url, **arguments)

    async def _answer(self, verb: str, url: str, **arguments: Any) -> _Response:
        clock = asyncio.get_running_loop().time
        async with (
            asyncio.timeout(self._seconds) as silence,
            self._session.request(verb, url, allow_redirects=False, **arguments) as response,
        ):
            body = bytearray()
            async for piece in response.content.iter_any():
                silence.reschedule(clock() + self._seconds)
                body += piece
                if len(body) > MOST_BYTES:
                    raise SlackUnavailable(
                        f"Slack's answer is longer than {MOST_BYTES >> 20} MB: it was not read"
                    )
            return _Response(response.status, response.headers, body)


@dataclass(frozen=True, slots=True)
class _Response:
    """The parts of a response that slack_sdk uses."""

    status: int
    headers: Mapping[str, str]
    body: bytearray
    content_type: str = "application/json"
    """Fixed, because slack_sdk reads other types without a limit."""

    async def json(self) -> dict[str, Any]:
        try:
            value = decode(self.body.decode(errors="replace"))
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def _page(method: str, answer: AsyncSlackResponse, name: str) -> Page:
    """The page in the answer. Raises SlackUnavailable if it has none: an empty page would end the list early."""
    found = answer.get(name)
    metadata = answer.get("response_metadata") or {}
    cursor = metadata.get("next_cursor") or "" if isinstance(metadata, dict) else None
    if not isinstance(found, list):
        raise _improper(method, f"it contains no {name}")
    if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR:
        raise _improper(method, "its cursor is not valid")
    items = [item for item in found if isinstance(item, dict)]
    if len(items) < len(found):
        log.warning(
            "%s: %d items that are not objects were dropped", method, len(found) - len(items)
        )
    return Page(
        items, cursor or None, answer.get("has_more") is True, answer.get("is_limited") is True
    )


def _improper(method: str, why: str) -> SlackUnavailable:
    return SlackUnavailable(f"Slack's answer to {method} is not valid: {why}")


def _failure(method: str, token: str, answer: AsyncSlackResponse) -> Exception:
    """The error for the answer of a failed call."""
    data: Any = answer.data
    reason = peer_text(data.get("error")) if isinstance(data, dict) else ""
    if reason in _FINAL:
        needed = peer_text(data.get("needed")) if reason == "missing_scope" else ""
        meaning = f"the app lacks the scope {needed}" if needed else _FINAL[reason]
        refusal = _DENIED.get(reason, SlackRefused)
        return refusal(
            f"Slack refused {method}: {reason} ({meaning})",
            hint=f"Check {token} on the app's page at Slack; after a change of scopes, reinstall the app.",
        )
    if reason in _ABSENT:
        return SlackAbsent(f"Slack refused {method}: {reason} ({_ABSENT[reason]})", reason=reason)
    if reason == "invalid_cursor":
        return SlackCursorExpired(f"Slack refused {method}: {reason} (the cursor has expired)")
    is_rate_limit = reason in _RATE_LIMIT or answer.status_code == _TOO_MANY
    if reason in _PASSING:
        reason = f"{reason} ({_PASSING[reason]})"
    return SlackUnavailable(
        f"Slack could not serve {method}: {reason or f'no proper answer, HTTP {answer.status_code}'}",
        retry_after=parse_retry_after(answer.headers),
        is_rate_limit=is_rate_limit,
    )


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Slack asks to wait, with no maximum; None if it asks for none, or the value is not a time.

    Slack sends seconds. A proxy can send a date, which is compared with the answer's own.
    """
    found = _headers(headers)
    value = found.get("retry-after", "")
    if _SECONDS.fullmatch(value):
        return min(float(value), _LONGEST_WAIT) or None
    until, now = _time(value), _time(found.get("date", ""))
    return until - now if until is not None and now is not None and until > now else None


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {str(name).lower(): peer_text(value, 8000) for name, value in headers.items()}


def _url(value: object) -> str | None:
    """An https address, with a slash at its end; None for anything else."""
    url = peer_text(value)
    return f"{url.rstrip('/')}/" if re.fullmatch(r"https://[A-Za-z0-9.-]{1,200}/?", url) else None


def _time(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, ArithmeticError, OSError, LookupError, TypeError):
        return None
