"""Decoded JSON can be stored as jsonb and contains no secrets."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.slack.payload import decode, strip_secrets


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (r'"a\u0000b"', "ab"),
        (r'"a\\u0000b"', "a\\u0000b"),  # an escaped backslash, no NUL
        (r'"a\\\u0000b"', "a\\b"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud800x"', "\ufffdx"),
        (r'"x\udc00"', "x\ufffd"),
        (r'"\ud800\ud83d\ude00"', "\ufffd😀"),
        (r'"\u0000\ud800"', "\ufffd"),
        (r'"\\ud800"', "\\ud800"),
        ('{"a": NaN, "b": -Infinity}', {"a": None, "b": None}),
        ('{"a": 1e999}', {"a": "1e999"}),
        ('{"a": NaN, "b": [5, -6, 1.5]}', {"a": None, "b": [5, -6, 1.5]}),
        ("9" * 5000, "9" * 5000),
        ('"\\u001b[31m\x7f"', "\x1b[31m\x7f"),  # escapes of a terminal are data here
    ],
)
def test_decodes_what_jsonb_cannot_hold_as_it_is(raw: str, value: object) -> None:
    assert decode(raw) == value


@pytest.mark.parametrize("raw", ["%s", '{"a":%s,"url":"https://x?t=xoxe-1"}', r'"\u0000",%s'])
def test_what_is_nested_too_deeply_to_be_written_is_left_out(raw: str) -> None:
    deep = "[" * 500 + "]" * 500
    value = decode(f"[{raw % deep}, 1]")
    assert isinstance(value, list)
    assert value[-1] == 1
    assert b"xoxe" not in orjson.dumps(value)
    assert orjson.dumps(value).count(b"[") < 254


@pytest.mark.parametrize("raw", ["", "{", '{"a": 1,}', "nul", "[" * 100_000])
def test_refuses_what_is_not_json(raw: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 any of JSON's errors
        decode(raw)


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://files/x.png?t=xoxe-1-abc", "https://files/x.png"),
        ("https://files/x.png?token=xoxe-1-abc&x=1", "https://files/x.png?x=1"),
        ("https://files/x.png?x=1&t=xoxe-1-abc", "https://files/x.png?x=1"),
        ("https://files/x.png?x=1&t=xoxe-1-abc&y=2", "https://files/x.png?x=1&y=2"),
        ("https://files/x.png?t=xoxe-1&token=xoxe-2", "https://files/x.png"),
        ("https://files/x.png?t=xoxe-1&token=xoxe-2&x=1", "https://files/x.png?x=1"),
        ("https://files/x.png?t=xoxe-1&amp;token=xoxe-2", "https://files/x.png"),
        ("<https://files/x.png?t=xoxe-1|a name> t=5", "<https://files/x.png|a name> t=5"),
        ("https://files/x.png?t=12", "https://files/x.png?t=12"),
    ],
)
def test_takes_tokens_out_of_addresses(url: str, stripped: str) -> None:
    assert strip_secrets(url) == stripped
    assert decode(json.dumps({"url_private": url})) == {"url_private": stripped}
    assert decode(json.dumps({"u": url}).replace("=xox", r"\u003dxox")) == {"u": stripped}


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists))
def test_leaves_everything_else_alone(value: object) -> None:
    if "\x00" not in json.dumps(value, ensure_ascii=False).replace("\\u0000", "\x00"):
        assert decode(json.dumps(value)) == value


@given(st.text(st.characters(codec=None, categories=["Cs", "Cc", "Lu", "Po"]), max_size=40))
def test_result_can_always_be_stored(text: str) -> None:
    stored = orjson.dumps(decode(json.dumps(text))).decode()
    assert "\\u0000" not in stored.replace("\\\\", "")
