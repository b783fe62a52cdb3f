"""Several processes on one log: followers skip nothing (P8), and the leases of a dead one are free at once."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog, open_log
from engine.ports import Fenced, GiveUp, TryAgain
from schema.envelope import Append
from tests.drafts import append, draft, write

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60


@asynccontextmanager
async def process(*arguments: object) -> AsyncGenerator[Process]:
    argv = [sys.executable, "-m", "tests.integration.postgres.process", *map(str, arguments)]
    async with await anyio.open_process(argv, cwd=ROOT, stderr=None) as started:
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()


async def test_a_follower_skips_nothing_whoever_writes(log: PostgresEventLog, dsn: str) -> None:
    events = 100

    async def write_here() -> None:
        for number in range(events):
            await log.append(append(write("here", number), write(f"shared:{number % 4}")))

    async def write_everywhere() -> None:
        others = [process(dsn, "append", 4, events) for _ in range(2)]
        async with others[0] as one, others[1] as other, anyio.create_task_group() as tasks:
            tasks.start_soon(write_here)
            assert await one.wait() == await other.wait() == 0
        await log.append(append(write("the end")))

    seen: list[int] = []
    versions: dict[str, int] = {}
    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write_everywhere)
            async for page in log.follow(after=0):
                for event in page:
                    seen.append(event.position)
                    assert event.version == versions.get(event.stream, 0) + 1
                    versions[event.stream] = event.version
                if "the end" in versions:
                    break
    assert seen == list(range(1, await log.head() + 1))
    assert len(seen) > 10 * events


async def test_the_lease_of_a_killed_process_is_free(log: PostgresEventLog, dsn: str) -> None:
    with anyio.fail_after(SECONDS):
        async with process(dsn, "lease", "session:1") as other:
            assert other.stdout is not None
            assert await BufferedByteReceiveStream(other.stdout).receive_until(b"\n", 100) == b"1"
            with pytest.raises(TryAgain, match="session:1 is leased by another process"):
                await log.lease("session:1")
            other.kill()
            await other.wait()
            assert await _lease(log) == 2


async def _lease(log: PostgresEventLog) -> int:
    while True:  # the server may take a moment to see that the process is gone
        try:
            return await log.lease("session:1")
        except TryAgain:
            await anyio.lowlevel.checkpoint()


async def test_a_process_that_lost_its_session_takes_it_up_again(dsn: str, connection: Connection) -> None:
    held = "select count(*) from pg_locks where locktype = 'advisory' and classid = 2"
    with anyio.fail_after(SECONDS):
        async with open_log(dsn) as log:
            assert await log.lease("session:1") == 1
            pid = await connection.fetchval("select pid from pg_locks where locktype = 'advisory' and classid = 2")
            await connection.execute("select pg_terminate_backend($1, 5000)", pid)
            while await connection.fetchval(held) == 0:
                await anyio.lowlevel.checkpoint()
            async with open_log(dsn) as other:
                with pytest.raises(TryAgain):
                    await other.lease("session:1")
            await log.append(Append(writes=(write("session:1"),), leases=(("session:1", 1),)))
        assert await connection.fetchval("select count(*) from replicas") == 0


async def test_a_process_whose_session_is_lost_may_be_taken_over_from(dsn: str, connection: Connection) -> None:
    with anyio.fail_after(SECONDS):
        async with open_log(dsn) as log, open_log(dsn) as other:
            assert await log.lease("session:1") == 1
            await connection.execute("update leases set owner = null")  # as a third process does that sees it dead
            assert await other.lease("session:1") == 2
            with pytest.raises(Fenced):
                await log.append(Append(writes=(write("session:1"),), leases=(("session:1", 1),)))
            await other.append(Append(writes=(write("session:1"),), leases=(("session:1", 2),)))


async def test_a_process_that_only_appends_takes_no_part(dsn: str, log: PostgresEventLog) -> None:
    with anyio.fail_after(SECONDS):
        async with open_log(dsn, replica=False) as gateway:
            with pytest.raises(TryAgain):
                await gateway.lease("session:1")
            woken = log.wakeups()
            await gateway.append(append(write("usage:1", None, draft(key="request"))))
            await anext(woken)


async def test_a_log_that_lost_commits_stops_loudly(dsn: str, connection: Connection) -> None:
    async def lose_commits() -> None:
        async with open_log(dsn) as log:
            await log.append(append(write("session:1"), write("session:2")))
            await connection.execute("update log_head set position = 1")  # as a standby that was behind is promoted
            with pytest.raises(GiveUp, match="before position 2"):
                await log.append(append(write("session:1")))
            await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await lose_commits()
    assert caught.group_contains(GiveUp, match="lost commits")


async def test_a_missing_position_stops_a_reader(log: PostgresEventLog, connection: Connection) -> None:
    await log.append(append(write("session:1"), write("session:2")))
    await connection.execute("alter table events disable trigger events_stay")
    await connection.execute("delete from events where position = 1")
    with pytest.raises(GiveUp, match="missing"):
        _ = [page async for page in log.replay()]


async def test_after_the_end_nothing_is_appended(dsn: str) -> None:
    async with open_log(dsn) as log:
        pass
    with pytest.raises(TryAgain, match="nothing was recorded"):
        await log.append(append(write("session:1")))


async def test_what_waits_at_the_end_is_written(dsn: str, connection: Connection) -> None:
    async with anyio.create_task_group() as tasks, open_log(dsn) as log:
        for number in range(50):
            tasks.start_soon(log.append, append(write(f"session:{number}")))
        await anyio.lowlevel.checkpoint()
    assert await connection.fetchval("select count(*) from events") == 50
