"""Finds files whose content was merged before, so that they need not be read again."""

from __future__ import annotations

from collections.abc import Sequence

from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.import_account import Account, Reason
from tiger_slack_tui.store.import_contents import count_present, find_contents
from tiger_slack_tui.store.import_files import FileCheckpoint


async def accounts_of_known_files(
    connection: Connection, files: Sequence[FileCheckpoint], selection: ImportSelection
) -> dict[int, Account]:
    """The accounts that reading the files again would give, by index. Files that have to be read are left out.

    A file is known if its content was merged before, all its records are selected, and each of its messages is still
    stored or was deleted since. Merging it again would change nothing. Two kinds of such contents are read all the
    same, because nothing else gives their counts: those with a deleted message that had reactions, and, if the
    selection has dates, those with records about deletions.
    """
    contents = [
        content
        for content in await find_contents(connection, files)
        if selection.is_wanted(content.first_ts) and selection.is_wanted(content.last_ts)
    ]
    accounts = {}
    for channel in {content.channel_id for content in contents}:
        of_channel = [content for content in contents if content.channel_id == channel]
        counts = await count_present(connection, files, of_channel)
        for content in of_channel:
            if (found := counts.get(content.index)) is None:
                continue
            first = content.account
            if found.present + found.deleted != found.messages:
                continue
            if found.deleted and first.reactions:
                continue
            if selection.has_dates and Reason.DELETED.value in first.skipped:
                continue
            accounts[content.index] = _account_if_repeated(first, found.present)
    return accounts


def _account_if_repeated(first: Account, present: int) -> Account:
    """The account that merging the same content again would give."""
    skipped = {reason: n for reason, n in first.skipped.items() if reason != Reason.DELETED.value}
    # Records about deletions, and messages that were deleted since.
    deleted = first.read - present - sum(skipped.values())
    if deleted:
        skipped[Reason.DELETED.value] = deleted
    return Account(
        read=first.read, already_there=present, skipped=skipped, reactions=first.reactions
    )
