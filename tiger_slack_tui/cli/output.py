"""How commands print values."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import click
import orjson

from tiger_slack_tui.base.text import wrap, wrap_item

_WIDTH = 79
_TO_COPY = re.compile(r"(?<!@)tiger-slack [a-z]|://|grant |alter ")
"""A command, a link or SQL."""


def echo_json(value: Any) -> None:
    """Print the value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))


def wrapped(text: str, indent: int = 0, *, hang: int = 0, err: bool = False) -> Iterator[str]:
    """The visible lines of the text, in lines that begin with `indent` blanks, from the second on with `hang` more.

    On a terminal (of stderr with `err`), a line has at most 79 columns, unless one word is longer. A text with a
    command or a link stays in one line, so that it can be copied; elsewhere each text does, for grep.
    """
    width = _width(text, err=err)
    first, *others = text.split("\n")
    yield from wrap(first.strip(), width, indent, hang)
    for other in others:
        yield from wrap(other.strip(), width, indent + hang)


def wrapped_item(text: str) -> Iterator[str]:
    """As `wrapped`, for a line of a report: see `wrap_item`."""
    yield from wrap_item(text, _width(text, err=False))


def _width(text: str, *, err: bool) -> int | None:
    """The most columns of a line of the text; None if it stays in one line."""
    is_whole = not (sys.stderr if err else sys.stdout).isatty() or _TO_COPY.search(text)
    return None if is_whole else _WIDTH
