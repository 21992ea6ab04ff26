"""`tiger-slack search` and `tiger-slack thread`: what they print, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.test_audit_commands import NASTY
from tests.acceptance.test_cli import in_this_process
from tests.auditing import message, reaction, store, ts
from tiger_slack_tui.store import search as store_search


def test_search_and_thread(conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str, code: int = 0, both: bool = False) -> str:
        done = in_this_process(*arguments, cwd=tmp_path, DATABASE_URL=conninfo)
        assert done.returncode == code, done.stderr + done.stdout
        assert "\x1b" not in done.stdout
        return done.stdout if code == 0 and not both else done.stdout + done.stderr

    events = {
        "Ev1": message(1, text="the invoice is lost", thread_ts=ts(1)),
        "Ev2": message(2, text=f"found the invoice {NASTY}", thread_ts=ts(1)),
        "Ev3": message(3, text="something else", attachments=[{"title": "The budget"}]),
        "Ev4": reaction(1, 4),
    }
    asyncio.run(store(conninfo, events))
    user, channel = (
        '{"user": {"id": "U1", "name": "ana"}}',
        '{"channel": {"id": "C1", "name": "ops"}}',
    )
    with psycopg.connect(conninfo) as database:
        database.execute("select slack.upsert_user(%s), slack.upsert_channel(%s)", (user, channel))

    said = run("search", "invoice", "from:@ana", "--newest")
    assert said.index("found the invoice ␛]0;title␇[/bold]") < said.index("the invoice is lost")
    assert "#ops C1  @ana U1\n" in said
    assert ":eyes: 1" in said
    assert f"https://slack.com/archives/C1/p{ts(1).replace('.', '')}\n" in said
    assert said.endswith("2 messages.\n")
    assert "--limit shows more" in run("search", "invoice", "--limit", "1")
    assert "something else" in run("search", "--context", "2", "lost")
    found = json.loads(run("search", "lost", "--json"))
    assert [each["message"]["ts"] for each in found["results"]] == [ts(1)]
    assert [each["text"] for each in found["results"][0]["snippet"] if each["is_match"]] == ["lost"]
    assert found["results"][0]["attached"] is None
    (result,) = json.loads(run("search", "budget", "--json"))["results"]
    assert result["attached"] == result["snippet"][-2]["text"] + "budget" == "The budget"
    assert "No message matches" in run("search", "nothing", code=1)
    options = ("--channel", "ops", "--channel", "#op*", "--user", "ana", "--since", "2020-01-01")
    assert run("search", "lost", *options).endswith("1 message.\n")
    assert run("search", *options).count("https://") == 3
    assert "No message matches" in run("search", "--until", "2020-01-01", code=1)
    assert "Did you mean" in run("search", "--channel", "opps", code=2)
    assert "say what to search for" in run("search", code=2)
    assert "Did you mean from:?" in run("search", "form:ana", code=2)
    assert "Did you mean on:today?" in run("search", "on:tody", code=2)
    assert "Did you mean @ana?" in run("search", "from:anna", code=2)

    assert "Very many" not in run("search", "invoice", both=True)
    with monkeypatch.context() as patch:
        patch.setattr(store_search, "_RANKED", 1)
        said = run("search", "invoice", both=True)
        assert "Very many messages match: only the newest 1 of them are ranked." in said
        assert json.loads(run("search", "invoice", "--json"))["is_limited"]

    whole = run("thread", "ops", ts(2))
    assert "the invoice is lost" in whole.splitlines()[1]
    assert "found the invoice" in whole.splitlines()[4]
    link = f"https://x.slack.com/archives/C1/p{ts(1).replace('.', '')}"
    found = json.loads(run("thread", link, "--json"))
    assert (len(found["messages"]), found["is_thread"]) == (2, True)
    assert "tiger-slack why C1" in run("thread", "ops", ts(9), code=1)
    second = ts(2).partition(".")[0]
    assert run("thread", "ops", second) == whole
    asyncio.run(store(conninfo, {"Ev5": message(2, ts=f"{second}.5", text="another")}))
    several = run("thread", "ops", second)
    assert "2 messages of that second:" in several
    assert f"tiger-slack thread ops {ts(2)}" in several
    assert f"tiger-slack thread '#ops' {ts(2)}" in run("thread", "#ops", second)
    found = json.loads(run("thread", "ops", second, "--json"))
    assert [each["text"] for each in found["messages"]][1] == "another"
    assert not found["is_thread"]
    assert "Name the message" in run("thread", "ops", code=2)
    with psycopg.connect(conninfo) as database:
        database.execute("update slack.search_progress set finished_at = null")
    assert "0 % of the history is indexed" in run("search", "nothing", code=1)


def test_stats(conninfo: str, tmp_path: Path) -> None:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = in_this_process("stats", *arguments, cwd=tmp_path, DATABASE_URL=conninfo)
        assert done.returncode == code, done.stderr + done.stdout
        assert max(map(len, done.stdout.splitlines()), default=0) <= 79 or "--json" in arguments
        return done

    nothing = run()
    assert nothing.stdout == ""
    assert nothing.stderr.startswith("No messages from ")
    assert json.loads(run("--json").stdout)["total"]["messages"] == 0
    assert run("--until", "0001-01-03").stderr.startswith("No messages from ")

    events = {
        "Ev1": message(1, thread_ts=ts(1)),
        "Ev2": message(91, user="U2", thread_ts=ts(1)),
        "Ev3": message(2, channel="C2"),
        "Ev4": reaction(1, 4),
        "Ev5": message(90_000),
    }
    asyncio.run(store(conninfo, events))
    with psycopg.connect(conninfo) as database:
        rename = '{"channel": {"id": "C1", "name": "ops"}}'
        database.execute("select slack.upsert_channel(%s)", (rename,))
    period = ("--since", "2023-11-01", "--until", "2023-11-30")
    head = (
        "".join(
            f"{name:>{width}}"
            for name, width in (("messages", 9), ("people", 7), ("threads", 8), ("reactions", 10))
        )
        + "   reply p50   reply p90"
    )
    assert (
        run(*period).stdout
        == f"""\
Messages from 2023-11-01 00:00:00 UTC to 2023-12-01 00:00:00 UTC

Day                  {head}
2023-11-14 █████████         3      2       1         1  1 min 30 s  1 min 30 s
2023-11-15 ███               1      1       0         0           -           -

Channel              {head}
#ops C1                      3      2       1         1  1 min 30 s  1 min 30 s
C2                           1      1       0         0           -           -
All                          4      2       1         1  1 min 30 s  1 min 30 s
"""
    )
    assert "… and 1 channel more; --limit shows more.\n" in run(*period, "--limit", "1").stdout
    assert "C2" not in run(*period, "--channel", "op*").stdout
    found = json.loads(run(*period, "--json", "--user", "U2").stdout)
    counts = {"messages": 1, "people": 1, "threads": 1, "reactions": 0}
    counts |= {"first_reply_p50": None, "first_reply_p90": None}
    assert found["total"] == counts
    assert found["days"] == [{"day": "2023-11-14"} | counts]
    assert found["channels"] == [{"channel_id": "C1", "channel_name": "ops"} | counts]
    assert "Did you mean" in run("--channel", "opps", code=2).stderr
    assert "neither a date" in run("--since", "soon", code=2).stderr
    assert "--since is in the future." in run("--since", "2999-01-01", code=2).stderr
    with psycopg.connect(conninfo) as database:
        database.execute("update slack.search_progress set finished_at = null, ts = 'infinity'")
    assert "First replies are known for 0 % of the history." in run(*period).stderr
