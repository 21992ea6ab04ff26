"""How the garbage collector treats a process that runs for long."""

from __future__ import annotations

import gc


def spare_what_is_loaded() -> None:
    """Collect, but leave alone what is loaded by now: looking through it would hold the event loop up for 0.1 s at
    times. What comes later is looked through as ever, but what of it has become old a tenth as often.
    """
    gc.freeze()
    gc.set_threshold(700, 10, 100)
    gc.enable()
