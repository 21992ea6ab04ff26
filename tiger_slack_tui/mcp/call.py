"""One call of a tool: what it reads from, what it may see, and its page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.audit.why import WaitingEvent
from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.ids import ChannelId, UserId
from tiger_slack_tui.base.name_patterns import NameUnknown, is_pattern, like_literal, like_pattern
from tiger_slack_tui.base.times import EARLIEST, LATEST, parse_period
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.cursors import CursorValues, decode_cursor, encode_cursor
from tiger_slack_tui.mcp.quoting import quote_name
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.search.completeness import completeness_note
from tiger_slack_tui.search.search import Message, describe
from tiger_slack_tui.store.conversations import gaps_between
from tiger_slack_tui.store.history import incomplete_channels
from tiger_slack_tui.store.names import find_channel, find_user
from tiger_slack_tui.store.readable_messages import ReadableMessage
from tiger_slack_tui.store.visible_channels import VisibleChannels

_ID = re.compile(r"[A-Z][A-Z0-9]{1,39}")
_MOST_GAPS = 100
NOT_INDEXED = (
    "Search has not indexed the whole history yet: messages that it lacks are missing here."
)


class ArgumentWrong(TigerSlackError):
    """An argument of a call cannot be used."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, in a transaction that only reads."""

    tool: str
    arguments: Mapping[str, Any]
    connection: Connection
    visible: VisibleChannels
    access: Access
    now: datetime
    spooled: tuple[WaitingEvent, ...] = ()
    """Events about the message in this machine's spool, for `why`."""

    def position(self, *kinds: type) -> CursorValues | None:
        """Where the page begins; None for the first page. Raises CursorWrong."""
        cursor = self.arguments.get("cursor")
        return decode_cursor(cursor, self.tool, self.arguments, kinds) if cursor else None

    def cursor(self, *position: str | float | None) -> str:
        """The cursor of the page that begins after the position."""
        return encode_cursor(self.tool, self.arguments, list(position))

    async def channel(self, given: str) -> ChannelId:
        """The id of a visible channel. A hidden one is as unknown as one that does not exist. Raises NameUnknown."""
        channel_id = await find_channel(self.connection, _text(given), self.visible)
        if channel_id not in self.visible:
            raise NameUnknown(
                f"There is no channel {given[:40]}, or it is not visible here.",
                hint="get_channels lists the visible channels.",
            )
        return channel_id

    async def user(self, given: str) -> UserId:
        """The id of a user. Raises NameUnknown."""
        return await find_user(self.connection, _text(given))

    async def message(self, channel: str, ts: str | None) -> tuple[ChannelId, MessageReference]:
        """The id of the visible channel, and the message. Raises ArgumentWrong and NameUnknown."""
        found = MessageReference.parse(channel, ts)
        if found is None:
            raise ArgumentWrong(
                "This names no message.",
                hint="Give channel and ts (1700000000.000100), or the permalink as channel and no ts.",
            )
        return await self.channel(found.channel), found

    def period(self, since: str | None, until: str | None) -> tuple[datetime, datetime]:
        """The period of the arguments since and until. Raises ArgumentWrong."""
        try:
            begin, end = parse_period(since, until, self.now, "")
        except SettingsError as error:
            raise ArgumentWrong(str(error.args[0]), hint=error.hint) from None
        return begin or EARLIEST, end or LATEST

    async def describe(self, messages: Sequence[ReadableMessage]) -> list[Message]:
        """The messages with names, plain text and links, as far as they are visible."""
        return await describe(self.connection, messages, self.visible)

    async def gap_note(
        self, since: datetime, until: datetime, channel_id: ChannelId | None = None
    ) -> str | None:
        """A note if the period touches open gaps, or the channel is known not to be complete for it."""
        note = None
        if channel_id is not None:
            incomplete = await incomplete_channels(
                self.connection,
                since=since,
                until=until,
                channels=[channel_id],
                visible=self.visible,
            )
            note = completeness_note(incomplete, lambda name: quote_name(name) or name)
        found = await gaps_between(
            self.connection,
            self.visible,
            since=since,
            until=until,
            channel_id=channel_id,
            n=_MOST_GAPS,
        )
        if not found:
            return note
        gap = found[0]
        ended = gap.ended_at.isoformat() if gap.ended_at else "now"
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return (
            f"Messages may be missing: no events were received from {gap.started_at.isoformat()} to"
            f" {ended}{more}. get_gaps lists such times." + (f" {note}" if note else "")
        )


def name_filter(name: str | None) -> tuple[str, str] | None:
    """What a name filter finds: the pattern of LIKE, and the id."""
    if not name:
        return None
    bare = _text(name).lstrip("#@")
    pattern = like_pattern(bare) if is_pattern(bare) else f"%{like_literal(bare)}%"
    return pattern, bare if _ID.fullmatch(bare) else ""


def _text(given: str) -> str:
    """The text, if PostgreSQL can take it. Raises ArgumentWrong."""
    try:
        fits = b"\0" not in given.encode() and len(given) <= 200
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise ArgumentWrong("A name is text of at most 200 characters.")
    return given
