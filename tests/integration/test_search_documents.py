"""slack.message_search: what a message is found by, and documents of messages that were stored before."""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import SCALE, wrong_documents

Database = psycopg.Connection[Any]
MIGRATIONS = Path(__file__).parents[2] / "migrations"


def post(database: Database, text: str, **content: Any) -> None:
    """Store the only message of the database."""
    database.execute("delete from slack.message_search")
    database.execute("delete from slack.message")
    message = {"channel": "C1", "ts": "1700000000.000100", "user": "U9", "text": text} | content
    database.execute("select slack.insert_message(%s)", (json.dumps(message),))


def finds(database: Database, term: str, *, prefix: bool = False, language: str = "english") -> int:
    """How many messages a term finds."""
    row = database.execute(
        "select count(*) from slack.message_search where document @@ slack.search_term(%s, %s, %s)",
        (term, prefix, [language]),
    ).fetchone()
    assert row is not None
    return int(row[0])


FOUND = [
    ("We are Running the deployments.", ["run", "running", "deployment", "DEPLOY", "the", "we are"], ["deployed x"]),
    ("call foo_bar or fooBar", ["foo_bar", "fooBar", "foobar", "foo", "bar"], ["oo_bar", "fooba"]),
    ("a.b.c failed with ERR-1234", ["a.b.c", "b.c", "ERR-1234", "err", "1234"], ["a.c", "123"]),
    ("parse HTTPServer, then JSONs", ["HTTPServer", "httpserver", "server", "http"], ["tps"]),
    ("kubectl get pods -n kube-system", ["kube-system", "-n", "pods"], ["ube"]),
    ("path /var/log/syslog.1 v1.2.3", ["/var/log/syslog.1", "syslog.1", "v1.2.3", "v1.2"], ["1.3"]),
    ("<https://www.example.com/some/path?secret=xyz#frag|the label>",
     ["example.com", "some/path", "label"], ["xyz", "frag", "https"]),
    ("tom &amp; jerry &lt;b&gt;", ["tom jerry", "tom & jerry", "b"], ["amp", "lt", "gt"]),
    ("Crème brûlée für Zoë, ŁÓDŹ", ["creme", "CRÈME", "brulee", "zoe", "lodz", "łódź"], ["crem"]),
    ("数据库迁移完成", ["数据库", "迁移", "库迁", "成", "数据库迁移完成"], ["库数", "数库", "完了"]),
    ("サーバーが落ちました", ["サーバー", "落ち", "が"], ["落ま"]),
    ("ｶﾀｶﾅ 데이터베이스를 복구", ["カタカナ", "데이터", "베이스", "복구"], ["데베"]),
    ("Это Ошибка, ΑΘΗΝΑ", ["ошибка", "ОШИБКА", "αθηνα"], ["ошиб"]),
    ("well done :tada: :+1:", ["tada", ":tada:", ":+1:", "thumbsup"], ["1"]),
    ("see 👀 😆 👍🏽 🇩🇪🇫🇷 👩‍💻 1️⃣ 🤖",
     [":eyes:", "eyes", "👀", "see 👀", "laughing", ":satisfied:", "😆", "👍", ":+1:", "👍🏿", "flag-de", ":fr:",
      "🇫🇷", "👩‍💻", ":female-technologist:", "one", "🤖"], ["🇮🇹", "👩", "🎉", "tada"]),
    ("see :eyes: :satisfied: :+1::skin-tone-4: :flag-de:", ["👀", "see 👀", "😆", "👍", "👍🏿", "🇩🇪"], ["🎉"]),
    ("an unknown family 👩‍🤖", ["👩", "woman", ":robot_face:"], ["🎉"]),
    ("ping <@U1|oldname> in <#C2|oldchannel>",
     ["ana", "Ana Lima", "lima", "ops-alerts", "alerts", "U1"], ["oldname", "oldchannel"]),
    ("it's 50% done", ["it's", "50%", "done"], ["s it"]),
    ("x" * 3000 + " tail", ["tail"], ["x"]),
]  # fmt: skip


def test_what_a_message_is_found_by(database: Database) -> None:
    user = {"id": "U1", "name": "al", "profile": {"real_name": "Ana Lima", "display_name": "ána"}}
    database.execute("select slack.upsert_user(%s)", (json.dumps({"user": user}),))
    channel = {"channel": {"id": "C2", "name": "ops-alerts"}}
    database.execute("select slack.upsert_channel(%s)", (json.dumps(channel),))
    wrong = []
    for text, found, missed in FOUND:
        post(database, text)
        wrong += [f"{term!r} in {text[:40]!r}" for term in found if not finds(database, term)]
        wrong += [f"{term!r} not in {text[:40]!r}" for term in missed if finds(database, term)]
    assert wrong == []
    # A person or a channel that is renamed is found by the new name at once.
    post(database, "ping <@U1>")
    user["profile"]["real_name"] = "Ana Souza"  # type: ignore[index]
    database.execute(
        "select slack.upsert_user(%s)", (json.dumps({"user": user | {"updated": 2000000000}}),)
    )
    assert (finds(database, "souza"), finds(database, "lima")) == (1, 0)


def test_prefixes(database: Database) -> None:
    post(database, "the organization of 数据库 fooBarBaz")
    for prefix in ("organ", "organiza", "organization", "数", "foobarb", "fooBa", "of"):
        assert finds(database, prefix, prefix=True), prefix
    assert not finds(database, "organize rs", prefix=True)


def test_where_the_words_come_from(database: Database) -> None:
    text = {"type": "text", "text": "blockword"}
    mention = {"type": "user", "user_id": "U7"}
    link = {"type": "link", "url": "https://linked.example/way"}
    elements = [{"type": "rich_text_section", "elements": [text, mention, link]}]
    blocks = [{"type": "rich_text", "elements": elements}]
    post(database, "", blocks=blocks)
    assert [finds(database, word) for word in ("blockword", "U7", "way")] == [1, 1, 1]
    post(database, "plain", blocks=blocks)
    assert [finds(database, word) for word in ("plain", "blockword")] == [1, 0]
    attachment = {"title": "Headline", "text": "bodytext", "fallback": "fallen", "title_link": "x"}
    file = {"name": "report_2024.final.pdf", "title": "Quarterly", "url_private": "hidden"}
    post(database, "plain", attachments=[attachment], files=[file])
    words = ("plain", "headline", "bodytext", "fallen", "report_2024.final", "quarterly")
    assert [finds(database, word) for word in words] == [1] * 6
    assert not finds(database, "hidden")


@pytest.mark.parametrize(
    "odd", [None, [], {}, "x", [None], [1], [{"title": 1}], [{"text": {"text": ["a"]}}]]
)
def test_odd_content_is_stored(database: Database, odd: Any) -> None:
    post(database, "", attachments=odd, files=odd, blocks=odd, edited=odd, subtype="s" * 200)
    assert wrong_documents(database) == []
    assert len(database.execute("select from slack.message_search").fetchall()) == 1


@settings(
    max_examples=60 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_any_text_can_be_stored_and_searched(database: Database, text: str) -> None:
    post(database, text)
    for prefix in (False, True):
        finds(database, text, prefix=prefix, language="german")


def progress(database: Database) -> tuple[Any, ...]:
    row = database.execute(
        "select language, previous_languages, done, total, finished_at is null from slack.search_progress"
    ).fetchone()
    assert row is not None
    return row


def test_documents_of_older_messages(database: Database) -> None:
    """As the job makes them: in batches, from the newest to the oldest; deletions and edits meanwhile are kept."""
    for n in range(10):
        message = {
            "channel": f"C{n % 3}",
            "ts": f"17000000{n // 2:02}.000100",
            "text": f"häuser {n}",
        }
        database.execute("select slack.insert_message(%s)", (json.dumps(message),))
    database.execute("delete from slack.message_search")
    database.execute("update slack.search_progress set finished_at = null")
    index = "select slack.index_history(4)"
    assert database.execute(index).fetchone() == (4,)
    assert progress(database) == ("english", [], 4, None, True)
    newest = database.execute("select max(ts), count(*) from slack.message_search").fetchone()
    assert newest == database.execute("select max(ts), 4 from slack.message").fetchone()
    assert [database.execute(index).fetchone() for _ in range(3)] == [(4,), (2,), (0,)]
    assert progress(database) == ("english", [], 10, None, False)
    assert wrong_documents(database) == []
    # Another language: the documents are made again, and those that are not yet are found by the language before.
    assert database.execute("select slack.set_search_language('german')").fetchone() == (True,)
    assert database.execute("select slack.set_search_language('german')").fetchone() == (False,)
    assert progress(database) == ("german", ["english"], 0, None, True)
    assert len(wrong_documents(database)) == 10
    while database.execute(index).fetchone() != (0,):
        pass
    assert wrong_documents(database) == []
    assert progress(database) == ("german", [], 10, None, False)
    assert finds(database, "haus", language="german") == 10
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        database.execute("select slack.set_search_language('klingon')")


def test_without_messages_no_documents_are_made_anew(database: Database) -> None:
    assert database.execute("select slack.set_search_language('german')").fetchone() == (False,)
    assert progress(database) == ("german", [], 0, None, False)


def index_all(database: Database) -> None:
    while database.execute("select slack.index_history(4)").fetchone() != (0,):
        pass


def store_ten(database: Database) -> None:
    for n in range(10):
        message = {
            "channel": "C1",
            "ts": f"17000000{n:02}.000100",
            "text": f"häuser and houses {n}",
        }
        database.execute("select slack.insert_message(%s)", (json.dumps(message),))


def test_languages_that_follow_one_another(database: Database) -> None:
    """Each document is found by its language, however many changes came before it is made again."""
    store_ten(database)
    languages = "select language || previous_languages from slack.search_progress"
    for language, known in (
        ("german", ["german", "english"]),
        ("simple", ["simple", "english", "german"]),
        ("german", ["german", "english", "simple"]),
        ("english", ["english", "german", "simple"]),
    ):
        assert database.execute("select slack.set_search_language(%s)", (language,)).fetchone() == (
            True,
        )
        assert database.execute(languages).fetchone() == (known,)
        database.execute("select slack.index_history(2)")
    index_all(database)
    assert progress(database) == ("english", [], 10, None, False)
    assert wrong_documents(database) == []


def test_a_language_that_is_set_while_the_job_waits(database: Database, conninfo: str) -> None:
    """The job's batch does not begin before, nor does it take the new language's progress away."""
    store_ten(database)
    database.execute("update slack.search_progress set finished_at = null")
    database.execute("select slack.index_history(4)")
    waits = "select exists (select from pg_locks where pid = %s and not granted)"
    with psycopg.connect(conninfo, autocommit=True) as job, ThreadPoolExecutor() as threads:
        with database.transaction():
            database.execute("select slack.set_search_language('german')")
            batch = threads.submit(job.execute, "select slack.index_history(4)")
            while database.execute(waits, (job.info.backend_pid,)).fetchone() == (False,):
                assert not batch.done()
        assert batch.result().fetchone() == (4,)
    assert progress(database) == ("german", ["english"], 4, None, True)
    index_all(database)
    assert wrong_documents(database) == []


def test_documents_of_another_version_are_made_anew(database: Database) -> None:
    file = MIGRATIONS / "idempotent" / "012-search.sql"
    next_version = re.sub(
        r"(?s)(_version\(\).*?return) \d+;", r"\1 999;", file.read_text(), count=1
    )
    database.execute(file.read_bytes())  # the same version again
    assert progress(database) == ("english", [], 0, None, False)
    database.execute(next_version.encode())  # nothing is stored
    assert progress(database) == ("english", [], 0, None, False)
    store_ten(database)
    database.execute(file.read_bytes())  # an older release is installed again
    assert progress(database) == ("english", [], 0, None, True)
    database.execute("update slack.message_search set document = '', thread_ts = now()")
    index_all(database)
    assert wrong_documents(database) == []
    assert progress(database) == ("english", [], 10, None, False)


def test_the_version_is_raised_with_each_change() -> None:
    """If this fails: raise slack.document_version() where documents of before differ, and write its digest here."""
    text = (MIGRATIONS / "idempotent" / "012-search.sql").read_text()
    emoji = (MIGRATIONS / "idempotent" / "001-convert.sql").read_text()
    begin, end = (
        text.index("function slack.fold_text"),
        text.index("drop function if exists slack.json_texts"),
    )
    version = re.search(r"function slack.document_version.*?return (\d+);", text, re.DOTALL)
    makes = emoji[emoji.index("function slack.emoji_names") :] + text[begin:end]
    digest = hashlib.sha256(makes.encode()).hexdigest()[:16]
    assert version is not None
    assert (int(version[1]), digest) == (4, "9b69e0f6c283106d")


def test_messages_are_stored_without_a_language(database: Database) -> None:
    """A text search configuration can be dropped, and the row deleted. Neither costs a message."""
    database.execute("update slack.search_progress set language = 'public.dropped'")
    post(database, "running")
    assert finds(database, "run")
    database.execute("delete from slack.search_progress")
    post(database, "running")
    assert finds(database, "run")
