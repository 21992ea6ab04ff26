"""Reads the rows of an export's lists of users and channels, and their problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tiger_slack_tui.imports.archive.members import DAMAGE, Member, Source, reason_of
from tiger_slack_tui.imports.archive.records import (
    BadFile,
    RepairedRecord,
    UnreadableRecord,
    read_records,
)
from tiger_slack_tui.store.directory import DirectoryKind
from tiger_slack_tui.store.import_account import Reason


class ListRow(NamedTuple):
    """A user or channel that can be stored. `position` counts from 1."""

    position: int
    row: Mapping[str, Any]


class ListProblem(NamedTuple):
    """A problem of a row; of the list itself, if `position` is None. A row with `is_bad` is not stored."""

    position: int | None
    reason: str
    is_bad: bool = True


def read_list(
    source: Source, member: Member, kind: DirectoryKind
) -> Iterator[ListRow | ListProblem]:
    """The rows of a list and its problems. A row with a bad value is stored without that field. Blocks."""
    try:
        with source.open(member) as stream:
            for position, value in enumerate(read_records(stream, member.size), 1):
                yield from _check(position, value, kind)
    except BadFile as error:
        yield ListProblem(None, error.reason)
    except DAMAGE as error:
        yield ListProblem(None, reason_of(error))


def _check(position: int, value: Any, kind: DirectoryKind) -> Iterator[ListRow | ListProblem]:
    if isinstance(value, UnreadableRecord):
        yield ListProblem(position, value.reason)
        return
    if value == "":  # a placeholder
        return
    row = value.value if isinstance(value, RepairedRecord) else value
    if not isinstance(row, dict):
        yield ListProblem(position, Reason.NO_OBJECT)
        return
    if not isinstance(row.get("id"), str) or not row["id"]:
        yield ListProblem(position, Reason.NO_ID)
        return
    if bad := bad_fields(row, kind):
        yield ListProblem(position, f"stored without bad values of {', '.join(bad)}", is_bad=False)
    elif isinstance(value, RepairedRecord):
        yield ListProblem(position, f"repaired: {value.what}", is_bad=False)
    yield ListRow(position, row)


def bad_fields(row: Mapping[str, Any], kind: DirectoryKind) -> list[str]:
    """The fields whose values slack.upsert_user() or slack.upsert_channel() leaves out. Nested ones are named a.b."""
    return list(_bad_fields(row, _USER if kind == "user" else _CHANNEL, ""))


_Check = Callable[[Any], bool]
_Fields = Mapping[str, "_Check | Mapping[str, _Check]"]


def _bad_fields(row: Mapping[str, Any], fields: _Fields, prefix: str) -> Iterator[str]:
    for name, check in fields.items():
        value = row.get(name)
        if value is None:
            continue
        if callable(check):
            if not check(value):
                yield f"{prefix}{name}"
        elif isinstance(value, dict):
            yield from _bad_fields(value, check, f"{name}.")
        else:
            yield name


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(least: int, most: int) -> _Check:
    def check(value: Any) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and least <= value <= most
            and value == int(value)
        )

    return check


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


# The checks are those of the two functions in the database.
_USER: _Fields = {
    **dict.fromkeys(("team_id", "name", "real_name", "tz", "tz_label"), _is_text),
    "tz_offset": _is_whole(-(1 << 31), (1 << 31) - 1),
    "deleted": _is_bool,
    "is_bot": _is_bool,
    "updated": _is_whole(0, 10**14 - 1),
    "profile": dict.fromkeys(
        (
            "real_name",
            "display_name",
            "real_name_normalized",
            "display_name_normalized",
            "email",
        ),
        _is_text,
    ),
}
_CHANNEL: _Fields = {
    "name": _is_text,
    **dict.fromkeys(
        ("is_archived", "is_shared", "is_ext_shared", "is_org_shared", "is_member"), _is_bool
    ),
    "updated": _is_whole(0, 10**17 - 1),
    "topic": {"value": _is_text},
    "purpose": {"value": _is_text},
    "previous_names": _is_list_of_texts,
}
