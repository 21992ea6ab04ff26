"""Cells of COPY's binary format that PostgreSQL itself does not check against what is meant."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.postgres.copy_format import NULL, bool_cell, text_cell, uuid_cell


@given(st.uuids(), st.booleans(), st.booleans())
def test_a_uuid(value: uuid.UUID, is_upper: bool, has_hyphens: bool) -> None:
    text = str(value) if has_hyphens else value.hex
    assert uuid_cell(text.upper() if is_upper else text) == b"\0\0\0\x10" + value.bytes


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "{01234567-89ab-cdef-0123-456789abcdef}",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567-89ab-cdef-0123-456789abcd-e",
        "01234567-89ab-cdef-0123-456789abc-d-",
        "01234567-89ab-cdef-0123-4567 9abcdef",
        "01234567-89ab-cdef-0123-45678\u0661abcdef",
        "012-4567-89ab-cdef-0123-456789abcdef",
        "0123-4567-89ab-cdef-0123456789abcdef",
    ],
)
def test_no_uuid(value: Any) -> None:
    """As slack.to_uuid() has it."""
    assert uuid_cell(value) == NULL


def test_a_text() -> None:
    assert text_cell("\u00e9\t\\") == b"\0\0\0\4\xc3\xa9\t\\"


@pytest.mark.parametrize("value", [None, 5, True, [], {"a": [1, None]}])
def test_no_text(value: Any) -> None:
    """As slack.text_of() has it."""
    assert text_cell(value) == NULL


@pytest.mark.parametrize("value", [None, 0, 1, "true", []])
def test_no_bool(value: Any) -> None:
    assert bool_cell(value) == NULL
