"""A failed task is restarted and shown, and affects no other."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.faults.clock import ManualClock
from tests.support import until
from tiger_slack_tui.base.errors import DatabaseUnavailable, MigrationError
from tiger_slack_tui.base.supervisor import Supervisor


class Work:
    """Raises the errors in turn, then runs until cancelled."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.starts = 0

    async def __call__(self) -> None:
        self.starts += 1
        if self.errors:
            raise self.errors.pop(0)
        await asyncio.Event().wait()


async def test_a_failure_shows_until_the_task_is_healthy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock, pause=0.001)
    work = Work(
        KeyError("words of a user"),
        ExceptionGroup("g", [ValueError()]),
        DatabaseUnavailable("away"),
    )
    caplog.set_level(logging.ERROR)
    task = asyncio.create_task(supervisor.supervise("the heartbeat", work))
    await until(lambda: work.starts == 4)
    assert supervisor.restarts == {"the heartbeat": 3}
    assert supervisor.problems() == ("the heartbeat failed and was started again: away",)
    records = [each for each in caplog.records if each.name == "tiger_slack_tui.base.supervisor"]
    begin = "the heartbeat failed and is started again in "
    for record, bound in zip(records, (0.001, 0.002, 0.004), strict=True):
        pause = float(record.getMessage().removeprefix(begin).removesuffix(" s"))
        assert bound * 0.49 <= pause <= bound * 1.01
        assert record.exc_info
    clock.advance(61)
    assert supervisor.problems() == ()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_pause_is_bounded_however_long_it_fails() -> None:
    supervisor = Supervisor(ManualClock(), pause=1)
    pause = 0.0
    for _ in range(3000):
        pause = supervisor._record("x", KeyError())
    assert 30 <= pause <= 60
    assert len(supervisor.problems()) == 1


async def test_a_fatal_error_is_raised() -> None:
    supervisor = Supervisor(pause=0.001)
    with pytest.raises(MigrationError):
        await supervisor.supervise(
            "x", Work(KeyError(), MigrationError("x")), fatal=(MigrationError,)
        )
    assert supervisor.restarts == {"x": 1}
