"""The log's figures: durable appends with everything on, reading a stream, replaying the log."""

import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import asyncpg

from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.keyring import PostgresKeyring, open_keyring
from adapters.sealing import Cipher, MasterKey, seal_text
from engine.evolve import fold
from engine.session import Session
from schema.codec import encode
from schema.envelope import Append, Draft, Write
from schema.events import EffectFailed, Event, PromptQueued
from schema.sealed import Sealed
from tests.load.figures import Bench, figure
from tests.load.sessions import TEXT, fill, turn

_BODY = 296  # bytes, as in notes on what others measured
_RAW = """
drop table if exists raw;
create table raw (position bigint generated always as identity primary key, data bytea not null)
"""


def _plain(number: int) -> EffectFailed:
    """An event whose stored body has 296 bytes, with nothing sealed in it."""
    empty = EffectFailed(what="show:12", attempt=number % 10, why="", retry=None)
    return EffectFailed(what="show:12", attempt=number % 10, why=TEXT[: _BODY - len(encode(empty)[1])], retry=None)


def _sealed(box: Sealed, number: int) -> PromptQueued:
    return PromptQueued(prompt=str(number), by="7", text=box, size=len(TEXT))


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
        text = TEXT[:_BODY]

        async def append() -> None:
            version = next(versions)
            event = _sealed(keyring.seal(key, text), version) if seal else _plain(version)
            draft = Draft(event=event, at=1_790_000_000_000_000 + version, actor="bot")
            write = Write(stream=stream, expected=version, drafts=(draft,))
            await log.append(Append(writes=(write,), leases=((stream, epoch),)))

        return append

    return await bench.rate([await actor(number) for number in range(actors)])


async def _append(bench: Bench, name: str, actors: int, *, seal: bool) -> None:
    actors = bench.some(actors)
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


# --- reading ---------------------------------------------------------------------------------------------------------

_STREAMS, _EVENTS = 200, 1_000  # each; 200,000 events in all
_READ = 60  # streams in one measurement
_PAGE = 500
FETCH_STREAM = """
select position, stream, version, kind, payload, hash, at, actor, cause, key
from events where stream = $1 and version > $2 order by version
"""
_FETCH_PAGE = """
select position, stream, version, kind, payload, hash, at, actor, cause, key
from events where position > $1 and position <= $2 order by position
"""


@asynccontextmanager
async def filled(bench: Bench) -> AsyncGenerator[tuple[PostgresEventLog, Connection, str]]:
    """A log of 200 sessions of 1,000 events, which wrote in turn, and its DSN."""
    dsn = await bench.server.create()
    connection = await asyncpg.connect(dsn)
    box = seal_text(Cipher(bytes(32)), 1, TEXT[:200])
    events = [event for number in range(1, bench.some(_EVENTS // 10) + 1) for event in turn(number, box)]
    await fill(connection, {f"session:{number}": events for number in range(1, bench.some(_STREAMS) + 1)})
    try:
        async with open_log(dsn) as log:
            yield log, connection, dsn
    finally:
        await connection.close()
        await bench.server.drop(dsn)


@figure
async def read_stream(bench: Bench) -> None:
    """Sessions of 1,000 events, decoded and folded."""
    streams, events = range(1, bench.some(_READ) + 1), 10 * bench.some(_EVENTS // 10)
    async with filled(bench) as (log, connection, _):
        fetch = await connection.prepare(FETCH_STREAM)

        async def ours() -> float:
            start = time.perf_counter()
            for stream in streams:
                session = fold(await log.read_stream(f"session:{stream}"), Session())
                assert session.version == events
            return 1 / (time.perf_counter() - start)

        async def baseline() -> float:
            start = time.perf_counter()
            for stream in streams:
                assert len(await fetch.fetch(stream, 0)) == events
            return 1 / (time.perf_counter() - start)

        await ours()
        await bench.compare(
            "read_stream", ours=ours, baseline=baseline, to=f"fetching the rows of {_READ} streams, times a second"
        )


@figure
async def replay(bench: Bench) -> None:
    """The whole log, decoded, counted by kind."""
    async with filled(bench) as (log, connection, _):
        head = await log.head()
        fetch = await connection.prepare(_FETCH_PAGE)

        async def ours() -> float:
            start, count = time.perf_counter(), Counter[type[Event]]()
            async for page in log.replay():
                count.update([type(recorded.event) for recorded in page])
            assert count.total() == head
            return 1 / (time.perf_counter() - start)

        async def baseline() -> float:
            start, count = time.perf_counter(), 0
            while rows := await fetch.fetch(count, count + _PAGE):
                count += len(rows)
            assert count == head
            return 1 / (time.perf_counter() - start)

        await ours()
        await bench.compare(
            "replay", ours=ours, baseline=baseline, to="fetching all rows, 500 at a time, times a second"
        )
