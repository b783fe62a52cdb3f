"""Views that follow the log, and are built anew, on a real database with real writers."""

import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import pytest

from adapters.postgres import event_log, rebuild, views
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.views import Follower, lags, live_build
from engine.ports import GiveUp, TryAgain
from projections.followed import FOLLOWED
from projections.keyed import Keyed, stored
from projections.sessions import SESSIONS
from projections.usage import USAGE
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.events import Event

SECONDS = 60
KINDS: list[Callable[[random.Random], Event]] = [
    lambda some: e.Requested(by=some.choice("12"), locale="ja", guild="5", channel="6"),
    lambda some: e.SandboxReserved(reservation="r"),
    lambda some: e.SandboxGone(reservation="r"),
    lambda some: e.TurnStarted(turn=some.randrange(9), prompt="p", by=some.choice("12")),
    lambda some: e.TurnEnded(turn=1, outcome=some.choice(["completed", "failed"])),
    lambda some: e.UsageCounted(reservation="r", model=some.choice("mn"), input=some.randrange(99), output=1),
    lambda some: e.SlotAsked(place=1),
]


async def write_some(log: PostgresEventLog, seed: int, count: int) -> None:
    some = random.Random(seed)
    for _ in range(count):
        event = some.choice(KINDS)(some)
        stream = f"{'usage' if isinstance(event, e.UsageCounted) else 'session'}:{some.randrange(5)}"
        drafts = tuple(Draft(event=event, at=some.randrange(10**12), actor="bot") for _ in range(some.randint(1, 3)))
        await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=drafts),)))


def refuse(view: str, error: Exception) -> None:
    raise AssertionError(f"{view}: {error!r}")


@asynccontextmanager
async def following(
    log: PostgresEventLog, dsn: str, *chosen: Keyed, failed: Callable[[str, Exception], None] = refuse
) -> AsyncGenerator[None]:
    build = partial(rebuild.rebuild, dsn, log)
    async with anyio.create_task_group() as tasks:
        for view in chosen or FOLLOWED.values():
            tasks.start_soon(Follower(log, dsn, view, build=build, failed=failed).run)
        yield
        tasks.cancel_scope.cancel()


async def caught_up(log: PostgresEventLog, count: int = len(FOLLOWED)) -> None:
    with anyio.fail_after(SECONDS):
        while len(found := await lags(log.pool)) < count or any(lag.events for lag in found):
            await anyio.lowlevel.checkpoint()


async def rebuilt(dsn: str, log: PostgresEventLog, view: Keyed) -> rebuild.Outcome:
    """A follower that came too late to build a view may just be building it once more: as an operator is told, try again."""
    with anyio.fail_after(SECONDS):
        while True:
            with suppress(TryAgain):
                return await rebuild.rebuild(dsn, log, view)


async def rows_of(log: PostgresEventLog, view: Keyed) -> Mapping[str, str]:
    return {key: stored(row) for key, row in (await views.read_view(log.pool, view)).items()}


async def folded(log: PostgresEventLog, view: Keyed) -> Mapping[str, str]:
    rows: dict[str, Any] = {}
    async for page in log.replay():
        view.fold(rows, page)
    return {key: stored(row) for key, row in rows.items()}


async def test_a_view_follows_and_is_what_the_log_says(log: PostgresEventLog, dsn: str) -> None:
    await write_some(log, 1, 20)
    async with following(log, dsn):
        await write_some(log, 2, 50)
        await caught_up(log)
    for view in FOLLOWED.values():
        assert await rows_of(log, view) == await folded(log, view) != {}


async def test_rebuild_gives_byte_for_byte_what_following_gave(log: PostgresEventLog, dsn: str) -> None:
    """P7, while two processes write and both follow, and views are rebuilt again and again."""
    async with open_log(dsn) as other, following(log, dsn), following(other, dsn):
        await caught_up(log)
        async with anyio.create_task_group() as writers:
            writers.start_soon(write_some, log, 3, 150)
            writers.start_soon(write_some, other, 4, 150)
            for _ in range(4):
                for view in FOLLOWED.values():
                    outcome = await rebuilt(dsn, log, view)
                    assert (outcome.was, outcome.different, outcome.switched) == (view.version, 0, True)
        await caught_up(log)
    for view in FOLLOWED.values():
        assert await rows_of(log, view) == await folded(log, view)
        assert (await rebuild.rebuild(dsn, log, view)).different == 0


async def test_when_who_follows_is_gone_another_takes_over(
    log: PostgresEventLog, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_STAND_BY_SECONDS", 0.05)
    async with open_log(dsn) as other, following(other, dsn, USAGE):
        async with following(log, dsn, USAGE):
            await write_some(log, 5, 20)
            await caught_up(log, 1)
        await write_some(log, 6, 20)
        await caught_up(log, 1)
        assert await rows_of(log, USAGE) == await folded(log, USAGE)


async def test_rows_are_read_again_when_they_do_not_fit_into_memory(
    log: PostgresEventLog, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST_ROWS", 1)
    monkeypatch.setattr(rebuild, "_KEEP_EVENTS", 1)
    monkeypatch.setattr("adapters.postgres.reader._PAGE_EVENTS", 7)
    monkeypatch.setattr(event_log, "_MOST_OWN", 1)
    async with following(log, dsn):
        await write_some(log, 7, 60)
        await caught_up(log)
    for view in FOLLOWED.values():
        assert await rows_of(log, view) == await folded(log, view)
        assert (await rebuild.rebuild(dsn, log, view)).different == 0


async def test_a_cut_off_build_goes_on_where_it_was(
    log: PostgresEventLog, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_KEEP_EVENTS", 20)
    monkeypatch.setattr("adapters.postgres.reader._PAGE_EVENTS", 10)
    await write_some(log, 8, 60)
    with anyio.CancelScope() as scope:
        await rebuild.rebuild(dsn, log, USAGE, progress=lambda position, _: scope.cancel() if position >= 30 else None)
    assert scope.cancelled_caught
    assert await live_build(log.pool, "usage") is None  # nobody sees a part of it
    outcome = await rebuild.rebuild(dsn, log, USAGE)
    assert (outcome.resumed, outcome.was) == (20, None)
    assert await rows_of(log, USAGE) == await folded(log, USAGE)
    with anyio.CancelScope() as scope:
        await rebuild.rebuild(dsn, log, USAGE, progress=lambda position, _: scope.cancel() if position >= 30 else None)
    assert (await rebuild.rebuild(dsn, log, USAGE, fresh=True)).resumed == 0


async def test_a_build_of_another_log_is_begun_anew(log: PostgresEventLog, dsn: str, connection: Connection) -> None:
    await write_some(log, 8, 10)
    await connection.execute(
        "insert into projections (name, version, live, position, hash) values ('usage', 2, false, 5, 'another log')"
    )
    assert (await rebuild.rebuild(dsn, log, USAGE)).resumed == 0
    assert await rows_of(log, USAGE) == await folded(log, USAGE)


async def test_what_differs_is_told_and_put_right(log: PostgresEventLog, dsn: str, connection: Connection) -> None:
    await write_some(log, 9, 60)
    await rebuild.rebuild(dsn, log, SESSIONS)
    right = await rows_of(log, SESSIONS)
    await connection.execute("update projection_rows set value = '{}' where key = '1'")
    await connection.execute("delete from projection_rows where key = '2'")
    await connection.execute("insert into projection_rows select max(generation), 'x', '{}' from projections")
    outcome = await rebuild.rebuild(dsn, log, SESSIONS, switch=False)
    assert (outcome.different, outcome.switched) == (3, False)
    assert [(one.key, one.was, one.now) for one in outcome.differences] == [
        ("1", "{}", right["1"]),
        ("2", None, right["2"]),
        ("x", "{}", None),
    ]
    assert await rows_of(log, SESSIONS) != right
    assert (await rebuild.rebuild(dsn, log, SESSIONS)).different == 3
    assert await rows_of(log, SESSIONS) == right
    assert await connection.fetchval("select count(distinct generation) from projection_rows") == 1


async def test_one_process_builds_at_a_time(log: PostgresEventLog, dsn: str, connection: Connection) -> None:
    await connection.fetchval("select pg_advisory_lock(3, hashtext('usage'))")
    with pytest.raises(TryAgain, match="by another process"):
        await rebuild.rebuild(dsn, log, USAGE)


async def test_a_view_of_an_older_log_is_not_gone_on_with(
    log: PostgresEventLog, dsn: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restored backup: the position is there, and another event on it."""
    monkeypatch.setattr(views, "_LONG_PAUSE_SECONDS", 0.05)
    await write_some(log, 10, 10)
    await rebuild.rebuild(dsn, log, USAGE)
    await connection.execute("update projections set hash = 'another', position = 3")
    told: list[str] = []
    async with following(log, dsn, USAGE, failed=lambda view, error: told.append(str(error))):
        with anyio.fail_after(SECONDS):
            while not told:
                await anyio.lowlevel.checkpoint()
        assert "rests on another position 3" in told[0]
        await rebuild.rebuild(dsn, log, USAGE)  # what the message says to do
        await write_some(log, 11, 10)
        await caught_up(log, 1)
    assert await rows_of(log, USAGE) == await folded(log, USAGE)


async def test_a_newer_version_is_built_beside_and_an_older_process_leaves_it_alone(
    log: PostgresEventLog, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_STAND_BY_SECONDS", 0.05)
    newer = Keyed(name="usage", version=3, row=SESSIONS.row, key=SESSIONS.key, steps=SESSIONS.steps)
    await write_some(log, 12, 30)
    async with open_log(dsn) as other, following(log, dsn, USAGE):
        await caught_up(log, 1)
        async with following(other, dsn, newer):
            await write_some(log, 13, 30)
            with anyio.fail_after(SECONDS):
                while (live := await live_build(log.pool, "usage")) is None or live.version != 3:
                    await anyio.lowlevel.checkpoint()
            await write_some(other, 14, 30)
            await caught_up(log, 1)
    assert await rows_of(log, newer) == await folded(log, newer)
    with pytest.raises(GiveUp, match=r"in version 3, not 2: .* discord-claude rebuild usage"):
        await views.read_view(log.pool, USAGE)


async def test_a_view_that_is_not_built_says_so(log: PostgresEventLog) -> None:
    with pytest.raises(GiveUp, match="is not built yet"):
        await views.read_view(log.pool, USAGE)


async def test_a_lost_connection_is_made_again(
    log: PostgresEventLog, dsn: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_PAUSE_SECONDS", 0.01)
    async with following(log, dsn):
        await write_some(log, 15, 10)
        await caught_up(log)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
            "and pid <> pg_backend_pid() and query like '%projection_advance%'"
        )
        await write_some(log, 16, 10)
        await caught_up(log)
    for view in FOLLOWED.values():
        assert await rows_of(log, view) == await folded(log, view)


async def test_the_lag_tells_how_many_events_and_since_when(log: PostgresEventLog, dsn: str) -> None:
    await rebuild.rebuild(dsn, log, USAGE)
    assert [(lag.view, lag.version, lag.events, lag.since) for lag in await lags(log.pool)] == [("usage", 2, 0, None)]
    draft = Draft(event=e.SlotAsked(place=1), at=77, actor="bot")
    await log.append(Append(writes=(Write(stream="session:1", expected=None, drafts=(draft, draft)),)))
    assert [(lag.events, lag.since) for lag in await lags(log.pool)] == [(2, 77)]
