"""Chooses the exports of an archive to import.

Messages of two workspaces are never mixed unless --workspace asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

import orjson

from tiger_slack_tui.imports.archive.layout import USER_LISTS, Root
from tiger_slack_tui.imports.archive.members import DAMAGE, ArchiveRefused, Export, Member, Source
from tiger_slack_tui.imports.archive.names import shown
from tiger_slack_tui.imports.archive.records import WHOLE, read_objects

_USERS = 10_000
"""The users of a list whose workspace is read. More would not change the most frequent one."""
_FOLDERS, _MESSAGES = 20, 1000
"""The channels, and the messages of each, that are read if the lists do not name the workspace."""
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """The operator's choice among several exports: --root and --workspace."""

    root: str | None = None
    """The path of an export in the archive."""
    workspace: str | None = None
    """The id of a workspace (T…) or of an organisation (E…)."""


def choose(
    source: Source,
    roots: Sequence[Root],
    choice: ExportChoice,
    held: Iterable[str],
    warnings: list[str],
) -> list[Root]:
    """The exports to import. `held` has the ids of the database's workspaces; empty if they are unknown. Blocks.

    An export whose workspace is unknown is chosen, with a warning if the database's workspace is known. Raises
    ArchiveRefused if there are several exports, or one of another workspace than the database's, and `choice` does
    not choose.
    """
    teams = {root.path: teams_of(source, root) for root in roots}
    found = list(roots)
    if choice.root is not None:
        wanted = str(PurePosixPath(choice.root))
        found = [root for root in found if wanted in (root.path, shown(root.path))]
        if not found:
            raise _refuse(f"The archive holds no export in {shown(wanted)!r}.", roots, teams)
    if choice.workspace is not None:
        found = [root for root in found if choice.workspace in teams[root.path]]
        if not found:
            raise _refuse(
                f"The archive holds no export of workspace {shown(choice.workspace)}.", roots, teams
            )
        return found
    if len(found) > 1:
        raise _refuse(
            f"The archive holds {len(found)} exports, and nothing says that they belong together.",
            found,
            teams,
        )
    if database := set(held):
        for root in found:
            _check_workspace(teams[root.path], database, warnings)
    return found


def _check_workspace(export: set[str], database: set[str], warnings: list[str]) -> None:
    """Compare the ids of an export's workspaces and of the database's. Raises ArchiveRefused."""
    if not export:
        warnings.append(
            f"The export does not name its workspace; the database holds {_listed(database)}."
            " Check that they are the same: the messages cannot be told apart later."
        )
    elif database.isdisjoint(export):
        raise ArchiveRefused(
            f"The export is of workspace {_listed(export)}, the database holds {_listed(database)}.",
            hint="Import it into a database of its own."
            f" --workspace {min(export)} imports it into this one all the same.",
        )


def teams_of(source: Source, root: Root) -> set[str]:
    """The ids of an export's workspaces; empty if they are unknown. Blocks.

    Slackdump writes the id into a file. Otherwise it is the id of most users: a list also has users of workspaces
    that share channels with this one. An Enterprise Grid has the ids of the organisation and of all its workspaces.
    Without a list of users it is the id in most of the first messages.
    """
    if root.workspace is not None and (written := _written(source, root.workspace)):
        return written
    users: Counter[str] = Counter()
    organisations: Counter[str] = Counter()
    of_organisation: set[str] = set()
    has_workspaces = any("teams" in PurePosixPath(member.path).parts for member in root.lists)
    for member in root.lists:
        name = PurePosixPath(member.path).name.lower()
        if name not in USER_LISTS:
            continue
        has_workspaces |= name == "org_users.json"
        for user in islice(read_objects(source, member), _USERS):
            team = user.get("team_id")
            if not isinstance(team, str) or not team or user.get("is_stranger") is True:
                continue
            users[team] += 1
            organisation = user.get("enterprise_user")
            if isinstance(organisation, dict):
                if isinstance(id_ := organisation.get("enterprise_id"), str):
                    organisations[id_] += 1
                teams = organisation.get("teams")
                of_organisation |= {
                    t for t in (teams if isinstance(teams, list) else ()) if isinstance(t, str)
                }
    if not users:
        users = _teams_of_messages(source, root)
    if has_workspaces:
        return set(users) | set(organisations) | of_organisation
    return {team for team, _ in users.most_common(1)}


def _teams_of_messages(source: Source, root: Root) -> Counter[str]:
    """The number of messages by workspace, of the first messages of some channels."""
    found: Counter[str] = Counter()
    first = {file.folder: file.member for file in reversed(root.files)}
    for folder in sorted(first)[:_FOLDERS]:
        for message in islice(read_objects(source, first[folder]), _MESSAGES):
            if isinstance(team := message.get("team"), str) and team:
                found[team] += 1
    return found


def _written(source: Source, member: Member) -> set[str]:
    try:
        with source.open(member) as stream:
            value = orjson.loads(stream.read(WHOLE))
    except (ValueError, *DAMAGE):
        return set()
    ids = (value.get("team_id"), value.get("enterprise_id")) if isinstance(value, dict) else ()
    return {id_ for id_ in ids if isinstance(id_, str) and id_}


def _refuse(message: str, roots: Sequence[Root], teams: dict[str, set[str]]) -> ArchiveRefused:
    lines = [f"{shown(root.path)}  {_listed(teams[root.path])}" for root in roots[:_SHOWN]]
    if len(roots) > _SHOWN:
        lines.append(f"and {len(roots) - _SHOWN:,} more")
    return ArchiveRefused(
        message,
        hint="\n  ".join(
            ["Choose one with --root PATH, or those of a workspace with --workspace TEAM:", *lines]
        ),
        exports=[Export(root.path, tuple(sorted(teams[root.path]))) for root in roots],
    )


def _listed(teams: Iterable[str]) -> str:
    found = sorted(teams)
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (", ".join(map(shown, found[:3])) + more) or "(not known)"
