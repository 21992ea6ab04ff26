"""The boundary that the text of others passes before it is shown."""

import pytest

from tiger_slack_tui.text import cells, cut, fit, visible


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("\x1b[31m\x07", "␛[31m␇"),
        ("\x9b2J\x7f", "\ufffd2J␡"),
        ("a\u202eb\u200bc\ud800d\u0301", "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("日本 👍", "日本 👍"),
        ("👩\u200d💻\ufe0f", "👩\ufffd💻\ufffd"),
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
        ("x" * 40_000, 3, "xx…"),
    ],
)
def test_text_is_fitted_by_cells(text: str, width: int, result: str) -> None:
    assert fit(text, width) == result
    assert cells(fit(text, width)) == width
    assert cut(text, width) == result.rstrip()


def test_numbers_are_fitted_on_the_right() -> None:
    assert fit("42", 5, right=True) == "   42"
