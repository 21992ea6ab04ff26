"""doctor's checks of the server, its settings, and a pooler in front of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.faults.pooler import transaction_pooler
from tests.servers import with_data
from tiger_slack_tui.checks.check import Check
from tiger_slack_tui.checks.server import check_locks, check_server_settings
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.introspection import ChunkLocks


async def checks(conninfo: str, direct: str | None = None) -> dict[str, Check]:
    return {check.name: check async for check in check_server_settings(conninfo, direct)}


async def test_a_direct_connection(conninfo: str) -> None:
    found = await checks(conninfo)
    assert {name: check.state for name, check in found.items()} == {
        "writes": "ok",
        "durability": "warning",  # the tests' server is fast, and not durable
        "settings": "ok",
        "sessions": "ok",
    }
    assert "fsync and full_page_writes off" in found["durability"].found


async def test_a_setting_of_a_database_is_reported(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    name = database.info.dbname
    database.execute(f"alter database {name} set synchronous_commit = local".encode())
    found = (await checks(conninfo))["settings"].found
    assert f"synchronous_commit = local (set for the database {name}) is overruled by on" in found


async def test_a_pooler_in_transaction_mode_needs_a_direct_address(
    conninfo: str, empty_conninfo: str
) -> None:
    async with transaction_pooler(conninfo) as pooled:
        found = (await checks(pooled))["sessions"]
        assert found.state == "failed"
        assert "DATABASE_DIRECT_URL" in (found.fix or "")
        assert (await checks(pooled, conninfo))["sessions"].state == "ok"
        other = (await checks(pooled, empty_conninfo))["sessions"]
        assert (other.state, other.found) == (
            "failed",
            "DATABASE_DIRECT_URL leads to another database",
        )
        again = (await checks(pooled, pooled))["sessions"]
        assert again.state == "failed"
        nowhere = await checks(pooled, make_conninfo(conninfo, host="127.0.0.1", port=1))
        assert nowhere["sessions"].state == "failed"


async def test_a_standby(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    home = with_data(tmp_path / "home")
    (home / "data" / "standby.signal").touch()
    with EmbeddedPostgres.start(home, durable=False) as server:
        found = (await checks(server.conninfo))["writes"]
    assert found.state == "failed"
    assert "is a standby: it takes no events" in found.found


@pytest.mark.parametrize(
    ("chunks", "needed", "state"), [(10, 60, "ok"), (266, 1600, "ok"), (520, 3138, "warning")]
)
def test_room_for_locks(chunks: int, needed: int, state: str) -> None:
    check = check_locks(ChunkLocks(chunks, needed, 64, 100))
    assert check.state == state
    if state == "warning":
        assert (
            check.found
            == "520 chunks take 3,138 of 6,400 locks: large changes can fail (SQLSTATE 53200)"
        )
        assert "max_locks_per_transaction = 128" in (check.fix or "")
