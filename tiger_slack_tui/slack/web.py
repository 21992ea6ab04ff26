"""The Web API calls that the ingestion makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from tiger_slack_tui.errors import SlackRefused, SlackUnavailable
from tiger_slack_tui.settings import SlackSettings

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


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot token speaks for."""

    team: str
    team_id: str
    user_id: str


class SlackWeb:
    """The calls, over one HTTP session. Tokens never appear in errors."""

    def __init__(self, settings: SlackSettings, session: aiohttp.ClientSession) -> None:
        self._bot = AsyncWebClient(
            settings.bot_token, base_url=settings.api_url, timeout=10, session=session
        )
        self._app = AsyncWebClient(
            settings.app_token, base_url=settings.api_url, timeout=10, session=session
        )

    async def identity(self) -> Identity:
        """auth.test. Raises SlackRefused where the bot token is not accepted, SlackUnavailable otherwise."""
        answer = await _call("auth.test", "SLACK_BOT_TOKEN", self._bot.auth_test)
        return Identity(str(answer["team"]), str(answer["team_id"]), str(answer["user_id"]))

    async def open_connection(self) -> str:
        """A new address for one WebSocket connection; it holds a ticket that is a secret and works once.

        Raises SlackRefused where the app token is not accepted, SlackUnavailable otherwise.
        """
        call = self._app.apps_connections_open
        answer = await _call(
            "apps.connections.open",
            "SLACK_APP_TOKEN",
            lambda: call(app_token=self._app.token or ""),
        )
        return str(answer["url"])


async def _call(
    method: str, token: str, call: Callable[[], Awaitable[AsyncSlackResponse]]
) -> AsyncSlackResponse:
    try:
        return await call()
    except SlackApiError as error:
        answer = getattr(error.response, "data", None)  # a page of HTML, where a proxy answers
        reason = str(answer.get("error") or "") if isinstance(answer, dict) else ""
        if reason in _FINAL:
            raise SlackRefused(
                f"Slack refused {method}: {reason} ({_FINAL[reason]})",
                hint=f"Check {token} on the app's page at Slack; after a change of scopes, reinstall the app.",
            ) from None
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
        KeyError,
    ) as error:
        raise SlackUnavailable(
            f"Slack was not reached for {method}: {type(error).__name__}"
        ) from None


def _retry_after(error: SlackApiError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    value = {str(name).lower(): str(value) for name, value in headers.items()}.get(
        "retry-after", ""
    )
    return float(value) if value.isdigit() else None
