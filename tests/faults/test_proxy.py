"""The proxy does to a real connection what the tests of faults rely on."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import psycopg
import pytest

from tests.faults.proxy import RESET_AT_CLOSE, Proxy, postgres_target, through
from tests.support import until


async def test_it_passes_freezes_and_cuts(conninfo: str) -> None:
    async with Proxy(postgres_target(conninfo)) as proxy:
        connection = await psycopg.AsyncConnection.connect(through(proxy, conninfo))
        assert await (await connection.execute("select 1")).fetchone() == (1,)
        proxy.freeze()
        question = asyncio.create_task(connection.execute("select 2"))
        assert not (await asyncio.wait({question}, timeout=0.3))[0]
        async with await psycopg.AsyncConnection.connect(through(proxy, conninfo)) as other:
            assert await (await other.execute("select 3")).fetchone() == (3,)
        proxy.thaw()
        assert await (await question).fetchone() == (2,)
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 4")
        await connection.close()
    assert proxy.open == 0


async def test_it_refuses_and_answers_garbage(conninfo: str) -> None:
    async with Proxy(postgres_target(conninfo)) as proxy:
        proxy.garbage = b"HTTP/1.1 200 OK\r\n\r\n"
        with pytest.raises(psycopg.OperationalError):
            await psycopg.AsyncConnection.connect(through(proxy, conninfo))
        await proxy.refuse()
        with pytest.raises(psycopg.OperationalError):
            await psycopg.AsyncConnection.connect(through(proxy, conninfo))


async def test_a_reset_of_one_side_ends_the_other() -> None:
    came, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Says nothing, as an idle connection."""
        came.set()
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Proxy(("127.0.0.1", server.sockets[0].getsockname()[1])) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port))
        await came.wait()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        client.close()
        await asyncio.wait_for(ended.wait(), 30)
        await until(lambda: proxy.open == 0)
