"""`tiger-slack mcp` as a process on stdio: with a database that is away first, and what it logs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import psycopg
from mcp import Client, StdioServerParameters, stdio_client
from psycopg.conninfo import make_conninfo

from tests.acceptance.test_cli import in_this_process
from tests.mcp.serving import Asking, Workspace, ordinary
from tests.support import allow_connections


async def test_stdio(database: psycopg.Connection[Any], conninfo: str, tmp_path: Path) -> None:
    workspace = ordinary(Workspace(database))
    workspace.post("the secret plan")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "tiger_slack_tui", "mcp"],
        env=kept
        | {
            "TIGER_SLACK_HOME": str(tmp_path),
            "DATABASE_URL": make_conninfo(conninfo),
            "PYTHONPATH": str(Path.cwd()),
        },
        cwd=tmp_path,
    )
    database.close()
    allow_connections(conninfo, allowed=False)
    with (tmp_path / "log").open("w") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            asking = Asking(client)
            assert "was not reached" in await asking.error("search", query="secret plan")
            allow_connections(conninfo, allowed=True)
            answer = await asking.ask("search", query="secret plan")
            assert answer["results"][0]["quoted_text"] == "the secret plan"
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    calls = [line for line in lines if line["message"] == "call"]
    assert [(each["tool"], each["rows"]) for each in calls] == [("search", 0), ("search", 1)]
    assert calls[1]["arguments"]["query"] == "…"
    assert "secret" not in (tmp_path / "log").read_text()


def test_options_that_are_not_safe(tmp_path: Path) -> None:
    for arguments, reason in (
        (["--http", "0.0.0.0:1"], "Set TIGER_SLACK_MCP_TOKEN"),
        (["--http", "x"], "Write it as PORT or HOST:PORT"),
        (["--allow-host", "x"], "needs --http"),
        (["--channel", "ops", "--private"], "cannot be combined"),
    ):
        done = in_this_process("mcp", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert reason in done.stderr
    done = in_this_process("mcp", cwd=tmp_path, TIGER_SLACK_MCP_TOKEN="short")
    assert (done.returncode, "is not a safe token" in done.stderr) == (2, True)
