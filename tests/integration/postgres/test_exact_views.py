"""P7 for exact views, on a real database: what appends kept is what the log says, byte for byte, with its positions."""

import random
from collections.abc import Callable

import anyio
import msgspec
import pytest

from adapters.postgres import exact
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.exact import rebuild_exact
from adapters.postgres.migrate import migrations
from projections.exact import EXACT, MEMBERS, QUOTA
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.events import Event
from tests.golden.samples import sample

KINDS: list[tuple[str, Callable[[random.Random], Event]]] = [
    ("guild", lambda some: e.OwnerConfirmed(person=some.choice("123"), how="discord")),
    ("guild", lambda some: e.RoleGiven(person=some.choice("123"), role=some.choice(["owner", "user"]), by="1")),
    ("guild", lambda some: e.RoleTaken(person=some.choice("123"), role=some.choice(["owner", "user"]), by="1")),
    ("guild", lambda some: e.ServerOwned(person=some.choice("123"))),
    ("slots", lambda some: e.Asked(session=some.choice("123"))),
    ("slots", lambda some: e.Granted(session=some.choice("123"), reservation=f"{some.choice('123')}-{some.random()}")),
    ("slots", lambda some: e.Left(session=some.choice("123"))),
    ("slots", lambda some: e.Released(reservation=f"{some.choice('123')}-1")),
    ("session", lambda some: e.Requested(by=some.choice("123"), locale="ja", guild="5", channel="6")),
    ("session", lambda _: e.Closed()),
    ("session", lambda some: e.ThreadOpened(thread=some.choice("789"))),
    ("inbox", lambda _: msgspec.structs.replace(sample(e.Received, full=True), what="message")),
]


async def write_some(log: PostgresEventLog, seed: int, count: int) -> None:
    """Several changes of a row in one append, and appends of several callers in one commit, too."""
    some = random.Random(seed)

    async def one(family: str, events: list[Event]) -> None:
        drafts = tuple(Draft(event=event, at=1, actor="bot") for event in events)
        write = Write(stream=f"{family}:{some.randrange(2)}", expected=None, drafts=drafts)
        await log.append(Append(writes=(write,)))

    for _ in range(count):
        async with anyio.create_task_group() as callers:
            for _ in range(some.randint(1, 4)):
                family, make = some.choice(KINDS)
                callers.start_soon(one, family, [make(some) for _ in range(some.randint(1, 3))])


@pytest.mark.parametrize("seed", range(3))
async def test_what_appends_kept_is_what_the_log_says(
    log: PostgresEventLog, dsn: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While two processes write, too."""
    monkeypatch.setattr(exact, "_LAST_EVENTS", 3)
    async with open_log(dsn) as other, anyio.create_task_group() as writers:
        writers.start_soon(write_some, log, seed, 20)
        writers.start_soon(write_some, other, 100 + seed, 20)
        for view in EXACT.values():
            assert (await rebuild_exact(dsn, log, view)).different == 0
    outcomes = [await rebuild_exact(dsn, log, view) for view in EXACT.values()]
    assert [(one.different, one.position) for one in outcomes] == [(0, await log.head())] * len(EXACT)
    assert sum(one.rows > 0 for one in outcomes) >= len(EXACT) - 2  # each may be empty by chance


async def test_what_differs_is_told_and_put_right(log: PostgresEventLog, dsn: str, connection: Connection) -> None:
    for number in range(3):
        draft = Draft(event=e.RoleGiven(person=str(number), role="user", by="1"), at=1, actor="bot")
        await log.append(Append(writes=(Write(stream="guild:5", expected=None, drafts=(draft,)),)))
    right = await log.rows("members")
    await connection.execute("update view_rows set value = 'owner' where key = '5 0'")
    await connection.execute("update view_rows set position = 9 where key = '5 1'")
    await connection.execute("delete from view_rows where key = '5 2'")
    await connection.execute("insert into view_rows values ('members.1', '5 3', 'owner', 4)")
    outcome = await rebuild_exact(dsn, log, MEMBERS, switch=False)
    assert [(one.key, one.was, one.now) for one in outcome.differences] == [
        ("5 0", "'owner' at position 1", "'user' at position 1"),
        ("5 1", "'user' at position 9", "'user' at position 2"),
        ("5 2", None, "'user' at position 3"),
        ("5 3", "'owner' at position 4", None),
    ]
    assert await log.rows("members") != right
    assert (await rebuild_exact(dsn, log, MEMBERS)).different == 4
    assert await log.rows("members") == right
    assert (await rebuild_exact(dsn, log, MEMBERS)).different == 0


@pytest.mark.parametrize("seed", range(3))
async def test_a_log_from_before_gets_them_by_a_migration(
    log: PostgresEventLog, dsn: str, connection: Connection, seed: int
) -> None:
    await write_some(log, seed, 40)
    await connection.execute("update view_rows set value = 'wrong', position = 1")
    (fill,) = [one.sql for one in migrations() if one.name.endswith("_standing.after.sql")]
    async with connection.transaction():
        await connection.execute(fill)
    for view in (MEMBERS, QUOTA):
        assert (await rebuild_exact(dsn, log, view)).differences == []
