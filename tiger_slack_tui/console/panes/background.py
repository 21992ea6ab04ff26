"""Runs the reads of a widget in the background, one of a kind at a time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.widget import Widget
from textual.worker import WorkType


def run_latest(widget: Widget, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Await the work in the background. It cancels the widget's earlier work of the same group.

    `work` is a function, because a coroutine that is cancelled before it begins would never be awaited.
    """
    # Without a description Textual takes repr(work): all the data that the function holds, made on the event loop.
    widget.run_worker(
        cast("WorkType[None]", work),
        group=group,
        description=group,
        exclusive=True,
        exit_on_error=False,
    )
