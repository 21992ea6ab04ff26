"""The filters of the audit trail as an operator writes them, for `tiger-slack events` and the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tiger_slack_tui.audit.rules import require_rule
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.ids import SlackTs
from tiger_slack_tui.base.name_patterns import suggestion
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.base.times import parse_period
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.ts import parse_channel_link, parse_pasted_ts, parse_permalink
from tiger_slack_tui.store.audit_events import EventFilter
from tiger_slack_tui.store.names import find_channels, find_types, find_users

_REPEATABLE = {"type": "types", "channel": "channels", "user": "users"}
"""The filters that can be written several times, by the name of their field."""
_SINGLE = ("outcome", "message", "rule", "since", "until")
FILTERS = ("outcome", *_REPEATABLE, "message", "rule", "since", "until", "text")
"""What can be written before a colon."""
_PART = re.compile(r'(?:([a-z]+):(?!//))?("[^"]*"?|\S+)', re.IGNORECASE)
"""A filter with its value, a word of the text, or several words in quotation marks."""
_MOST_RULE = 2**31 - 1


class FilterRefused(TigerSlackError):
    """A filter is unknown, or its value is not one of its values."""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Filters as text. Names can be ids, names or patterns with * and ?. () and None mean any."""

    outcome: str | None = None
    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    message: SlackTs | None = None
    """The ts of the message that they are about."""
    rule: int | None = None
    since: str | None = None
    """A date, a time, or a duration before now; see `times.parse_time`."""
    until: str | None = None
    text: str | None = None
    """A part of the text, in any case."""

    @classmethod
    def parse(cls, text: str) -> EventQuery:
        """Read one line: `channel:#ops user:ana* outcome:failed since:2h disk full`.

        The words without a filter are searched in the text, in this order with one space between. The link of a
        channel is a filter, too. Raises FilterRefused.
        """
        given: dict[str, list[str]] = {}
        for name, value in _parts(text):
            given.setdefault(name, []).append(value)
        for name in _SINGLE:
            if len(given.get(name, ())) > 1:
                raise FilterRefused(f"{name}: can be written only once.")
        single = {name: given[name][0] for name in _SINGLE if name in given}
        many = {field: tuple(given.get(name, ())) for name, field in _REPEATABLE.items()}
        return cls(
            outcome=_outcome(single.get("outcome")),
            message=_message(single.get("message")),
            rule=_rule(single.get("rule")),
            since=single.get("since"),
            until=single.get("until"),
            text=" ".join(given.get("text", ())) or None,
            **many,
        )

    async def resolve(
        self, connection: Connection, now: datetime, *, prefix: str = "--"
    ) -> EventFilter:
        """The filter with ids and times. `prefix` stands before the names of filters in errors.

        Raises NameUnknown, and SettingsError for a time that cannot be read.
        """
        since, until = parse_period(self.since, self.until, now, prefix)
        return EventFilter(
            outcome=self.outcome,
            types=await find_types(connection, self.types),
            channel_ids=await find_channels(connection, self.channels),
            user_ids=await find_users(connection, self.users),
            message=self.message,
            rule=self.rule,
            since=since,
            until=until,
            text=self.text or None,
        )

    async def require_rule(self, connection: Connection) -> None:
        """For a query that found nothing: raise NoSuchRule if it names a rule that never existed."""
        if self.rule is not None:
            await require_rule(connection, self.rule, removed=True)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Each part as a filter and its value; parts of the text have the name "text"."""
    for match in _PART.finditer(text):
        name, value = (match[1] or "text").lower(), match[2]
        is_quoted = value.startswith('"')
        value = value.strip('"') if is_quoted else value
        if not is_quoted and value.endswith(":") and value[:-1].lower() in FILTERS:
            raise FilterRefused(f"{value.lower()} needs a value behind the colon.")
        if match[1] and name not in FILTERS:
            raise FilterRefused(
                f"There is no filter {visible(name)}:",
                hint=suggestion(name, FILTERS, after=":")
                or f"The filters are {', '.join(FILTERS)}. Text with a colon needs quotation marks.",
            )
        if not match[1] and not is_quoted and (channel := parse_channel_link(value)) is not None:
            yield "channel", channel
        elif value:
            yield name, value


def _outcome(given: str | None) -> str | None:
    if given is not None and given not in list(Outcome):
        raise FilterRefused(
            f"There is no outcome {visible(given)}.",
            hint=suggestion(given, Outcome) or f"The outcomes are {', '.join(Outcome)}.",
        )
    return given


def _message(given: str | None) -> SlackTs | None:
    if given is None:
        return None
    if (linked := parse_permalink(given)) is not None:
        return linked[1]
    if (found := parse_pasted_ts(given)) is None:
        raise FilterRefused(f"message:{visible(given[:20])} is not a ts (1700000000.000100).")
    return found[0]


def _rule(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and int(given[:11]) <= _MOST_RULE):
        raise FilterRefused(f"rule:{visible(given[:20])}: a rule is named by its number.")
    return int(given)
