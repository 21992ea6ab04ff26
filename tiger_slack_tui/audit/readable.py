"""Makes the texts of the audit trail readable: names in place of ids, and no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.markup import mentioned_ids, plain_beginning
from tiger_slack_tui.store.audit_events import EventPage, EventRow
from tiger_slack_tui.store.names import names_of
from tiger_slack_tui.store.preview import Example


async def readable_page(connection: Connection, page: EventPage) -> EventPage:
    """The page with texts as Slack shows them."""
    texts = await _readable(connection, [row.text for row in page.rows])
    rows: list[EventRow] = [
        replace(row, text=text) for row, text in zip(page.rows, texts, strict=True)
    ]
    return EventPage(tuple(rows), page.next)


async def readable_examples(
    connection: Connection, examples: Sequence[Example]
) -> tuple[Example, ...]:
    """The examples with texts as Slack shows them."""
    texts = await _readable(connection, [example.text for example in examples])
    return tuple(replace(example, text=text) for example, text in zip(examples, texts, strict=True))


async def _readable(connection: Connection, texts: Sequence[str | None]) -> list[str | None]:
    ids = set[str]().union(*(mentioned_ids(text) for text in texts if text))
    found = await names_of(connection, ids) if ids else {}
    names = {id_: name[1:] for id_, name in found.items()}  # without the # or @
    return [plain_beginning(text, names) if text else text for text in texts]
