"""Foreign text is made safe before it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiger_slack_tui.base.text import cells, cut, fit, graphemes, lines, visible, wrap


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("\x1b[31m\x07", "␛[31m␇"),
        ("\x9b2J\x7f", "\ufffd2J␡"),
        ("a\u202eb\u200bc\ud800d", "a\ufffdb\ufffdc\ufffdd"),
        ("日本 👍", "日本 👍"),
        ("d\u0301 \u0301", "d\u0301 \ufffd"),
        ("\u0301\u0301x", "\ufffd\ufffdx"),
        ("👩🏽\u200d💻 ❤\ufe0f", "👩🏽\u200d💻 ❤\ufe0f"),
        ("a\u200db a🏽 a\ufe0f", "a\ufffdb a\ufffd a\ufffd"),
        ("👩\u200d", "👩\ufffd"),
        ("\u1112\u1161\u11ab a\u1161", "\u1112\u1161\u11ab a\ufffd"),
        ("e" + "\u0301" * 14, "e" + "\u0301" * 12 + "\ufffd" * 2),
        ("[red]x[/]", "[red]x[/]"),
        ("a\nb\tc\u2028d\xa0e", "a␊b␉c\ufffdd\ufffde"),
        ("\u3164\u115f\u2800", "\ufffd\ufffd\ufffd"),
    ],
)
def test_text_of_others_is_made_visible_character_by_character(text: str, result: str) -> None:
    assert visible(text) == result
    assert len(visible(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "width", "result"),
    [
        ("plain", 8, "plain   "),
        ("too long for it", 8, "too lon…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),
        ("日", 1, "…"),
        ("anything", 0, ""),
        ("👍🏽👍🏽👍🏽", 5, "👍🏽👍🏽…"),
        ("e\u0301" * 9, 3, "e\u0301e\u0301…"),
        ("x" * 40_000, 3, "xx…"),
    ],
)
def test_text_is_fitted_by_cells(text: str, width: int, result: str) -> None:
    assert fit(text, width) == result
    assert cells(fit(text, width)) == width
    assert cut(text, width) == result.rstrip()


def test_numbers_are_fitted_on_the_right() -> None:
    assert fit("42", 5, right=True) == "   42"


@pytest.mark.parametrize("width", [-5, -1, 0])
def test_no_room_shows_nothing(width: int) -> None:
    assert fit("anything", width) == cut("anything", width) == fit("", width, right=True) == ""


_ODD = st.text(
    st.one_of(
        st.sampled_from(
            "a1日한❤🏳🌈👩💻👍🏽🇩🇪\u1112\u1161\u11ab\u0301\u200d\ufe0e\ufe0f\u20e3\x1b\n\u3164\U000e0067"
        ),
        st.characters(),
    )
)


@given(_ODD)
def test_what_is_visible_has_a_width_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert len(shown) == len(text)
    pieces = list(graphemes(shown))
    assert "".join(piece for piece, _ in pieces) == shown
    assert all(width in (1, 2) for _, width in pieces)
    assert cells(shown) == sum(width for _, width in pieces)


@given(_ODD, st.integers(-3, 12), st.integers(0, 30))
def test_lines_fit_and_lose_nothing(text: str, width: int, most: int) -> None:
    found = list(lines(text, width, most))
    assert len(found) <= most
    assert all(cells(row) <= max(width, 1) for row in found)
    assert all(found) or not text
    if len(found) < most and width > 1:
        assert "".join(found) == visible(text)


@given(_ODD, st.integers(-3, 12))
def test_any_text_fits_any_width(text: str, width: int) -> None:
    assert cells(fit(text, width)) == max(width, 0)
    assert cells(cut(text, width)) <= max(width, 0)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("one two", 3, ["one", "two"]),
        ("abcdefghij kl", 5, ["abcde", "fghij", "kl"]),
        ("a verylongword", 8, ["a", "verylong", "word"]),
        ("日本 語を 読む", 7, ["日本", "語を", "読む"]),
        ("one  two", 4, ["one", "two"]),
        ("\x1b[1m two three", 9, ["␛[1m two", "three"]),
    ],
)
def test_lines_end_after_words(text: str, width: int, expected: list[str]) -> None:
    assert list(lines(text, width, 10, at_words=True)) == expected


def test_wrap_breaks_no_word() -> None:
    path = "/a/very/long/path"
    assert list(wrap(f"not at {path} now", 10, 1, hang=2)) == [" not at", f"   {path}", "   now"]
    assert list(wrap("日本 語", 5)) == ["日本", "語"]
    assert list(wrap("a b\x1b", None, 2)) == ["  a b␛"]
    assert list(wrap("", 10)) == [""]
