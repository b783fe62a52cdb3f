"""A deposed owner cannot append, however the take-over and its append meet at the head's lock."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from adapters.postgres.connect import Connection, connect
from adapters.postgres.event_log import PostgresEventLog
from engine.ports import Fenced, VersionConflict
from schema.envelope import Append
from tests.drafts import append, write

SESSION = "session:1"
SECONDS = 20


@asynccontextmanager
async def head_locked(connection: Connection) -> AsyncGenerator[None]:
    """Whoever appends now waits, in the middle of its statement, for what happens here."""
    async with connection.transaction():
        await connection.execute("select from log_head for update")
        yield


async def someone_waits(connection: Connection) -> None:
    waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with anyio.fail_after(SECONDS):
        while not await connection.fetch(waiting):
            await anyio.lowlevel.checkpoint()


def leased(epoch: int, *more: str) -> Append:
    return Append(writes=tuple(write(stream) for stream in (SESSION, *more)), leases=((SESSION, epoch),))


@pytest.mark.parametrize("more", [(), ("session:2",)], ids=["plain statement", "batch statement"])
async def test_a_take_over_that_commits_while_an_append_waits_deposes_it(
    log: PostgresEventLog, dsn: str, connection: Connection, more: tuple[str, ...]
) -> None:
    epoch = await log.lease(SESSION)
    await log.append(leased(epoch, *more))
    watcher = await connect(dsn)
    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            refused = anyio.Event()

            async def deposed() -> None:
                with pytest.raises(Fenced):
                    await log.append(leased(epoch, *more))
                refused.set()

            async with head_locked(connection):
                tasks.start_soon(deposed)
                await someone_waits(watcher)
                await connection.execute("update leases set epoch = epoch + 1 where target = $1", SESSION)
            await refused.wait()
    await watcher.close()
    assert len(await log.read_stream(SESSION)) == 1
    assert await log.head() == 1 + len(more)


async def test_a_guard_that_moves_while_an_append_waits_refuses_it(
    log: PostgresEventLog, dsn: str, connection: Connection
) -> None:
    await log.append(append(write("slots")))
    watcher = await connect(dsn)
    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:

            async def guarded() -> None:
                with pytest.raises(VersionConflict):
                    await log.append(Append(writes=(write(SESSION),), versions=(("slots", 1),)))

            async with head_locked(connection):
                tasks.start_soon(guarded)
                await someone_waits(watcher)
                await connection.execute(
                    "insert into events select 2, stream, 2, kind, payload, null, hash, at, actor, 0, null from events"
                )
                await connection.execute("update log_head set position = 2")
    await watcher.close()
    assert await log.read_stream(SESSION) == []


async def test_a_take_over_waits_for_the_append_that_came_first(
    log: PostgresEventLog, dsn: str, connection: Connection
) -> None:
    epoch = await log.lease(SESSION)
    watcher = await connect(dsn)
    async with anyio.create_task_group() as tasks, head_locked(connection):
        tasks.start_soon(log.lease, SESSION)
        await someone_waits(watcher)
        assert await watcher.fetchval("select epoch from leases") == epoch
    assert await watcher.fetchval("select epoch from leases") == epoch + 1
    await watcher.close()
