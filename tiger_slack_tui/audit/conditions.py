"""The conditions that a jsonpath predicate is made of, and which of them a message meets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson

from tiger_slack_tui.postgres.connection import Connection

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|&&|\|\||[()]|[^"()&|]+|.', re.DOTALL)
_PATH = re.compile(r'\$(?:\."(?:[^"\\]|\\.)*"|\.\*\*?|\[[^\]"]*\])*')
_PLAIN_KEY = re.compile(r'"([A-Za-z_][A-Za-z0-9_]*)"')
_STRICT = "strict "

_EVALUATE: LiteralString = """
select (select m.is_match[1] from slack.matches(array[%(message)s::jsonb], c.condition::jsonpath) m)
, jsonb_path_query_array(%(message)s::jsonb, c.path::jsonpath, silent => true)::text
from unnest(%(conditions)s::text[], %(paths)s::text[]) with ordinality c (condition, path, number)
order by c.number
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a predicate that is itself one, without && and ||. Written as PostgreSQL writes it."""

    text: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the parts must hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """AllOf of the parts must hold."""

    parts: tuple[Node, ...]


Node = Condition | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Match:
    """A condition that the message meets, and what stands at its first path."""

    condition: str
    found: tuple[Any, ...]


def parse(canonical: str) -> Node:
    """The predicate's parts. `canonical` is PostgreSQL's text of a jsonpath (match::text), without `strict`."""
    text = canonical.strip()
    for operator, kind in (("||", AnyOf), ("&&", AllOf)):  # && binds closer
        pieces = list(_split(text, operator))
        if len(pieces) > 1:
            return kind(tuple(parse(piece) for piece in pieces))
    inner = _without_brackets(text)
    return Condition(text) if inner is None else parse(inner)


def conditions(node: Node) -> Iterator[str]:
    """The texts of all conditions, from the left."""
    if isinstance(node, Condition):
        yield node.text
    else:
        for part in node.parts:
            yield from conditions(part)


def holding(node: Node, holds: Mapping[str, bool]) -> list[str]:
    """The conditions by which the predicate is true; empty where it is not. `holds` tells of each condition."""
    if isinstance(node, Condition):
        return [node.text] if holds[node.text] else []
    parts = [holding(part, holds) for part in node.parts]
    if isinstance(node, AllOf) and not all(parts):
        return []
    return [text for part in parts for text in part]


def readable(canonical: str) -> str:
    """PostgreSQL's text of a jsonpath as people write it: $.subtype for $."subtype", no brackets around it all."""
    mode = _STRICT if canonical.startswith(_STRICT) else ""
    text = canonical.removeprefix(_STRICT)
    while (inner := _without_brackets(text)) is not None:
        text = inner
    parts: list[str] = []
    for token in _TOKEN.findall(text):
        is_key = bool(parts) and parts[-1].endswith(".")
        key = _PLAIN_KEY.fullmatch(token) if is_key else None
        parts.append(key[1] if key else token)
    return mode + "".join(parts)


async def matches(connection: Connection, canonical: str, message: str) -> tuple[Match, ...]:
    """The conditions of the predicate by which the message (JSON) meets it; none where it does not."""
    mode = _STRICT if canonical.startswith(_STRICT) else ""
    tree = parse(canonical.removeprefix(_STRICT))
    texts = list(dict.fromkeys(conditions(tree)))
    cursor = await connection.execute(
        _EVALUATE,
        {
            "message": message,
            "conditions": [mode + text for text in texts],
            "paths": [_first_path(text) for text in texts],
        },
    )
    found = dict(zip(texts, await cursor.fetchall(), strict=True))
    holds = {text: bool(row[0]) for text, row in found.items()}
    return tuple(
        Match(readable(text), tuple(orjson.loads(found[text][1])))
        for text in dict.fromkeys(holding(tree, holds))
    )


def _first_path(text: str) -> str:
    """The first path of a condition, without filters and methods; `$` where it has none."""
    at = 0
    for token in _TOKEN.findall(text):
        if "$" in token and not token.startswith('"'):
            found = _PATH.search(text, at)
            return found[0] if found else "$"
        at += len(token)
    return "$"


def _split(text: str, operator: str) -> Iterator[str]:
    """The pieces between the operator where it stands outside of strings and brackets."""
    depth, piece = 0, ""
    for token in _TOKEN.findall(text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == operator and depth == 0:
            yield piece
            piece = ""
        else:
            piece += token
    yield piece


def _without_brackets(text: str) -> str | None:
    """What stands between the brackets that enclose all of the text; None where none do."""
    tokens: Sequence[str] = _TOKEN.findall(text)
    if not tokens or tokens[0] != "(":
        return None
    depth = 0
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0:
            return text[1:-1].strip() if number == len(tokens) - 1 else None
    return None
