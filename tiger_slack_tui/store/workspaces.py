"""The workspaces: what Slack reports of ours, and whose messages the database contains."""

from __future__ import annotations

from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.queries import fetch_value

_HAS_TABLES = (
    "select to_regclass('slack.instance') is not null and to_regclass('slack.\"user\"') is not null"
)
# An instance asks Slack for its workspace. Users are less certain: some belong to workspaces that share a channel.
_OF_INSTANCES = "select distinct i.team_id from slack.instance i where i.team_id is not null"
_OF_USERS = """
select u.team_id
from slack."user" u
where u.team_id is not null
group by u.team_id
order by count(*) desc, u.team_id
limit 1
"""

_SAVE = """
insert into slack.workspace as w (team_id, team, url)
values (%(team_id)s, %(team)s, %(url)s)
on conflict (team_id) do update set team = excluded.team, url = excluded.url, seen_at = now()
"""


async def save_workspace(
    connection: Connection, team_id: TeamId, team: str, url: str | None
) -> None:
    """Store what Slack reported of the workspace."""
    await connection.execute(_SAVE, {"team_id": team_id, "team": team, "url": url})


async def known_teams(connection: Connection) -> frozenset[str]:
    """The ids of the workspaces whose messages the database contains.

    They are those of the instances; if there are none, the workspace of most users. Empty if neither is known, or if
    there are no tables yet.
    """
    if not await fetch_value(connection, _HAS_TABLES):
        return frozenset()
    for query in (_OF_INSTANCES, _OF_USERS):
        cursor = await connection.execute(query)
        if found := frozenset(team for (team,) in await cursor.fetchall()):
            return found
    return frozenset()
