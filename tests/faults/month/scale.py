"""The durations of the month: the program's timings, shortened, and the tolerance of the checks."""

from __future__ import annotations

import time

from tiger_slack_tui.base.clock import SystemClock
from tiger_slack_tui.ingest.pipeline import PipelineLimits
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming
from tiger_slack_tui.slack.socket_connection import SocketTiming

DAY = 10.0
"""Seconds of real time."""
TIMING = SocketTiming(
    handshake=1,
    hello=1,
    ping=0.1,
    dead=0.4,
    flush=0.3,
    close=0.1,
    backoff_first=0.01,
    backoff_most=0.02,
    blocked_first=0.2,
    blocked_most=0.4,
    proven=0.1,
)
HEARTBEAT = HeartbeatTiming(interval=0.4, stale=8, least_gap=0.4, write=2, last_write=0.5)
LIMITS = PipelineLimits(commit_seconds=0.5, write_seconds=3, stall_seconds=0.4)
TOLERANCE = 3 * HEARTBEAT.interval
"""Seconds by which either end of a gap may differ from what happened. A kill hides one period of the heartbeat; one
that is under way adds another; the third is for a machine that is busy with other tests. So real outages of up to
two tolerances are a gap or not by chance."""
JOIN_SECONDS = 0.5
"""Gaps nearer than this become one. The program joins those nearer than a minute, which would be six days here."""


class SteppedClock(SystemClock):
    """The machine's clocks; the wall clock is set forward or back by `offset` seconds."""

    offset = 0.0

    def wall(self) -> float:
        return time.time() + self.offset
