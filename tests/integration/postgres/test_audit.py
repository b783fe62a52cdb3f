"""The tamper drill: whatever a superuser does to the log, `verify` names the place."""

import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from adapters.postgres import seals
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog
from adapters.postgres.seals import Sealer
from adapters.postgres.verify import Anchor, Report, verify
from adapters.sealing import MasterKey
from schema.hashing import FIRST, event_hash
from tests.drafts import append, draft, write

MASTER = MasterKey(bytes(range(32)))
SEALED, EVENTS = 30, 36


@pytest.fixture
async def intact(log: PostgresEventLog, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Anchor:
    """36 events of three streams, 30 of them sealed, ten at a time; the owner's trigger is out of the way."""
    monkeypatch.setattr(seals, "_RANGE", 10)
    for number in range(EVENTS):
        if number == SEALED:
            await Sealer(log.pool, MASTER).seal()
        await log.append(append(write(f"session:{number % 3}", None, draft(number, key=f"k{number}"))))
    await connection.execute("alter table events disable trigger events_stay")
    report = await verify(connection, MASTER)
    assert (report.problems, report.events, report.sealed) == ((), EVENTS, SEALED)
    return report.anchor


@asynccontextmanager
async def undone(connection: Connection) -> AsyncGenerator[None]:
    transaction = connection.transaction()
    await transaction.start()
    yield
    await transaction.rollback()


def named(report: Report, position: int) -> bool:
    """Whether a problem names the position, or a range of at most one seal around it."""
    return any(
        f"position {position}" in problem or any(first <= position <= last for first, last in ranges(problem))
        for problem in report.problems
    )


def ranges(problem: str) -> list[tuple[int, int]]:
    words = problem.split()
    return [
        (int(words[i - 1]), int(words[i + 1]))
        for i, word in enumerate(words)
        if word == "to" and words[i + 1].isdecimal()
    ]


@pytest.mark.parametrize(
    "column", ["kind", "payload", "hash", "actor", "key", "at", "version", "cause", "stream", "key_id"]
)
async def test_any_byte_of_any_event(intact: Anchor, connection: Connection, column: str) -> None:
    lengths = {"at": 8, "version": 4, "cause": 8, "stream": 8, "key_id": 8}
    rows = await connection.fetch(f"select position, {column} from events order by position")
    flips = [
        (position, index)
        for position, value in rows
        for index in range(lengths.get(column) or len(value if isinstance(value, bytes) else value.encode()))
    ]
    chosen = random.Random(column).sample(flips, min(len(flips), 80))
    for position, index in chosen:
        async with undone(connection):
            try:
                await connection.execute(_flip(column, index), position)
            except asyncpg.UniqueViolationError:
                continue  # the database itself does not take it
            report = await verify(connection, None)  # no seal is needed for it
            assert named(report, position), (position, index, report.problems)


def _flip(column: str, index: int) -> str:
    match column:
        case "payload" | "hash":
            new = f"set_byte({column}, {index}, get_byte({column}, {index}) # 1)"
        case "kind" | "actor" | "key":
            new = f"overlay({column} placing chr(ascii(substr({column}, {index + 1}, 1)) # 1) from {index + 1} for 1)"
        case "version":
            new = f"version # (1 << {index * 8 + 7})"
        case _:
            new = f"coalesce({column}, 0) # (1::bigint << {index * 8 + 7})"
    return f"update events set {column} = {new} where position = $1"


async def test_any_event_removed(intact: Anchor, connection: Connection) -> None:
    for position in range(1, EVENTS + 1):
        async with undone(connection):
            await connection.execute("delete from events where position = $1", position)
            assert named(await verify(connection, None), position), position


async def test_any_two_swapped(intact: Anchor, connection: Connection) -> None:
    for first in range(1, EVENTS + 1, 5):
        for second in range(first + 1, EVENTS + 1, 4):
            async with undone(connection):
                await connection.execute("update events set position = -1 where position = $1", first)
                await connection.execute("update events set position = $1 where position = $2", first, second)
                await connection.execute("update events set position = $1 where position = -1", second)
                report = await verify(connection, MASTER, intact)
                assert named(report, first), (first, second, report.problems)


async def _change(connection: Connection, position: int) -> None:
    await connection.execute("update events set actor = 'person:666' where position = $1", position)


async def _remove(connection: Connection, position: int) -> None:
    """And close the gap, in the log and in its stream."""
    stream = await connection.fetchval("delete from events where position = $1 returning stream", position)
    for row in await connection.fetch("select position, stream from events where position > $1 order by 1", position):
        change = (
            "position = position - 1, version = version - 1" if row["stream"] == stream else "position = position - 1"
        )
        await connection.execute(f"update events set {change} where position = $1", row["position"])
    await connection.execute("update log_head set position = position - 1")


async def _insert(connection: Connection, position: int) -> None:
    """An event that never happened, as the last of its stream."""
    for (later,) in await connection.fetch(
        "select position from events where position >= $1 order by 1 desc", position
    ):
        await connection.execute("update events set position = position + 1 where position = $1", later)
    await connection.execute(
        "insert into events (position, stream, version, kind, payload, hash, at, actor, cause) select $1, stream, 1000, "
        "kind, payload, hash, at, 'person:666', 0 from events limit 1",
        position,
    )
    await connection.execute("update log_head set position = position + 1")


async def _swap(connection: Connection, position: int) -> None:
    """With the one after it, which is of another stream."""
    other = position + 1
    await connection.execute("update events set position = -1 where position = $1", position)
    await connection.execute("update events set position = $1 where position = $2", position, other)
    await connection.execute("update events set position = $1 where position = -1", other)


async def compute_anew(connection: Connection) -> None:
    """What a thorough intruder does: versions without gaps, and every hash right."""
    last: dict[int, tuple[int, bytes]] = {}
    rows = await connection.fetch(
        "select e.position, e.stream, s.name, e.kind, e.payload, e.key_id, e.at, e.actor, e.cause, e.key "
        "from events as e join streams as s on s.id = e.stream order by position"
    )
    for position, stream, name, kind, payload, key_id, at, actor, cause, key in rows:
        version, previous = last.get(stream, (0, FIRST))
        new = event_hash(previous, name, version + 1, kind, payload, key_id, at, actor, cause, key)
        last[stream] = (version + 1, new)
        await connection.execute("update events set version = -version where position = $1", position)
        await connection.execute("update events set hash = $2 where position = $1", position, new)
    await connection.execute(
        "update events as e set version = n.version from (select position, row_number() over "
        "(partition by stream order by position) as version from events) as n where n.position = e.position"
    )


@pytest.mark.parametrize("tamper", [_change, _remove, _insert, _swap])
@pytest.mark.parametrize("position", [1, 10, 11, 25, 30, 33, 35])
async def test_whoever_computes_all_hashes_anew_is_found_by_the_seals_or_the_anchor(
    intact: Anchor,
    connection: Connection,
    tamper: Callable[[Connection, int], Coroutine[Any, Any, None]],
    position: int,
) -> None:
    async with undone(connection):
        await tamper(connection, position)
        await compute_anew(connection)
        assert verify_is_clean(await verify(connection, None))  # all hashes are right
        sealed = await verify(connection, MASTER)
        assert named(sealed, position) == (position <= SEALED), sealed.problems
        assert named(await verify(connection, None, intact), position)


def verify_is_clean(report: Report) -> bool:
    return not report.problems


async def test_a_cut_tail_shows_against_the_anchor_and_only_there(intact: Anchor, connection: Connection) -> None:
    for last in (35, 31):
        async with undone(connection):
            await connection.execute("delete from events where position > $1", last)
            await connection.execute("update log_head set position = $1", last)
            assert verify_is_clean(await verify(connection, MASTER))
            report = await verify(connection, MASTER, intact)
            assert report.problems == (f"positions {last + 1} to 36 were there at the anchor, and are missing",)


async def test_lost_seals_show_against_the_anchor(intact: Anchor, connection: Connection) -> None:
    async with undone(connection):
        await connection.execute("delete from seals where first = 21")
        assert verify_is_clean(await verify(connection, MASTER))
        report = await verify(connection, MASTER, intact)
        assert report.problems == ("the seals of positions 21 to 30 were there at the anchor, and are missing",)


async def test_what_was_appended_since_the_anchor_is_no_problem(
    intact: Anchor, connection: Connection, log: PostgresEventLog
) -> None:
    await log.append(append(write("session:9")))
    await Sealer(log.pool, MASTER).seal()
    report = await verify(connection, MASTER, intact)
    assert (report.problems, report.sealed) == ((), EVENTS + 1)


async def test_an_anchor_of_another_database_is_said(intact: Anchor, connection: Connection) -> None:
    async with undone(connection):
        await connection.execute("update installation set id = gen_random_uuid()")
        report = await verify(connection, MASTER, intact)
        assert report.problems[0].startswith("this is another database than the anchor's")


async def test_a_kind_of_a_newer_release_is_said(intact: Anchor, connection: Connection) -> None:
    async with undone(connection):
        await connection.execute(
            """update events set kind = 'session.dreamed', payload = '{"kind":"session.dreamed"}' where position = 36"""
        )
        await compute_anew(connection)
        report = await verify(connection, None)
        assert report.problems[0].startswith("position 36 holds 'session.dreamed', which this release does not know")
        assert report.problems[0].endswith("(version 12 of session:2)")


async def test_an_event_that_cannot_be_read_is_named_by_position_stream_and_kind(
    intact: Anchor, connection: Connection
) -> None:
    """Its hash is right, and no upcaster leads to what this release reads."""
    async with undone(connection):
        payload = '{"kind":"session.slot_asked","place":"first"}'
        await connection.execute("update events set payload = $1 where position = 35", payload.encode())
        await compute_anew(connection)
        (problem,) = (await verify(connection, None)).problems
        assert problem.startswith("position 35 holds a 'session.slot_asked' that cannot be read")
        assert problem.endswith("(version 12 of session:1)")


async def test_verify_uses_many_marks_in_a_long_log(
    intact: Anchor, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgres.verify._MARKS", 10)
    anchor = (await verify(connection, None)).anchor
    assert [mark for mark, _ in anchor.marks] == [4, 8, 12, 16, 20, 24, 28, 32, 36]
    async with undone(connection):
        await _change(connection, 10)
        await compute_anew(connection)
        assert (await verify(connection, None, anchor)).problems == (
            "positions 9 to 12 are not what they were at the anchor",
        )
