"""The server: its tools, with one transaction, one size limit and one log line for each call."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel

from tiger_slack_tui import __version__
from tiger_slack_tui.audit.why import WaitingEvent
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.answers import as_json, rows
from tiger_slack_tui.mcp.call import Call
from tiger_slack_tui.mcp.handshake import NAME, TITLE, instructions
from tiger_slack_tui.mcp.prompts import PROMPTS
from tiger_slack_tui.mcp.resources import channels, schema
from tiger_slack_tui.mcp.tools.conversations import (
    get_conversations_in_channel,
    get_conversations_with_user,
)
from tiger_slack_tui.mcp.tools.directory import get_activity, get_channels, get_gaps, get_users
from tiger_slack_tui.mcp.tools.messages import get_message_context, get_thread_messages, search
from tiger_slack_tui.mcp.tools.why import why
from tiger_slack_tui.mcp.visible_now import VisibleNow
from tiger_slack_tui.postgres.queries import ping
from tiger_slack_tui.postgres.read_only import ReadOnlyDatabase

log = logging.getLogger(__name__)

Tool = Callable[..., Awaitable[BaseModel]]

TOOLS: tuple[Tool, ...] = (
    get_channels,
    get_users,
    search,
    get_conversations_in_channel,
    get_conversations_with_user,
    get_thread_messages,
    get_message_context,
    get_activity,
    get_gaps,
    why,
)
_SECRET_ARGUMENTS = ("query", "cursor", "name", "user")
"""Arguments whose values the log does not have: they can be text of people."""
_READY_SECONDS = 4.0
"""Less than the 5 s that `tiger-slack health` waits."""
_LOGGABLE = re.compile(r"[#A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")


@dataclass(frozen=True, slots=True)
class Service:
    """What all calls share."""

    database: ReadOnlyDatabase
    access: Access
    visible: VisibleNow
    spool: Path
    spool_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One call at a time reads the spool, because it can be large. It is held until the reading thread has ended."""

    @asynccontextmanager
    async def call(self, tool: str, arguments: Mapping[str, Any]) -> AsyncIterator[Call]:
        """A call, in a transaction that only reads.

        Raises as `database.transaction` and `visible.read`; for `why` also as `Call.message`.
        """
        spooled = await self._spooled(arguments) if tool == _name(why) else ()
        async with self._call(tool, arguments, spooled) as call:
            yield call

    async def is_ready(self) -> bool:
        """Whether the database answers a query within 4 s. The log says why it does not."""
        try:
            async with asyncio.timeout(_READY_SECONDS), self.database.transaction() as connection:
                await ping(connection)
        except (TigerSlackError, TimeoutError) as error:
            log.warning("not ready: %s", type(error).__name__)
            return False
        return True

    async def _spooled(self, arguments: Mapping[str, Any]) -> tuple[WaitingEvent, ...]:
        """The events in the spool for `why`, read outside of transactions, and only for a visible channel."""
        async with self._call(_name(why), arguments) as call:
            _, named = await call.message(arguments["channel"], arguments.get("ts"))
        await self.spool_lock.acquire()
        reading = asyncio.ensure_future(named.read_spool(self.spool))
        reading.add_done_callback(lambda _: self.spool_lock.release())
        return await asyncio.shield(reading)  # a cancelled call cannot stop the thread

    @asynccontextmanager
    async def _call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        spooled: tuple[WaitingEvent, ...] = (),
    ) -> AsyncIterator[Call]:
        async with self.database.transaction() as connection:
            visible = await self.visible.fetch(connection)
            yield Call(
                tool, arguments, connection, visible, self.access, datetime.now(UTC), spooled
            )


def make_server(service: Service) -> MCPServer[None]:
    """The server, ready to be run on stdio or HTTP. It opens no connection before the first call."""
    server: MCPServer[None] = MCPServer(
        NAME,
        title=TITLE,
        version=__version__,
        instructions=instructions(service.access),
        subscriptions=False,
        log_level="WARNING",
    )
    for tool in TOOLS:
        server.add_tool(
            _callable(service, tool),
            name=_name(tool),
            description=inspect.getdoc(tool),
            annotations=ToolAnnotations(
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
    for resource, mime_type in ((channels, "application/json"), (schema, "text/markdown")):
        server.resource(
            f"slack://{_name(resource)}",
            name=_name(resource),
            description=inspect.getdoc(resource),
            mime_type=mime_type,
        )(_resource(service, resource))
    for prompt in PROMPTS:
        server.prompt(name=_name(prompt), description=inspect.getdoc(prompt))(prompt)
    return server


def _callable(service: Service, tool: Tool) -> Callable[..., Awaitable[CallToolResult]]:
    """The tool as the SDK calls it: without the parameter `call`, and with an answer of compact JSON."""
    name = _name(tool)

    async def run(**arguments: Any) -> CallToolResult:
        try:
            with logged(name, arguments) as record:
                async with service.call(name, arguments) as call:
                    answer = await tool(call, **arguments)
                record["rows"] = rows(answer)
        except TigerSlackError as error:
            raise ToolError(str(error)) from None
        content = as_json(answer)
        text = TextContent(type="text", text=orjson.dumps(content).decode())
        return CallToolResult(content=[text], structured_content=content)

    signature = inspect.signature(tool, eval_str=True)
    parameters = [p for p in signature.parameters.values() if p.name != "call"]
    returned = Annotated[CallToolResult, signature.return_annotation]
    run.__name__ = name
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=returned
    )
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": returned}
    return run


def _resource(
    service: Service, resource: Callable[[Call], Awaitable[str]]
) -> Callable[[], Awaitable[str]]:
    """The resource as the SDK reads it."""
    name = _name(resource)

    async def read() -> str:
        try:
            with logged(name, {}):
                async with service.call(name, {}) as call:
                    return await resource(call)
        except TigerSlackError as error:
            raise ResourceError(str(error)) from None

    return read


@contextmanager
def logged(tool: str, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Log the call when the block ends, with what the block adds to the record."""
    record: dict[str, Any] = {"tool": tool, "arguments": loggable(arguments), "rows": 0}
    started = time.monotonic()
    try:
        yield record
    except BaseException as error:
        record["error"] = type(error).__name__
        raise
    finally:
        record["ms"] = round((time.monotonic() - started) * 1000, 1)
        log.info("call", extra=record)


def loggable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without anything that can be text of people."""
    shown: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is None:
            continue
        is_plain = not isinstance(value, str) or _LOGGABLE.fullmatch(value)
        shown[name] = value if is_plain and name not in _SECRET_ARGUMENTS else "…"
    return shown


def _name(tool: Callable[..., object]) -> str:
    return str(tool.__name__)
