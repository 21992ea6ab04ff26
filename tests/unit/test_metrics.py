"""The exported metrics equal the snapshot."""

from dataclasses import replace

from tests.console.canned import snapshot
from tiger_slack_tui.base.metrics import METRICS, prometheus_text


def test_what_the_connection_lost_ignored_and_could_not_read_is_exported() -> None:
    now = replace(snapshot(), slack_acks_lost=3, slack_ignored=5, slack_malformed=7)
    lines = prometheus_text(now).decode().splitlines()
    assert "tiger_slack_acks_lost_total 3.0" in lines
    assert "tiger_slack_envelopes_ignored_total 5.0" in lines
    assert "tiger_slack_frames_malformed_total 7.0" in lines
    found = {metric.name: list(metric.read(now)) for metric in METRICS}
    assert found["frames_malformed"] == [({}, 7)]


def test_damaged_files_and_a_stop_are_exported() -> None:
    now = snapshot()
    assert "tiger_slack_stopped_seconds 0.0" in prometheus_text(now).decode()
    now = replace(now, spool_damaged=2, stalled_since=now.at - 12)
    lines = prometheus_text(now).decode().splitlines()
    assert "tiger_slack_spool_damaged 2.0" in lines
    assert "tiger_slack_stopped_seconds 12.0" in lines
