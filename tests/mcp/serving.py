"""A workspace with known content, and a client of the SDK that asks the server about it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
from mcp import Client

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.run import make_service
from tiger_slack_tui.mcp.server import Service, make_server

BASE = 1772000000
"""2026-02-25 06:13:20 UTC."""


class Workspace:
    """Stores users, channels and messages."""

    def __init__(self, database: psycopg.Connection[Any]) -> None:
        self.database = database
        self._n = 0

    def user(self, id_: str, name: str, **content: Any) -> None:
        user = {"id": id_, "name": name} | content
        self.database.execute("select slack.upsert_user(%s)", (json.dumps({"user": user}),))

    def channel(self, id_: str, name: str, **content: Any) -> None:
        channel = {"id": id_, "name": name, "is_private": False} | content
        event = json.dumps({"channel": channel})
        self.database.execute("select slack.upsert_channel(%s)", (event,))

    def post(self, text: str, *, channel: str = "C1", user: str = "U1", **content: Any) -> str:
        """Store a message, newer than the ones before by a minute. Returns its ts."""
        self._n += 1
        ts = self.last_ts
        message = {"channel": channel, "ts": ts, "user": user, "text": text} | content
        self.database.execute("select slack.insert_message(%s)", (json.dumps(message),))
        return ts

    def react(self, channel: str, ts: str, name: str, user: str = "U1") -> None:
        """Add a reaction to a message."""
        event = {"type": "reaction_added", "user_id": user, "event": {"reaction": name}} | {
            "channel_id": channel,
            "message_ts": ts,
            "event_ts": f"{BASE + 99_999}.0",
            "event_id": f"Ev{ts}{name}",
            "effects": ["reaction"],
        }
        self.database.execute(
            "select slack.apply_effects(slack.routed_events(%s))", (json.dumps([event]),)
        )

    @property
    def last_ts(self) -> str:
        return f"{BASE + 60 * self._n}.000100"

    def skip(self, minutes: int) -> None:
        """Let time pass without a message."""
        self._n += minutes

    def gap(
        self, id_: int, started: str, ended: str | None = None, channel: str | None = None
    ) -> None:
        self.database.execute(
            "insert into slack.gap (id, reason, started_at, ended_at, channel_id)"
            " overriding system value values (%s, 'not connected', %s, %s, %s)",
            (id_, started, ended, channel),
        )


def ordinary(workspace: Workspace) -> Workspace:
    """Two people and two public channels."""
    workspace.user("U1", "ana", profile={"real_name": "Ana Lima", "email": "ana@example.org"})
    workspace.user("U2", "bob", profile={"display_name": "Bobby"})
    workspace.channel("C1", "ops", topic={"value": "Servers"})
    workspace.channel("C2", "sales")
    return workspace


class Asking:
    """A client that is connected to the server."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer. Fails if the tool reports an error, or if the text says something else."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
        return result.structured_content

    async def error(self, tool: str, **arguments: Any) -> str:
        """The error that the tool reports."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        return str(result.content[0].text)  # type: ignore[union-attr]


def serving(conninfo: str, home: Path, access: Access | None = None) -> Service:
    """What answers the calls. The caller closes its database."""
    settings = Settings(home=home, conninfo=conninfo)
    return make_service(settings, lambda: nullcontext(conninfo), access or Access())


@asynccontextmanager
async def asking(conninfo: str, home: Path, access: Access | None = None) -> AsyncIterator[Asking]:
    """A client and a server in this process."""
    service = serving(conninfo, home, access)
    try:
        async with Client(make_server(service)) as client:
            yield Asking(client)
    finally:
        service.database.close()
