"""Work on messages is split by spans of twelve weeks, and nothing is left out or asked less often."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import psycopg
from hypothesis import given
from hypothesis import strategies as st

from tests.support import encoded
from tiger_slack_tui.slack.ts import to_micros
from tiger_slack_tui.store.events import EncodedEvent, write_in_parts
from tiger_slack_tui.store.lock_spans import LOCK_SPAN, by_lock_span, lock_spans

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.lists(st.none() | st.integers(-5 * LOCK_SPAN, 5 * LOCK_SPAN)))
def test_each_item_is_in_one_part(times: list[int | None]) -> None:
    parts = by_lock_span(times, lambda time: time)
    assert Counter(item for part in parts for item in part) == Counter(times)
    spans = [{time // LOCK_SPAN for time in part if time is not None} for part in parts]
    assert all(len(found) <= 1 for found in spans)
    assert len({span for found in spans for span in found}) >= len(parts) - (not any(spans))


def test_spans_cover_the_time_without_a_hole() -> None:
    spans = list(lock_spans(NOW - timedelta(days=400), NOW))
    assert (spans[0][0], spans[-1][1]) == (NOW - timedelta(days=400), NOW)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert {to_micros(end) % LOCK_SPAN for _, end in spans[:-1]} == {0}
    assert list(lock_spans(NOW, NOW)) == []


async def test_the_only_event_of_each_span_gets_a_second_try() -> None:
    seen: Counter[str] = Counter()

    async def write(part: Sequence[EncodedEvent]) -> list[str]:
        [event_id] = [event.event_id for event in part]
        seen[event_id] += 1
        if seen[event_id] == 1:
            raise psycopg.InternalError
        return [event_id]

    records = [
        orjson.dumps(
            {"event_id": str(n), "message_ts": f"{1_700_000_000 + n * LOCK_SPAN // 10**6}"}
        )
        for n in range(3)
    ]
    connection: Any = SimpleNamespace(broken=False)
    written = await write_in_parts(connection, encoded(records), write)
    assert written == [(["0"], None), (["1"], None), (["2"], None)]
