"""Loads times from PostgreSQL, including those that Python cannot hold."""

from __future__ import annotations

from datetime import datetime

import psycopg
from psycopg import adapters
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from tiger_slack_tui.base.times import EARLIEST, LATEST

_EXACT = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)


class TimestampLoader(Loader):
    """Loads a timestamptz. A time that Python cannot hold becomes EARLIEST or LATEST.

    PostgreSQL's years go from 4713 BC to 294276, and it has two infinities
    (https://www.postgresql.org/docs/current/datatype-datetime.html). psycopg raises DataError for times that
    Python cannot hold, so one such row would make the whole result unreadable.
    """

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert _EXACT is not None  # noqa: S101 psycopg has one for each type of PostgreSQL's own
        self._exact = _EXACT(oid, context)

    def load(self, data: Buffer) -> datetime:
        try:
            time: datetime = self._exact.load(data)
        except psycopg.DataError:
            text = bytes(data)
            return EARLIEST if text.startswith(b"-") or text.endswith(b"BC") else LATEST
        return time
