"""Reads PostgreSQL's text of a jsonpath predicate: the conditions in it, and the form that people write.

https://www.postgresql.org/docs/current/functions-json.html#FUNCTIONS-SQLJSON-PATH
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|&&|\|\||[()]|[^"()&|]+|.', re.DOTALL)
_PATH = re.compile(r'\$(?:\."(?:[^"\\]|\\.)*"|\.\*\*?|\[[^\]"]*\])*')
_PLAIN_KEY = re.compile(r'"([A-Za-z_][A-Za-z0-9_]*)"')
_STRICT = "strict "
"""Begins the text of a predicate in strict mode. The lax mode, the default, has no such word."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A predicate without && and ||, in PostgreSQL's text."""

    text: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part must hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts must hold."""

    parts: tuple[Node, ...]


Node = Condition | AnyOf | AllOf


def parse(canonical: str) -> Node:
    """The predicate as a tree. `canonical` is PostgreSQL's text of a jsonpath (match::text), without `strict`."""
    text = canonical.strip()
    for operator, kind in (("||", AnyOf), ("&&", AllOf)):  # && binds closer
        pieces = list(_split(text, operator))
        if len(pieces) > 1:
            return kind(tuple(parse(piece) for piece in pieces))
    inner = _without_brackets(text)
    return Condition(text) if inner is None else parse(inner)


def split_mode(canonical: str) -> tuple[str, str]:
    """The mode ("strict " or nothing), and the predicate itself."""
    mode = _STRICT if canonical.startswith(_STRICT) else ""
    return mode, canonical.removeprefix(mode)


def conditions(node: Node) -> Iterator[str]:
    """The texts of all conditions, from left to right."""
    if isinstance(node, Condition):
        yield node.text
    else:
        for part in node.parts:
            yield from conditions(part)


def holding(node: Node, holds: Mapping[str, bool]) -> list[str]:
    """The conditions that make the predicate true; empty if it is false. `holds` says which are true."""
    if isinstance(node, Condition):
        return [node.text] if holds[node.text] else []
    parts = [holding(part, holds) for part in node.parts]
    if isinstance(node, AllOf) and not all(parts):
        return []
    return [text for part in parts for text in part]


def readable(canonical: str) -> str:
    """The predicate as people write it: $.subtype instead of $."subtype", without brackets around all of it."""
    mode, text = split_mode(canonical)
    while (inner := _without_brackets(text)) is not None:
        text = inner
    parts: list[str] = []
    for token in _TOKEN.findall(text):
        is_key = bool(parts) and parts[-1].endswith(".")
        key = _PLAIN_KEY.fullmatch(token) if is_key else None
        parts.append(key[1] if key else token)
    return mode + "".join(parts)


def first_path(text: str) -> str:
    """The first path of a condition, without filters and methods; `$` if it has no path."""
    at = 0
    for token in _TOKEN.findall(text):
        if "$" in token and not token.startswith('"'):
            found = _PATH.search(text, at)
            return found[0] if found else "$"
        at += len(token)
    return "$"


def _split(text: str, operator: str) -> Iterator[str]:
    """Split the text at an operator, except in strings and brackets."""
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
    """The text without the brackets that enclose all of it; None if it has none."""
    tokens: Sequence[str] = _TOKEN.findall(text)
    if not tokens or tokens[0] != "(":
        return None
    depth = 0
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0:
            return text[1:-1].strip() if number == len(tokens) - 1 else None
    return None
