"""Where merged records go: the tables and the checkpoints of an import, the tables alone, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from tiger_slack_tui.imports.merge.decisions import Changes, RecordProblem
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store import import_dry_run, import_messages, rules
from tiger_slack_tui.store.import_account import ImportProblem
from tiger_slack_tui.store.import_contents import save_contents
from tiger_slack_tui.store.import_files import FileCheckpoint, add_problems, save_checkpoints
from tiger_slack_tui.store.import_messages import KnownMessages, MessageTimes, Reactions


class MergeTarget(Protocol):
    """What a `Merger` reads and writes.

    The merger calls the last five methods in the transaction of a batch, in this order.
    """

    async def prepare(self) -> None:
        """Set up the session, once."""

    async def has_rules(self) -> bool:
        """Whether there are discard rules now."""

    async def lock(self, times: MessageTimes) -> None:
        """Lock the messages, until the transaction ends."""

    async def count_rule_failures(self, failures: Any) -> None:
        """Count failures of discard rules; not called without any."""

    async def fetch_known(self, times: MessageTimes) -> KnownMessages:
        """What is stored of the messages."""

    async def write(self, changes: Changes, known: KnownMessages) -> None:
        """Store the changes. `known` already includes them."""

    async def save_files(
        self, files: Mapping[int, FileCheckpoint], problems: Sequence[RecordProblem]
    ) -> None:
        """Save the checkpoints, by number, and the problems of the batch's files. Raises CheckpointChanged."""


class TablesTarget:
    """The tables alone. The backfill saves its own checkpoints."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def prepare(self) -> None:
        await import_messages.set_up_bulk_session(self._connection)

    async def has_rules(self) -> bool:
        return await rules.has_rules(self._connection)

    async def lock(self, times: MessageTimes) -> None:
        await import_messages.lock_messages(self._connection, times)

    async def count_rule_failures(self, failures: Any) -> None:
        await rules.count_rule_failures(self._connection, failures)

    async def fetch_known(self, times: MessageTimes) -> KnownMessages:
        return await import_messages.fetch_known(self._connection, times)

    async def write(self, changes: Changes, known: KnownMessages) -> None:
        await _write_messages(self._connection, changes, known)

    async def save_files(
        self, files: Mapping[int, FileCheckpoint], problems: Sequence[RecordProblem]
    ) -> None:
        pass


class ImportTarget(TablesTarget):
    """The tables and, in the same transaction, the checkpoints and problems of an import."""

    def __init__(self, connection: Connection, import_id: int) -> None:
        super().__init__(connection)
        self._import = import_id

    async def save_files(
        self, files: Mapping[int, FileCheckpoint], problems: Sequence[RecordProblem]
    ) -> None:
        found = [ImportProblem(files[p.file].path, p.position, p.reason) for p in problems]
        await add_problems(self._connection, self._import, found)
        await save_checkpoints(self._connection, self._import, list(files.values()))
        await save_contents(self._connection, (file for file in files.values() if file.is_whole))


class DryRunTarget:
    """Changes nothing. It remembers, in temporary tables, what an import would have stored.

    The database need not have this program's tables.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._has_tables = False

    async def prepare(self) -> None:
        await import_messages.set_up_bulk_session(self._connection)
        self._has_tables = await import_dry_run.has_tables(self._connection)
        await import_dry_run.create_tables(self._connection)

    async def has_rules(self) -> bool:
        return self._has_tables and await rules.has_rules(self._connection)

    async def lock(self, times: MessageTimes) -> None:
        pass

    async def count_rule_failures(self, failures: Any) -> None:
        pass

    async def fetch_known(self, times: MessageTimes) -> KnownMessages:
        known = KnownMessages()
        if self._has_tables:
            known = await import_messages.fetch_known(self._connection, times)
        await import_dry_run.add_merged(self._connection, known, times)
        return known

    async def write(self, changes: Changes, known: KnownMessages) -> None:
        contents = changes.inserts | changes.updates
        await import_dry_run.save_merged(
            self._connection,
            versions={key: row.version for key, row in contents.items()},
            deletions=changes.deletions,
            reactions=changes.reactions,
        )

    async def save_files(
        self, files: Mapping[int, FileCheckpoint], problems: Sequence[RecordProblem]
    ) -> None:
        pass


async def _write_messages(connection: Connection, changes: Changes, known: KnownMessages) -> None:
    await import_messages.delete_messages(connection, changes.updates)
    contents = changes.inserts | changes.updates
    shown = known.reactions
    rows = {
        key: row.row(_reactions_json(shown[key]) if key in shown else None)
        for key, row in contents.items()
    }
    await import_messages.copy_messages(connection, rows)
    with_content = {key: new for key, new in changes.reactions.items() if key in contents}
    await import_messages.copy_reactions(connection, with_content)
    await import_messages.apply_effects(
        connection,
        channel_changes=[((row.channel.id, row.micros), row.message()) for row in changes.channels],
        deletions=changes.deletions,
        reactions={key: new for key, new in changes.reactions.items() if key not in contents},
    )


def _reactions_json(states: Reactions) -> bytes | None:
    """The value of slack.message.reactions, as slack.reactions_of() makes it."""
    present = sorted((since, *who) for who, (since, is_present) in states.items() if is_present)
    shown = [{"user_id": user, "reaction": name} for _, user, name in present]
    return orjson.dumps(shown) if shown else None
