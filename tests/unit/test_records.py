"""Records of day files, sound and damaged; each way of reading gives the same."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.imports.archive import records
from tiger_slack_tui.imports.archive.records import (
    WHOLE,
    BadFile,
    RepairedRecord,
    UnreadableRecord,
    read_records,
)
from tiger_slack_tui.store.import_account import Reason


def read(content: bytes, size: int | None = None) -> tuple[list[Any], Reason | None]:
    """The records, and why the rest could not be read. A great `size` has them read one by one."""
    found: list[Any] = []
    try:
        for record in read_records(io.BytesIO(content), len(content) if size is None else size):
            found.append(record)  # noqa: PERF402 those before the failure count
    except BadFile as error:
        return found, error.reason
    return found, None


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.text(st.characters(codec="utf-8"))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(values, max_size=6), st.sampled_from([None, 2]), st.booleans())
def test_one_by_one_gives_the_same_as_all_at_once(
    given_values: list[Any], indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps(given_values, indent=indent, ensure_ascii=ascii_only).encode()
    assert read(content, WHOLE + 1) == read(content)
    if b"\\u0000" not in content and b"\0" not in content:
        assert read(content) == (given_values, None)


def test_blocks_may_end_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    given_values = [{"text": "é\N{GRINNING FACE}" * n, "n": n * 1000} for n in range(40)]
    content = json.dumps(given_values, ensure_ascii=False).encode()
    for chunk in (1, 7, 64):
        monkeypatch.setattr(records, "_CHUNK", chunk)
        assert read(content, WHOLE + 1) == (given_values, None)


@pytest.mark.parametrize(
    ("content", "found", "reason"),
    [
        (b"", [], Reason.EMPTY),
        (b"{}", [], Reason.NO_ARRAY),
        (b"null", [], None),
        (b'{"messages": null}', [], None),
        (b'{"messages": {}}', [], Reason.NO_ARRAY),
        (b'{"channel_id": "C1", "messages": [1, {"a": [2]}], "name": "x"}', [1, {"a": [2]}], None),
        (b'{"messages": [1, 2', [1, 2], Reason.BAD_JSON),
        (
            b'{"messages": [{"ts": "1", "slackdump_thread_replies": [{"ts": "2"}, 3]}, 4]}',
            [{"ts": "1"}, {"ts": "2"}, 3, 4],
            None,
        ),
        (b'"text"', [], Reason.NO_ARRAY),
        (b"nonsense", [], Reason.BAD_JSON),
        (b"\x00\x01\xff", [], Reason.BAD_JSON),
        (b"[]", [], None),
        (b" [ ] \n", [], None),
        (b"\xef\xbb\xbf[1]", [1], None),
        (b'[""]', [""], None),
        (b"[1, 2", [1, 2], Reason.BAD_JSON),
        (b'[{"a": 1}, {"a":', [{"a": 1}], Reason.BAD_JSON),
        (b"[1, 2,]", [1, 2], Reason.BAD_JSON),
        (b"[1 2]", [1], Reason.BAD_JSON),
        (b"[1][2]", [1], Reason.BAD_JSON),
        (b"[1] trailing", [1], Reason.BAD_JSON),
        (b"[" * 5000 + b"]" * 5000, [UnreadableRecord(Reason.BAD_RECORD)], None),
        (b"[" * 5000, [], Reason.BAD_JSON),
    ],
)
def test_what_is_no_array_or_breaks_off(
    content: bytes, found: list[Any], reason: Reason | None
) -> None:
    for size in (None, WHOLE + 1):
        assert read(content, size) == (found, reason)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (b'{"ts": NaN}', RepairedRecord({"ts": None})),
        (b'{"text": "a\\u0000b"}', RepairedRecord({"text": "ab"})),
        (b'{"text": "\\ud83d"}', RepairedRecord({"text": "\ufffd"})),
        (b'{"text": "\xff\xfe"}', UnreadableRecord(Reason.BAD_UTF8)),
        (b'{"n": 1e999}', RepairedRecord({"n": "1e999"})),
        (b'{"text": "a\tb"}', UnreadableRecord(Reason.BAD_RECORD)),
        (b'{"a": ' * 1200 + b"1" + b"}" * 1200, UnreadableRecord(Reason.BAD_RECORD)),
        (
            b'{"a": "]}\\"", "b": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            UnreadableRecord(Reason.BAD_RECORD),
        ),
        (b'{"n": ' + b"1" * 5000 + b"}", RepairedRecord({"n": "1" * 5000})),
        (b"1" * 5000, RepairedRecord("1" * 5000)),
        (b'{"a": nonsense}', UnreadableRecord(Reason.BAD_RECORD)),
        (b'{"a": 1 2, "b": []}', UnreadableRecord(Reason.BAD_RECORD)),
        (b"nonsense", UnreadableRecord(Reason.BAD_RECORD)),
        (b'{"url": "https://x/f?t=xoxe-1-s&a=b"}', {"url": "https://x/f?a=b"}),
        (b'{"url": "https:\\/\\/x\\/f?t=xoxe-1-s"}', {"url": "https://x/f"}),
    ],
)
def test_a_bad_record_harms_no_other(record: bytes, found: Any) -> None:
    content = b'[{"before": 1}, ' + record + b', {"after": 1}]'
    for size in (None, WHOLE + 1):
        assert read(content, size) == ([{"before": 1}, found, {"after": 1}], None)


def test_a_stream_that_fails() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            block = super().read(size)
            if not block:
                raise EOFError
            return block

    content = b"[1, 2" + b" " * 10
    with pytest.raises(BadFile) as failed:
        list(read_records(Failing(content), WHOLE + 1))
    assert failed.value.reason is Reason.DAMAGED


class Watched(io.BytesIO):
    """A stream that knows the most that was asked of it at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        self.most = max(self.most, -1 if size is None else size)
        return super().read(size)


@pytest.mark.parametrize(
    "long",
    [
        b'{"text": "' + b"x" * 1_000_000 + b'"}',
        b'{"text": "' + b'\\"' * 500_000 + b'"}',
        b"9" * 1_000_000,
        b'{"text": {"a": [' + b"1, " * 300_000 + b"2]}}",
    ],
)
def test_a_record_that_is_too_long_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, long: bytes
) -> None:
    monkeypatch.setattr(records, "_LONGEST", 1000)
    for chunk in (99, 100):
        monkeypatch.setattr(records, "_CHUNK", chunk)
        stream = Watched(b"[1, " + long + b', {"after": 1}]')
        found = list(read_records(stream, WHOLE + 1))
        assert found == [1, UnreadableRecord(Reason.TOO_LONG), {"after": 1}]
        assert stream.most < 5000  # it was not kept
    with pytest.raises(BadFile) as failed:
        list(read_records(io.BytesIO(b"[1, " + long[:-3]), WHOLE + 1))
    assert failed.value.reason is Reason.BAD_JSON
