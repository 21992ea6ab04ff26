"""Finds out which conditions of a rule a message meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.jsonpath import (
    conditions,
    first_path,
    holding,
    parse,
    readable,
    split_mode,
)
from tiger_slack_tui.store.rules import evaluate_conditions


@dataclass(frozen=True, slots=True)
class MetCondition:
    """A condition that the message meets, and the values at its first path."""

    condition: str
    found: tuple[Any, ...]


async def met_conditions(
    connection: Connection, canonical: str, message: str
) -> tuple[MetCondition, ...]:
    """The conditions of the predicate that make it true for the message (JSON); none if it is false."""
    mode, predicate = split_mode(canonical)
    tree = parse(predicate)
    texts = list(dict.fromkeys(conditions(tree)))
    answers = await evaluate_conditions(
        connection,
        message,
        conditions=[mode + text for text in texts],
        paths=[first_path(text) for text in texts],
    )
    found = dict(zip(texts, answers, strict=True))
    holds = {text: answer.is_match for text, answer in found.items()}
    return tuple(
        MetCondition(readable(text), tuple(orjson.loads(found[text].values)))
        for text in dict.fromkeys(holding(tree, holds))
    )
