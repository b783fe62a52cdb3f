import anyio
import pytest

from adapters.postgres import seals
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog
from adapters.postgres.seals import Sealer
from adapters.postgres.verify import verify
from adapters.sealing import MasterKey
from tests.drafts import append, draft, write

MASTER = MasterKey(bytes(range(32)))


@pytest.fixture
async def filled(log: PostgresEventLog, monkeypatch: pytest.MonkeyPatch) -> PostgresEventLog:
    """Twenty-two events, of which twenty are sealed, ten at a time."""
    monkeypatch.setattr(seals, "_RANGE", 10)
    for number in range(20):
        await log.append(append(write(f"session:{number % 3}", None, draft(number, key=f"k{number}"))))
    sealer = Sealer(log.pool, MASTER)
    async with anyio.create_task_group() as tasks:  # any number of processes may do it
        for _ in range(3):
            tasks.start_soon(sealer.seal)
    await log.append(append(write("session:0"), write("session:1")))
    return log


async def tamper(connection: Connection, statement: str) -> None:
    await connection.execute("alter table events disable trigger events_stay")
    await connection.execute(statement)


async def test_an_untouched_log_has_no_problems(filled: PostgresEventLog) -> None:
    report = await verify(filled.pool, MASTER)
    assert (report.events, report.sealed, report.problems) == (22, 20, ())
    assert report.mac == await filled.pool.fetchval("select mac from seals where last = 20")


async def test_an_empty_log_has_no_problems(log: PostgresEventLog) -> None:
    await Sealer(log.pool, MASTER).seal()
    report = await verify(log.pool, MASTER)
    assert (report.events, report.sealed, report.problems) == (0, 0, ())


@pytest.mark.parametrize(
    "column",
    [
        "kind = kind || 'x'",
        "payload = set_byte(payload, 5, 0)",
        "key_id = 1",
        "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)",
        "at = at + 1",
        "actor = 'x'",
        "cause = 1",
        "key = null",
        "version = 99",
    ],
)
async def test_a_changed_event_is_named(filled: PostgresEventLog, connection: Connection, column: str) -> None:
    await tamper(connection, f"update events set {column} where position = 19")
    report = await verify(filled.pool, MASTER)
    assert report.problems[0].startswith("position 19: version")
    assert ("positions 11 to 20 are not what was sealed" in report.problems) == ("hash" in column)


async def test_whoever_computes_hashes_anew_cannot_compute_seals(
    filled: PostgresEventLog, connection: Connection
) -> None:
    # position 20 is the last of its stream, so no other hash rests on it
    await tamper(
        connection,
        "update events set actor = 'x', hash = sha256('whatever a thorough intruder computes') where position = 20",
    )
    report = await verify(filled.pool, MASTER)
    assert "positions 11 to 20 are not what was sealed" in report.problems


async def test_missing_events_are_named(filled: PostgresEventLog, connection: Connection) -> None:
    await tamper(connection, "delete from events where position in (7, 8, 20, 21, 22)")
    report = await verify(filled.pool, MASTER)
    assert report.problems[0] == "positions 7 to 8 are missing"
    assert report.problems[1] == "position 10: version 4 of session:0 follows version 2"
    assert report.problems[-2:] == (
        "positions 11 to 20 were sealed, and are missing",
        "positions 20 to 22 were recorded, and are missing",
    )


async def test_a_renamed_or_removed_stream_is_found(filled: PostgresEventLog, connection: Connection) -> None:
    await connection.execute("update streams set name = 'session:9' where name = 'session:0'")
    await connection.execute("delete from streams where name = 'session:1'")
    problems = (await verify(filled.pool, MASTER)).problems
    assert problems[0].startswith("position 1: version 1 of session:9")
    assert problems[1] == "position 2 is of a stream without a name"


async def test_a_removed_seal_is_found(filled: PostgresEventLog, connection: Connection) -> None:
    await connection.execute("delete from seals where first = 1")
    problems = (await verify(filled.pool, MASTER)).problems
    assert problems == (
        "positions 1 to 10 have lost their seal",
        "positions 11 to 20 are not what was sealed",
    )


async def test_another_key_opens_no_seal(filled: PostgresEventLog) -> None:
    problems = (await verify(filled.pool, MasterKey(bytes(32)))).problems
    assert problems == ("positions 1 to 10 are not what was sealed", "positions 11 to 20 are not what was sealed")


async def test_seals_are_made_as_long_as_it_runs(log: PostgresEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "_PAUSE_SECONDS", 0.01)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Sealer(log.pool, MASTER).run)
            for last in (1, 2):
                await log.append(append(write("session:1")))
                while (await verify(log.pool, MASTER)).sealed < last:
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
