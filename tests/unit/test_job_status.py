"""Which of a job's runs shows how the job stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.store.job_runs import RunOutcome

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DONE, SKIPPED, FAILED, GOES_ON = RunOutcome.DONE, RunOutcome.SKIPPED, RunOutcome.FAILED, None


@pytest.mark.parametrize(
    ("outcomes", "present"),
    [
        ([], None),
        ([SKIPPED, GOES_ON, DONE], 1),
        ([SKIPPED, FAILED, DONE], 1),
        ([DONE, SKIPPED], 0),
        ([SKIPPED, SKIPPED], 0),
    ],
)
def test_a_skipped_run_does_not_hide_another(outcomes: list[Any], present: int | None) -> None:
    runs: Any = tuple(type("Run", (), {"outcome": outcome})() for outcome in outcomes)
    status = JobStatus("backfill", 1, "0 1 * * *", "UTC", NOW, None, runs)
    assert status.present is (None if present is None else runs[present])
