"""The console: the engine as a worker inside the screen's event loop, and what it is doing, four times a second."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

import humanize
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Static
from textual.worker import Worker, WorkerState

from tiger_slack_tui.engine import Engine
from tiger_slack_tui.errors import TigerSlackError
from tiger_slack_tui.snapshot import Recent, Snapshot
from tiger_slack_tui.text import safe

_SAMPLES_PER_SECOND = 4
_WINDOW = 5 * _SAMPLES_PER_SECOND
"""Samples that the shown rate is the mean of."""
_LOOKS = {
    "stored": "$text-success",
    "audit": "$text-muted",
    "unrouted": "$text-warning",
    "discarded": "$text-secondary",
    "failed": "$text-error",
}


def run_console(make_engine: Callable[[], Engine]) -> None:
    """Show the console until the operator or a signal ends it. Raises what the engine raised."""
    console = Console(make_engine)
    console.run(mouse=False)
    if console.failure is not None:
        raise console.failure
    if console.return_code:
        sys.exit(console.return_code)


class Console(App[None]):
    """One screen; its only action is to stop the engine, then leave."""

    TITLE = "tiger-slack"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q", "stop", "Stop and leave", key_display="q")
    ]

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        super().__init__()
        self.animation_level = "none"
        self.failure: TigerSlackError | None = None
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._received: list[tuple[float, int]] = []

    def compose(self) -> ComposeResult:
        yield Static(id="state")
        yield Static(id="numbers")
        yield Static(id="recent")
        yield Footer()

    def on_mount(self) -> None:
        self._engine = self._make_engine()
        self.run_worker(self._engine.run(), name="engine", exit_on_error=False)
        self.set_interval(1 / _SAMPLES_PER_SECOND, self._sample)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.action_stop)

    def action_stop(self) -> None:
        """Stop the engine; the console ends when it has stopped."""
        if self._engine is not None:
            self._engine.stop()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker.name != "engine" or not event.worker.is_finished:
            return
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            # Never a traceback: what a local variable holds may be a token or the text of a message.
            self.failure = (
                error
                if isinstance(error, TigerSlackError)
                else TigerSlackError(f"The engine failed: {type(error).__name__}")
            )
        self.exit(return_code=0 if self.failure is None else 1)

    def _sample(self) -> None:
        if self._engine is None:
            return
        now = self._engine.snapshot()
        self._received = [*self._received[-_WINDOW:], (now.at, now.received)]
        self.query_one("#state", Static).update(_state(now))
        self.query_one("#numbers", Static).update(_numbers(now, self._rate()))
        room = max(self.query_one("#recent", Static).size.height - 1, 1)  # below the heading
        self.query_one("#recent", Static).update(_newest(now.recent[-room:]))

    def _rate(self) -> float:
        (begin, before), (end, after) = self._received[0], self._received[-1]
        return (after - before) / (end - begin) if end > begin else 0.0


def _state(now: Snapshot) -> Content:
    connected = now.slack_status == "connected"
    sockets = f", one of {now.slack_connections} sockets" if now.slack_connections > 1 else ""
    lines = [
        _line(
            "slack", connected, f"{now.slack_status} for {_age(now.at - now.slack_since)}{sockets}"
        ),
        _line("database", now.database_problem is None, now.database_problem or "takes events"),
        _line("spool", now.spool_problem is None, now.spool_problem or _spool(now)),
    ]
    if not connected and now.slack_reason:
        lines[0] = _line("slack", False, f"{now.slack_status}: {now.slack_reason}")
    return Content("\n").join(lines)


def _line(name: str, well: bool, text: str) -> Content:
    mark = (" ● ", "$text-success") if well else (" ✗ ", "$text-error")
    return Content.assemble(mark, f"{name:<10}", safe(text, 200))


def _spool(now: Snapshot) -> str:
    if not now.spool_events:
        return "empty"
    since = f", the oldest for {_age(now.at - now.spool_oldest)}" if now.spool_oldest else ""
    return f"{now.spool_events:,} events wait{since}"


def _numbers(now: Snapshot, rate: float) -> Content:
    counts = dict.fromkeys(_LOOKS, 0)
    for (_, outcome), n in now.outcomes.items():
        counts[outcome] += n
    parts: list[str | tuple[str, str]] = [
        f" {rate:,.1f} events/s   {now.received:,} received   {now.acked:,} acknowledged",
        f"   {now.queue:,} in the queue\n",
        f" ack {_ms(now.ack_p50)} median, {_ms(now.ack_p99)} p99   commit {_ms(now.commit_p99)} p99\n",
    ]
    for outcome, n in counts.items():
        parts += [(f" {n:,} {outcome}  ", _LOOKS[outcome] if n else "$text-muted")]
    parts += [(f" {now.duplicates:,} again", "$text-muted")]
    return Content.assemble(*parts)


def _newest(recent: tuple[Recent, ...]) -> Content:
    if not recent:
        return Content.styled(" No event yet.", "$text-muted")
    heading = f" {'time':<10}{'outcome':<11}{'event':<24}{'channel':<13}{'user':<13}detail"
    parts: list[str | tuple[str, str]] = [(heading, "$text-muted")]
    for event in recent:
        parts += [
            f"\n {datetime.fromtimestamp(event.at):%H:%M:%S}  ",
            (f"{event.outcome:<11}", _LOOKS[event.outcome]),
            f"{safe(event.subtype or event.type, 23):<24}{safe(event.channel_id or '', 12):<13}",
            f"{safe(event.user_id or '', 12):<13}{safe(event.detail or '', 20)}",
        ]
    return Content.assemble(*parts)


def _age(seconds: float) -> str:
    return humanize.naturaldelta(seconds) if seconds >= 60 else f"{seconds:.0f} s"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"
