"""The conditions of a predicate, and which of them make it true."""

import pytest

from tiger_slack_tui.postgres.jsonpath import conditions, holding, parse, readable

PARTS = [
    ('($."a" == 1)', ['$."a" == 1']),
    ('($."a" == 1 || $."b" == 2 && $."c" == 3)', ['$."a" == 1', '$."b" == 2', '$."c" == 3']),
    ('(($."a" == 1 || $."b" == 2) && $."c" == 3)', ['$."a" == 1', '$."b" == 2', '$."c" == 3']),
    ('!($."a" == 1 || $."b" == 2)', ['!($."a" == 1 || $."b" == 2)']),
    (
        'exists ($."b"?(@."c" == 1 && @."d" == "x"))',
        ['exists ($."b"?(@."c" == 1 && @."d" == "x"))'],
    ),
    ('($."a b" == "x)(&& || \\"" && $."c" > 1)', ['$."a b" == "x)(&& || \\""', '$."c" > 1']),
    ('(($."a" == 1) is unknown || $."b" == 2)', ['($."a" == 1) is unknown', '$."b" == 2']),
]


@pytest.mark.parametrize(("canonical", "parts"), PARTS)
def test_a_predicate_is_parsed(canonical: str, parts: list[str]) -> None:
    assert list(conditions(parse(canonical))) == parts


def test_only_conditions_that_make_it_true_are_returned() -> None:
    tree = parse('($."a" == 1 || $."b" == 2 && $."c" == 3)')
    a, b, c = conditions(tree)
    assert holding(tree, {a: True, b: True, c: False}) == [a]  # b alone does not make it true
    assert holding(tree, {a: False, b: True, c: True}) == [b, c]
    assert holding(tree, {a: False, b: True, c: False}) == []


@pytest.mark.parametrize(
    ("canonical", "shown"),
    [
        ('($."subtype" == "channel_join")', '$.subtype == "channel_join"'),
        ('strict ($."a" == 1)', "strict $.a == 1"),
        ('($."a b" == "$.\\"x\\"")', '$."a b" == "$.\\"x\\""'),
        ('($."a" == ".b" || $."c"."d" == 1)', '$.a == ".b" || $.c.d == 1'),
        ('($."t" == "ends with ." && $."u" == "next")', '$.t == "ends with ." && $.u == "next"'),
    ],
)
def test_readable(canonical: str, shown: str) -> None:
    assert readable(canonical) == shown
