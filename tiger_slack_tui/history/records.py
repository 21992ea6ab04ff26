"""The records of an export's file, one by one; what cannot be read harms no other."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from tiger_slack_tui.history.account import Reason
from tiger_slack_tui.history.archive import DAMAGE
from tiger_slack_tui.slack import payload

WHOLE = 4 << 20
"""Bytes up to which a file is parsed at once; above, record by record, so that memory stays bounded."""
_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""Characters of a record beyond which it is taken for one that never ends."""
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class BadRecord:
    """Stands for a record that cannot be read."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Repaired:
    """A value without something that no database can hold: NUL, lone surrogates, NaN."""

    value: Any


class BadFile(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def read_records(stream: IO[bytes], size: int) -> Iterator[Any]:
    """The values of the JSON array that the stream holds, fit for jsonb; else BadRecord or Repaired.

    `size` is about the number of its bytes. Raises BadFile where the stream holds no array, or after the last
    record before a place that cannot be read.
    """
    try:
        if size <= WHOLE:
            content = stream.read()
            try:
                value = payload.decode_sound(str(content, "utf-8-sig"))
            except ValueError:  # something in it is not UTF-8, not JSON, or has to be repaired
                stream = io.BytesIO(content)
            else:
                if not isinstance(value, list):
                    raise BadFile(Reason.NO_ARRAY)
                yield from value
                return
        yield from _Reader(stream).records()
    except DAMAGE:
        raise BadFile(Reason.DAMAGED) from None


class _Reader:
    """Reads an array from the left, and keeps no more than the record that it is at."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        # Bytes that are not UTF-8 become lone surrogates, by which their record is known.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._json = json.JSONDecoder(strict=False)
        self._text = ""
        self._at = 0
        self._ended = False
        self._failure: BadFile | None = None

    def records(self) -> Iterator[Any]:
        if self._next() != "[":
            raise BadFile(Reason.NO_ARRAY if self._is_json() else Reason.BAD_JSON)
        self._at += 1
        mark = self._next()
        while mark != "]":
            yield self._record()
            mark = self._next()
            if mark == ",":
                self._at += 1
                self._next()
            elif mark != "]":
                raise self._failure or BadFile(Reason.BAD_JSON)
        self._at += 1
        if self._next():  # such as a second array
            raise BadFile(Reason.BAD_JSON)

    def _record(self) -> Any:
        while True:
            try:
                _, end = self._json.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                end = -1
            # What ends with the text, such as a number, may go on behind it.
            if end >= 0 and (end < len(self._text) or self._ended):
                break
            if self._ended or len(self._text) - self._at > _LONGEST:
                raise self._failure or BadFile(Reason.BAD_JSON)
            self._fill()
        text, self._at = self._text[self._at : end], end
        try:
            text.encode()
        except UnicodeEncodeError:
            return BadRecord(Reason.BAD_UTF8)
        try:
            return payload.decode_sound(text)
        except ValueError:
            pass
        try:
            return Repaired(payload.decode(text))
        except ValueError:
            return BadRecord(Reason.BAD_RECORD)

    def _next(self) -> str:
        """The next character that is no space, without taking it; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._fill()

    def _fill(self) -> None:
        """Read on; each time as much as is kept already, so that a long record is not parsed too often."""
        try:
            block = self._stream.read(max(_CHUNK, len(self._text) - self._at))
        except DAMAGE:
            self._failure, block = BadFile(Reason.DAMAGED), b""
        self._ended = not block
        self._text = self._text[self._at :] + self._decoder.decode(block, final=not block)
        self._at = 0

    def _is_json(self) -> bool:
        try:
            self._record()
        except BadFile:
            return False
        return self._next() == ""
