"""The query language of the search: reads a text into conditions. No I/O; names are looked up later.

    invoice "pay now" deploy* -draft   words, a phrase, the beginning of words, a word that must be missing
    invoice or bill                    one of them; `or` binds its two neighbours
    from:@ana in:#ops                  author and channel: name, display name, id, or pattern with *
    before:2026-03-01 after:7d on:today during:2026-03
    has:link has:file has:thread has:reaction has::eyes: is:edited is:bot subtype:channel_join

All conditions must hold. A condition of the second, third and fifth line can follow a minus. Days are days of UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tiger_slack_tui.base.errors import SettingsError, TigerSlackError
from tiger_slack_tui.base.name_patterns import suggestion
from tiger_slack_tui.base.text import cut
from tiger_slack_tui.base.times import parse_time, shift

LONGEST: Final = 1000
"""Most characters of a query."""
_MOST = 40
"""Most conditions of a query."""
_SHOWN = 40
"""Most characters of a part of the query that an error quotes."""

MODIFIERS: Final[dict[str, str]] = {
    "from": "messages of a user: from:@ana",
    "in": "messages of a channel: in:#ops",
    "before": "messages before a day, a time, or a duration before now: before:2026-03-01",
    "after": "messages after a day, or since a time or a duration before now: after:7d",
    "on": "messages of a day: on:2026-03-01, on:today",
    "during": "messages of a year, a month or a day: during:2026-03",
    "has": "messages with link, file, reaction, thread, or an emoji: has::eyes:",
    "is": "messages that are edited, or from a bot",
    "subtype": "messages of a subtype of Slack: subtype:channel_join",
}
"""The modifiers and what they find, for help and completion."""
HAS: Final = ("link", "file", "reaction", "thread")
IS: Final = ("edited", "bot")
_VALUES = {"has": HAS, "is": IS}
_TIMES = ("before", "after", "on", "during")

_TOKEN = re.compile(
    r"""(?P<minus>-?)
    (?: (?P<name>[A-Za-z_]+):(?![:/])(?P<value>"[^"]*"?|\S*)
    |   (?P<has>has)::(?P<emoji>[^\s:]*):?
    |   "(?P<phrase>[^"]*)"?
    |   (?P<word>[^\s"]+)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_SUBTYPE = re.compile(r"[a-z][a-z0-9_]{0,79}")
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{1,2})")
_YEAR = re.compile(r"[0-9]{4}")
_DAYS = ("today", "yesterday")
_DATES = "Write a day (2026-03-01, today, yesterday)"


class QueryError(TigerSlackError):
    """The query cannot be read. The message says which part of it, and what to write."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Words:
    """Words that a message has; several are a phrase. `is_prefix`: the last is the beginning of a word."""

    text: str
    is_prefix: bool = False
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition about a message: `name` is from, in, has, is or subtype.

    The value is as written, in lower case for has, is and subtype. For an emoji it is :name: or :character:.
    """

    name: str
    value: str
    is_negated: bool = False

    @property
    def is_reaction(self) -> bool:
        return self.name == "has" and (self.value == "reaction" or self.value.startswith(":"))

    @property
    def is_thread(self) -> bool:
        return self.name == "has" and self.value == "thread"

    @property
    def is_of_document(self) -> bool:
        """Whether the message's document decides it. Else other messages and reactions do."""
        return not self.is_reaction and not self.is_thread


Condition = Words | Filter


@dataclass(frozen=True, slots=True)
class Query:
    """A query: of each clause one condition must hold. `since` is included, `until` is not; None for an open end."""

    clauses: tuple[tuple[Condition, ...], ...] = ()
    since: datetime | None = None
    until: datetime | None = None


def parse_query(text: str, now: datetime) -> Query:
    """Read a query. `now` is what durations and names of days count from. Raises QueryError, and nothing else."""
    if len(text) > LONGEST:
        raise QueryError(f"A query has at most {LONGEST:,} characters; this one has {len(text):,}.")
    clauses: list[tuple[Condition, ...]] = []
    since: datetime | None = None
    until: datetime | None = None
    joins = False
    conditions = 0
    tokens = list(_TOKEN.finditer(text.replace("\0", " ")))
    for at, token in enumerate(tokens):
        is_between = clauses and at + 1 < len(tokens)
        if token[0].lower() == "or" and (is_between or joins):
            joins = True
            continue
        if token[0].lower() == "or" and clauses:
            continue  # the rest is not typed yet
        if (name := (token["name"] or "").lower()) in _TIMES:
            if joins or _next_is_or(tokens, at):
                raise QueryError(f"{name}: cannot be combined by or.")
            begin, end = _period(name, token, now)
            since = max(filter(None, (since, begin)), default=None)
            until = min(filter(None, (until, end)), default=None)
            continue
        condition = _condition(token)
        if condition is None:
            continue
        if joins and clauses:
            clauses[-1] = (*clauses[-1], condition)
        else:
            clauses.append((condition,))
        joins = False
        conditions += 1
        if conditions > _MOST:
            raise QueryError(f"A query has at most {_MOST} conditions.")
    for clause in clauses:
        if len(clause) > 1 and any(isinstance(c, Filter) and not c.is_of_document for c in clause):
            raise QueryError("has:reaction, has::emoji: and has:thread cannot be combined by or.")
    return Query(tuple(clauses), since, until)


def completions(text: str) -> tuple[str, ...]:
    """What the last part of a query that is being typed can become: modifiers, and their fixed values."""
    part = re.split(r"\s", text)[-1]
    minus, part = ("-", part[1:]) if part.startswith("-") else ("", part)
    name, colon, value = part.partition(":")
    if not colon:
        return tuple(
            f"{minus}{each}:" for each in MODIFIERS if part and each.startswith(part.lower())
        )
    values = (*HAS, ":") if name.lower() == "has" else _VALUES.get(name.lower(), ())
    if name.lower() in ("on", "during", "before", "after"):
        values = _DAYS
    return tuple(f"{minus}{name}:{each}" for each in values if each.startswith(value.lower()))


def _next_is_or(tokens: list[re.Match[str]], at: int) -> bool:
    return at + 2 < len(tokens) and tokens[at + 1][0].lower() == "or"


def _condition(token: re.Match[str]) -> Condition | None:
    """The condition; None if the token has nothing to search for."""
    is_negated = bool(token["minus"])
    if token["has"] and not token["emoji"]:
        raise QueryError("has:: has no value.", hint="Write the emoji's name: has::eyes:")
    if token["has"]:
        return Filter("has", f":{token['emoji']}:", is_negated)
    if token["phrase"] is not None:
        return Words(token["phrase"], is_negated=is_negated) if token["phrase"].strip() else None
    if token["name"] is not None:
        return _filter(token["name"].lower(), _value(token), token, is_negated)
    word = token["word"]
    stem = word.rstrip("*")
    return Words(stem, stem != word, is_negated) if stem else None


def _value(token: re.Match[str]) -> str:
    return str(token["value"]).strip('"').strip()


def _filter(name: str, value: str, token: re.Match[str], is_negated: bool) -> Filter | None:
    if name not in MODIFIERS:
        near = suggestion(name, MODIFIERS, after=":")
        quoted = cut(token[0].lstrip("-"), _SHOWN)
        raise QueryError(
            f"There is no modifier {cut(name, _SHOWN)}:.",
            hint=f"{near} " * bool(near) + f'To search for the text, quote it: "{quoted}"',
        )
    if not value:
        raise QueryError(f"{name}: has no value.", hint=f"It finds {MODIFIERS[name]}.")
    if name == "from" and value.lower().lstrip("@") == "me":
        raise QueryError(
            "from:me is not supported: the program does not know who you are.",
            hint="Write your name: from:@NAME",
        )
    if name == "has" and not value.isascii() and not any(map(str.isalnum, value)):
        return Filter("has", f":{value}:", is_negated)  # an emoji character
    if name in _VALUES:
        value = value.lower()
        if value not in _VALUES[name]:
            known = ", ".join(f"{name}:{each}" for each in _VALUES[name])
            near = suggestion(value, _VALUES[name], before=f"{name}:")
            more = " and has::emoji:" if name == "has" else ""
            raise QueryError(
                f"{name}:{cut(value, _SHOWN)} is not known.",
                hint=near or f"There are {known}{more}.",
            )
    if name == "subtype":
        value = value.lower()
        if not _SUBTYPE.fullmatch(value):
            raise QueryError(
                f"{cut(value, _SHOWN)} is not a subtype of Slack.",
                hint="Write one such as subtype:channel_join.",
            )
    return Filter(name, value, is_negated)


def _period(
    name: str, token: re.Match[str], now: datetime
) -> tuple[datetime | None, datetime | None]:
    """The period of a modifier: its begin, which is included, and its end, which is not."""
    value = _value(token)
    if token["minus"]:
        raise QueryError(f"{name}: cannot follow a minus.", hint="Use before: and after: instead.")
    if not value:
        raise QueryError(f"{name}: has no value.", hint=f"It finds {MODIFIERS[name]}.")
    found = next(_calendar_periods(value, now), None)
    if found is None and name in ("on", "during"):
        more = ", a month (2026-03, march) or a year (2026)" if name == "during" else ""
        near = suggestion(value, (*_DAYS, *(_MONTHS if more else ())), before=f"{name}:")
        raise QueryError(
            f"{name}:{cut(value, _SHOWN)} is not a time.", hint=near or f"{_DATES}{more}."
        )
    if found is None:
        try:
            time = parse_time(value, now, f"{name}:")
        except SettingsError as error:
            raise QueryError(error.args[0], hint=error.hint) from None
        found = (time, time)
    begin, end = found
    return {"before": (None, begin), "after": (end, None)}.get(name, (begin, end))


_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)


def _calendar_periods(value: str, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The day, month or year that the text means, if it means one."""
    text, today = (
        value.lower(),
        now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
    )
    if text in _DAYS:
        day = shift(today, timedelta(days=-(text == "yesterday")))
        yield day, shift(day, timedelta(days=1))
    names = [n for n, month in enumerate(_MONTHS, 1) if len(text) >= 3 and month.startswith(text)]
    if names:  # the newest one
        year = today.year - (names[0] > today.month)
        yield _month(year, names[0]), _month(year, names[0] + 1)
    try:
        if match := _DAY.fullmatch(text):
            day = datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
            yield shift(day, timedelta()), shift(day, timedelta(days=1))
        elif match := _MONTH.fullmatch(text):
            year, month = map(int, match.groups())
            if 1 <= month <= 12:
                yield _month(year, month), _month(year, month + 1)
        elif _YEAR.fullmatch(text):
            yield _month(int(text), 1), _month(int(text) + 1, 1)
    except ValueError:
        return


def _month(year: int, month: int) -> datetime:
    """The first day of a month; month 13 is January of the next year."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if year > 9999:
        return shift(datetime(9999, 12, 31, tzinfo=UTC), timedelta(days=1))
    return shift(datetime(year, month, 1, tzinfo=UTC), timedelta())
