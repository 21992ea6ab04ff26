"""Says why no connection could be made: which address, from which setting, and what to do."""

from __future__ import annotations

import re

import psycopg

from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.postgres.addresses import from_setting, is_embedded, server_name, setting_of
from tiger_slack_tui.postgres.failures import (
    NO_CONNECTION_LEFT,
    POOLER_FULL,
    StatementPooler,
    is_pooler_full,
)

# While connecting: authorisation failed, no such database, no right to connect.
_REFUSED = ("28", "3D", "42501")
# libpq reports most errors during connecting without a SQLSTATE. What the server says, and what to do about it.
_REFUSED_TEXTS = {
    "password authentication failed": "Check the user and the password in {setting}.",
    "no password supplied": "Add the password to {setting}.",
    "authentication failed": "Check the user and the password in {setting}.",
    "no pg_hba.conf entry": "Let the server's pg_hba.conf admit this user, database and machine.",
    "does not exist": "Check the user and the database in {setting}, or create them on the server.",
    "permission denied for database": "Let its owner run: grant connect on database … to …",
    "is not permitted to log in": "Use another user in {setting}, or let an owner run: alter role … login",
    "certificate verify failed": "Check sslrootcert and the host in {setting}.",
    "does not support SSL": "Turn SSL on in the server, or lower sslmode in {setting}.",
    "connection is bad: invalid": "Fix this option in {setting}.",  # libpq does not know it
}
_UNREACHED = {
    "Connection refused": "refused the connection. Is PostgreSQL running?",
    "timeout expired": "did not answer. Is the host up, and does a firewall block the port?",
    "No route to host": "cannot be reached: no route to the host. Is the network up?",
    "Network is unreachable": "cannot be reached: the network is down.",
    "No such file or directory": (
        "has no PostgreSQL at its Unix socket. Is it running? For TCP, name a host such as 127.0.0.1."
    ),
    "closed the connection unexpectedly": "closed the connection while connecting. Is it PostgreSQL?",
    "invalid response to SSL negotiation": "does not speak PostgreSQL's protocol. Is the port right?",
    "the database system is starting up": "is starting. Try again in a moment.",
    "the database system is shutting down": "is shutting down.",
    "remaining connection slots": f"refused the connection: {NO_CONNECTION_LEFT}.",
    "too many clients": f"refused the connection: {NO_CONNECTION_LEFT}.",
}
_EMBEDDED_UNREACHED = {
    "Connection refused": "does not run. It is started again within seconds.",
    "No such file or directory": "does not run. It is started again within seconds.",
    "timeout expired": "does not answer. The machine is busy, or the server is suspended (kill -CONT resumes it).",
}
"""As `_UNREACHED`: no firewall is between it and us, and its supervisor restarts it."""
_HOST_UNKNOWN = re.compile(r"failed to resolve host|could not translate host name")


def session_conninfo(settings: Settings, conninfo: str) -> str:
    """The address at which a connection keeps its session: DATABASE_DIRECT_URL, or else `conninfo`."""
    if settings.direct_conninfo is None:
        return conninfo
    return from_setting(settings.direct_conninfo, "DATABASE_DIRECT_URL")


def connect_failure(
    error: psycopg.Error, conninfo: str = ""
) -> DatabaseUnavailable | DatabaseRefused:
    """The error that says why no connection could be made. It contains no password."""
    if isinstance(error, StatementPooler):
        return DatabaseRefused(
            "The pooler is in statement mode, which allows no transactions.",
            hint="Set it to transaction or session mode (pool_mode of pgbouncer).",
        )
    setting = setting_of(conninfo)
    target = "The embedded PostgreSQL" if is_embedded(conninfo) else server_name(conninfo)
    if is_pooler_full(error):
        return DatabaseUnavailable(f"{target} was not reached: {POOLER_FULL}")
    # libpq: connection failed: connection to server at "host" (address), port 5432 failed: FATAL:  reason
    text = str(error).strip().partition("\n")[0]
    reason = text.rpartition(" failed: ")[2].removeprefix("connection is bad: ")
    reason = reason.removeprefix("FATAL:").strip() or type(error).__name__
    for sign, fix in _REFUSED_TEXTS.items():
        if error.sqlstate is None and sign in text:
            return _refused(target, reason, fix, setting)
    if error.sqlstate is not None and error.sqlstate.startswith(_REFUSED):
        return _refused(target, reason, "Check user, database and options in {setting}.", setting)
    if _HOST_UNKNOWN.search(text):
        return DatabaseUnavailable(
            f"{target} does not resolve. Is the host right, and are network and DNS up?"
        )
    meanings = _UNREACHED | (_EMBEDDED_UNREACHED if is_embedded(conninfo) else {})
    for sign, meaning in meanings.items():
        if sign in text:
            return DatabaseUnavailable(f"{target} {meaning}")
    return DatabaseUnavailable(f"{target} was not reached: {reason}")


def _refused(target: str, reason: str, fix: str, setting: str) -> DatabaseRefused:
    return DatabaseRefused(
        f"{target} refused the connection: {reason}.",
        hint=fix.format(setting=setting or "the connection string"),
    )
