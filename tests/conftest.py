"""A real PostgreSQL for the session, and databases in it."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tiger_slack_tui import __version__
from tiger_slack_tui.database.embedded import EmbeddedPostgres
from tiger_slack_tui.database.migration_files import migrations_directory, read_migrations
from tiger_slack_tui.database.migrations import migrate


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The server that all tests share. PG_BIN makes it another than the wheel's."""
    with tempfile.TemporaryDirectory(prefix="tiger-slack-test-") as directory:
        Path(directory).chmod(0o711)  # versions before 16 need a path that their user can pass
        with EmbeddedPostgres.start(Path(directory) / "home", durable=False) as server:
            yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A database with the schema, to copy from."""
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute("create database template_migrated")
    conninfo = make_conninfo(postgres.conninfo, dbname="template_migrated")
    files = read_migrations(migrations_directory())
    asyncio.run(migrate(conninfo, version=__version__, files=files, tell=lambda _: None))
    return "template_migrated"


@pytest.fixture
def conninfo(postgres: EmbeddedPostgres, template: str) -> str:
    """A database of the test's own, with the schema."""
    return new_database(postgres, template)


@pytest.fixture
def empty_conninfo(postgres: EmbeddedPostgres) -> str:
    """A database of the test's own, without anything."""
    return new_database(postgres, "template0")


@pytest.fixture
def database(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to `conninfo`."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


_numbers = itertools.count()


def new_database(postgres: EmbeddedPostgres, template: str) -> str:
    """The conninfo of a new copy of `template`. All end with their server."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")
    return make_conninfo(postgres.conninfo, dbname=name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="Write the console's pictures anew."
    )
