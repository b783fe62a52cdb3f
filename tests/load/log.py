"""The log's figures: durable appends with everything on, reading a stream, replaying the log."""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import asyncpg

from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.keyring import PostgresKeyring, open_keyring
from adapters.sealing import MasterKey
from schema.codec import encode
from schema.envelope import Append, Draft, Write
from schema.events import EffectFailed, PromptQueued
from schema.sealed import Sealed
from tests.load.figures import Bench, figure

_BODY = 296  # bytes, as in notes on what others measured
_TEXT = "a short text that people or Claude wrote, in some language, about as long as most of them are. " * 3
_RAW = """
drop table if exists raw;
create table raw (position bigint generated always as identity primary key, data bytea not null)
"""


def _plain(number: int) -> EffectFailed:
    """An event whose stored body has 296 bytes, with nothing sealed in it."""
    empty = EffectFailed(what="show:12", attempt=number % 10, why="", retry=None)
    return EffectFailed(what="show:12", attempt=number % 10, why=_TEXT[: _BODY - len(encode(empty)[1])], retry=None)


def _sealed(box: Sealed, number: int) -> PromptQueued:
    return PromptQueued(prompt=str(number), by="7", text=box, size=len(_TEXT))


@asynccontextmanager
async def _log(bench: Bench) -> AsyncGenerator[tuple[PostgresEventLog, PostgresKeyring, str]]:
    dsn = await bench.server.create()
    try:
        async with open_log(dsn) as log:
            yield log, await open_keyring(log.pool, MasterKey(bytes(32))), dsn
    finally:
        await bench.server.drop(dsn)


async def _raw_inserts(bench: Bench, dsn: str, connections: int) -> float:
    body = encode(_plain(1))[1]
    async with AsyncExitStack() as stack:
        inserts: list[Callable[[], Awaitable[object]]] = []
        for number in range(connections):
            connection = await asyncpg.connect(dsn)
            stack.push_async_callback(connection.close)
            if number == 0:
                await connection.execute(_RAW)
            insert = await connection.prepare("insert into raw (data) values ($1)")
            inserts.append(partial(insert.fetch, body))
        return await bench.rate(inserts)


async def _appends(bench: Bench, log: PostgresEventLog, keyring: PostgresKeyring, actors: int, *, seal: bool) -> float:
    """Actors that append one event after the other, each to its own stream, under its own lease and key."""

    async def actor(number: int) -> Callable[[], Awaitable[object]]:
        stream = f"session:{number}"
        epoch = await log.lease(stream)
        key = await keyring.prepare(stream, "7")
        versions = itertools.count(len(await log.read_stream(stream)))
        text = _TEXT[:_BODY]

        async def append() -> None:
            version = next(versions)
            event = _sealed(keyring.seal(key, text), version) if seal else _plain(version)
            draft = Draft(event=event, at=1_790_000_000_000_000 + version, actor="bot")
            write = Write(stream=stream, expected=version, drafts=(draft,))
            await log.append(Append(writes=(write,), leases=((stream, epoch),)))

        return append

    return await bench.rate([await actor(number) for number in range(actors)])


async def _append(bench: Bench, name: str, actors: int, *, seal: bool) -> None:
    async with _log(bench) as (log, keyring, dsn):
        await bench.compare(
            name,
            ours=lambda: _appends(bench, log, keyring, actors, seal=seal),
            baseline=lambda: _raw_inserts(bench, dsn, min(actors, 32)),
            to=f"asyncpg inserts of the same body, one row a transaction, over {min(actors, 32)} connections, per second",
        )


@figure
async def append_1(bench: Bench) -> None:
    await _append(bench, "append_1", 1, seal=True)


@figure
async def append_32(bench: Bench) -> None:
    await _append(bench, "append_32", 32, seal=True)


@figure
async def append_256(bench: Bench) -> None:
    await _append(bench, "append_256", 256, seal=True)


@figure
async def plain_append_1(bench: Bench) -> None:
    await _append(bench, "plain_append_1", 1, seal=False)


@figure
async def plain_append_32(bench: Bench) -> None:
    await _append(bench, "plain_append_32", 32, seal=False)


@figure
async def plain_append_256(bench: Bench) -> None:
    await _append(bench, "plain_append_256", 256, seal=False)
