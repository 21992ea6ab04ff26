"""A real PostgreSQL for the session, and databases in it.

TIGER_SLACK_TEST_SCALE, a number, multiplies what random and property tests try: examples, seeds, days of outages.
1 is the default, 4 is for a change of the merge or of the spool, and takes some minutes longer.
TIGER_SLACK_TEST_DSN names a TimescaleDB for the tests that need one; they drop its schema `slack`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from xdist.scheduler import LoadScopeScheduling

from tests.servers import DIRECTORY, exclusive, run_directory
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate

hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")  # no test depends on how quick the machine is


def pytest_configure(config: pytest.Config) -> None:
    """One directory for all workers of a run, which inherit its name.

    Slow tests are left out, unless the command line chooses tests in any way.
    """
    if not hasattr(config, "workerinput"):
        os.environ[DIRECTORY] = run_directory()
    is_choice = config.option.markexpr or config.option.keyword
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not is_choice:
        config.option.markexpr = "not slow"


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(DIRECTORY), ignore_errors=True)


class _Scheduling(LoadScopeScheduling):
    """A worker gets test after test. One gets all tests of TimescaleDB first, because they share a slow server.

    The groups of pytest-xdist 3.8 have no effect with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.endswith("/test_timescale.py") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The server that all workers of a run share, up to the last. PG_BIN chooses another than the wheel's."""
    directory = Path(os.environ[DIRECTORY])
    directory.chmod(0o711)  # versions before 16 need a path that their user can pass
    with EmbeddedPostgres.start(directory / "home", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A database with the schema, to copy from. The first worker makes it."""
    name = "template_migrated"
    with exclusive(Path(os.environ[DIRECTORY]) / "template.lock"):
        with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
            found = connection.execute("select from pg_database where datname = %s", (name,))
            if found.fetchone() is not None:
                return name
            connection.execute("create database template_new")
            conninfo = make_conninfo(postgres.conninfo, dbname="template_new")
            asyncio.run(migrate(conninfo))
            connection.execute(f"alter database template_new rename to {name}")
    return name


@pytest.fixture
def conninfo(postgres: EmbeddedPostgres, template: str) -> str:
    """A database of the test's own, with the schema."""
    return new_database(postgres, template)


@pytest.fixture(autouse=True)
def _process_hooks() -> Iterator[None]:
    """Undo what a command that runs in this process sets for the whole process: later tests read log records."""
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


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
_LET_THE_KERNEL_COPY = """
select set_config(name, 'clone', false) from pg_settings
where name = 'file_copy_method' and 'clone' = any(enumvals)
"""
"""PostgreSQL 18 and newer can. It takes a seventh of the CPU time."""


def new_database(postgres: EmbeddedPostgres, template: str) -> str:
    """The conninfo of a new copy of `template`. All end with their server."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{worker}_{next(_numbers)}"
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(_LET_THE_KERNEL_COPY)
        connection.execute(f"create database {name} template {template} strategy file_copy")
    return make_conninfo(postgres.conninfo, dbname=name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="Write the console's pictures again."
    )
