"""How commands break lines on a terminal: commands and links to copy stay whole."""

from __future__ import annotations

import sys

import pytest

from tiger_slack_tui.cli.output import wrapped, wrapped_item

LONG = "Slack did not show the channel, because the app is not a member of it and nobody has invited it"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (LONG, [LONG[:73], "  nobody has invited it"]),
        ("To go on: tiger-slack backfill --all", ["To go on: tiger-slack backfill --all"]),
        (
            f"{LONG}. To read: tiger-slack backfill --all --since 2024-01-01 --slow",
            [
                LONG[:73],
                "  nobody has invited it. To read:",
                "  tiger-slack backfill --all --since 2024-01-01 --slow",
            ],
        ),
        (
            (
                f"{LONG}. Each reason: tiger-slack backfill --status."
                " To read what Slack allows: tiger-slack backfill --all"
            ),
            [
                LONG[:73],
                "  nobody has invited it. Each reason: tiger-slack backfill --status. To read",
                "  what Slack allows: tiger-slack backfill --all",
            ],
        ),
        ("Two  blanks   stay, and a # of ticks", ["Two  blanks   stay, and a # of ticks"]),
        (
            f"{LONG[:62]} run: grant create on database … to tiger",
            [LONG[:62] + " run:", "  grant create on database … to tiger"],
        ),
        (f"tiger-slack why {'x' * 80} y", [f"tiger-slack why {'x' * 80} y"]),
        (f"See https://{'x' * 80}", ["See", f"  https://{'x' * 80}"]),
        ("Type /invite @tiger-slack there. " + LONG, None),
    ],
)
def test_what_is_to_copy_stays_in_one_line(
    text: str, lines: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(wrapped(text, hang=2)) == [text]  # without a terminal
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    found = list(wrapped(text, hang=2))
    assert " ".join(line.strip() for line in found) == text
    if lines is not None:
        assert found == lines
    else:
        assert max(map(len, found)) <= 79


def test_an_item_of_a_report_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert list(wrapped_item(f"✗ a: {LONG}"))[1].startswith("    ")
    assert [line[:5] for line in wrapped_item(f"    {LONG}")] == ["    S", "    n"]
    assert [line[:5] for line in wrapped_item(f"  {LONG}")] == ["  Sla", "    n"]
