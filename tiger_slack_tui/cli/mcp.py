"""`tiger-slack mcp`: serves AI clients that ask about the stored workspace."""

from __future__ import annotations

import gc
import os
from functools import partial

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.cli.errors import plain_errors


class McpMissing(TigerSlackError):
    """The package was installed without the MCP server."""


@click.command()
@click.option("--private", is_flag=True, help="Show private channels, too.")
@click.option("--direct-messages", is_flag=True, help="Show direct messages, too.")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="NAME",
    help="Show only this channel, by name or id. Can be repeated.",
)
@click.option("--emails", is_flag=True, help="Show e-mail addresses of people.")
@plain_errors
def mcp(private: bool, direct_messages: bool, channels: tuple[str, ...], emails: bool) -> None:
    """Let AI clients ask about the workspace, over MCP.

    Serves one client of the Model Context Protocol on stdin and stdout. It only reads the database, and shows only
    public channels unless an option says more. The log goes to stderr.
    """
    # Without these two, the imports take twice as long.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        import mcp.server.mcpserver  # noqa: F401
    except ImportError:
        raise McpMissing(
            "The MCP server is not installed.", hint="Run: pip install 'tiger-slack-tui[mcp]'"
        ) from None
    from tiger_slack_tui.launch import database, open_log
    from tiger_slack_tui.mcp.access import Access
    from tiger_slack_tui.mcp.run import run_stdio

    gc.enable()
    loaded = settings.load()
    access = Access(private, direct_messages, channels, emails)
    open_log(loaded, ui=False)
    run_stdio(loaded, partial(database, loaded), access)
