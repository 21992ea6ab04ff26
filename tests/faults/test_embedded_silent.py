"""A server that accepts a connection and then is silent is not waited for longer than the limit."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiger_slack_tui.postgres.embedded.server import _reach

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


def test_a_silent_server_is_given_up(silent: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    lines = ["1", "", "0", "5432", str(silent), "", "", "ready"]
    (tmp_path / "data/postmaster.pid").write_text("\n".join(lines) + "\n")
    found: list[str | None] = []
    asking = threading.Thread(target=lambda: found.append(_reach(tmp_path, 0.5)), daemon=True)
    asking.start()
    asking.join(30)
    assert found == [None]
