"""The embedded server's log contains no data, its size is limited, and it says why a start failed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.test_embedded import until
from tests.servers import with_data
from tiger_slack_tui.base.errors import EmbeddedPostgresError
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres, is_supervised
from tiger_slack_tui.postgres.embedded.server_log import MOST_BYTES, log_path

FAILING = (
    "insert into message values ('SECRET one')",
    "insert into message values (null)",
    "select 'SECRET two'::int",
    "select 'SECRET three'::jsonb",
    "do $$ begin raise warning 'SECRET four'; end $$",
    "do $$ begin raise exception 'SECRET five' using detail = 'SECRET six'; end $$",
    "select * from nowhere where text = 'SECRET seven'",
    "copy message from program 'echo SECRET eight'",
)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tiger-slack-test-") as directory:
        Path(directory).chmod(0o711)
        yield with_data(Path(directory) / "home")
        until(lambda: not is_supervised(Path(directory) / "home"))


def logged(home: Path) -> str:
    """The content of all files beside the data directory."""
    return "".join(path.read_text() for path in home.glob("*log*") if path.is_file())


def test_no_text_reaches_the_log(home: Path) -> None:
    with EmbeddedPostgres.start(home, durable=False) as server:
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            connection.execute("create table message (text text primary key)")
            connection.execute("insert into message values ('SECRET one')")
            # Settings in the data directory's files are overruled.
            connection.execute("alter system set log_min_messages = 'debug1'")
            connection.execute("alter system set log_statement = 'all'")
            connection.execute("select pg_reload_conf()")
            for statement in FAILING:
                with contextlib.suppress(psycopg.Error):
                    connection.execute(statement.encode())
            with contextlib.suppress(psycopg.Error):
                connection.execute("insert into message values (%s)", ("SECRET one",))
        # The server logs this last, so everything before is written.
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.conninfo, dbname="not_there")
        until(lambda: "not_there" in logged(home))
        assert "SECRET" not in logged(home)
        assert log_path(home).stat().st_mode & 0o777 == 0o600


def test_a_log_of_an_older_version_is_removed(home: Path) -> None:
    for path in (log_path(home), home / "postgres.log.1"):
        path.write_text("DETAIL:  Failing row contains (SECRET).\n")
        path.chmod(0o644)
    with EmbeddedPostgres.start(home, durable=False):
        assert "SECRET" not in logged(home)
        assert log_path(home).stat().st_mode & 0o777 == 0o600


def test_the_size_of_the_log_is_limited(home: Path) -> None:
    with EmbeddedPostgres.start(home, durable=False) as server:
        older = home / "postgres.log.1"
        for part in ("first", "second", "third"):
            with log_path(home).open("a") as log:
                log.write(f"{part}\n" + "x" * MOST_BYTES)
            until(lambda part=part: older.exists() and part in older.read_text())
            until(lambda: log_path(home).stat().st_size < MOST_BYTES)
        assert older.stat().st_mode & 0o777 == 0o600
        assert older.stat().st_size < 2 * MOST_BYTES
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.conninfo, dbname="not_there")
        until(lambda: "not_there" in log_path(home).read_text())
        assert (
            "\0" not in log_path(home).read_text()
        )  # the server continues at the new beginning of the file
    assert len(list(home.glob("*log*"))) == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda data: (data / "postgresql.auto.conf").write_text("nonsense = 5\n"),
            "FATAL.*errors",
        ),
        (lambda data: (data / "global" / "pg_control").unlink(), "could not open file.*pg_control"),
        (lambda data: (data / "pg_wal").rename(data / "gone"), "FATAL.*pg_wal"),
    ],
    ids=["configuration", "control file", "WAL"],
)
def test_the_reason_of_a_failed_start_is_reported(home: Path, spoil: object, reason: str) -> None:
    assert callable(spoil)
    spoil(home / "data")
    with pytest.raises(EmbeddedPostgresError, match=f"did not start: .*{reason}"):
        EmbeddedPostgres.start(home, durable=False)
