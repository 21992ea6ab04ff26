"""`initialize` is answered before the SDK is there, as the SDK would answer it, and once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from tests.mcp.serving import serving
from tiger_slack_tui.mcp import handshake
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.server import make_server

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "prompts/list"}


def initialize(version: str, **more: Any) -> dict[str, Any]:
    params = {"protocolVersion": version, "capabilities": {}} | {
        "clientInfo": {"name": "x", "version": "1"}
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params | more}


def write(file: int, *messages: object) -> None:
    os.write(file, "".join(json.dumps(each) + "\n" for each in messages).encode())


async def read(file: BinaryIO) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.to_thread(file.readline))
    return message


async def answers(
    first: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first two answers to the request and to LIST."""
    stdin, to_server = os.pipe()
    from_server, stdout = os.pipe()
    access = Access(private=True)
    begun = handshake.Handshake(access, stdin, stdout)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    with os.fdopen(from_server, "rb") as output:
        begun.start()
        write(to_server, first)
        write(to_server, INITIALIZED, LIST)
        await asyncio.to_thread(begun.hand_over)
        server = make_server(serving("", home, access))
        run = asyncio.create_task(server.run_stdio_async())
        found = await read(output), await read(output)
        os.close(to_server)
        await run
        sys.stdout = None
        for file in (stdin, stdout):
            os.close(file)
    return found


@pytest.mark.parametrize(
    "version", [HANDSHAKE_PROTOCOL_VERSIONS[0], HANDSHAKE_PROTOCOL_VERSIONS[-1], "2099-01-01"]
)
async def test_the_answer_is_that_of_the_sdk(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = await answers(initialize(version), tmp_path, monkeypatch)
    assert handshake._VERSIONS == HANDSHAKE_PROTOCOL_VERSIONS
    assert "private channels" in early[0]["result"]["instructions"]
    assert early[1]["id"] == 2
    monkeypatch.setattr(handshake, "_complete_request", lambda _: None)
    assert await answers(initialize(version), tmp_path, monkeypatch) == early


@pytest.mark.parametrize(
    ("first", "kinds"),
    [
        (initialize("2025-06-18", clientInfo={}), [(1, "error"), (2, "result")]),
        # Answered too early: the SDK's error follows.
        (initialize("2025-06-18", capabilities={"roots": 5}), [(1, "result"), (1, "error")]),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping"}, [(1, "result"), (2, "result")]),
    ],
)
async def test_the_sdk_answers_what_is_not_complete(
    first: dict[str, Any],
    kinds: list[tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await answers(first, tmp_path, monkeypatch)
    assert [(each["id"], "error" if "error" in each else "result") for each in found] == kinds


def test_only_a_result_that_is_the_first_answer_is_left_out() -> None:
    result, error = b'{"id": 1, "result": {}}\n', b'{"id": 1, "error": {}}\n'
    request = b'{"id": 1, "method": "roots/list"}\n'
    for written, left in (
        ((result, result), (result,)),
        ((error, result), (error, result)),
        ((request, result, error), (request, error)),
    ):
        reading, writing = os.pipe()
        with open(reading, "rb") as lines:
            output = handshake._WithoutAnswer(1, writing)
            for line in written:
                output.write(line)
            os.close(writing)
            assert tuple(lines) == left


def test_the_answer_comes_before_the_sdk_is_imported() -> None:
    """Neither the SDK nor the database's driver are imported where the answer is made."""
    code = "import sys, tiger_slack_tui.cli.mcp; print(*{'mcp', 'pydantic', 'psycopg'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
