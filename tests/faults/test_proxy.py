"""The proxy does to a real connection what the tests of faults rely on."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from tests.faults.proxy import Proxy, postgres_target, through


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
