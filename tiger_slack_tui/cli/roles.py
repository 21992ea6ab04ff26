"""`tiger-slack roles`: prints the SQL that makes the roles."""

from __future__ import annotations

import click

from tiger_slack_tui.cli.errors import plain_errors


@click.command()
@plain_errors
def roles() -> None:
    """Print SQL that makes roles for owner, ingester and reader.

    The owner migrates, the ingester runs the program, the reader queries. Run the SQL in the database, as a role that
    may create roles: tiger-slack roles | psql DATABASE. It can be run again.
    """
    from tiger_slack_tui.postgres.roles import ROLES_SQL

    click.echo(ROLES_SQL, nl=False)
