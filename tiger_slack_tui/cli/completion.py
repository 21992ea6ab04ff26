"""`tiger-slack completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tiger_slack_tui.cli.errors import plain_errors

COMPLETION_VARIABLE = "_TIGER_SLACK_COMPLETE"
"""Set by the script when it asks the program; click forms the name from the program's."""
_PROGRAM = "tiger-slack"
_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
@plain_errors
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes bash, zsh or fish complete commands.

    \b
    bash: add to ~/.bashrc:  eval "$(tiger-slack completion bash)"
    zsh:  add to ~/.zshrc:   eval "$(tiger-slack completion zsh)"
    fish: tiger-slack completion fish > ~/.config/fish/completions/tiger-slack.fish
    """
    made_for = get_completion_class(shell)
    assert made_for is not None  # noqa: S101 click has one for each of them
    command = context.find_root().command
    click.echo(made_for(command, {}, _PROGRAM, COMPLETION_VARIABLE).source())
