"""The log of a command that runs once: sentences on a terminal, JSON lines elsewhere."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiger_slack_tui.base.log_setup import log_of_command, log_to_stderr
from tiger_slack_tui.base.settings import load

PRINTED, OTHER = "tiger_slack_tui.jobs.runner", "tiger_slack_tui.backfill.gap_backfill"


class Stderr(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The root logger as it was, after the test."""
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("is_terminal", [True, False])
def test_warnings_are_sentences_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_terminal: bool
) -> None:
    stderr = Stderr(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    log_of_command(load({"TIGER_SLACK_HOME": str(tmp_path)}), printed=[PRINTED])
    logging.getLogger(PRINTED).error("job users: failed")
    logging.getLogger(OTHER).info("gap 1 is closed")
    logging.getLogger(OTHER).warning("gap %d stays open: no\x1b scope", 2)
    lines = stderr.getvalue().splitlines()
    if is_terminal:
        assert lines == ["warning: gap 2 stays open: no␛ scope"]
    else:
        assert [json.loads(line)["level"] for line in lines] == ["ERROR", "INFO", "WARNING"]


@pytest.mark.usefixtures("log")
def test_the_log_is_text_on_a_terminal_unless_the_settings_say_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def written(*, is_terminal: bool, **settings: str) -> list[str]:
        stderr = Stderr(is_terminal=is_terminal)
        monkeypatch.setattr(sys, "stderr", stderr)
        log_to_stderr(load({"TIGER_SLACK_HOME": str(tmp_path), **settings}))
        fields = {
            "queue": 0,
            "by": {"a": 1, "b": 2},
            "spool_problem": None,
            "watch": "X=1 tool\x1b",
        }
        logging.getLogger(OTHER).warning("gap %d", 2, extra=fields)
        try:
            raise ValueError("secret")
        except ValueError:
            logging.getLogger(OTHER).exception("lost")
        return stderr.getvalue().splitlines()

    text = written(is_terminal=True)
    assert [line[12:] for line in text[:3]] == [
        "  warning: gap 2  queue=0",
        "  by: a 1, b 2",
        "  watch: X=1 tool␛",
    ]
    assert text[3].endswith("  error: lost  exception.type=ValueError")
    assert "secret" not in "".join(text)
    assert "test_command_log.py" in "".join(text[4:])
    assert [json.loads(line)["level"] for line in written(is_terminal=False)] == [
        "WARNING",
        "ERROR",
    ]
    chosen = written(is_terminal=True, TIGER_SLACK_LOG_FORMAT="json")
    assert json.loads(chosen[0])["by"] == {"a": 1, "b": 2}
    assert written(is_terminal=False, TIGER_SLACK_LOG_FORMAT="text")[0].endswith("gap 2  queue=0")
