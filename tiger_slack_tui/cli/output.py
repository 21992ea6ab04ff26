"""How commands print values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
import orjson

from tiger_slack_tui.base.text import lines

_WIDTH = 79
_MOST_LINES = 50
_TO_COPY = re.compile(r"tiger-slack [a-z]|://|grant |alter ")
"""A command, a link or SQL: a line with one is not broken, so that it can be copied from the terminal."""


def echo_json(value: Any) -> None:
    """Print the value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))


def wrapped(text: str, indent: int = 0) -> Iterator[str]:
    """The visible text in lines of at most 79 columns, which begin with `indent` blanks and end after a word.

    What people copy from a terminal stays in one line.
    """
    most = len(text) * 2 + 1 if _TO_COPY.search(text) else _WIDTH - indent
    for row in lines(text, most, _MOST_LINES, at_words=True):
        yield " " * indent + row
