"""Lists every setting: what it is for, its value without secrets, and where the value comes from."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tiger_slack_tui.base.name_patterns import suggestion
from tiger_slack_tui.base.settings import PORTS, default_home, read_env_file


class SettingSource(StrEnum):
    """Where a value comes from."""

    ENVIRONMENT = "environment"
    FILE = ".env"
    DEFAULT = "default"


class _Secret(StrEnum):
    """What of a value is a secret."""

    NOTHING = "nothing"
    ALL = "all"
    PASSWORD = "password"  # noqa: S105 the word
    """A password in a URL or in a connection string."""
    ALL_BUT_HOST = "all but host"
    """User, password and query of an http address: receivers of telemetry take tokens in each of them."""


@dataclass(frozen=True, slots=True)
class _Declaration:
    name: str
    purpose: str
    default: str | None = None
    """As it would be written; None if there is no value by default."""
    secret: _Secret = _Secret.NOTHING


_PLATFORM = "the platform's"
"""A default that depends on the platform."""
_GROUPS: Mapping[str, tuple[_Declaration, ...]] = {
    "Slack": (
        _Declaration("SLACK_BOT_TOKEN", "Bot User OAuth Token", secret=_Secret.ALL),
        _Declaration("SLACK_APP_TOKEN", "App-Level Token for Socket Mode", secret=_Secret.ALL),
        _Declaration("SLACK_API_URL", "address of Slack's Web API", "https://slack.com/api/"),
    ),
    "Database": (
        _Declaration("DATABASE_URL", "the database; else embedded", secret=_Secret.PASSWORD),
        _Declaration("DATABASE_DIRECT_URL", "the same without its pooler", secret=_Secret.PASSWORD),
        _Declaration("PGHOST", "in place of DATABASE_URL"),
        _Declaration("PGPORT", "in place of DATABASE_URL"),
        _Declaration("PGDATABASE", "in place of DATABASE_URL"),
        _Declaration("PGUSER", "in place of DATABASE_URL"),
        _Declaration("PGPASSWORD", "in place of DATABASE_URL", secret=_Secret.ALL),
        _Declaration("PG_MIN_POOL_SIZE", "connections that are kept open", "5"),
        _Declaration("PG_MAX_POOL_SIZE", "most connections", "10"),
    ),
    "This machine": (
        _Declaration("TIGER_SLACK_HOME", "spool, log, embedded database", _PLATFORM),
        _Declaration("TIGER_SLACK_SPOOL_MIB", "most MiB of the spool", "1024"),
        _Declaration("TIGER_SLACK_STOP_ON_HANGUP", "stop with the console's terminal", "false"),
        _Declaration("TIGER_SLACK_HTTP", "address of health and metrics"),
        _Declaration("TIGER_SLACK_LOG_FORMAT", "text or json", "text on a terminal"),
        _Declaration("SERVICE_NAME", "name of the program", "tiger-slack-ingest"),
    ),
    "Jobs and history": (
        _Declaration("TIGER_SLACK_JOBS_SCHEDULE", "when the jobs run, as in cron", "0 1 * * *"),
        _Declaration("TIGER_SLACK_JOBS_TIME_ZONE", "time zone of the schedule", "UTC"),
        _Declaration("TIGER_SLACK_JOBS_CATCH_UP", "run missed jobs at the start", "true"),
        _Declaration("TIGER_SLACK_JOBS_TIMEOUT", "most seconds of a job", "3600"),
        _Declaration("TIGER_SLACK_EVENT_DAYS", "days that events are kept", "90"),
        _Declaration("TIGER_SLACK_BACKFILL", "close gaps automatically", "true"),
        _Declaration("TIGER_SLACK_HISTORY_SINCE", "where the history begins", "all"),
    ),
    "Search and AI clients": (
        _Declaration("TIGER_SLACK_SEARCH_LANGUAGE", "language of the search", "english"),
        _Declaration("TIGER_SLACK_MCP_TOKEN", "bearer token of mcp --http", secret=_Secret.ALL),
    ),
    "Imports": (
        _Declaration("TIGER_SLACK_IMPORT_RATIO", "most unpacked / packed size", "500"),
        _Declaration("TIGER_SLACK_IMPORT_TOTAL_GIB", "most GiB of unpacked files", "1024"),
    ),
    "Telemetry": (
        _Declaration("LOGFIRE_TOKEN", "write token of Logfire", secret=_Secret.ALL),
        _Declaration("LOGFIRE_ENVIRONMENT", "environment's name at Logfire"),
        _Declaration("LOGFIRE_TRACES_ENDPOINT", "OTLP traces", secret=_Secret.ALL_BUT_HOST),
        _Declaration("LOGFIRE_LOGS_ENDPOINT", "OTLP logs", secret=_Secret.ALL_BUT_HOST),
    ),
}
NAMES = tuple(each.name for group in _GROUPS.values() for each in group)
_SECRETS = {each.name: each.secret for group in _GROUPS.values() for each in group}
_OURS = ("TIGER_SLACK_", "SLACK_")
"""How names begin that only this program has, so that another one is a mistake."""
_NOT_SETTINGS = ("TIGER_SLACK_TEST_", "TIGER_SLACK_BENCHMARK_")
_URL = re.compile(r"([a-z+.-]+://)(.*@)?([^?#@]*)([?#].*)?", re.DOTALL | re.IGNORECASE)
"""Scheme, user and password, host and path, query. A password that was not escaped can have any character."""
_TOKENS = ("xox", "xapp-")
"""How Slack's tokens begin, wherever one was written by mistake."""
_SECRET_OPTIONS = ("password", "sslpassword", "oauth_client_secret")
"""Of connection strings."""


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting as a run would use it. `value` holds no secret; None if there is none."""

    group: str
    name: str
    value: str | None
    source: SettingSource
    default: str | None
    purpose: str


def list_settings(environ: Mapping[str, str] | None = None) -> list[SettingValue]:
    """All settings, from the environment, or else from .env in the working directory. Secrets are masked.

    Raises SettingsError if .env cannot be read.
    """
    environ = os.environ if environ is None else environ
    file = read_env_file()
    return [
        _value(group, declared, environ, file)
        for group, declarations in _GROUPS.items()
        for declared in declarations
    ]


def unknown_settings(environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """A sentence for each name that looks like a setting and is none. Raises as `list_settings`."""
    environ = os.environ if environ is None else environ
    for name in sorted({*read_env_file(), *environ}):
        if name.startswith(_OURS) and not name.startswith(_NOT_SETTINGS) and name not in NAMES:
            hint = suggestion(name, NAMES)
            yield f"{name} is not a setting, so it is ignored.{f' {hint}' if hint else ''}"


def _value(
    group: str, declared: _Declaration, environ: Mapping[str, str], file: Mapping[str, str]
) -> SettingValue:
    default = declared.default
    if default == _PLATFORM:
        with contextlib.suppress(RuntimeError):
            default = str(default_home())
    value, source = default, SettingSource.DEFAULT
    for values, of in ((environ, SettingSource.ENVIRONMENT), (file, SettingSource.FILE)):
        if declared.name in values:  # also an empty value hides the one of the file
            given = values[declared.name].strip()
            if given:
                value, source = masked(declared.name, given), of
            break
    return SettingValue(group, declared.name, value, source, default, declared.purpose)


def masked(name: str, value: str) -> str:
    """The value of a setting without its secret. Of a token, the beginning that all of its kind have is kept.

    What cannot be read as what it should be is a secret as a whole.
    """
    secret = _SECRETS[name]
    if secret is _Secret.PASSWORD:
        return _masked_conninfo(value) or _hidden(value)
    if secret is _Secret.ALL or value.startswith(_TOKENS):
        return _hidden(value)
    if match := _URL.fullmatch(value):
        scheme, user, host, query = match.groups(default="")
        return f"{scheme}{'…@' if user else ''}{host}{'?…' if query else ''}"
    return _hidden(value) if secret is _Secret.ALL_BUT_HOST else value


def _hidden(value: str) -> str:
    kind = next((kind for kind in ("xoxb-", "xapp-") if value.startswith(kind)), "")
    return f"{kind}… ({len(value)} characters)"


def _masked_conninfo(value: str) -> str | None:
    """The database's address as a URL without its secrets; None if libpq cannot read it, or misreads a password."""
    # Imported late: `tiger-slack --help` needs no database driver.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {option: str(of) for option, of in conninfo_to_dict(value).items()}
    except ProgrammingError:
        return None
    host, port, database = (given.pop(option, "") for option in ("host", "port", "dbname"))
    if "@" in host + database or not PORTS.fullmatch(port):
        return None
    user, has_password = given.pop("user", ""), "password" in given
    shown = {option: of for option, of in given.items() if option not in _SECRET_OPTIONS}
    return "".join(
        [
            "postgresql://",
            f"{user}{':…' if has_password else ''}@" if user or has_password else "",
            f"{host}{f':{port}' if port else ''}/{database}",
            f"?{'&'.join(f'{option}={of}' for option, of in shown.items())}" if shown else "",
        ]
    )
