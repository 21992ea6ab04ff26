"""A server that accepts a connection and then is silent is not waited for longer than the limit."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiger_slack_tui.base.errors import EmbeddedPostgresError
from tiger_slack_tui.postgres.embedded import server as embedded
from tiger_slack_tui.postgres.embedded.server import _answers, _ensure_running, _lock

GREETING = (
    b"R\0\0\0\x08\0\0\0\0"  # no password is asked for
    b"S\0\0\0\x19client_encoding\0UTF8\0"
    b"Z\0\0\0\x05I"  # ready for a query
)


@pytest.fixture
def silent() -> Iterator[Path]:
    """The directory of a server's socket, with a short path. The server answers no query."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{place}/.s.PGSQL.5432")
        listener.listen()
        taken: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                taken.append(peer)
                peer.recv(1000)
                peer.sendall(GREETING)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Path(place)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for each in (listener, *taken):
            each.close()


def test_a_silent_server_is_given_up(silent: Path) -> None:
    found: list[bool] = []
    address = f"host={silent} port=5432 user=postgres"
    asking = threading.Thread(target=lambda: found.append(_answers(address, 0.5)), daemon=True)
    asking.start()
    asking.join(30)
    assert found == [False]


def test_a_server_that_runs_and_is_silent_is_named(
    silent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 1)
    (tmp_path / "data").mkdir()
    lines = ["4711", "", "0", "5432", str(silent), "", "", "ready"]
    (tmp_path / "data/postmaster.pid").write_text("\n".join(lines) + "\n")
    supervisor = _lock(tmp_path / "supervisor.lock", fcntl.LOCK_EX)
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"process 4711.* does not answer"):
            _ensure_running(tmp_path, tmp_path, durable=True)
    finally:
        os.close(supervisor)
