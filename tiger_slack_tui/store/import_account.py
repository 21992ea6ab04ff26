"""Counts of an import's records by outcome. The outcomes add up to the records read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple


class Reason(StrEnum):
    """Why a record, or the rest of a file, was skipped."""

    DELETED = "deleted in Slack"
    PLACEHOLDER = "empty placeholder"
    NO_OBJECT = "no JSON object"
    NO_ID = "object without an id"
    NO_MESSAGE = "not a message"
    NO_TS = "no usable ts"
    NO_TARGET = "tells of another message"
    BAD_UTF8 = "invalid UTF-8"
    BAD_RECORD = "malformed record"
    TOO_LONG = "longer than 64 MiB"
    REFUSED = "refused by the database"
    # Reasons for files:
    EMPTY = "empty file"
    BAD_JSON = "malformed JSON"
    NO_ARRAY = "not a JSON array"
    DAMAGED = "damaged in the archive"
    UNSUPPORTED = "packed by a method that cannot be read"
    UNREADABLE = "cannot be read"
    CRASHED = "ended the process that read it"

    @property
    def is_bad(self) -> bool:
        """Whether the archive is at fault."""
        return self not in (Reason.DELETED, Reason.PLACEHOLDER, Reason.NO_TARGET)


class ImportProblem(NamedTuple):
    """Why a record was skipped or repaired; if `position` is None, what is wrong with the whole file."""

    path: str
    position: int | None
    """The record's number in its file, from 1."""
    reason: str


@dataclass(slots=True)
class Account:
    """Counts of records. `read` is incremented on reading, the other fields once the outcome is known."""

    read: int = 0
    inserted: int = 0
    already_there: int = 0
    updated: int = 0
    filtered: int = 0
    """Records outside --since and --until."""
    discarded: dict[str, int] = field(default_factory=dict)
    """By the id of the rule (slack.message_discard.id)."""
    skipped: dict[str, int] = field(default_factory=dict)
    """By Reason."""
    reactions: int = 0
    """The reactions of messages that were inserted, updated or already there."""
    repaired: int = 0
    """Records that were stored without values that no database can hold. They are counted above, too."""

    @property
    def accounted(self) -> int:
        return (
            self.inserted
            + self.already_there
            + self.updated
            + self.filtered
            + sum(self.discarded.values())
            + sum(self.skipped.values())
        )

    @property
    def adds_up(self) -> bool:
        return self.read == self.accounted

    @property
    def bad(self) -> int:
        """Records that were skipped because the archive is at fault."""
        return sum(n for reason, n in self.skipped.items() if is_bad(reason))

    def skip(self, reason: Reason) -> None:
        self.skipped[reason.value] = self.skipped.get(reason.value, 0) + 1

    def discard(self, rule: int) -> None:
        self.discarded[str(rule)] = self.discarded.get(str(rule), 0) + 1

    def add(self, other: Account) -> None:
        """Add the counts of another account."""
        self.read += other.read
        self.inserted += other.inserted
        self.already_there += other.already_there
        self.updated += other.updated
        self.filtered += other.filtered
        self.reactions += other.reactions
        self.repaired += other.repaired
        for rule, n in other.discarded.items():
            self.discarded[rule] = self.discarded.get(rule, 0) + n
        for reason, n in other.skipped.items():
            self.skipped[reason] = self.skipped.get(reason, 0) + n

    def subtract(self, other: Account) -> None:
        """Subtract the counts of another account."""
        self.read -= other.read
        self.inserted -= other.inserted
        self.already_there -= other.already_there
        self.updated -= other.updated
        self.filtered -= other.filtered
        self.reactions -= other.reactions
        self.repaired -= other.repaired
        for mine, theirs in ((self.discarded, other.discarded), (self.skipped, other.skipped)):
            for what, n in theirs.items():
                mine[what] = mine.get(what, 0) - n
                if not mine[what]:
                    del mine[what]

    def copy(self) -> Account:
        """A copy that shares nothing with this account."""
        return replace(self, discarded=dict(self.discarded), skipped=dict(self.skipped))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Account:
        """The account from a stored value. Unknown parts are ignored: another version may have written them."""
        given: Mapping[Any, Any] = value if isinstance(value, Mapping) else {}
        read: dict[str, Any] = {}
        for field_ in fields(cls):
            found = given.get(field_.name)
            if isinstance(found, Mapping) and field_.name in ("discarded", "skipped"):
                read[field_.name] = {str(name): n for name, n in found.items() if _is_count(n)}
            elif _is_count(found) and field_.name not in ("discarded", "skipped"):
                read[field_.name] = found
        return cls(**read)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_bad(reason: str) -> bool:
    """Whether the archive is at fault for this reason; also if this version does not know the reason."""
    return reason not in _KNOWN_REASONS or Reason(reason).is_bad


_KNOWN_REASONS = frozenset(reason.value for reason in Reason)
