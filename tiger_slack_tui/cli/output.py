"""How commands print values."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import click
import orjson

from tiger_slack_tui.base.text import ITEM, visible, wrap_words

LINE_WIDTH = 79
"""Most columns of a line on a terminal."""
_TO_COPY = re.compile(
    r"(?<!@)tiger-slack [a-z](?:(?!\. [A-Z]|[,;)] )[^\n])*[.,;)]?|(?:grant|alter) .*|[^ ]+"
)
"""A command up to the end of its sentence or clause, SQL, or one word."""


def echo_json(value: Any) -> None:
    """Print the value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))


def wrapped(text: str, indent: int = 0, *, hang: int = 0, err: bool = False) -> Iterator[str]:
    """The visible lines of the text, in lines that begin with `indent` blanks, from the second on with `hang` more.

    On a terminal (of stderr with `err`), a line has at most LINE_WIDTH columns, unless one word is longer. A command,
    SQL or a link stays in one line, so that it can be copied; elsewhere each text does, for grep.
    """
    first, *others = text.split("\n")
    yield from _lines(first.strip(), indent, hang, err=err)
    for other in others:
        yield from _lines(other.strip(), indent + hang, 0, err=err)


def wrapped_item(text: str) -> Iterator[str]:
    """As `wrapped`, for a line of a report: the blanks that it begins with stay, its further lines begin with 4."""
    bare = text.lstrip(" ")
    indent = len(text) - len(bare)
    yield from _lines(bare, indent, max(ITEM - indent, 0), err=False)


def _lines(text: str, indent: int, hang: int, *, err: bool) -> Iterator[str]:
    width = LINE_WIDTH if (sys.stderr if err else sys.stdout).isatty() else None
    return wrap_words(_words(visible(text)), width, indent, hang)


def _words(text: str) -> Iterator[str]:
    """The words between blanks; what is to copy counts as one word."""
    at = 0
    while at <= len(text):
        match = _TO_COPY.match(text, at)
        word = match[0] if match else ""
        yield word
        at += len(word) + 1
