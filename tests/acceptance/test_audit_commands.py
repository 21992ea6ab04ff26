"""The commands about the audit trail: what they print at 80 columns, as JSON, and their exit codes."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tests.acceptance.test_cli import CLEAN, in_this_process, tiger_slack
from tests.auditing import edit, message, reaction, store, ts
from tests.conftest import new_database
from tiger_slack_tui.cli.main import main
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY

NASTY = "\x1b]0;title\x07[/bold] \x9b31m\u202ered"
OPS = """select slack.upsert_channel('{"channel": {"id": "C1", "name": "ops"}}')"""
LINK = f"https://acme.slack.com/archives/C1/p{ts(2).replace('.', '')}?thread_ts={ts(1)}&cid=C1"


class Commands:
    """Runs them against one database, in this process. `test_a_process_says_the_same` shows that this is enough."""

    def __init__(self, conninfo: str, cwd: Path) -> None:
        self.conninfo, self.cwd = conninfo, cwd

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = in_this_process(*arguments, cwd=self.cwd, DATABASE_URL=self.conninfo)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout
        if code == 0 and "--json" not in arguments:
            lines = done.stdout.partition("\npayload\n")[0].splitlines()
            ours = [line for line in lines if not line.startswith(("  context", "      "))]
            assert [line for line in ours if len(line) > 80] == []  # PostgreSQL's are as they are
        return done.stdout if code == 0 else done.stdout + done.stderr

    def as_process(self, *arguments: str, code: int = 0) -> str:
        done = tiger_slack(*arguments, cwd=self.cwd, DATABASE_URL=self.conninfo)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        said = self(*arguments, "--json", code=code)
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.fixture
def run(conninfo: str, tmp_path: Path) -> Commands:
    return Commands(conninfo, tmp_path)


def test_a_message_is_missed_explained_and_brought_back(conninfo: str, run: Commands) -> None:
    assert "There are no rules" in run("discard", "list")
    events = {f"Ev{n}": message(n, text=f"hello {n}") for n in range(1, 4)}
    asyncio.run(store(conninfo, events | {"Ev9": message(9, user="U2", text=NASTY)}))

    tested = run("discard", "test", '$.user == "U1"', "--since", "2020-01-01")
    assert "3 of 4 (75.0%)" in tested
    assert "hello 3" in tested
    assert run("discard", "list") == run("discard", "list")  # nothing was made
    assert "--yes" in run("discard", "add", '$.user == "U1"', code=2)
    assert "Rule 1 is on" in run("discard", "add", "--user", "U1", "--note", "noise", "--yes")

    asyncio.run(store(conninfo, {"Ev4": message(4), "Ev5": edit(4, 5), "Ev6": reaction(4, 6)}))
    listed = run("discard", "list")
    assert '1  on   $.user == "U1"' in listed
    assert "matched 2 " in listed
    assert "noise" in listed
    renamed = {"type": "user_change", "user": {"id": "U1", "name": "ann"}, "event_ts": ts(5)}
    asyncio.run(store(conninfo, {"Ev5u": renamed}))
    assert '"U1" (@ann)' in run("discard", "list")
    assert run.json("discard", "list")[0]["hits"] == 2

    why = run("why", "C1", ts(4))
    assert "a rule discarded it" in why
    assert "discarded by rule 1" in why
    assert '$.user == "U1" (@ann)' in why
    assert '"U1" (@ann)' in run("discard", "test", "--user", "ann")
    assert "tiger-slack replay --discarded-by 1" in why
    one = run("event", "Ev4")
    assert one == run("why", "Ev4")
    assert '$.user == "U1"' in one
    assert 'found: "U1"' in one
    assert "slack.message C1" in one

    assert "Rule 1 is on already" in run("discard", "on", "1")
    assert "--yes" in run("discard", "remove", "1", code=2)
    assert "Rule 1 is removed" in run("discard", "remove", "1", "--yes")
    assert "There is no rule 1" in run("discard", "remove", "1", "--yes", code=1)
    for command in ("replay", "events"):
        said = run(command, "--discarded-by", "77", code=1)
        assert ("There is no rule 77" in said, "No such events" in said) == (True, False)
    dry = run("replay", "--discarded-by", "1", "--dry-run")
    assert "2 events would be replayed" in dry
    assert "discarded → stored" in dry
    assert run.json("replay", "--discarded-by", "1")[0]["outcomes"] == {"stored": 2}
    assert "nothing to replay" in run("replay", "--discarded-by", "1")
    why = run("why", "C1", ts(4))
    assert "It is stored." in why
    assert "edit at 5" in why
    assert "before: discarded by rule 1" in why


def test_events_as_a_list(conninfo: str, run: Commands) -> None:
    events = {f"Ev{n}": message(n, text=NASTY, channel=NASTY[:9]) for n in range(1, 6)}
    asyncio.run(store(conninfo, events | {"Ev7": message(7, ts="x")}))
    listed = run("events")
    assert listed.count("stored") == 5
    assert listed.index("Ev7") < listed.index("Ev5") < listed.index("Ev1")
    assert "invalid text representation (22P02)" in listed
    assert "␛]0;title" in listed
    rows = run.json("events", "--outcome", "stored", "--type", "message", "--user", "U1")
    assert [row["event_id"] for row in rows] == ["Ev5", "Ev4", "Ev3", "Ev2", "Ev1"]
    assert rows[0]["text"] == NASTY
    assert len(run.json("events", "--limit", "2")) == 2
    assert run.json("events", "--since", "1h") == []
    assert run("events", "--outcome", "audit") == ""
    assert "No channel has the name #no" in run("events", "--channel", "#no", code=2)
    run("events", "--outcome", "gone", code=2)
    run("events", "--since", "yesterday", code=2)


def test_texts_are_shown_as_slack_shows_them(conninfo: str, run: Commands) -> None:
    """With names and without markup; as JSON they are those that Slack sent."""
    raw = "<@U1> &amp; <https://x.org|notes>"
    asyncio.run(store(conninfo, {"Ev1": message(1, text=raw)}))
    with psycopg.connect(conninfo) as database:
        database.execute("""select slack.upsert_user('{"user": {"id": "U1", "name": "ana"}}')""")
    channel, of = "C1", ts(1)
    for arguments in (
        ("events",),
        ("why", channel, of),
        ("why", channel, of.partition(".")[0]),
        ("discard", "test", '$.user == "U1"', "--since", "2020-01-01"),
    ):
        assert "@ana & notes" in run(*arguments), arguments
        assert raw in run(*arguments, "--json"), arguments
    of = f"{of.partition('.')[0]}.999999"  # no message has it
    assert "@ana & notes" in run("thread", channel, of, code=1)
    assert raw in run("thread", channel, of, "--json", code=1)


def test_an_event_and_its_failure(conninfo: str, run: Commands) -> None:
    asyncio.run(store(conninfo, {"Ev7": message(7, ts="x", text=NASTY)}))
    shown = run("event", "Ev7")
    for part in ("failed", "22P02", "invalid input syntax for type numeric", "500 ms"):
        assert part in shown
    (as_json,) = run.json("event", "Ev7")
    assert as_json["error"]["diagnostics"].keys() & {"context", "message_detail"} == set()
    assert as_json["event"]["text"] == NASTY
    assert "no event Ev0" in run("event", "Ev0", code=1)
    assert "1 event failed again" in run("replay", "--failed", code=1)
    missing = run("replay", "Ev0", code=1)
    assert ("no event Ev0" in missing, "nothing to replay" in missing) == (True, False)
    assert "1 event replayed:" in run("replay", "Ev7", code=1)


def test_a_process_says_the_same(conninfo: str, run: Commands) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1, text=NASTY), "Ev7": message(7, ts="x")}))
    for arguments, code in (
        (("events",), 0),
        (("event", "Ev7", "--json"), 0),
        (("replay", "--failed"), 1),
    ):
        assert run.as_process(*arguments, code=code) == run(*arguments, code=code)


def test_why_by_link_and_never_delivered(conninfo: str, run: Commands) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1), "Ev2": message(2), "Ev9": message(9)}))
    assert "text 2" in run("why", LINK)
    assert run.json("why", LINK)[0]["verdict"] == "stored"
    second = ts(2).partition(".")[0]
    assert run("why", "C1", second) == run("why", "C1", ts(2))
    asyncio.run(store(conninfo, {"Ev10": message(2, ts=f"{second}.5", text="another")}))
    assert "2 messages of that second:" in run("why", "C1", second)
    assert [m["text"] for m in run.json("why", "C1", second)[0]["messages"]] == [
        "text 2",
        "another",
    ]
    never = run("why", "C1", ts(5), code=1)
    assert "Slack never delivered it." in never
    assert "No gap covers its time" in never
    assert run.json("why", "C1", ts(5), code=1)[0]["verdict"] == "never delivered"
    assert "The audit trail begins later" in run("why", "C1", ts(-5), code=1)


def test_why_of_what_is_pasted(conninfo: str, run: Commands) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1), "Ev2": message(2), "Ev9": message(9)}))
    whole = run("why", "C1", ts(2))
    second, fraction = ts(2).split(".")
    for pasted in (f"p{second}{fraction}", f" {second},{fraction},", f"{second}000"):
        assert run("why", "C1", pasted) == whole
        assert run("thread", "C1", pasted) == run("thread", "C1", ts(2))
    for pasted in (f"<{LINK}>,", f"C1 {ts(2)}", f"C1/p{second}{fraction}"):
        assert run("why", pasted) == whole
        run("thread", pasted)
    for command in ("why", "thread"):
        near = run(command, "C1", f"{second}.999999", code=1)
        assert f"No message has the ts {second}.999999. The same second has:\n  {ts(2)} " in near
        assert f"tiger-slack {command} C1 {ts(2)}" in near
    nothing = run("why", "C1", ts(5).partition(".")[0], code=1)
    assert "Slack delivered no message of that second." in nothing
    assert ".000000" not in nothing


def test_the_same_rule_is_not_added_twice(conninfo: str, run: Commands) -> None:
    run("discard", "add", '$.user == "U1"', "--yes")
    assert "Rule 1 is the same, and it is on." in run("discard", "add", '($."user"=="U1")')
    assert "replay" not in run("discard", "off", "1")  # it has discarded nothing
    assert "tiger-slack discard on 1" in run("discard", "add", "--user", "U1")
    assert run.json("discard", "add", "--user", "U1")[0]["is_new"] is False
    assert len(run.json("discard", "list")) == 1
    assert "replay" not in run("discard", "remove", "1", "--yes")
    assert "Rule 2 is on" in run("discard", "add", "--user", "U1", "--yes")


def test_why_tells_a_stopped_backfill_from_a_gap(
    conninfo: str, run: Commands, database: psycopg.Connection[Any]
) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1), "Ev9": message(9)}))
    begun = (
        "insert into slack.gap (reason, started_at, ended_at, tried_at, error)"
        " values ('by hand', '2020-01-01', '2026-01-01', now(), 'it was stopped')"
    )
    database.execute(begun)
    said = run("why", "C1", ts(5), code=1)
    assert "\nhistory 1, which an operator asked for: not finished\n" in said
    assert "UTC: it was stopped\n" in said
    assert "→ to read the rest of the history: tiger-slack backfill --history 1" in said
    assert "\ngap 1" not in said
    assert "history 1, by hand: not finished" in run("backfill", "--status")
    database.execute("update slack.gap set closed_at = now()")
    assert "asked for: read 20" in run("why", "C1", ts(5), code=1)


def test_nobody_is_told_to_begin_a_backfill_that_runs(
    conninfo: str, run: Commands, database: psycopg.Connection[Any]
) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1), "Ev9": message(9)}))
    database.execute(OPS)
    database.execute(
        "update slack.channel set complete_since = now();"
        "insert into slack.gap (reason, started_at, ended_at, channel_id)"
        " values ('joined', '2020-01-01', now(), 'C1');"
        "insert into slack.job_run (job, reason, instance, progress)"
        " values ('backfill', 'by hand', 'i', '43 %, 12 of 40 channels')"
    )
    advice = "tiger-slack backfill --"
    assert advice + "all" in run("search", "in:#ops", "nothing", code=1)
    assert advice + "history 1" in run("why", "C1", ts(5), code=1)
    database.execute("select pg_advisory_lock(%s)", (BACKFILL_LOCK_KEY,))
    said = run("search", "in:#ops", "nothing", code=1)
    assert ("being read: 43 %, 12 of 40 channels." in said, advice in said) == (True, False)
    said = run("why", "C1", ts(5), code=1)
    assert "history 1, of before the app joined: being read\n" in said
    assert ("    43 %, 12 of 40 channels\n" in said, advice in said) == (True, False)
    assert "A backfill runs: 43 %, 12 of 40 channels." in run("backfill", "--status")
    database.execute("update slack.gap set error = 'it was stopped', tried_at = now()")
    assert advice + "all" in run("search", "in:#ops", "nothing", code=1)  # it reads other channels
    assert advice + "history 1" in run("why", "C1", ts(5), code=1)


def test_values_that_a_shell_completes(
    conninfo: str, run: Commands, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(line: str) -> list[str]:
        asked = {"_TIGER_SLACK_COMPLETE": "bash_complete", "COMP_WORDS": f"tiger-slack {line}"}
        asked |= {"COMP_CWORD": str(len(line.split(" ")))}
        said = CliRunner().invoke(main, env=asked, prog_name="tiger-slack")
        return [row.partition(",")[2] for row in said.output.splitlines() if row]

    monkeypatch.setenv("DATABASE_URL", conninfo)
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at, closed_at) values"
        " ('by hand', '2020-01-01', now(), null), ('not connected', '2020-01-01', now(), null)"
        ", ('joined', '2020-01-01', now(), now())"
    )
    run("discard", "add", "--user", "U1", "--yes")
    assert complete("jobs b") == ["backfill"]
    assert complete("events --outcome ") == ["stored", "discarded", "audit", "failed", "unrouted"]
    assert complete("completion z") == ["zsh"]
    for line in ("discard off ", "events --discarded-by ", "replay --discarded-by "):
        assert complete(line) == ["1"]
    assert (complete("backfill --gap "), complete("backfill --history ")) == (["2"], ["1"])
    assert complete("discard off 2") == []
    monkeypatch.setenv("DATABASE_URL", "host=127.0.0.1 port=1")
    assert complete("discard off ") == []


def test_a_search_in_a_channel_without_the_app(
    conninfo: str, run: Commands, database: psycopg.Connection[Any]
) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1)}))
    database.execute(OPS)
    assert "not a member" not in run("search", "in:#ops", "nothing", code=1)
    database.execute("update slack.channel set is_member = false where id = 'C1'")
    assert "The app is not a member of #ops" in run("search", "in:#ops", "nothing", code=1)
    assert "not a member" not in run("search", "nothing", code=1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("events", "--outcome", "faild"), "Did you mean failed?"),
        (("events", "--outcome", ""), "'--outcome': it is empty"),
        (("events", "--type", "mesage"), "Did you mean message?"),
        (("events", "--type", ""), "'--type': it is empty"),
        (("events", "--channel", "#opps"), "Did you mean #ops?"),
        (("events", "--user", "an"), "Did you mean @ann?"),
        (("search", "from:nn"), "Did you mean @ann?"),
        (("search", "in:#op"), "Did you mean #ops?"),
        (("search", "from:júlja"), "Did you mean @julia.okafor?"),  # one word of the name
        (("search", "x", "--context="), "--context"),
        (("why", "opps", ts(1)), "Did you mean #ops?"),
        (("why", " ", ts(1)), "it is empty"),
        (("jobs", "usres"), "Did you mean users?"),
        (("discard", "lst"), "Did you mean list?"),
        (("discard", "off", "x"), "x is not the number of a rule"),
        (("events", "--limit", "x"), "'x' is not a valid number"),
        (("discard", "test", "--user", "anna"), "Did you mean @ann?"),
        (("discard", "add", "--joins", "--note", ""), "'--note': it is empty"),
        (("import", ""), "it is empty"),
        (("demo", "--no-ui", "--keep", ""), "it is empty"),
    ],
)
def test_an_unknown_or_empty_name(
    named: str, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    refused = in_this_process(*arguments, cwd=tmp_path, DATABASE_URL=named)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr


@pytest.fixture(scope="module")
def named(postgres: EmbeddedPostgres, template: str) -> str:
    """A database with two people and one channel."""
    conninfo = new_database(postgres, template)
    with psycopg.connect(conninfo) as database:
        place = '{"channel": {"id": "C1", "name": "ops"}}'
        database.execute("select slack.upsert_channel(%s)", (place,))
        for id_, name, real in (("U1", "ann", "Ann"), ("U2", "julia.okafor", "Julia Okafor")):
            user = {"id": id_, "name": name, "profile": {"real_name": real}}
            database.execute("select slack.upsert_user(%s)", (json.dumps({"user": user}),))
    return conninfo


def test_an_answer_that_finds_nothing_names_the_database(named: str, tmp_path: Path) -> None:
    name = psycopg.conninfo.conninfo_to_dict(named)["dbname"]
    secret = f"{named} password=hid"
    for arguments in (
        ("events",),
        ("event", "Ev1"),
        ("why", "C1", ts(1)),
        ("thread", "C1", ts(1)),
        ("search", "x"),
        ("search", "in:nowhere"),
        ("replay", "Ev1"),
        ("discard", "off", "7"),
    ):
        said = in_this_process(*arguments, cwd=tmp_path, DATABASE_URL=secret)
        assert f"/{name} (DATABASE_URL)" in said.stderr, arguments
        assert "hid" not in said.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("why", "C1"),
        ("why", "C1", "yesterday"),
        ("replay",),
        ("replay", "--failed", "Ev1"),
        ("discard", "test"),
        ("discard", "test", "$.a == 1", "--joins"),
        ("discard", "test", "$.a = 1"),
        ("discard", "add", "$ ? (@.a == 1)", "--yes"),
        ("discard", "remove", "x"),
    ],
)
def test_usage(conninfo: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = in_this_process(*arguments, cwd=tmp_path, DATABASE_URL=conninfo)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr


def test_a_database_without_the_tables_says_what_to_do(empty_conninfo: str, tmp_path: Path) -> None:
    for arguments in (("events",), ("discard", "list"), ("why", "C1", ts(1)), ("event", "Ev1")):
        said = Commands(empty_conninfo, tmp_path)(*arguments, code=1)
        assert "tiger-slack migrate" in said
        name = psycopg.conninfo.conninfo_to_dict(empty_conninfo)["dbname"]
        assert f"/{name} (DATABASE_URL) does not have the tables" in said


def test_add_asks(conninfo: str, run: Commands, database: psycopg.Connection[Any]) -> None:
    with terminal(run, "discard", "add", "--joins") as (process, master):
        answer(process, master, b"Add this rule?", b"n\n")
        assert process.wait(30) == 1
    with terminal(run, "discard", "add", "--joins") as (process, master):
        answer(process, master, b"Add this rule?", b"y\n")
        assert process.wait(30) == 0
    assert len(run.json("discard", "list")) == 1


@contextlib.contextmanager
def terminal(run: Commands, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command in a terminal of its own."""
    master, slave = pty.openpty()
    environ = CLEAN | {"DATABASE_URL": run.conninfo, "TIGER_SLACK_HOME": str(run.cwd / "home")}
    with subprocess.Popen(
        [sys.executable, "-m", "tiger_slack_tui", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environ,
        cwd=run.cwd,
    ) as process:
        os.close(slave)
        try:
            yield process, master
        finally:
            process.kill()
            os.close(master)


def answer(process: subprocess.Popen[bytes], master: int, question: bytes, text: bytes) -> None:
    said = b""
    while question not in said:
        said += os.read(master, 1000)
    os.write(master, text)


def test_follow_goes_on_until_it_is_interrupted(conninfo: str, run: Commands) -> None:
    asyncio.run(store(conninfo, {"Ev1": message(1)}))
    with terminal(run, "events", "--follow", "--json") as (process, master):
        said = b""
        while b"Ev1" not in said:
            said += os.read(master, 1000)
        with psycopg.connect(conninfo, autocommit=True) as database:
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name like '%events'"
            )
        asyncio.run(store(conninfo, {"Ev2": message(2)}))
        while b"Ev2" not in said:
            said += os.read(master, 1000)
        assert b"Waiting for the database." in said
        assert b"The database is back." in said
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        with contextlib.suppress(OSError):  # Linux tells the end so
            while rest := os.read(master, 1000):
                said += rest
    assert b"Traceback" not in said
