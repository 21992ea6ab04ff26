"""The command line: which commands there are, and where each one is defined."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from tiger_slack_tui.cli.errors import exit_on_interrupt
from tiger_slack_tui.cli.groups import SuggestingGroup


class _Command(NamedTuple):
    module: str
    function: str
    summary: str
    """The first sentence of the command's help. It stands here, too, because importing the module takes long."""


_GROUPS = {
    "Run": {
        "run": _Command(
            "run", "run", "Ingest from Slack until stopped, with the console or without it."
        ),
        "observe": _Command("run", "observe", "Show the console of instances that run elsewhere."),
        "demo": _Command(
            "demo", "demo", "Ingest an invented workspace; no Slack or database is needed."
        ),
        "health": _Command(
            "health", "health", "Ask the program that runs on this machine whether it is ready."
        ),
    },
    "Import and history": {
        "import": _Command(
            "imports", "import_command", "Import a Slack export, or what Slackdump wrote."
        ),
        "backfill": _Command(
            "backfill", "backfill", "Close gaps and read histories from Slack, or show them."
        ),
    },
    "Questions": {
        "search": _Command("search", "search", "Find messages."),
        "thread": _Command("search", "thread", "Show a thread, the oldest message first."),
        "why": _Command("why", "why", "Explain why a message is stored, or why it is not."),
        "events": _Command("events", "events", "List received events and what became of each."),
        "event": _Command("events", "event", "Show one event in full."),
        "stats": _Command("stats", "stats", "Show how much is written, by day and by channel."),
        "mcp": _Command("mcp", "mcp", "Let AI clients ask about the workspace, over MCP."),
    },
    "Rules": {
        "discard": _Command("discard", "discard", "Manage the rules that discard messages."),
        "replay": _Command("replay", "replay", "Process received events again."),
    },
    "Set-up": {
        "init": _Command(
            "init", "init", "Set up: ask for the settings, check each, and write them to .env."
        ),
        "config": _Command(
            "config", "config", "Show every setting, its value, and where the value comes from."
        ),
        "completion": _Command(
            "completion",
            "completion",
            "Print a script that makes bash, zsh or fish complete commands.",
        ),
    },
    "Maintenance": {
        "doctor": _Command(
            "doctor", "doctor", "Check everything that a run needs, and say what to fix."
        ),
        "roles": _Command(
            "roles",
            "roles",
            "Print SQL that makes roles for owner, ingester and reader.",
        ),
        "migrate": _Command(
            "migrate", "migrate", "Bring the database's schema up to date, or show its state."
        ),
        "jobs": _Command("jobs", "jobs", "Run jobs now, or show their schedule and last runs."),
    },
}
_COMMANDS = {name: each for group in _GROUPS.values() for name, each in group.items()}


class _Commands(SuggestingGroup):
    """Imports the module of a command when the command is used, so that `--help` takes 0.1 s."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        declared = _COMMANDS.get(cmd_name)
        if declared is None:
            return None
        with exit_on_interrupt():
            module = import_module(f"tiger_slack_tui.cli.{declared.module}")
        command: click.Command = getattr(module, declared.function)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click's, but without importing every command."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=each.summary)
            for name, each in _COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for title, group in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), each.summary) for name, each in group.items()]
                )


def _print_version(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        from tiger_slack_tui.base.build import version_text  # asks git in a checkout

        click.echo(version_text())
        context.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and the commit, and exit.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """Ingest a Slack workspace into TimescaleDB or PostgreSQL.

    Without a command: run.
    """
    if context.invoked_subcommand is None:
        run = main.get_command(context, "run")
        assert run is not None  # noqa: S101 for the types
        context.invoke(run)
