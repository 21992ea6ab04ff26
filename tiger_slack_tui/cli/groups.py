"""Groups of commands."""

from __future__ import annotations

import click


class SuggestingGroup(click.Group):
    """A group that answers a command that does not exist with those that are like it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from tiger_slack_tui.base.name_patterns import suggestion  # takes long to import

            meant = suggestion(args[0], self.list_commands(ctx))
            if meant is None:
                raise
            raise click.UsageError(f"{error.message} {meant}", ctx) from None
