"""Resources: the list of visible channels, and what the tables hold."""

from __future__ import annotations

from itertools import groupby

import orjson

from tiger_slack_tui.mcp.answers import as_json
from tiger_slack_tui.mcp.call import Call
from tiger_slack_tui.mcp.tools.directory import get_channels
from tiger_slack_tui.store.schema_comments import column_comments

_CHANNELS = 500


async def channels(call: Call) -> str:
    """The visible channels, as JSON: the first 500 by name. The tool get_channels lists them all."""
    answer = await get_channels(call, include_archived=True, limit=_CHANNELS)
    content = as_json(answer.model_copy(update={"next_cursor": None}))
    return orjson.dumps(content).decode()


async def schema(call: Call) -> str:
    """The tables and columns of the schema slack, with their comments. For programs that use SQL."""
    lines: list[str] = []
    columns = await column_comments(call.connection)
    for table, rows in groupby(columns, key=lambda row: (row.table, row.table_comment)):
        lines.append(f"## slack.{table[0]}\n\n{table[1] or ''}\n")
        lines += [f"- `{row.column}` {row.type}: {row.comment or ''}" for row in rows]
        lines.append("")
    return "\n".join(lines)
