"""Decides what each record of an export changes: it adds what is missing, and never beats newer or deleted state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow
from tiger_slack_tui.store.import_account import Account, Reason
from tiger_slack_tui.store.import_messages import DELETED, KnownMessages, MessageKey


class MergeRecord(NamedTuple):
    """A record of a file, or of Slack's history."""

    content: MessageRow | DeletionRow | Reason | None
    """The row; the reason why there is none; None if the record is outside the dates of the selection."""
    repair: str | None = None
    """What was repaired in it, because no database can hold it; None if nothing was."""
    file: int | None = None
    """The number of its file; None if it is of no file."""
    position: int = 0
    """In its file, from 1."""


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file. `failure` is why the rest of the file could not be read."""

    file: int
    failure: Reason | None = None


MergeItem = MergeRecord | FileEnd


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """Why a record was skipped or repaired; if `position` is None, what is wrong with the whole file."""

    file: int
    position: int | None
    reason: str


@dataclass(slots=True)
class Changes:
    """What a batch changes in the tables, and what became of its records."""

    inserts: dict[MessageKey, MessageRow] = field(default_factory=dict)
    updates: dict[MessageKey, MessageRow] = field(default_factory=dict)
    deletions: dict[MessageKey, DeletionRow] = field(default_factory=dict)
    reactions: dict[MessageKey, list[tuple[str, str]]] = field(default_factory=dict)
    """New reactions, by (user, name)."""
    channels: list[MessageRow] = field(default_factory=list)
    """Messages that report a new name, topic or purpose of their channel."""
    problems: list[RecordProblem] = field(default_factory=list)
    accounts: dict[int, Account] = field(default_factory=dict)
    """By file."""
    without_file: Account = field(default_factory=Account)
    """Of the records that are of no file."""
    positions: dict[int, int] = field(default_factory=dict)
    """By file, the last record that is accounted for."""
    times: dict[int, list[int]] = field(default_factory=dict)
    """By file, the ts of its messages that were not discarded."""
    ended: dict[int, Reason | None] = field(default_factory=dict)
    """The files that end in the batch, and why the rest of them could not be read."""

    def account_of(self, file: int | None) -> Account:
        """The account that counts the records of a file; None for those of no file."""
        if file is None:
            return self.without_file
        if (account := self.accounts.get(file)) is None:
            account = self.accounts[file] = Account()
            self.times[file] = []
        return account

    def add_problem(self, record: MergeRecord, reason: str) -> None:
        """Note why a record was skipped or repaired, if it is of a file."""
        if record.file is not None:
            self.problems.append(RecordProblem(record.file, record.position, reason))


def message_times(
    items: Iterable[MergeItem], discarded: Mapping[int, int]
) -> dict[ChannelId, list[int]]:
    """The ts of the batch's messages, by channel. `discarded` has the rule that discards an item, by its index."""
    times: defaultdict[ChannelId, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        if number in discarded or not isinstance(item, MergeRecord):
            continue
        content = item.content
        if isinstance(content, MessageRow | DeletionRow):
            times[content.channel.id].append(content.micros)
    return dict(times)


def decide(
    items: Sequence[MergeItem], discarded: Mapping[int, int], known: KnownMessages
) -> Changes:
    """What the items change. Updates `known` to the state after the changes."""
    changes = Changes()
    for number, item in enumerate(items):
        account = changes.account_of(item.file)
        if isinstance(item, FileEnd):
            changes.ended[item.file] = item.failure
            if item.failure is not None:
                changes.problems.append(RecordProblem(item.file, None, item.failure))
            continue
        content, repair, file, position = item
        account.read += 1
        if file is not None:
            changes.positions[file] = position
        bad_fields = content.bad_fields if isinstance(content, MessageRow) else ()
        if repair is not None or bad_fields:
            account.repaired += 1
            without = f"stored without bad values of {', '.join(bad_fields)}"
            reason = without if bad_fields else f"repaired: {repair}"
            changes.add_problem(item, reason)
        if isinstance(content, MessageRow):
            if content.changes_channel:
                changes.channels.append(content)  # even if a rule discards the message
            if number in discarded:
                account.discard(discarded[number])
                continue
            if file is not None:
                changes.times[file].append(content.micros)
            _merge_message(content, account, known, changes)
        elif content is None:
            account.filtered += 1
        elif isinstance(content, DeletionRow):
            account.skip(Reason.DELETED)
            _merge_deletion(content, known, changes)
        else:
            account.skip(content)
            if content.is_bad:
                changes.add_problem(item, content)
    return changes


def _merge_message(
    row: MessageRow, account: Account, known: KnownMessages, changes: Changes
) -> None:
    key = (row.channel.id, row.micros)
    version = known.versions.get(key)
    if version == DELETED:
        account.skip(Reason.DELETED)
        return
    has_new_reactions = False
    if row.reactions:
        account.reactions += len(row.reactions)
        has_new_reactions = _merge_reactions(key, row, known, changes)
    if version is None:
        account.inserted += 1
        changes.inserts[key] = row
    elif row.version > version:
        account.updated += 1
        (changes.inserts if key in changes.inserts else changes.updates)[key] = row
    else:
        if has_new_reactions:
            account.updated += 1
        else:
            account.already_there += 1
        return
    known.versions[key] = row.version


def _merge_reactions(
    key: MessageKey, row: MessageRow, known: KnownMessages, changes: Changes
) -> bool:
    """Add the unknown reactions; whether there are any. One that was removed since is known, and stays removed."""
    states = known.reactions.setdefault(key, {})
    new = [reaction for reaction in row.reactions if reaction not in states]
    if new:
        states.update((reaction, (row.micros, True)) for reaction in new)
        changes.reactions.setdefault(key, []).extend(new)
    return bool(new)


def _merge_deletion(row: DeletionRow, known: KnownMessages, changes: Changes) -> None:
    key = (row.channel.id, row.micros)
    if known.versions.get(key) == DELETED:
        return
    known.versions[key] = DELETED
    changes.deletions[key] = row
    for rows in (changes.inserts, changes.updates, changes.reactions):
        rows.pop(key, None)
