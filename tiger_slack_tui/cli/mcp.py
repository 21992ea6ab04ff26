"""`tiger-slack mcp`: serves AI clients that ask about the stored workspace."""

from __future__ import annotations

import gc
import os
from functools import partial

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.cli.errors import exit_on_sigterm, plain_errors


class McpMissing(TigerSlackError):
    """The package was installed without the MCP server."""


@click.command()
@click.option(
    "--http",
    metavar="[HOST:]PORT",
    help="Serve over HTTP at this address, not on stdin and stdout. The host is 127.0.0.1 by default; any other needs"
    " TIGER_SLACK_MCP_TOKEN.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="With --http: a name by which clients reach the server, as through a proxy. Can be repeated.",
)
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
def mcp(
    http: str | None,
    allowed_hosts: tuple[str, ...],
    private: bool,
    direct_messages: bool,
    channels: tuple[str, ...],
    emails: bool,
) -> None:
    """Let AI clients ask about the workspace, over MCP.

    Serves one client of the Model Context Protocol on stdin and stdout, or with --http many. It only reads the
    database, and shows only public channels unless an option says more. The log goes to stderr.
    """
    exit_on_sigterm()
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
    from tiger_slack_tui.mcp.run import run_http, run_stdio

    gc.freeze()  # else the first collection looks at all of it
    gc.enable()
    loaded = settings.load()
    access = Access(private, direct_messages, channels, emails)
    address = partial(database, loaded)
    if http is None:
        if allowed_hosts:
            raise click.UsageError("--allow-host needs --http.")
        open_log(loaded, ui=False)
        run_stdio(loaded, address, access)
        return
    from tiger_slack_tui.mcp.http import HttpOptions

    options = HttpOptions.read(http, loaded.mcp_token, allowed_hosts)
    open_log(loaded, ui=False)
    run_http(loaded, address, access, options)
