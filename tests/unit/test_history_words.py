"""A history of all time, as the console and `backfill --status` show it: nobody reads of 1970."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tiger_slack_tui.base.ids import ChannelId
from tiger_slack_tui.cli.backfill_status import progress_words
from tiger_slack_tui.console.model.findings_reader import finding_of
from tiger_slack_tui.console.model.names import Names
from tiger_slack_tui.console.panes.details import gap_lines
from tiger_slack_tui.console.panes.jobs import progress_left
from tiger_slack_tui.console.views.overview import job_line
from tiger_slack_tui.jobs.status import JobStatus
from tiger_slack_tui.store.gap_totals import UnfinishedProgress
from tiger_slack_tui.store.gaps import BY_HAND, Gap
from tiger_slack_tui.store.job_runs import JobRun

EPOCH = datetime.fromtimestamp(0, UTC)
FOUND = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRIED = datetime(2026, 3, 2, 12, tzinfo=UTC)
FAILED = Gap(7, BY_HAND, EPOCH, FOUND, ChannelId("C1"), "it", FOUND, TRIED, None, None, "revoked")


def test_a_history_is_of_when_its_backfill_failed() -> None:
    found = finding_of(FAILED, Names())
    assert (found.at, found.detail) == (TRIED.timestamp(), "by hand: revoked")
    lines = [line.plain for line in gap_lines(FAILED, "#ops", 80)]
    assert "the beginning" in next(line for line in lines if line.startswith("from"))


def test_a_history_is_read_back_to_a_time_or_has_replies_left() -> None:
    assert (
        progress_words(FAILED, UnfinishedProgress(7, 30, FOUND))
        == "30 messages read, back to 2026-03-01 12:00:00 UTC"
    )
    assert (
        progress_words(FAILED, UnfinishedProgress(7, 30, EPOCH))
        == "30 messages read, replies to threads are left"
    )


def test_eighty_columns_show_what_a_backfill_waits_for() -> None:
    words = "5 %, 0 of 58 channels, 4 min left, waits until 12:06:07 UTC as Slack asks"
    run = JobRun(1, "backfill", "gap", None, "it", TRIED, None, None, 9, 9, 0, None, words)
    job = JobStatus("backfill", 1, "0 1 * * *", "UTC", TRIED, None, (run,))
    assert progress_left(run).endswith("as Slack asks, 4 min left, 0 of 58 channels")
    assert "waits until 12:06:07" in job_line(job, TRIED.timestamp(), 80).plain
    ended = replace(run, outcome="done")
    assert progress_left(ended) == ""
