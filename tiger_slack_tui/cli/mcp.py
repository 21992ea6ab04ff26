"""`tiger-slack mcp`: serves AI clients that ask about the stored workspace."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.cli.errors import exit_on_sigterm, plain_errors
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.handshake import Handshake


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
    if http is None and allowed_hosts:
        raise click.UsageError("--allow-host needs --http.")
    access = Access(private, direct_messages, channels, emails)
    loaded = settings.load()
    if find_spec("mcp") is None:
        raise McpMissing(
            "The MCP server is not installed.", hint="Run: pip install 'tiger-slack-tui[mcp]'"
        )
    if http is None:
        _serve_stdio(loaded, access)
    else:
        _serve_http(loaded, access, http, allowed_hosts)


def _serve_stdio(loaded: settings.Settings, access: Access) -> None:
    handshake = Handshake(access)
    handshake.start()
    with _quick_imports():
        from tiger_slack_tui.launch import open_log
        from tiger_slack_tui.mcp.run import run_stdio
        from tiger_slack_tui.postgres.database import database
    open_log(loaded, ui=False)
    run_stdio(loaded, partial(database, loaded), access, handshake)


def _serve_http(
    loaded: settings.Settings, access: Access, address: str, allowed_hosts: Sequence[str]
) -> None:
    with _quick_imports():
        from tiger_slack_tui.launch import open_log
        from tiger_slack_tui.mcp.http import HttpOptions
        from tiger_slack_tui.mcp.run import run_http
        from tiger_slack_tui.postgres.database import database
    options = HttpOptions.parse(address, loaded.mcp_token, allowed_hosts)
    open_log(loaded, ui=False)
    run_http(loaded, partial(database, loaded), access, options)


@contextmanager
def _quick_imports() -> Iterator[None]:
    """Imports take half the time in this block."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    yield
    gc.freeze()  # else the first collection looks at all of it
    gc.enable()
