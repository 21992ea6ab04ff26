"""Keeps background tasks running: logs a task's failure, shows it, and starts the task again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import where

log = logging.getLogger(__name__)

_PAUSE_FIRST = 0.5
_PAUSE_MOST = 60.0
_SOUND_SECONDS = 60.0
"""Seconds that a task must run after a failure to count as healthy again."""


@dataclass(slots=True)
class _Failure:
    text: str
    failures: int
    """In a row, each less than a minute after the start before it."""
    started_at: float | None = None
    """`Clock.elapsed` of the last start; None while the task waits for it."""


class Supervisor:
    """Runs tasks and restarts those that fail. For one event loop."""

    def __init__(self, clock: Clock | None = None, *, pause: float = _PAUSE_FIRST) -> None:
        """`pause` is the limit of the first pause before a restart, in seconds; see `backoff`."""
        self._clock = clock or SystemClock()
        self._pause = pause
        self._failures: dict[str, _Failure] = {}
        self.restarts: Counter[str] = Counter()
        """Number of restarts by task name."""

    def problems(self) -> tuple[str, ...]:
        """One sentence for each task that has failed and has not run for a minute since."""
        return tuple(failure.text for failure in self._failures.values() if self._is_new(failure))

    async def supervise(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        """Run `work` until it returns; after an error, pause and run it again. Raises only `fatal` errors."""
        while True:
            if (failure := self._failures.get(name)) is not None:
                failure.started_at = self._clock.elapsed()
            try:
                await work()
                return
            except fatal:
                raise
            except Exception as error:
                pause = self._record(name, error)
            await asyncio.sleep(pause)

    def _record(self, name: str, error: Exception) -> float:
        """Log and keep the failure. Returns the seconds until the restart."""
        before = self._failures.get(name)
        failures = 1 + (before.failures if before is not None and self._is_new(before) else 0)
        pause = backoff(failures, first=self._pause, most=_PAUSE_MOST)
        reason = str(error) if isinstance(error, TigerSlackError) else where(error)
        reason = " ".join(reason.split())
        self.restarts[name] += 1
        log.error("%s failed and is started again in %.3g s", name, pause, exc_info=error)
        self._failures[name] = _Failure(f"{name} failed and was started again: {reason}", failures)
        return pause

    def _is_new(self, failure: _Failure) -> bool:
        since = failure.started_at
        return since is None or self._clock.elapsed() - since < _SOUND_SECONDS
