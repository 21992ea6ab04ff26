"""Saves the result of an import, and the problems of its archive, as files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TextIO

from tiger_slack_tui.base import private_files
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.imports.result import ImportResult
from tiger_slack_tui.imports.state import KEPT_PROBLEMS, ImportState
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.import_account import ImportProblem
from tiger_slack_tui.store.import_files import problems

_CHUNK = 1 << 18
"""Characters that are written together."""


def problem_line(problem: ImportProblem) -> str:
    """The problem as a JSON line."""
    line = {"file": problem.path, "position": problem.position, "reason": problem.reason}
    return json.dumps(line) + "\n"


async def write_problems(
    file: TextIO, conninfo: str, import_id: int
) -> tuple[list[ImportProblem], int]:
    """Write the problems of all runs of the import; the first KEPT_PROBLEMS of them, and their number.

    A thread waits for the disk. Raises psycopg.Error, OSError, DatabaseUnavailable, DatabaseRefused.
    """
    first, number = [], 0
    lines: list[str] = []
    size = 0
    async with await connect(conninfo) as connection:
        async for problem in problems(connection, import_id):
            lines.append(problem_line(problem))
            size += len(lines[-1])
            number += 1
            if number <= KEPT_PROBLEMS:
                first.append(problem)
            if size >= _CHUNK:
                await asyncio.to_thread(file.write, "".join(lines))
                lines, size = [], 0
    await asyncio.to_thread(file.write, "".join(lines))
    return first, number


async def _write_all_problems(
    file: TextIO, conninfo: str, import_id: int, state: ImportState
) -> tuple[int, str | None]:
    """Write the problems of all runs, or of this one if the database is away; their number, and why it is away."""
    try:
        with translate_errors(conninfo):
            first, number = await write_problems(file, conninfo, import_id)
    except TigerSlackError as error:
        lines = [problem_line(problem) for problem in state.problems]
        await asyncio.to_thread(_overwrite, file, "".join(lines))
        return len(lines), str(error.args[0])
    state.replace_problems(first, number)
    return number, None


def _overwrite(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)


async def save_report(
    directory: Path,
    conninfo: str,
    state: ImportState,
    result: ImportResult,
    command: str,
    error: TigerSlackError | None = None,
) -> Path:
    """Write the result and the problems as two files; the path of the result.

    Only their owner can read them. `error` is why the import failed. The state gets the problems of earlier runs. If
    the database is away, the file has only the problems of the state, and the result says so. Raises OSError.
    """
    name = f"import-{result.import_id}"
    content = {"command": command, **result.as_json()}
    if error is not None:
        content["error"] = error.args[0]
    if result.import_id is not None:
        bad, file = await asyncio.to_thread(private_files.create, directory, name, "-bad.jsonl")
        try:
            try:
                number, loss = await _write_all_problems(file, conninfo, result.import_id, state)
            finally:
                await asyncio.to_thread(file.close)
        except BaseException:
            bad.unlink(missing_ok=True)  # a part would be taken for the whole
            raise
        if loss is not None:
            content["bad_records_of_earlier_runs"] = f"not known: {loss}"
        if number:
            content["bad_records"] = str(bad)
        else:
            bad.unlink()
    text = json.dumps(content, indent=2) + "\n"
    return await asyncio.to_thread(_write_result, directory, name, text)


def _write_result(directory: Path, name: str, text: str) -> Path:
    path, file = private_files.create(directory, name, ".json")
    with file:
        file.write(text)
    return path
