"""Writes tests/upgrade/VERSION.sql, the database of a released version: python scripts/upgrade_dump.py VERSION COMMIT

COMMIT is the release's last commit. Its own migrations make the schema. The rows come from tests/upgrade/rows/: the
files of that version and of those before it, through the functions of the release. The dump has the text of each
migration once, in slack.migration, and executes it from there. So it can be loaded into TimescaleDB, too.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from tiger_slack_tui.postgres.embedded.binaries import find_binaries
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.files import read_migrations, version_number
from tiger_slack_tui.postgres.migrate.run import migrate

_ROOT = Path(__file__).parent.parent
_TARGET = _ROOT / "tests" / "upgrade"
_HEAD = """\
-- The database of tiger-slack {version}, made by: python scripts/upgrade_dump.py {version} {commit}
set search_path = pg_catalog, public;
create schema slack;
"""
_RUN_FILES = """\
do $block$
declare
  body text;
begin
  for body in select m.body from slack.migration m order by m.file_name not like 'incremental/%', m.file_name loop
    execute body;
  end loop;
end
$block$;
"""
_MIGRATION = """\
insert into slack.migration values ('{name}', '{version}', '2023-11-14Z', $migration${body}$migration$);
"""
_VERSION = "insert into slack.version values ('{version}', '2023-11-14Z');\n"
_TABLES = ("--table=slack.version", "--table=slack.migration")
_OTHER_TABLES = ("--exclude-table=slack.version", "--exclude-table=slack.migration")
_NOT_NEEDED = re.compile(
    r"^(--.*|SET .*|\\(un)?restrict.*|SELECT pg_catalog.set_config.*)?\n", re.MULTILINE
)


def write_dump(version: str, commit: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        archive = subprocess.run(
            ["git", "archive", commit, "migrations"],  # noqa: S607
            cwd=_ROOT,
            check=True,
            capture_output=True,
        ).stdout
        subprocess.run(["tar", "-x"], cwd=directory, check=True, input=archive)  # noqa: S607
        with EmbeddedPostgres.start(Path(directory) / "home", durable=False) as server:
            files = read_migrations(Path(directory) / "migrations")
            asyncio.run(migrate(server.conninfo, version=version, files=files))
            migrations = _fill(server.conninfo, version)
            bookkeeping = _pg_dump(server.conninfo, "--schema-only", *_TABLES)
            rows = _pg_dump(server.conninfo, "--data-only", "--schema=slack", *_OTHER_TABLES)
    head = _HEAD.format(version=version, commit=commit)
    (_TARGET / f"{version}.sql").write_text(head + bookkeeping + migrations + _RUN_FILES + rows)


def _fill(conninfo: str, version: str) -> str:
    """Insert the rows, and return the statements that insert the migrations."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(b"set timezone = 'UTC'")
        for path in sorted(
            (_TARGET / "rows").iterdir(), key=lambda path: version_number(path.stem)
        ):
            if version_number(path.stem) <= version_number(version):
                connection.execute(path.read_bytes())
        migrations = connection.execute(
            "select file_name, body from slack.migration order by 1"
        ).fetchall()
    rows = (_MIGRATION.format(name=name, version=version, body=body) for name, body in migrations)
    return "".join(rows) + _VERSION.format(version=version)


def _pg_dump(conninfo: str, *options: str) -> str:
    """What pg_dump writes, without what only servers of its own version understand."""
    command = [find_binaries() / "pg_dump", "--inserts", "--no-owner", "--no-privileges", *options]
    text = subprocess.run([*command, conninfo], check=True, capture_output=True, text=True).stdout
    return _NOT_NEEDED.sub("", text)


if __name__ == "__main__":
    write_dump(*sys.argv[1:3])
