"""Pauses, resumes and cancels a running import."""

from __future__ import annotations

import asyncio


class ImportControl:
    """Whether the workers of an import may start their next batch."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self._may_merge = asyncio.Event()
        self._may_merge.set()

    @property
    def is_paused(self) -> bool:
        return not self._may_merge.is_set()

    def pause(self) -> None:
        """Start no further batch. It has no effect after `cancel`."""
        if not self.is_cancelled:
            self._may_merge.clear()

    def resume(self) -> None:
        """Start batches again."""
        self._may_merge.set()

    def cancel(self) -> None:
        """Start no further batch, for good."""
        self.is_cancelled = True
        self._may_merge.set()

    async def wait(self) -> None:
        """Wait while the import is paused."""
        await self._may_merge.wait()
