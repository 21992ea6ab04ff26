"""Names a server or a database as an operator knows it, without user and password."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict, make_conninfo

EMBEDDED = "the embedded PostgreSQL"


def from_setting(conninfo: str, setting: str) -> str:
    """`conninfo`, which knows the name of the setting that it comes from: errors name it.

    PostgreSQL shows it as the application's name if no other name is given.
    """
    return make_conninfo(conninfo, fallback_application_name=setting)


def setting_of(conninfo: str) -> str:
    """The setting that it comes from; "" if `from_setting` did not make it."""
    return str(conninfo_to_dict(conninfo).get("fallback_application_name") or "")


def is_embedded(conninfo: str) -> bool:
    """Whether it leads to the embedded PostgreSQL, which has a socket and comes from no setting."""
    host = str(conninfo_to_dict(conninfo).get("host") or "")
    return host.startswith("/") and not setting_of(conninfo)


def server_name(conninfo: str) -> str:
    """Host and port of each server, and the setting: 127.0.0.1:5432 (DATABASE_URL)."""
    return EMBEDDED if is_embedded(conninfo) else _hosts(conninfo) + _of_setting(conninfo)


def database_name(conninfo: str) -> str:
    """As `server_name`, with the database: 127.0.0.1:5432/acme (DATABASE_URL)."""
    if is_embedded(conninfo):
        return EMBEDDED
    name = conninfo_to_dict(conninfo).get("dbname")
    return _hosts(conninfo) + (f"/{name}" if name else "") + _of_setting(conninfo)


def _of_setting(conninfo: str) -> str:
    setting = setting_of(conninfo)
    return f" ({setting})" if setting else ""


def _hosts(conninfo: str) -> str:
    given = conninfo_to_dict(conninfo)
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
    ports = str(given.get("port") or "5432").split(",")
    ports += ports[-1:] * (len(hosts) - len(ports))
    return ", ".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
