"""After any sequence of operations the spool's counters equal those of a model, and no record is lost."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.faults.failing_files import FailingFiles
from tests.faults.spools import opened, segments
from tests.support import SCALE
from tiger_slack_tui.base.errors import SpoolError
from tiger_slack_tui.ingest.spool.frames import decode_frame, encode_frame, scan

RECORDS = st.lists(st.binary(max_size=40), min_size=1, max_size=4)


class SpoolMachine(RuleBasedStateMachine):
    """One spool, and a queue that does what it should do."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.place = tempfile.TemporaryDirectory()
        self.directory = Path(self.place.name)
        self.files = FailingFiles()
        self.model: deque[tuple[list[bytes], float]] = deque()
        self.time = 0.0
        self.open()

    def open(self) -> None:
        self.spool = self.loop.run_until_complete(
            opened(self.directory, segment_bytes=100, files=self.files)
        )

    @rule(records=RECORDS)
    def append(self, records: list[bytes]) -> None:
        self.time += 1
        self.loop.run_until_complete(self.spool.append(records, oldest=self.time))
        self.model.append((records, self.time))

    @rule(records=RECORDS, call=st.sampled_from(["create", "write", "sync"]))
    def append_in_vain(self, records: list[bytes], call: str) -> None:
        self.files.failing = {call: 28}
        try:
            self.loop.run_until_complete(self.spool.append(records, oldest=self.time + 1))
        except SpoolError:
            pass
        else:  # an open segment has room, so none was created
            self.time += 1
            self.model.append((records, self.time))
        self.files.failing = {}

    @rule()
    def drain_one(self) -> None:
        batch = self.loop.run_until_complete(self.spool.read())
        if batch is None:
            assert not self.model
            return
        records, oldest = self.model.popleft()
        assert (batch.records, batch.frame.oldest) == (records, oldest)
        self.loop.run_until_complete(self.spool.done(batch))

    @rule()
    def start_again(self) -> None:
        drained = self._drained_in_first_segment()
        self.loop.run_until_complete(self.spool.close())
        assert self.spool.depth == 0
        self.open()
        self.model.extendleft(reversed(drained))  # a frame can be drained twice

    def _drained_in_first_segment(self) -> list[tuple[list[bytes], float]]:
        first = self.spool._segments[0] if self.spool._segments else None
        if first is None or not first.drained:
            return []
        data = first.path.read_bytes()
        return [
            (decode_frame(data, frame.offset) or [], frame.oldest)
            for frame in scan(data).frames
            if frame.offset in first.drained
        ]

    @invariant()
    def counters_are_those_of_the_model(self) -> None:
        assert self.spool.depth == sum(len(records) for records, _ in self.model)
        assert self.spool.oldest == (self.model[0][1] if self.model else None)
        assert self.spool.size == sum(path.stat().st_size for path in segments(self.directory))
        least = sum(len(encode_frame(records, oldest)) for records, oldest in self.model)
        assert self.spool.size >= least
        assert self.spool.problems == ()

    def teardown(self) -> None:
        self.loop.run_until_complete(self.spool.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.place.cleanup()


SpoolMachine.TestCase.settings = settings(max_examples=15 * SCALE, stateful_step_count=30)
test_the_spool_does_what_its_model_does = SpoolMachine.TestCase
