"""Decides what each record of an export changes: what is missing is added, what is newer or deleted stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tiger_slack_tui.imports.merge.rows import DeletionRow, MessageRow
from tiger_slack_tui.store.import_account import Account, Reason

MessageKey = tuple[str, int]
"""A message: channel id and ts. All times here are microseconds since 1970: nothing is as quick."""
Version = tuple[int, str]
"""Of two contents of one message the one with the greater version counts: event_ts and event_id."""
Reactions = dict[tuple[str, str], tuple[int, bool]]
"""By (user, name): since when, and whether it is present."""

DELETED: Final[Version] = (1 << 63, "")
"""The version of a deleted message: nothing is newer."""


class FileRecord(NamedTuple):
    """A record on its way: from which file, and what it says. `position` counts from 1."""

    file: int
    position: int
    what: MessageRow | DeletionRow | Reason | None
    """A row, why there is none, or None where the record is outside the dates."""
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file, and why the rest of it could not be read."""

    file: int
    failure: Reason | None = None


MergeItem = FileRecord | FileEnd


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """Something that was skipped as bad, or repaired. `position` is None for the file itself."""

    file: int
    position: int | None
    reason: str


@dataclass(slots=True)
class KnownMessages:
    """What the database knows of the messages of a batch."""

    versions: dict[MessageKey, Version] = field(default_factory=dict)
    reactions: dict[MessageKey, Reactions] = field(default_factory=dict)

    def add_version(self, key: MessageKey, version: Version) -> None:
        self.versions[key] = max(version, self.versions.get(key, version))


@dataclass(slots=True)
class Changes:
    """What a batch does to the tables, and what became of its records."""

    inserts: dict[MessageKey, MessageRow] = field(default_factory=dict)
    updates: dict[MessageKey, MessageRow] = field(default_factory=dict)
    deletions: dict[MessageKey, DeletionRow] = field(default_factory=dict)
    reactions: dict[MessageKey, list[tuple[str, str]]] = field(default_factory=dict)
    """Reactions that are not known, by (user, name)."""
    channels: list[MessageRow] = field(default_factory=list)
    """Messages that tell of a change of their channel."""
    problems: list[RecordProblem] = field(default_factory=list)
    accounts: dict[int, Account] = field(default_factory=dict)
    """By file."""
    positions: dict[int, int] = field(default_factory=dict)
    """By file, the last record that is accounted for."""
    times: dict[int, list[int]] = field(default_factory=dict)
    """By file, the ts of its messages that were not discarded."""
    ended: dict[int, Reason | None] = field(default_factory=dict)
    """Files that end in the batch, and why the rest could not be read."""


def about_messages(
    items: Iterable[MergeItem], discarded: Mapping[int, int]
) -> dict[str, list[int]]:
    """The ts of the messages that a batch is about, by channel. `discarded` has the rule by the item's index."""
    about: defaultdict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        if number in discarded or not isinstance(item, FileRecord):
            continue
        if isinstance(item.what, MessageRow | DeletionRow):
            about[item.what.channel.id].append(item.what.micros)
    return dict(about)


def decide(
    items: Sequence[MergeItem], discarded: Mapping[int, int], known: KnownMessages
) -> Changes:
    """What the items change. `known` then also knows of these changes."""
    changes = Changes()
    for number, item in enumerate(items):
        if (account := changes.accounts.get(item.file)) is None:
            account = changes.accounts[item.file] = Account()
            changes.times[item.file] = []
        if isinstance(item, FileEnd):
            changes.ended[item.file] = item.failure
            if item.failure is not None:
                changes.problems.append(RecordProblem(item.file, None, item.failure))
            continue
        file, position, what, is_repaired = item
        account.read += 1
        changes.positions[file] = position
        bad_fields = what.bad_fields if isinstance(what, MessageRow) else ()
        if is_repaired or bad_fields:
            account.repaired += 1
            reason = f"stored without bad values of {', '.join(bad_fields)}"
            changes.problems.append(
                RecordProblem(file, position, reason if bad_fields else "repaired")
            )
        if isinstance(what, MessageRow):
            if what.changes_channel:
                changes.channels.append(what)  # also where the message itself is not stored
            if number in discarded:
                account.discard(discarded[number])
                continue
            changes.times[file].append(what.micros)
            _message(what, account, known, changes)
        elif what is None:
            account.filtered += 1
        elif isinstance(what, DeletionRow):
            account.skip(Reason.DELETED)
            _delete(what, known, changes)
        else:
            account.skip(what)
            if what.is_bad:
                changes.problems.append(RecordProblem(file, position, what))
    return changes


def _message(row: MessageRow, account: Account, known: KnownMessages, changes: Changes) -> None:
    key = (row.channel.id, row.micros)
    version = known.versions.get(key)
    if version == DELETED:
        account.skip(Reason.DELETED)
        return
    has_new_reactions = False
    if row.reactions:
        account.reactions += len(row.reactions)
        has_new_reactions = _react(key, row, known, changes)
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


def _react(key: MessageKey, row: MessageRow, known: KnownMessages, changes: Changes) -> bool:
    """Take the reactions that nothing is known of. One that was removed since stays away."""
    states = known.reactions.setdefault(key, {})
    new = [who for who in row.reactions if who not in states]
    if new:
        states.update((who, (row.micros, True)) for who in new)
        changes.reactions.setdefault(key, []).extend(new)
    return bool(new)


def _delete(row: DeletionRow, known: KnownMessages, changes: Changes) -> None:
    key = (row.channel.id, row.micros)
    if known.versions.get(key) == DELETED:
        return
    known.versions[key] = DELETED
    changes.deletions[key] = row
    for rows in (changes.inserts, changes.updates, changes.reactions):
        rows.pop(key, None)
