"""Makes the texts of the audit trail readable: names in place of ids, and no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from tiger_slack_tui.audit.preview import Preview
from tiger_slack_tui.audit.why import MessageTrail
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.markup import mentioned_ids, plain_beginning
from tiger_slack_tui.store.audit_events import EventPage, EventRow
from tiger_slack_tui.store.message_trail import MessageOfSecond, StoredMessage
from tiger_slack_tui.store.names import marked_names
from tiger_slack_tui.store.preview import Example

RowT = TypeVar("RowT", EventRow, Example, MessageOfSecond, StoredMessage)


async def readable_rows(connection: Connection, rows: Sequence[RowT]) -> list[RowT]:
    """The rows with texts as Slack shows them."""
    ids = set[str]().union(*(mentioned_ids(row.text) for row in rows if row.text))
    found = await marked_names(connection, ids) if ids else {}
    names = {id_: name[1:] for id_, name in found.items()}  # without the # or @
    return [replace(row, text=row.text and plain_beginning(row.text, names)) for row in rows]


async def readable_page(connection: Connection, page: EventPage) -> EventPage:
    """The page with texts as Slack shows them."""
    return EventPage(tuple(await readable_rows(connection, page.rows)), page.next)


async def readable_preview(connection: Connection, preview: Preview) -> Preview:
    """The preview with examples as Slack shows them."""
    stored = await readable_rows(connection, preview.stored.examples)
    recent = await readable_rows(connection, preview.recent.examples)
    return replace(
        preview,
        stored=replace(preview.stored, examples=tuple(stored)),
        recent=replace(preview.recent, examples=tuple(recent)),
    )


async def readable_trail(
    connection: Connection, found: MessageTrail | list[MessageOfSecond]
) -> MessageTrail | list[MessageOfSecond]:
    """What is known about a message, with its text as Slack shows it."""
    if isinstance(found, list):
        return await readable_rows(connection, found)
    if found.message is None:
        return found
    [message] = await readable_rows(connection, [found.message])
    return replace(found, message=message)
