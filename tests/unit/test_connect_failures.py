"""Errors of connecting name the address and the setting, never the password, and say what to do."""

from __future__ import annotations

import psycopg
import pytest

from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable
from tiger_slack_tui.postgres.addresses import from_setting
from tiger_slack_tui.postgres.connect_failures import connect_failure
from tiger_slack_tui.postgres.failures import not_migrated, sqlstate_words

_HEAD = 'connection failed: connection to server at "10.0.0.1", port 5433 failed: '
ADDRESS = "postgresql://me:hidden@db:5433/x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Connection refused\n\tIs the server running",
            "refused the connection. Is PostgreSQL running?",
        ),
        ("timeout expired", "did not answer."),
        ("No such file or directory", "has no PostgreSQL at its Unix socket."),
        (
            "received invalid response to SSL negotiation: H",
            "does not speak PostgreSQL's protocol.",
        ),
        ("FATAL:  the database system is starting up", "is starting."),
        ("FATAL:  sorry, too many clients already", "the server has no connection left"),
        ("something new", "was not reached: something new"),
    ],
)
def test_an_address_that_is_not_reached(text: str, said: str) -> None:
    conninfo = from_setting(ADDRESS, "DATABASE_URL")
    error = connect_failure(psycopg.OperationalError(_HEAD + text), conninfo)
    assert isinstance(error, DatabaseUnavailable)
    assert str(error).startswith("db:5433 (DATABASE_URL) ")
    assert said in str(error)
    assert "hidden" not in str(error)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (
            'FATAL:  password authentication failed for user "me"',
            "Check the user and the password in PGHOST.",
        ),
        ('FATAL:  database "x" does not exist', "Check the user and the database in PGHOST"),
        ("FATAL:  no pg_hba.conf entry for host", "pg_hba.conf admit"),
    ],
)
def test_an_address_that_refuses(text: str, fix: str) -> None:
    conninfo = from_setting(ADDRESS, "PGHOST")
    error = connect_failure(psycopg.OperationalError(_HEAD + text), conninfo)
    assert isinstance(error, DatabaseRefused)
    assert str(error).startswith("db:5433 (PGHOST) refused the connection: ")
    assert fix in str(error.hint)


def test_other_targets() -> None:
    unknown = psycopg.OperationalError("failed to resolve host 'db': [Errno -2] Name or service")
    two = from_setting("host=a,b port=1", "DATABASE_DIRECT_URL")
    assert str(connect_failure(unknown, two)).startswith("a:1, b:1 (DATABASE_DIRECT_URL) does not")
    for text, said in (
        ("No such file or directory", "does not run. It is started again"),
        ("timeout expired", "does not answer. The machine is busy, or the server is suspended"),
    ):
        error = connect_failure(psycopg.OperationalError(_HEAD + text), "host=/tmp/x")
        assert str(error).startswith(f"The embedded PostgreSQL {said}")
        assert "firewall" not in str(error)


def test_codes_in_words() -> None:
    assert sqlstate_words("22P02") == "invalid text representation (22P02)"
    assert sqlstate_words("ZZZZZ") == "ZZZZZ"


def test_a_database_without_tables_is_named() -> None:
    embedded = str(not_migrated("host=/tmp/x dbname=tiger_slack"))
    assert embedded.startswith("The embedded PostgreSQL does not have the tables")
    assert str(not_migrated(ADDRESS)).startswith("The database db:5433/x does not have the tables")
