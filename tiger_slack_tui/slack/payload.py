"""Decodes JSON from Slack so that PostgreSQL can store it and it contains no secrets."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

# Each escape sequence of a JSON text: a surrogate pair, a single \uXXXX, or another. All are matched from the left,
# so that an escaped backslash does not begin one.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([0-9a-fA-F]{4})|\\[^u]"
)
# The URLs of Slack's files contain a secret of the workspace: ?t=xoxe-…, ?token=xoxe-…
_AND = r"(?>&amp;|&)"
_VALUE = r"(?:t|token)=xox[^&\"\\#\s<>|]*"
_SECRET = re.compile(
    rf"\?{_VALUE}(?:{_AND}{_VALUE})*{_AND}(?!{_VALUE})|(?:\?|{_AND}){_VALUE}(?:{_AND}{_VALUE})*"
)
_TOKEN = re.compile(r"x(?:ox[a-z]|app)[-.]\S*")
_BEFORE = len("&amp;token")
"""Most characters of a secret before its `=xox`."""

_NO_NUMBER = re.compile(r"[\[:,]\s*(?:NaN|-?Infinity)\b")
_DEEPEST = 200  # orjson writes 254 levels, PostgreSQL reads thousands; messages have a dozen


def decode(text: str) -> Any:
    """The JSON value of `text`, in a form that jsonb takes, and without secrets in URLs of files.

    NUL is removed, a lone surrogate becomes U+FFFD, and a value below 200 levels becomes null. Raises ValueError if
    the text is not JSON, or is nested too deeply to be read.
    """
    try:
        return _writable(text, decode_sound(text))
    except ValueError:
        text = _ESCAPE.sub(_storable, text)
    try:
        return _writable(text, decode_sound(text))
    except ValueError:
        return _without_secrets(text, cut_off(_decode_odd(text)))


def what_is_repaired(text: str) -> str:
    """What `decode` repairs in the text, in words."""
    codes = [int(match[1], 16) for match in _ESCAPE.finditer(text) if match[1]]
    found = []
    if 0 in codes:
        found.append("NUL removed")
    if any(0xD800 <= code <= 0xDFFF for code in codes):
        found.append("half a character replaced")
    if _NO_NUMBER.search(text):
        found.append("NaN or Infinity made null")
    if text.count("[") + text.count("{") > _DEEPEST:
        found.append("values nested too deeply made null")
    return ", ".join(found) or "a very large number made text"


def decode_sound(text: str) -> Any:
    """As `decode`, but removes only secrets. Raises ValueError for text that `decode` has to repair."""
    if "\\" not in text:
        return orjson.loads(strip_secrets(text))
    if "\\u0000" in text and any(match[1] == "0000" for match in _ESCAPE.finditer(text)):
        raise ValueError("holds NUL")
    if "=xox" in text and "\\u00" not in text and "\\\\" not in text:
        # With plain slashes, no escape sequence hides the beginning or the end of a secret.
        return orjson.loads(strip_secrets(text.replace("\\/", "/")))
    return _without_secrets(text, orjson.loads(text))


def _without_secrets(text: str, value: Any) -> Any:
    if "=xox" in text or "\\u003dxox" in text:
        # orjson writes a URL without escape sequences, however it was escaped before.
        return orjson.loads(strip_secrets(_dumps(value).decode()))
    return value


def _writable(text: str, value: Any) -> Any:
    """The value of `text`. Raises ValueError if it is nested too deeply to be written."""
    if text.count("[") + text.count("{") > _DEEPEST:
        _dumps(value)
    return value


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        raise ValueError("nested too deeply") from None


def peer_text(value: object, most: int = 200) -> str:
    """A peer's text, safe to log, show and store; "" if the value is not text.

    The result is one line of at most `most` printable characters. Control characters, line breaks, lone surrogates
    and direction marks become spaces. Slack's tokens are removed.
    """
    if not isinstance(value, str):
        return ""
    text = "".join(c if c.isprintable() else " " for c in value[: 4 * most])
    text = _TOKEN.sub("(token)", " ".join(text.split()))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def strip_secrets(text: str) -> str:
    """The text without the query parameters that contain a token of Slack."""
    if (at := text.find("=xox")) < 0:
        return text
    parts, end = [], 0
    while at >= 0:
        # A secret begins just before and ends at a quote at the latest. A search in all of the text takes far longer.
        start = max(at - _BEFORE, end)
        parts.append(text[end:start])
        end = len(text) if (quote := text.find('"', at)) < 0 else quote
        parts.append(_SECRET.sub(_what_stays, text[start:end]))
        at = text.find("=xox", end)
    parts.append(text[end:])
    return "".join(parts)


def _what_stays(secret: re.Match[str]) -> str:
    return "?" if secret[0].endswith(("&", "&amp;")) else ""


def _storable(escape: re.Match[str]) -> str:
    code = escape[1]
    if code is None:
        return escape[0]
    if code == "0000":
        return ""
    return r"\ufffd" if 0xD800 <= int(code, 16) <= 0xDFFF else escape[0]


def _decode_odd(text: str) -> Any:
    """Decode what Python's json accepts and orjson does not (NaN, large numbers), as the nearest valid JSON."""
    try:
        return json.loads(
            text, parse_constant=lambda _: None, parse_float=_number, parse_int=_number
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def cut_off(value: Any, levels: int = _DEEPEST) -> Any:
    """The value, with null for each value below `levels` levels."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return None
    if isinstance(value, list):
        return [cut_off(item, levels - 1) for item in value]
    return {key: cut_off(item, levels - 1) for key, item in value.items()}


def _number(text: str) -> float | int | str:
    number = float(text)
    if number.is_integer() and abs(number) < 1 << 63:
        return int(text) if text.lstrip("-").isdigit() else number
    return number if math.isfinite(number) else text
