"""Reads the settings from the environment and from .env, and checks them."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.times import UNITS, parse_time

_LEAST_TOKEN = 16
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")

ENV_FILE = ".env"
"""The file of settings, in the working directory."""
SLACK_API_URL = "https://slack.com/api/"


@dataclass(frozen=True)
class SlackSettings:
    """How to reach Slack. `api_url` ends with a slash."""

    bot_token: str = field(repr=False)
    app_token: str = field(repr=False)
    api_url: str = SLACK_API_URL


@dataclass(frozen=True)
class LogfireSettings:
    """Targets of telemetry. Without a token and endpoints, nothing leaves the machine."""

    token: str | None = field(default=None, repr=False)
    environment: str | None = None
    traces_endpoint: str | None = None
    """OTLP over HTTP, in addition to Logfire or instead of it."""
    logs_endpoint: str | None = None

    @property
    def is_wanted(self) -> bool:
        return bool(self.token or self.traces_endpoint or self.logs_endpoint)


@dataclass(frozen=True)
class JobSettings:
    """When the jobs run, and their limits."""

    schedule: str = "0 1 * * *"
    """Five fields of cron, or six of which the first is seconds."""
    time_zone: str = "UTC"
    catch_up: bool = True
    """Whether a start runs the jobs that were due while no instance ran."""
    timeout: float = 3600
    """Seconds after which a run is cancelled."""
    event_days: int = 90
    """Age in days at which events are deleted if no policy of TimescaleDB does it."""
    backfill: bool = True
    """Whether the backfill job closes gaps from Slack's history."""
    history_since: str | None = None
    """How far back the history of a channel is read that the app joins, as `parse_time` reads it; None for all."""
    search_language: str = "english"
    """A text search configuration of the server; see `search_index.use_language`."""


@dataclass(frozen=True)
class ImportSettings:
    """Limits beyond which an import treats a ZIP file as a ZIP bomb."""

    ratio: int = 500
    """Unpacked size divided by packed size."""
    total_bytes: int = 1 << 40
    """Unpacked size of all files."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run. Only `load` and `load_with_slack` make them and read the environment."""

    home: Path
    """Directory of the spool and of the embedded PostgreSQL."""
    conninfo: str | None = field(repr=False)
    """libpq connection string; None for the embedded PostgreSQL."""
    conninfo_setting: str = "DATABASE_URL"
    """The setting that `conninfo` comes from, for errors."""
    direct_conninfo: str | None = field(default=None, repr=False)
    """The same database without a pooler, for jobs and imports: their locks need a session. DATABASE_DIRECT_URL."""
    pool_min: int = 5
    pool_max: int = 10
    spool_limit: int = 1 << 30
    """Most bytes in the spool."""
    service_name: str = "tiger-slack-ingest"
    logfire: LogfireSettings = LogfireSettings()
    jobs: JobSettings = JobSettings()
    imports: ImportSettings = ImportSettings()
    http: str | None = None
    """[HOST:]PORT of health and metrics."""
    mcp_token: str | None = field(default=None, repr=False)
    """What clients of the MCP server send as bearer token."""
    stop_on_hangup: bool = False
    """Whether a console stops the ingestion when its terminal is closed."""
    log_format: str | None = None
    """How the log is written to stderr: "text" or "json"; None for text on a terminal and JSON elsewhere."""

    @property
    def instance(self) -> str:
        """The name of this process in the database: SERVICE_NAME@HOST:PID, in at most PostgreSQL's 63 bytes."""
        pid = f":{os.getpid()}"
        name = f"{self.service_name}@{socket.gethostname()}".encode()[: 63 - len(pid)]
        return name.decode(errors="ignore") + pid


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of every command, from the environment, or else from the file .env.

    Raises SettingsError, which lists all problems with their fixes.
    """
    check = _Check(environ)
    settings = _settings(check)
    check.raise_problems()
    return settings


def load_with_slack(
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, SlackSettings]:
    """As `load`, with the tokens of Slack."""
    check = _Check(environ)
    settings, slack = _settings(check), _slack(check)
    check.raise_problems()
    return settings, slack


class _Check:
    """Reads values, and collects their problems."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.problems: list[str] = []
        self.has_no_tokens = False
        """Whether a command that needs Slack's tokens has none of them."""
        self.env = {**_dotenv(self), **os.environ} if environ is None else environ

    def raise_problems(self) -> None:
        if self.problems:
            hint = "They come from the environment, or else from .env; .env.sample describes each."
            if self.has_no_tokens:
                hint = f"To set up: tiger-slack init. {hint}"
            raise SettingsError(
                "The settings cannot be used:\n" + "\n".join(self.problems), hint=hint
            )

    def problem(self, name: str, what: str, fix: str) -> None:
        line = f"  {name} {what}: {fix}"
        if line not in self.problems:
            self.problems.append(line)

    def text(self, name: str) -> str:
        text = self.env.get(name, "").strip()
        try:
            text.encode()
        except UnicodeEncodeError:  # Python keeps bytes that are not UTF-8 as lone surrogates
            self.problem(name, "is not UTF-8", "set it again, or unset it")
            return ""
        return text

    def address(self, name: str, *, fix: str) -> str | None:
        text = self.text(name)
        if not text:
            return None
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            self.problem(name, "is not an http(s) address", f"write it as https://HOST/PATH, {fix}")
        return text

    def switch(self, name: str, *, default: bool) -> bool:
        text = self.text(name).lower()
        if text in ("", *_YES, *_NO):
            return text in _YES if text else default
        self.problem(name, "is neither true nor false", "set true or false, or unset it")
        return default

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if not text:
            return default
        if re.fullmatch("[0-9]{1,18}", text) and least <= int(text) <= most:
            return int(text)
        self.problem(
            name,
            "is not a valid number",
            f"set a whole number from {least} to {most}, or unset it",
        )
        return default


def _settings(check: _Check) -> Settings:
    settings = Settings(
        home=_home(check),
        conninfo=_conninfo(check),
        conninfo_setting="DATABASE_URL" if check.text("DATABASE_URL") else "PGHOST",
        direct_conninfo=_direct_conninfo(check),
        pool_min=check.number("PG_MIN_POOL_SIZE", default=5, least=1, most=1000),
        pool_max=check.number("PG_MAX_POOL_SIZE", default=10, least=2, most=1000),
        spool_limit=check.number("TIGER_SLACK_SPOOL_MIB", default=1024, least=1, most=1 << 24)
        << 20,
        service_name=check.text("SERVICE_NAME") or "tiger-slack-ingest",
        logfire=LogfireSettings(
            token=check.text("LOGFIRE_TOKEN") or None,
            environment=check.text("LOGFIRE_ENVIRONMENT") or None,
            traces_endpoint=check.address("LOGFIRE_TRACES_ENDPOINT", fix="or unset it"),
            logs_endpoint=check.address("LOGFIRE_LOGS_ENDPOINT", fix="or unset it"),
        ),
        jobs=_jobs(check),
        imports=ImportSettings(
            ratio=check.number("TIGER_SLACK_IMPORT_RATIO", default=500, least=1, most=10**9),
            total_bytes=check.number(
                "TIGER_SLACK_IMPORT_TOTAL_GIB", default=1024, least=1, most=1 << 30
            )
            << 30,
        ),
        http=_http(check),
        mcp_token=_mcp_token(check),
        stop_on_hangup=check.switch("TIGER_SLACK_STOP_ON_HANGUP", default=False),
        log_format=_log_format(check),
    )
    if settings.pool_min > settings.pool_max:
        fix = "lower the first or raise the second"
        check.problem("PG_MIN_POOL_SIZE", "is greater than PG_MAX_POOL_SIZE", fix)
    return settings


def parse_listen(address: str) -> tuple[str | None, int]:
    """Host and port of [HOST:]PORT; the host is None for all interfaces. Raises ValueError."""
    host, _, port = address.rpartition(":")
    if not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise ValueError("not an address to listen on")
    return host.strip("[]") or None, int(port)


def _http(check: _Check) -> str | None:
    address = check.text("TIGER_SLACK_HTTP") or None
    try:
        parse_listen(address or "1")
    except ValueError:
        check.problem(
            "TIGER_SLACK_HTTP", "is not an address to listen on", "write it as PORT or HOST:PORT"
        )
    return address


def _log_format(check: _Check) -> str | None:
    given = check.text("TIGER_SLACK_LOG_FORMAT").lower()
    if given not in ("", "text", "json"):
        fix = "set text or json, or unset it for text on a terminal and JSON elsewhere"
        check.problem("TIGER_SLACK_LOG_FORMAT", "is not a format of the log", fix)
    return given or None


def _mcp_token(check: _Check) -> str | None:
    token = check.text("TIGER_SLACK_MCP_TOKEN")
    if token and (len(token) < _LEAST_TOKEN or not token.isascii() or " " in token):
        fix = "set at least 16 random letters and digits, as openssl rand -hex 32 prints them"
        check.problem("TIGER_SLACK_MCP_TOKEN", "is not a safe token", fix)
    return token or None


def _jobs(check: _Check) -> JobSettings:
    given = JobSettings(
        schedule=check.text("TIGER_SLACK_JOBS_SCHEDULE") or JobSettings.schedule,
        time_zone=check.text("TIGER_SLACK_JOBS_TIME_ZONE") or JobSettings.time_zone,
        catch_up=check.switch("TIGER_SLACK_JOBS_CATCH_UP", default=JobSettings.catch_up),
        timeout=check.number("TIGER_SLACK_JOBS_TIMEOUT", default=3600, least=1, most=10**6),
        event_days=check.number("TIGER_SLACK_EVENT_DAYS", default=90, least=1, most=36_500),
        backfill=check.switch("TIGER_SLACK_BACKFILL", default=JobSettings.backfill),
        history_since=_history_since(check),
        search_language=_search_language(check),
    )
    try:
        zone = ZoneInfo(given.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fix = "set a name from the IANA database, such as Europe/Berlin, or unset it for UTC"
        check.problem("TIGER_SLACK_JOBS_TIME_ZONE", "is not a time zone", fix)
        zone = ZoneInfo("UTC")
    try:
        next(CronSim(given.schedule, datetime.now(zone)))
    except (CronSimError, StopIteration):
        fix = "write five fields, such as 0 1 * * * for daily at 01:00, or unset it"
        check.problem("TIGER_SLACK_JOBS_SCHEDULE", "is not a schedule", fix)
    return given


def _history_since(check: _Check) -> str | None:
    """A date, or a duration before now; None for "all"."""
    given = check.text("TIGER_SLACK_HISTORY_SINCE")
    if not given or given.lower() == "all":
        return None
    try:
        parse_time(given, datetime.now(UTC), "TIGER_SLACK_HISTORY_SINCE")
    except SettingsError:
        fix = (
            f"write all, a date such as 2024-03-01, or a duration before now, such as 1y ({UNITS})"
        )
        check.problem("TIGER_SLACK_HISTORY_SINCE", "is neither a date nor a duration", fix)
    return given


def _search_language(check: _Check) -> str:
    """The name of a text search configuration. Only the server knows which there are."""
    given = check.text("TIGER_SLACK_SEARCH_LANGUAGE") or JobSettings.search_language
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?", given):
        fix = "set a language that PostgreSQL has, such as english, german or simple, or unset it"
        check.problem("TIGER_SLACK_SEARCH_LANGUAGE", "is not the name of a language", fix)
    return given.lower() if "." not in given else given


def _slack(check: _Check) -> SlackSettings:
    check.has_no_tokens = not check.text("SLACK_BOT_TOKEN") and not check.text("SLACK_APP_TOKEN")
    url = check.address("SLACK_API_URL", fix="or unset it to use Slack itself") or SLACK_API_URL
    return SlackSettings(
        bot_token=_token(
            check, "SLACK_BOT_TOKEN", "xoxb-", "“OAuth & Permissions”, Bot User OAuth Token"
        ),
        app_token=_token(
            check,
            "SLACK_APP_TOKEN",
            "xapp-",
            "“Basic Information”, App-Level Tokens (connections:write)",
        ),
        api_url=url if url.endswith("/") else url + "/",
    )


def _token(check: _Check, name: str, prefix: str, where: str) -> str:
    token = check.text(name)
    fix = f"copy the token that begins with {prefix} from the app's page {where}"
    if not token:
        check.problem(name, "is missing", fix)
    elif not token.startswith(prefix):
        check.problem(name, f"does not begin with {prefix}", fix)
    elif token == prefix:  # as .env.sample has it
        check.problem(name, "is not filled in", fix)
    elif not token.isascii() or not token.isprintable() or " " in token:
        check.problem(name, "contains characters that no token has", fix)
    return token


def _conninfo(check: _Check) -> str | None:
    """DATABASE_URL, or else libpq's own variables if PGHOST is set, or else None."""
    if not check.text("DATABASE_URL") and not check.text("PGHOST"):
        return None
    return _address(check, "DATABASE_URL")


def _direct_conninfo(check: _Check) -> str | None:
    """DATABASE_DIRECT_URL, if it is set: another address of the same database."""
    if not check.text("DATABASE_DIRECT_URL"):
        return None
    if not check.text("DATABASE_URL") and not check.text("PGHOST"):
        fix = "set DATABASE_URL, too, or unset this"
        check.problem("DATABASE_DIRECT_URL", "is set, but DATABASE_URL is not", fix)
        return None
    return _address(check, "DATABASE_DIRECT_URL")


PORTS = re.compile(r"[0-9]{0,5}(,[0-9]{0,5})*")
"""The ports of one host or several. An empty one is the default."""


def _address(check: _Check, name: str) -> str | None:
    """The connection string in the variable, completed by libpq's variables."""
    # Imported late: `tiger-slack --help` needs no database driver.
    from psycopg import ProgrammingError, pq
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        given = conninfo_to_dict(check.text(name))
    except ProgrammingError:  # its text can contain the password
        check.problem(
            name, "cannot be read", "write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
        return None
    # After an unescaped character, libpq takes the rest of a password for the host, the port or the database, and
    # its errors quote those.
    is_wrong = any("@" in str(given.get(part, "")) for part in ("host", "dbname"))
    if is_wrong or not PORTS.fullmatch(str(given.get("port", ""))):
        fix = "in the password write @ as %40, / as %2F, : as %3A, # as %23 and ? as %3F; a port is a number"
        check.problem(name, "has a wrong host, port or database", fix)
        return None
    # libpq reads its variables from the process only, not from .env.
    for option in pq.Conninfo.get_defaults():
        variable = option.envvar.decode() if option.envvar else ""
        if variable and check.text(variable):
            given.setdefault(option.keyword.decode(), check.text(variable))
    return make_conninfo("", **given)


def default_home() -> Path:
    """The directory that is used without TIGER_SLACK_HOME. Raises RuntimeError for a user without a home."""
    from platformdirs import user_data_path

    return user_data_path("tiger-slack", appauthor=False)


def _home(check: _Check) -> Path:
    given = check.text("TIGER_SLACK_HOME")
    home = Path()
    try:
        home = Path(given).expanduser() if given else default_home()
    except RuntimeError:  # a user without an entry in passwd and without HOME, as in containers
        fix = "set it to a writable directory, without ~"
        check.problem("TIGER_SLACK_HOME", "begins with a home directory that is not known", fix)
    return home.absolute()


def read_env_file() -> dict[str, str]:
    """The values of .env in the working directory; {} without the file. Raises SettingsError if it cannot be read."""
    from dotenv import dotenv_values

    try:
        found = dotenv_values(ENV_FILE, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(
            f"{ENV_FILE} cannot be read ({reason})", hint="Fix it, or move it away."
        ) from None
    return {name: value for name, value in found.items() if value is not None}


def _dotenv(check: _Check) -> Mapping[str, str]:
    try:
        return read_env_file()
    except SettingsError as error:
        what = error.args[0].removeprefix(f"{ENV_FILE} ")
        check.problem(ENV_FILE, what, "fix it, or move it away")
        return {}
