"""The files that wait for a worker, and those that the workers have."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from tiger_slack_tui.imports.archive.plan import ImportSelection, NumberedFile
from tiger_slack_tui.imports.workers import protocol

_COMMANDS_AHEAD = 2
"""Commands that a worker has at the same time, so that it never waits for the next one."""
_CRASHES = 2
"""Crashes of workers that read only this file, after which the file is not opened again."""


class FileQueue:
    """Gives the batches of files to workers, and takes those back that a crashed worker has left."""

    def __init__(self, selection: ImportSelection, *, is_restart: bool) -> None:
        self._selection = selection
        self._is_restart = is_restart
        self._waiting: deque[protocol.FileBatch] = deque()
        self._given: list[deque[protocol.ReadFiles]] = []
        """The commands of each worker."""
        self._crashes: Counter[int] = Counter()
        """By the file's number."""

    def add(self, batches: Iterable[protocol.FileBatch]) -> None:
        """Add batches at the end."""
        self._waiting.extend(batches)

    def new_worker(self) -> deque[protocol.ReadFiles]:
        """Register a worker and return its empty list of commands. Remove a command once the worker has done it."""
        commands: deque[protocol.ReadFiles] = deque()
        self._given.append(commands)
        return commands

    def next_command(self, commands: deque[protocol.ReadFiles]) -> protocol.ReadFiles | None:
        """Another command for a worker, added to its `commands`; None if it has enough, or nothing waits."""
        if not self._waiting or len(commands) >= _COMMANDS_AHEAD:
            return None
        crashed = frozenset(n for n, times in self._crashes.items() if times >= _CRASHES)
        others = [
            command.batch for given in self._given if given is not commands for command in given
        ]
        batch = take_batch(self._waiting, others)
        command = protocol.ReadFiles(batch, self._selection, crashed, self._is_restart)
        commands.append(command)
        return command

    def give_back(self, left: Sequence[NumberedFile], commands: deque[protocol.ReadFiles]) -> None:
        """Take back what a crashed worker has not read: the files `left` of its first command, and the rest.

        Each of the files becomes a batch of its own, which shows which of them crashes the worker.
        """
        commands.popleft()
        self._waiting.extendleft(command.batch for command in reversed(commands))
        self._waiting.extendleft(protocol.FileBatch.of([file]) for file in reversed(left))
        commands.clear()

    def count_crash(self, number: int) -> None:
        """Count a crash of a worker that read only this file."""
        self._crashes[number] += 1


def take_batch(
    waiting: deque[protocol.FileBatch], others: Iterable[protocol.FileBatch]
) -> protocol.FileBatch:
    """Take the first batch that shares no channel with the others, which workers have; if there is none, the first.

    Two workers that write to one week of a channel wait for each other's locks.
    """
    busy = frozenset[str]().union(*(other.channels for other in others))
    for number, batch in enumerate(waiting):
        if busy.isdisjoint(batch.channels):
            del waiting[number]
            return batch
    return waiting.popleft()
