"""Only store/, postgres/ and the migrations contain SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tiger_slack_tui

PACKAGE = Path(tiger_slack_tui.__file__).parent
PLACES = ("store", "postgres")
SQLITE = PACKAGE / "imports" / "archive" / "slackdump.py"
"""Reads a SQLite file that slackdump wrote, and never the database."""

STATEMENT = re.compile(
    r"\s*(--.*\n\s*)*("
    r"select\s|with\s+(recursive\s+)?\w+\s+as\b|insert\s+into\s|update\s+\S+(\s+\w+)?\s+set\b|delete\s+from\s"
    r"|(create|alter|drop)\s+(or\s+replace\s+)?(temp(orary)?\s+)?(unlogged\s+)?"
    r"(table|index|view|function|schema|database|role|type)\b"
    r"|truncate\s|copy\s+\S+\s*(\(|from\b|to\b)|lock\s+table\s|call\s+\S+\(|set\s+(local|session)\s|grant\s+\w+\s+on\b"
    r"|comment\s+on\s|do\s+\$)"
)


def modules() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in PLACES and path != SQLITE
    ]


def test_modules_outside_of_the_database_layers_contain_no_sql() -> None:
    found = {str(path.relative_to(PACKAGE)): list(sql_in(path.read_text())) for path in modules()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_sql_is_recognised() -> None:
    for source in (
        'QUERY = "select 1"',
        'QUERY = """\nwith a as (select 1) select * from a"""',
        'f(f"delete from slack.{table}")',
        'connection.execute("vacuum")',
        'cursor.execute(f"set x = {y}")',
        'SQL("lock table {} in share mode")',
    ):
        assert list(sql_in(source)), source
    for source in (
        '"""select a folder."""',
        'hint = "Update it: alter extension timescaledb update."',
        'hint = "with a pooler"',
        "pool.execute(query)",
    ):
        assert not list(sql_in(source)), source


def sql_in(source: str) -> Iterator[str]:
    """Each string that begins as a statement, and each text that is given to execute(); with its line."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                if STATEMENT.match(text):
                    yield f"line {node.lineno}: {text[:60]!r}"
            case ast.Call(
                func=ast.Attribute(attr="execute" | "executemany" | "copy"),
                args=[ast.Constant(value=str()) | ast.JoinedStr(), *_],
            ):
                yield f"line {node.lineno}: a text is executed"
