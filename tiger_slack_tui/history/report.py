"""What an import leaves on disk: its account, and what was wrong with the archive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TextIO

import psycopg

from tiger_slack_tui.database.failures import describe
from tiger_slack_tui.database.pool import connect
from tiger_slack_tui.errors import TigerSlackError
from tiger_slack_tui.history.checkpoint import problems
from tiger_slack_tui.history.progress import BadRecord, ImportResult
from tiger_slack_tui.history.state import KEPT_PROBLEMS, ImportState


def write_problem(file: TextIO, path: str, position: int | None, reason: str) -> None:
    """One JSON line."""
    file.write(json.dumps({"file": path, "position": position, "reason": reason}) + "\n")


async def write_problems(
    file: TextIO, conninfo: str, import_id: int
) -> tuple[list[BadRecord], int]:
    """All that was wrong, also in the runs that this one went on from; the first of them, and how many.

    Raises psycopg.Error.
    """
    first, number = [], 0
    async with await connect(conninfo) as connection:
        found: AsyncIterator[Any] = problems(connection, import_id)
        async for row in found:
            write_problem(file, *row)
            number += 1
            if number <= KEPT_PROBLEMS:
                first.append(BadRecord(*row))
    return first, number


async def _write_known(
    file: TextIO, conninfo: str, import_id: int, state: ImportState
) -> tuple[int, str | None]:
    """Write what was wrong in all runs, or in this one where the database is lost; how many, and how it was lost."""
    try:
        first, number = await write_problems(file, conninfo, import_id)
    except (psycopg.Error, TigerSlackError) as error:
        file.seek(0)
        file.truncate()
        for problem in state.problems:
            write_problem(file, problem.path, problem.position, problem.reason)
        lost = describe(error) if isinstance(error, psycopg.Error) else str(error.args[0])
        return len(state.problems), lost
    state.recall(first, number)
    return number, None


async def save_report(
    directory: Path,
    conninfo: str,
    state: ImportState,
    result: ImportResult,
    command: str,
    error: TigerSlackError | None = None,
) -> Path:
    """Write the account, and beside it what was wrong, as files of their own; the account's path.

    `error` is why the import failed. The state learns of what was wrong in earlier runs. Where the database is lost,
    the file holds what the state knows, and the account says so. Raises OSError.
    """
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    name = f"import-{result.import_id}-{now}"
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    account = {"command": command, **result.as_json()}
    if error is not None:
        account["error"] = error.args[0]
    bad = directory / f"{name}-bad.jsonl"
    if result.import_id is not None:
        try:
            with bad.open("w", encoding="utf-8") as file:
                number, loss = await _write_known(file, conninfo, result.import_id, state)
        except BaseException:
            bad.unlink(missing_ok=True)  # half of it would be taken for all
            raise
        if loss is not None:
            account["bad_records_of_earlier_runs"] = f"not known: {loss}"
        if number:
            account["bad_records"] = str(bad)
        else:
            bad.unlink()
    path = directory / f"{name}.json"
    text = json.dumps(account, indent=2) + "\n"
    await asyncio.to_thread(path.write_text, text, "utf-8")
    return path
