"""A real PostgreSQL for the session, and databases in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiger_slack_tui.database.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The server that all tests share. PG_BIN makes it another than the wheel's."""
    with (
        tempfile.TemporaryDirectory(prefix="tiger-slack-test-") as home,
        EmbeddedPostgres.start(Path(home), durable=False) as server,
    ):
        yield server
