"""What the readers of the database have in common: how they fail, and how old what they read may be."""

from __future__ import annotations

import psycopg

from tiger_slack_tui.database.failures import describe
from tiger_slack_tui.errors import TigerSlackError
from tiger_slack_tui.stacktrace import where

LOOK_SECONDS = 15.0
"""How long one look at the database may take: a server that fell silent answers never."""
STALE_SECONDS = 10.0
"""Age from which on data are shown with it: a few periods of reading."""


def reason(error: Exception) -> str:
    """Why a read failed, in words. Also of errors that nobody foresaw, without the data that they hold."""
    if isinstance(error, psycopg.Error):
        return describe(error)
    if isinstance(error, TigerSlackError):
        return str(error.args[0])
    if isinstance(error, TimeoutError):
        return f"no answer for {LOOK_SECONDS:.0f} s"
    return f"what it answers is not understood: {where(error)}"
