"""Opaque cursors: where the next page of an answer begins."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from tiger_slack_tui.base.errors import TigerSlackError

CursorValues = list[str | int | float | None]


class CursorWrong(TigerSlackError):
    """The cursor is not one of this call."""

    def __init__(self) -> None:
        super().__init__(
            "The cursor does not belong to this call.",
            hint="Repeat the call that returned it, with the same arguments and this cursor.",
        )


def encode_cursor(tool: str, arguments: Mapping[str, Any], position: CursorValues) -> str:
    """The cursor of a position in the answers to a call."""
    content = orjson.dumps([_digest(tool, arguments), *position])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor(
    text: str, tool: str, arguments: Mapping[str, Any], kinds: tuple[type, ...]
) -> CursorValues:
    """The position, whose values are of these kinds; a float may be None. Raises CursorWrong.

    Anyone can write a cursor. So it only says where a page begins, and never what is visible.
    """
    try:
        content = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        raise CursorWrong from None
    if not isinstance(content, list) or len(content) != len(kinds) + 1:
        raise CursorWrong
    digest, *position = content
    fits = all(
        isinstance(value, kind) or (kind is float and value is None)
        for value, kind in zip(position, kinds, strict=True)
    )
    if digest != _digest(tool, arguments) or not fits or any("\0" in str(p) for p in position):
        raise CursorWrong
    return position


def _digest(tool: str, arguments: Mapping[str, Any]) -> str:
    given = {name: value for name, value in arguments.items() if name != "cursor"}
    content = orjson.dumps([tool, given], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(content).hexdigest()[:12]
