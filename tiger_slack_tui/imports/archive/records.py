"""Reads the records of an export's file one by one. A record that cannot be read does not affect the others."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from tiger_slack_tui.imports.archive.members import DAMAGE, Member, Source, reason_of
from tiger_slack_tui.slack import payload
from tiger_slack_tui.store.import_account import Reason

WHOLE = 4 << 20
"""Size in bytes up to which a file is parsed at once. Larger files are parsed record by record to bound memory."""
_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""A record of more characters is skipped."""
_SPACE = " \t\r\n"
_REPLIES = "slackdump_thread_replies"
"""The key of a message, in Slackdump's dumps, that holds the replies to it."""
_MESSAGES = "messages"
"""The key of an object, in Slackdump's dumps and in responses of Slack's API, that holds the records."""


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """Takes the place of a record that cannot be read."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class RepairedRecord:
    """A value whose parts that jsonb cannot hold (NUL, lone surrogates, NaN) were removed."""

    value: Any
    what: str = field(default="", compare=False)
    """What was repaired, in words."""


class BadFile(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def read_records(stream: IO[bytes], size: int) -> Iterator[Any]:
    """The records of the JSON array in the stream, as values for jsonb, RepairedRecord or UnreadableRecord.

    The array may be the value of "messages" in an object, as in Slackdump's dumps; the replies that a message holds
    there follow it. `null` is an empty array: Slackdump writes it for an empty list. `size` is the number of bytes,
    about; it decides whether the file is parsed at once.

    Raises BadFile if the stream holds no array, and after the last record before a place that cannot be parsed.
    """
    try:
        if size <= WHOLE:
            content = stream.read()
            try:
                value = payload.decode_sound(str(content, "utf-8-sig"))
            except ValueError:  # not UTF-8, not JSON, or in need of repair
                stream = io.BytesIO(content)
            else:
                values = _array_of(value)
                yield from _with_replies(values) if _REPLIES.encode() in content else values
                return
        yield from _with_replies(_Reader(stream).records())
    except DAMAGE as error:
        raise BadFile(reason_of(error)) from None


def read_objects(source: Source, member: Member) -> Iterator[dict[str, Any]]:
    """The records of a file that are JSON objects. Ends without an error at a place that cannot be read. Blocks."""
    try:
        with source.open(member) as stream:
            for record in read_records(stream, member.size):
                value = record.value if isinstance(record, RepairedRecord) else record
                if isinstance(value, dict):
                    yield value
    except (BadFile, *DAMAGE):
        return  # whoever merges the file reports the error


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
    """The records, each followed by the replies that it holds."""
    for value in values:
        record = value.value if isinstance(value, RepairedRecord) else value
        replies = record.pop(_REPLIES, None) if isinstance(record, dict) else None
        yield value
        for reply in replies if isinstance(replies, list) else ():
            yield RepairedRecord(reply, value.what) if isinstance(value, RepairedRecord) else reply


class _Reader:
    """Parses an array record by record. It keeps no more than the current record in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        # Bytes that are not UTF-8 become lone surrogates, which `_decode` finds.
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
        elif not mark:
            raise self._failure or BadFile(Reason.EMPTY)
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
        """The records of {…, "messages": […], …}. Other values are skipped."""
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
        """The next value. Raises BadFile if it is not JSON."""
        value = self._record()
        if isinstance(value, UnreadableRecord):
            raise BadFile(Reason.BAD_JSON)
        return value

    def _record(self) -> Any:
        """The next value; UnreadableRecord if it cannot be read, but its end can be found."""
        if self._text[self._at : self._at + 1] in (",", ":", "]", "}"):
            raise BadFile(Reason.BAD_JSON)
        end, finder = -1, _EndFinder()
        while True:
            try:
                _, end = self._json.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                # Not complete yet, or not JSON, or too deep for Python.
                end = finder.find_end(self._text, self._at)
            # A value that ends with the text, such as a number, may continue in the next block.
            if end >= 0 and (end < len(self._text) or self._ended):
                break
            if self._ended:
                raise self._failure or BadFile(Reason.BAD_JSON)
            if len(self._text) - self._at > _LONGEST:
                return self._skip_record(finder)
            self._fill()
        text, self._at = self._text[self._at : end], end
        return _decode(text)

    def _skip_record(self, finder: _EndFinder) -> UnreadableRecord:
        """Skip a record that is too long."""
        while True:
            self._at += finder.drop_seen()
            self._fill()
            if (end := finder.find_end(self._text, 0)) >= 0:
                self._at = end
                return UnreadableRecord(Reason.TOO_LONG)
            if self._ended:
                raise self._failure or BadFile(Reason.BAD_JSON)

    def _next(self) -> str:
        """The next character that is not a space, without consuming it; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._fill()

    def _fill(self) -> None:
        """Read the next block. It is as large as the text that is kept, so that a long record is parsed few times."""
        kept = len(self._text) - self._at
        try:
            block = self._stream.read(max(_CHUNK, min(kept, _LONGEST - kept)))
        except DAMAGE as error:
            self._failure, block = BadFile(reason_of(error)), b""
        self._ended = not block
        self._text = self._text[self._at :] + self._decoder.decode(block, final=not block)
        self._at = 0


class _EndFinder:
    """Finds the end of a JSON value in text that comes in pieces, by brackets and quotes alone.

    It reads each character once, however deeply the value is nested.
    """

    _MARK = re.compile(r'["\[\]{}]')
    _MARK_OF_STRING = re.compile(r'["\\]')
    _END_OF_WORD = re.compile(r"[,\]}\s]")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._is_word = False
        """Whether the value is a number or a word, which ends before the next bracket, comma or space."""
        self._has_begun = False
        self._seen = 0
        """The characters of the value that were examined."""

    def drop_seen(self) -> int:
        """The number of examined characters. The caller drops them: the next text begins after them."""
        seen, self._seen = self._seen, 0
        return seen

    def find_end(self, text: str, start: int) -> int:
        """The index after the value that begins at `start`; -1 if the text does not contain its end.

        The text is that of the last call, with more at its end.
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
                if at == len(text):  # the escaped character is in the next piece
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
        return RepairedRecord(payload.decode(text), payload.what_is_repaired(text))
    except ValueError:
        return UnreadableRecord(Reason.BAD_RECORD)
