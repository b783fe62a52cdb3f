"""The figures of what is asked: views built anew and kept up, a session as of then, the log verified."""

import itertools
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NoReturn
from unittest import mock

import anyio.lowlevel
import uvloop

from adapters.audit import commands
from adapters.postgres import verify as verification
from adapters.postgres.audit import History
from adapters.postgres.connect import Connection, connect
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.rebuild import rebuild as build_anew
from adapters.postgres.seals import Sealer
from adapters.postgres.views import Follower
from adapters.sealing import MasterKey
from projections import exact
from projections.usage import USAGE
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.load.figures import Bench, figure
from tests.load.log import FETCH_STREAM, filled

_NOW = 1_790_000_000_000_000
_ACTORS = 256
_READ = 60  # sessions in one measurement
_APPENDS = 200  # in one measurement of a lag
_PLACE = "select position from projections where name = 'usage' and live"
_MASTER = MasterKey(bytes(32))


async def _per_second(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return 1 / (time.perf_counter() - start)


async def _replayed(log: PostgresEventLog) -> None:
    async for _ in log.replay():
        pass


@figure
async def rebuild(bench: Bench) -> None:
    """A view built anew into its table, compared with the one before, row by row, and switched to."""
    async with filled(bench) as (log, _, dsn):
        head = await log.head()

        async def ours() -> None:
            outcome = await build_anew(dsn, log, USAGE)
            assert (outcome.position, outcome.different) == (head, 0)

        await ours()  # so that there is one to compare with
        await bench.compare(
            "rebuild",
            ours=lambda: _per_second(ours()),
            baseline=lambda: _per_second(_replayed(log)),
            to="our own replay, times a second",
        )


@figure
async def verify(bench: Bench) -> None:
    """The whole log, under seals: gaps, versions, hashes, seals, and whether each event can be read."""
    async with filled(bench) as (log, _, _):
        head = await log.head()
        await Sealer(log.pool, _MASTER).seal()

        async def ours() -> None:
            report = await verification.verify(log.pool, _MASTER)
            assert (report.problems, report.sealed) == ((), head)

        await bench.compare(
            "verify",
            ours=lambda: _per_second(ours()),
            baseline=lambda: _per_second(_replayed(log)),
            to="our own replay, times a second",
        )


@figure
async def state_at(bench: Bench) -> None:
    """Sessions of 1,000 events as they were at their last: `state --at` without what it prints."""
    async with filled(bench) as (log, connection, _):
        history, head = History(log.pool), await log.head()
        fetch = await connection.prepare(FETCH_STREAM)
        sessions = range(1, bench.some(_READ) + 1)

        async def ours() -> float:
            start = time.perf_counter()
            for session in sessions:
                folded, last = await commands.state_at(history, str(session), position=head)
                assert folded.version == last.version
            return (time.perf_counter() - start) / len(sessions) * 1e3

        async def baseline() -> float:
            start = time.perf_counter()
            for session in sessions:
                assert await fetch.fetch(session, 0)
            return (time.perf_counter() - start) / len(sessions) * 1e3

        await ours()
        await bench.compare("state_at", ours=ours, baseline=baseline, to="fetching its rows, ms a session")


# --- kept up with the log --------------------------------------------------------------------------------------------


@figure
async def exact_view(bench: Bench) -> None:
    """Appends by 256 actors, each of which changes a row of `members` or `quota`; without: the same, and no view."""
    dsn = await bench.server.create()
    try:
        async with open_log(dsn) as log:
            actors = [_changer(log, number) for number in range(bench.some(_ACTORS))]

            async def without() -> float:
                with mock.patch.object(exact, "changes", _nothing):
                    return await bench.rate(actors)

            await bench.compare(
                "exact_view",
                ours=lambda: bench.rate(actors),
                baseline=without,
                to="the same appends without views, per second",
            )
    finally:
        await bench.server.drop(dsn)


def _nothing(_stream: str, _event: e.Event) -> list[tuple[str, exact.Change]]:
    return []


def _changer(log: PostgresEventLog, number: int) -> Callable[[], Awaitable[object]]:
    """Streams of their own, so that nobody waits for anybody: what a view does is the same in any."""
    versions = itertools.count()
    held, member = f"{number}-1", str(number)
    roles = [e.RoleGiven(person=member, role="user", by="1"), e.RoleTaken(person=member, role="user", by="1")]
    slots = [e.Granted(session=member, reservation=held), e.Released(reservation=held)]
    stream, events = (f"guild:{number}", roles) if number % 2 else (f"slots:{number}", slots)

    async def append() -> None:
        version = next(versions)
        draft = Draft(event=events[version % 2], at=_NOW + version, actor="bot")
        await log.append(Append(writes=(Write(stream=stream, expected=version, drafts=(draft,)),)))

    return append


def _refuse(view: str, error: Exception) -> NoReturn:
    raise AssertionError(f"{view}: {error!r}")


@asynccontextmanager
async def _followed(log: PostgresEventLog, dsn: str) -> AsyncGenerator[None]:
    build = partial(build_anew, dsn, log)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Follower(log, dsn, USAGE, build=build, failed=_refuse).run)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _followed_elsewhere(_log: PostgresEventLog, dsn: str) -> AsyncGenerator[None]:
    async with await anyio.open_process([sys.executable, "-m", "tests.load.views", dsn]) as process:
        yield
        process.terminate()


async def _lag(bench: Bench, name: str, followed: Callable[..., AbstractAsyncContextManager[None]]) -> None:
    """Medians of one append at a time: when a reader sees it in the view, and when it is acknowledged."""
    dsn = await bench.server.create()
    try:
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(open_log(dsn))
            reader = await connect(dsn)
            stack.push_async_callback(reader.close)
            await stack.enter_async_context(followed(log, dsn))
            await _append(log)
            while await reader.fetchval(_PLACE) != await log.head():
                await anyio.lowlevel.checkpoint()

            async def ours() -> float:
                return await _median(bench, partial(_seen, log, reader))

            async def baseline() -> float:
                return await _median(bench, partial(_append, log))

            await bench.compare(name, ours=ours, baseline=baseline, to="until an append is acknowledged, ms")
    finally:
        await bench.server.drop(dsn)


async def _median(bench: Bench, work: Callable[[], Awaitable[object]]) -> float:
    times: list[float] = []
    for _ in range(bench.some(_APPENDS)):
        start = time.perf_counter()
        await work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


async def _append(log: PostgresEventLog) -> int:
    event = e.UsageCounted(reservation="1-1", model="m", input=1, output=1)
    draft = Draft(event=event, at=_NOW, actor="gateway")
    (recorded,) = await log.append(Append(writes=(Write(stream="usage:1", expected=None, drafts=(draft,)),)))
    return recorded.position


async def _seen(log: PostgresEventLog, reader: Connection) -> None:
    position = await _append(log)
    while await reader.fetchval(_PLACE) < position:
        await anyio.lowlevel.checkpoint()


@figure
async def follow_lag(bench: Bench) -> None:
    await _lag(bench, "follow_lag", _followed)


@figure
async def follow_lag_elsewhere(bench: Bench) -> None:
    """The view is kept up by another process."""
    await _lag(bench, "follow_lag_elsewhere", _followed_elsewhere)


async def _follow(dsn: str) -> None:
    async with open_log(dsn) as log, _followed(log, dsn):
        await anyio.sleep_forever()


if __name__ == "__main__":
    uvloop.run(_follow(sys.argv[1]))
