"""What an export or a copy takes from a pane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MOST_COPIED = 5000
"""The most rows that are copied: terminals limit the size of their clipboard."""
ReadRest = Callable[[], AsyncIterator[Sequence[T]]]
"""Reads the rows that come after those of the pane, page by page. It may raise any error."""
OnRead = Callable[[int], None]
"""Gets the number of rows that were read so far."""


class AllRows(NamedTuple, Generic[T]):
    """Rows to export or to copy. There are more if they are not `is_whole`."""

    rows: Sequence[T]
    is_whole: bool


class CopiedRows(NamedTuple):
    """The text of rows, for the clipboard. There are more if it is not `is_whole`."""

    text: str
    number: int
    is_whole: bool
