"""Updates complete_since and complete_until of the channels after gaps or the list of channels have changed."""

from __future__ import annotations

from collections.abc import Callable

from tiger_slack_tui.base.clock import Clock
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.web import CHANNEL_TYPES, Identity
from tiger_slack_tui.store import history

_SECONDS = 1.0
"""Seconds that one heartbeat may spend on it. The next one goes on."""


class ChannelHistory:
    """Brings channels up to date, some with each heartbeat. Every instance does so; repeating it is harmless."""

    def __init__(self, clock: Clock, identity: Callable[[], Identity | None]) -> None:
        """`identity` returns Slack's answer to auth.test; None while there is none."""
        self._clock = clock
        self._identity = identity
        self._gaps: str | None = None
        """The periods of the open gaps that the channels are brought up to date with."""
        self._after: str | None = ""
        """The channel before the next one to bring up to date; None if all are."""
        self._has_locked = False
        """Whether channels were left out, because somebody has locked their rows."""

    async def update(self, connection: Connection, gaps: str | None, *, is_connected: bool) -> None:
        """Continue for about a second. `gaps` has the periods of the open gaps. Raises psycopg.Error.

        Only a connected instance notes new channels: it hears them, if the app has the scope for their messages.
        """
        end = self._clock.elapsed() + _SECONDS
        if is_connected and (identity := self._identity()) is not None:
            kinds = identity.history_types
            known = None if len(kinds) == len(CHANNEL_TYPES) else kinds
            while await history.update_heard(connection, known):
                if self._clock.elapsed() > end:
                    return
        if gaps != self._gaps or (self._after is None and self._has_locked):
            self._gaps, self._after, self._has_locked = gaps, "", False
        while self._after is not None and self._clock.elapsed() <= end:
            refreshed = await history.refresh_heard(connection, self._after)
            self._after = refreshed.last
            self._has_locked = self._has_locked or refreshed.has_locked
