"""The records of an export's file, one by one; what cannot be read harms no other."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from tiger_slack_tui.imports.archive.members import DAMAGE, reason_of
from tiger_slack_tui.slack import payload
from tiger_slack_tui.store.import_account import Reason

WHOLE = 4 << 20
"""Bytes up to which a file is parsed at once; above, record by record, so that memory stays bounded."""
_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""Characters of a record beyond which it is not kept: its end is looked for, and the next one is read."""
_SPACE = " \t\r\n"
_REPLIES = "slackdump_thread_replies"
"""Where a dump of Slackdump keeps the replies to a message, in the message."""
_MESSAGES = "messages"
"""Where a dump of Slackdump, and an answer of Slack's API, keep the records."""


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """Stands for a record that cannot be read."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class RepairedRecord:
    """A value without something that no database can hold: NUL, lone surrogates, NaN."""

    value: Any


class BadFile(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def read_records(stream: IO[bytes], size: int) -> Iterator[Any]:
    """The values of the JSON array that the stream holds, fit for jsonb; else UnreadableRecord or RepairedRecord.

    The array may be the "messages" of an object, as in dumps of Slackdump; replies that a message carries there
    follow it. `null` is an empty array: Slackdump writes it for an empty list. `size` is about the number of bytes.

    Raises BadFile where the stream holds no array, or after the last record before a place that cannot be read.
    """
    try:
        if size <= WHOLE:
            content = stream.read()
            try:
                value = payload.decode_sound(str(content, "utf-8-sig"))
            except ValueError:  # something in it is not UTF-8, not JSON, or has to be repaired
                stream = io.BytesIO(content)
            else:
                values = _array_of(value)
                yield from _with_replies(values) if _REPLIES.encode() in content else values
                return
        yield from _with_replies(_Reader(stream).records())
    except DAMAGE as error:
        raise BadFile(reason_of(error)) from None


def _array_of(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, dict) and _MESSAGES in value:
        value = value[_MESSAGES]
        if value is None:
            return []
    if not isinstance(value, list):
        raise BadFile(Reason.NO_ARRAY)
    return value


def _with_replies(values: Iterable[Any]) -> Iterator[Any]:
    """The records, each followed by the replies to it that it carries."""
    for value in values:
        record = value.value if isinstance(value, RepairedRecord) else value
        replies = record.pop(_REPLIES, None) if isinstance(record, dict) else None
        yield value
        for reply in replies if isinstance(replies, list) else ():
            yield RepairedRecord(reply) if isinstance(value, RepairedRecord) else reply


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
        mark = self._next()
        if mark == "{":
            yield from self._records_of_object()
        elif mark == "[":
            yield from self._array()
        elif self._value() is not None:
            raise BadFile(Reason.NO_ARRAY)
        if self._next():  # such as a second array
            raise BadFile(Reason.BAD_JSON)

    def _array(self) -> Iterator[Any]:
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

    def _records_of_object(self) -> Iterator[Any]:
        """The records of {…, "messages": […], …}; the other values are passed over."""
        has_messages = False
        self._at += 1
        mark = self._next()
        while mark != "}":
            key = self._value()
            if not isinstance(key, str) or self._next() != ":":
                raise self._failure or BadFile(Reason.BAD_JSON)
            self._at += 1
            mark = self._next()
            if key == _MESSAGES and mark == "[":
                yield from self._array()
            else:
                value = self._record()
                if key == _MESSAGES and value is not None:
                    raise BadFile(Reason.NO_ARRAY)
            has_messages |= key == _MESSAGES
            mark = self._next()
            if mark == ",":
                self._at += 1
                mark = self._next()
            elif mark != "}":
                raise self._failure or BadFile(Reason.BAD_JSON)
        self._at += 1
        if not has_messages:
            raise BadFile(Reason.NO_ARRAY)

    def _value(self) -> Any:
        """A value that has to be JSON."""
        value = self._record()
        if isinstance(value, UnreadableRecord):
            raise BadFile(Reason.BAD_JSON)
        return value

    def _record(self) -> Any:
        """The value at the place, which is passed; UnreadableRecord where it cannot be read, but ends."""
        if self._text[self._at : self._at + 1] in (",", ":", "]", "}"):
            raise BadFile(Reason.BAD_JSON)
        end, frame = -1, _Frame()
        while True:
            try:
                _, end = self._json.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                # It is not whole yet, or not JSON, or more than Python reads.
                end = frame.find_end(self._text, self._at)
            # What ends with the text, such as a number, may go on behind it.
            if end >= 0 and (end < len(self._text) or self._ended):
                break
            if self._ended:
                raise self._failure or BadFile(Reason.BAD_JSON)
            if len(self._text) - self._at > _LONGEST:
                return self._pass_over(frame)
            self._fill()
        text, self._at = self._text[self._at : end], end
        return _decode(text)

    def _pass_over(self, frame: _Frame) -> UnreadableRecord:
        """Go to the end of a record that is too long, without keeping it."""
        while True:
            self._at += frame.pass_seen()
            self._fill()
            if (end := frame.find_end(self._text, 0)) >= 0:
                self._at = end
                return UnreadableRecord(Reason.TOO_LONG)
            if self._ended:
                raise self._failure or BadFile(Reason.BAD_JSON)

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
        kept = len(self._text) - self._at
        try:
            block = self._stream.read(max(_CHUNK, min(kept, _LONGEST - kept)))
        except DAMAGE as error:
            self._failure, block = BadFile(reason_of(error)), b""
        self._ended = not block
        self._text = self._text[self._at :] + self._decoder.decode(block, final=not block)
        self._at = 0


class _Frame:
    """Finds the end of a JSON value by its brackets and quotes alone, in text that comes in pieces.

    It reads each character once, however deep the value is nested, and does not care what is between the brackets.
    """

    _MARK = re.compile(r'["\[\]{}]')
    _MARK_OF_STRING = re.compile(r'["\\]')
    _END_OF_WORD = re.compile(r"[,\]}\s]")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._is_word = False
        """Whether the value is a number or a word, which ends where something else begins."""
        self._has_begun = False
        self._seen = 0
        """Characters of the text, from the value's beginning, that are read."""

    def pass_seen(self) -> int:
        """The characters that are read and need not be in the text any more; the next text begins behind them."""
        seen, self._seen = self._seen, 0
        return seen

    def find_end(self, text: str, start: int) -> int:
        """The index behind the value that begins at `start`; -1 where the text does not hold its end.

        The text is that of the last call with more at its end.
        """
        at = start + self._seen
        if not self._has_begun and at < len(text):
            self._has_begun, self._is_word = True, text[at] not in '"[{'
        if self._is_word:
            end = self._END_OF_WORD.search(text, at)
            self._seen = len(text) - start
            return end.start() if end else -1
        while True:
            found = (self._MARK_OF_STRING if self._in_string else self._MARK).search(text, at)
            if found is None:
                self._seen = len(text) - start
                return -1
            mark, at = found[0], found.end()
            if mark == "\\":
                if at == len(text):  # what it escapes is in the next piece
                    self._seen = found.start() - start
                    return -1
                at += 1
                continue
            if mark == '"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark in "[{" else -1
            if self._depth <= 0 and not self._in_string:
                return at


def _decode(text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        return UnreadableRecord(Reason.BAD_UTF8)
    try:
        return payload.decode_sound(text)
    except ValueError:
        pass
    try:
        return RepairedRecord(payload.decode(text))
    except ValueError:
        return UnreadableRecord(Reason.BAD_RECORD)
