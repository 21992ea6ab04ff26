"""Finds channels, users and types of events by what an operator writes: an id, a name, or a pattern with * and ?.

Each function raises NameUnknown, with the names that are like the given one, where nothing is found.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import scalar_row

from tiger_slack_tui.base.ids import ChannelId, UserId
from tiger_slack_tui.base.name_patterns import (
    NamePatterns,
    NameUnknown,
    closest,
    is_pattern,
    key,
    like_pattern,
    unknown_name,
)
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.events import KNOWN_TYPES
from tiger_slack_tui.slack.ts import parse_channel_link
from tiger_slack_tui.store.visible_channels import VisibleChannels, visible_parameter

_ID = re.compile(r"[A-Z][A-Z0-9]+")
"""An id of Slack. Names of channels and handles are in lower case."""
_LONG_ID = re.compile(r"[A-Z][A-Z0-9]{8,}")
"""An id of the length that Slack gives them, which is looked up no further."""
_MOST = 1000
"""Most channels or users that a pattern may match."""
_LIKE = 2000
"""Most names that are compared with an unknown one."""
_LISTED = 10
"""Most ids that an error lists."""
_COMPARED, _SUGGESTED = 12, 3
"""Most names that are like an unknown one, and most of these that are suggested: a person has up to three names."""


@dataclass(frozen=True, slots=True)
class _Kind:
    noun: str
    mark: str
    """The character that Slack puts before a name."""
    have_name: str
    """What several are said to do whose name is the same."""
    exact: LiteralString
    """The ids of the name."""
    pattern: LiteralString
    """The ids of names that are like the pattern."""
    near: LiteralString
    """Names with their ids: first those that contain the given one, then those of about its length."""


_CHANNEL = _Kind(
    "channel",
    "#",
    "have or had the name",
    exact="""
with named as
( select n.channel_id as id from slack.channel_name n where n.channel_name = %(name)s
  union
  select c.id from slack.channel c where c.channel_name = %(name)s
)
select n.id from named n
where slack.is_visible(n.id, %(visible)s::text[])
order by 1
""",
    pattern="""
with named as
( select n.channel_id as id from slack.channel_name n where lower(n.channel_name) like lower(%(name)s)
  union
  select c.id from slack.channel c
  where lower(c.channel_name) like lower(%(name)s)
  or lower(c.id) like lower(%(name)s)
)
select n.id from named n
where slack.is_visible(n.id, %(visible)s::text[])
order by 1
limit %(most)s
""",
    near="""
with named as
( select channel_name as name, channel_id as id from slack.channel_name
  union
  select channel_name, id from slack.channel
)
select '#' || n.name, n.id
from named n
where slack.is_visible(n.id, %(visible)s::text[])
order by position(lower(%(name)s) in lower(n.name)) = 0, abs(length(n.name) - length(%(name)s)), n.name
limit %(most)s
""",
)
_USER = _Kind(
    "user",
    "@",
    "have the name",
    exact="""
with named as
( select u.id, u.user_name = %(name)s as is_handle
  from slack."user" u
  where u.user_name = %(name)s
  or lower(%(name)s) in (lower(u.display_name), lower(u.real_name))
)
select n.id from named n
where n.is_handle or not exists (select from named h where h.is_handle)
order by 1
""",
    pattern="""
select u.id from slack."user" u
where lower(u.user_name) like lower(%(name)s)
or lower(u.display_name) like lower(%(name)s)
or lower(u.real_name) like lower(%(name)s)
or lower(u.id) like lower(%(name)s)
order by 1
limit %(most)s
""",
    near="""
select n.shown, u.id
from slack."user" u
cross join lateral
( values ('@' || u.user_name, u.user_name, 1), (u.display_name, u.display_name, 2), (u.real_name, u.real_name, 2)
) n (shown, name, place)
where n.name is not null
order by position(lower(%(name)s) in lower(n.name)) = 0, abs(length(n.name) - length(%(name)s)), n.place, n.shown
limit %(most)s
""",
)
# A loose scan of event_type_idx: one look-up for each type, however many events there are.
_TYPES: LiteralString = """
with recursive known (type) as
( select (select e.type from slack.event e where e.type is not null order by e.type limit 1)
  union all
  select (select e.type from slack.event e where e.type > k.type order by e.type limit 1)
  from known k
  where k.type is not null
)
select k.type from known k where k.type is not null limit %(most)s
"""
PERSON_NAME: LiteralString = (
    "coalesce(nullif(u.display_name, ''), nullif(u.real_name, ''), u.user_name)"
)
"""The name that every list and answer shows of a person, as Slack does: an expression over slack."user" u."""
_NAMES: LiteralString = f"""
select c.id, '#' || c.channel_name from slack.channel c where c.id = any (%(ids)s) and c.channel_name <> c.id
union all
select u.id, '@' || {PERSON_NAME} from slack."user" u where u.id = any (%(ids)s)
"""  # noqa: S608 our own text
_ALL_CHANNELS: LiteralString = """
select n.channel_name, n.channel_id
from slack.channel_name n
where to_jsonb(n) -> 'is_by_message' is distinct from 'true' -- older versions have no such column
union
select c.id, c.id from slack.channel c
order by 1, 2
"""


async def find_channel(
    connection: Connection, given: str, visible: VisibleChannels | None = None
) -> ChannelId:
    """The id of the one channel that has or had this id or name (with or without #), or to which this link leads.

    With `visible`, names of other channels are unknown, but an id is returned as it is.
    """
    bare = parse_channel_link(given) or given
    return ChannelId(await _one(connection, _CHANNEL, bare, visible))


async def find_user(connection: Connection, given: str) -> UserId:
    """The id of the one user with this id, handle (with or without @), display name or real name."""
    return UserId(await _one(connection, _USER, given))


async def find_channels(
    connection: Connection, given: Iterable[str], visible: VisibleChannels | None = None
) -> tuple[ChannelId, ...]:
    """The ids of all channels with these ids, names and links, and of those that match these patterns.

    Patterns also match ids and earlier names, in any case. `visible` is as for `find_channel`.
    """
    bare = [parse_channel_link(each) or each for each in given]
    return tuple(map(ChannelId, await _all(connection, _CHANNEL, bare, visible)))


async def find_users(connection: Connection, given: Iterable[str]) -> tuple[UserId, ...]:
    """As `find_channels`, for users. Patterns match handles, display names, real names and ids."""
    return tuple(map(UserId, await _all(connection, _USER, given)))


async def find_types(connection: Connection, given: Iterable[str]) -> tuple[str, ...]:
    """The types of events with these names, and those that match these patterns.

    A type is known if the audit trail has an event of it, or if this version processes it.
    """
    wanted = list(dict.fromkeys(given))
    if all(type_ in KNOWN_TYPES for type_ in wanted):
        return tuple(wanted)
    known = sorted({*await _column(connection, _TYPES, most=_MOST), *KNOWN_TYPES})
    found: dict[str, None] = {}
    for type_ in wanted:
        patterns = NamePatterns([type_])
        matching = [each for each in known if patterns.match(each)]
        if not matching:
            raise unknown_name("event type", type_, closest(type_, known))
        found |= dict.fromkeys(matching)
    return tuple(found)


async def marked_names(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The names of these channels (with #) and users (with @) by id, as far as they are known."""
    cursor = await connection.execute(_NAMES, {"ids": list(ids)})
    return dict(await cursor.fetchall())


async def channels_by_name(connection: Connection) -> dict[str, list[ChannelId]]:
    """The ids of channels by id and by every name that they have or had; empty if there are no tables yet.

    Names that come only from messages about a rename are left out: an export's own messages would add them too late
    for its first import, and in time for its second.
    """
    cursor = await connection.execute("select to_regclass('slack.channel_name') is not null")
    found: dict[str, list[ChannelId]] = {}
    if (await cursor.fetchone() or [False])[0]:
        async for name, channel in await connection.execute(_ALL_CHANNELS):
            found.setdefault(name, []).append(channel)
    return found


async def _all(
    connection: Connection,
    kind: _Kind,
    given: Iterable[str],
    visible: VisibleChannels | None = None,
) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in dict.fromkeys(given):
        named = _matching if is_pattern(text) else _named
        found |= dict.fromkeys(await named(connection, kind, text, visible))
    return tuple(found)


async def _one(
    connection: Connection, kind: _Kind, given: str, visible: VisibleChannels | None = None
) -> str:
    named = _matching if is_pattern(given) else _named
    ids = await named(connection, kind, given, visible)
    if len(ids) > 1:
        match = "match" if is_pattern(given) else kind.have_name
        more = ", …" if len(ids) > _LISTED else ""
        raise NameUnknown(
            f"Several {kind.noun}s {match} {given}.",
            hint=f"Use an id: {', '.join(ids[:_LISTED])}{more}",
        )
    return ids[0]


async def _named(
    connection: Connection, kind: _Kind, given: str, visible: VisibleChannels | None = None
) -> list[str]:
    """The ids with this name, or the given id. At least one."""
    if _LONG_ID.fullmatch(given):
        return [given]
    if _ID.fullmatch(given):  # an id, or a name in capitals
        lower = given.lower()
        return await _column(connection, kind.exact, lower, visible=visible) or [given]
    name = _bare(kind, given)
    if ids := await _column(connection, kind.exact, name, visible=visible):
        return ids
    values = {"name": name, "most": _LIKE, "visible": visible_parameter(visible)}
    near = await (await connection.execute(kind.near, values)).fetchall()
    # A thread compares them, because it takes milliseconds.
    meant = await asyncio.to_thread(_meant, given, near)
    raise unknown_name(kind.noun, given, meant)


def _meant(given: str, near: Iterable[tuple[str, str]]) -> list[str]:
    """The names that are most like the given one, one of each id."""
    ids: dict[str, str] = {}
    for name, id_ in near:
        ids.setdefault(name, id_)
    names: dict[str, str] = {}
    for name in closest(given, ids, most=_COMPARED):
        names.setdefault(ids[name], name)
    return list(names.values())[:_SUGGESTED]


async def _matching(
    connection: Connection, kind: _Kind, given: str, visible: VisibleChannels | None
) -> list[str]:
    pattern = like_pattern(_bare(kind, given))
    ids = await _column(connection, kind.pattern, pattern, most=_MOST + 1, visible=visible)
    if not ids:
        raise unknown_name(kind.noun, given, ())
    if len(ids) > _MOST:
        raise NameUnknown(
            f"More than {_MOST:,} {kind.noun}s match {given}.", hint="Write a narrower pattern."
        )
    return ids


def _bare(kind: _Kind, given: str) -> str:
    return key(given.removeprefix(kind.mark))


async def _column(
    connection: Connection,
    query: LiteralString,
    name: str = "",
    *,
    most: int = _MOST,
    visible: VisibleChannels | None = None,
) -> list[str]:
    values = {"name": name, "most": most, "visible": visible_parameter(visible)}
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
