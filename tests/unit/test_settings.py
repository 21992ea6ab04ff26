"""Settings: an error lists all problems and no secrets."""

from pathlib import Path

import pytest

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.settings import load, load_with_slack

SLACK = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}


def test_defaults() -> None:
    settings, slack = load_with_slack(SLACK)
    assert settings.conninfo is None
    assert (settings.pool_min, settings.pool_max) == (5, 10)
    assert settings.spool_limit == 1 << 30
    assert settings.service_name == "tiger-slack-ingest"
    assert slack.api_url == "https://slack.com/api/"


def test_names_every_problem_and_no_secret() -> None:
    environ = {
        "SLACK_BOT_TOKEN": "xapp-secret",
        "SLACK_API_URL": "slack.com",
        "DATABASE_URL": "postgresql://me:hidden@host:port:x/db%",
        "PG_MIN_POOL_SIZE": "many",
        "PG_MAX_POOL_SIZE": "2",
        "LOGFIRE_LOGS_ENDPOINT": "collector:4318",
        "TIGER_SLACK_HOME": "~nobody-of-this-name/data",
        "TIGER_SLACK_HTTP": "8080/metrics",
        "TIGER_SLACK_EVENT_DAYS": "9" * 5000,
        "SERVICE_NAME": "caf\udce9",
    }
    with pytest.raises(SettingsError) as raised:
        load_with_slack(environ)
    text = str(raised.value)
    for name in (*environ, "SLACK_APP_TOKEN"):
        assert name in text
    assert "secret" not in text
    assert "hidden" not in text
    assert raised.value.exit_code == 2


def test_names_a_file_of_settings_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"SLACK_BOT_TOKEN=\xff")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        load()


def test_secrets_are_not_shown_by_accident() -> None:
    settings, slack = load_with_slack(SLACK | {"DATABASE_URL": "postgresql://me:hidden@host/db"})
    assert "hidden" not in repr(settings)
    assert "xoxb" not in repr(slack)
    assert "xapp" not in repr(slack)


def test_the_variables_of_libpq_count_with_pghost() -> None:
    settings = load({"PGHOST": "db", "PGPORT": "5433", "PGDATABASE": "slack", "PGUSER": "me"})
    given = set((settings.conninfo or "").split())
    assert given == {"host=db", "port=5433", "dbname=slack", "user=me"}
    assert load({"PGPORT": "5433"}).conninfo is None


def test_database_url_goes_before_the_variables_of_libpq() -> None:
    conninfo = load(
        {"DATABASE_URL": "postgresql://a@one/x", "PGHOST": "two", "PGPORT": "1"}
    ).conninfo
    assert set((conninfo or "").split()) == {"host=one", "user=a", "dbname=x", "port=1"}


def test_the_direct_address_stands_beside_the_first() -> None:
    both = {
        "DATABASE_URL": "postgresql://me@pooler:6432/db",
        "DATABASE_DIRECT_URL": "postgresql://me@server/db",
        "PGPASSWORD": "secret",
    }
    direct = load(both).direct_conninfo or ""
    assert "host=server" in direct
    assert "password=secret" in direct
    assert load({"DATABASE_URL": both["DATABASE_URL"]}).direct_conninfo is None


@pytest.mark.parametrize(
    "env",
    [
        {"DATABASE_DIRECT_URL": "postgresql://me@server/db"},
        {"PGHOST": "x", "DATABASE_DIRECT_URL": "postgresql://me:secret@server:port/db%"},
    ],
)
def test_a_direct_address_that_cannot_be_used(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="DATABASE_DIRECT_URL") as caught:
        load(env)
    assert "secret" not in str(caught.value)


def test_home(tmp_path: Path) -> None:
    assert load({"TIGER_SLACK_HOME": str(tmp_path)}).home == tmp_path
    assert load({}).home.name == "tiger-slack"


def test_pool_sizes_must_fit() -> None:
    with pytest.raises(SettingsError, match="PG_MIN_POOL_SIZE is greater"):
        load({"PG_MIN_POOL_SIZE": "11"})


def test_an_address_gets_its_slash() -> None:
    _, slack = load_with_slack(SLACK | {"SLACK_API_URL": "http://127.0.0.1:1/api"})
    assert slack.api_url == "http://127.0.0.1:1/api/"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hid@den@127.0.0.1/db",
        "postgresql://me:hid@den@127.0.0.1:5x/db",
        "postgresql://me:5/hid@den/db",
        "postgresql://me:hidden/x@host/db",
        "host=127.0.0.1 port=hidden",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_not_shown(address: str) -> None:
    for name in ("DATABASE_URL", "DATABASE_DIRECT_URL"):
        with pytest.raises(SettingsError) as raised:
            load({"DATABASE_URL": "postgresql://me@host/db", name: address})
        text = str(raised.value)
        assert name in text
        assert "hid" not in text
        assert "den" not in text


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:p%40ss@[::1]:5433,host:5432/db?sslmode=require",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://me@a:1,b/db",
        "host=a,b port=,5433 dbname=x",
    ],
)
def test_addresses_of_all_forms(address: str) -> None:
    assert load({"DATABASE_URL": address}).conninfo


def test_the_tokens_of_the_sample_are_not_filled_in() -> None:
    with pytest.raises(SettingsError, match="SLACK_BOT_TOKEN is not filled in"):
        load_with_slack(SLACK | {"SLACK_BOT_TOKEN": "xoxb-"})


def test_a_first_run_is_led_to_init() -> None:
    """Only if no token is set: who has set one of them wrongly needs no set-up."""
    for environ, is_first in (({}, True), ({"SLACK_APP_TOKEN": "xapp-1"}, False)):
        with pytest.raises(SettingsError) as raised:
            load_with_slack(environ)
        assert ("To set up: tiger-slack init" in (raised.value.hint or "")) is is_first
