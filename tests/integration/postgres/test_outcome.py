"""A connection that is lost in the middle of an append: nobody is told anything before it is known, and it is done once."""

import anyio
import pytest

from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog, open_log
from engine.ports import Duplicate, TryAgain
from schema.envelope import Append, Recorded
from tests.drafts import append, draft, write
from tests.faults import Fault, faulty_network

SECONDS = 30
MARK = "marked-idempotency-key"
MARKED = draft(7, key=MARK)


async def positions(log: PostgresEventLog) -> list[int]:
    return [event.position async for page in log.replay() for event in page]


@pytest.mark.parametrize("fault", ["lose request", "lose reply", "delay request"])
@pytest.mark.parametrize("more", [(), (write("session:2"),)], ids=["plain statement", "batch statement"])
@pytest.mark.parametrize("expected", [1, None])
async def test_an_append_whose_connection_is_lost_is_recorded_once(
    dsn: str, fault: Fault, more: tuple[()], expected: int | None
) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, replica=False) as log:
            await log.append(append(write("session:1")))
            network.fault, network.marker = fault, MARK.encode()
            recorded = await log.append(append(write("session:1", expected, MARKED), *more))
            assert network.happened.is_set()
            if fault == "delay request":
                network.deliver()
                await network.delivered.wait()
            assert [(e.position, e.version, e.key) for e in recorded[:1]] == [(2, 2, MARK)]
            with pytest.raises(Duplicate):
                await log.append(append(write("session:3", None, MARKED)))
            await log.append(append(write("session:1", 2)))
            assert await positions(log) == list(range(1, 4 + len(more)))
            assert await log.read_stream("session:1", after=1) == [
                recorded[0],
                *await log.read_stream("session:1", after=2),
            ]


@pytest.mark.parametrize("fault", ["lose request", "lose reply"])
async def test_the_appends_beside_it_are_recorded_once_as_well(dsn: str, fault: Fault) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, replica=False) as log:
            network.fault, network.marker = fault, MARK.encode()
            outcome: dict[int, Recorded] = {}

            async def run(number: int) -> None:
                one = MARKED if number == 20 else draft(number)
                (outcome[number],) = await log.append(append(write(f"session:{number % 7}", None, one)))

            async with anyio.create_task_group() as tasks:
                for number in range(40):
                    tasks.start_soon(run, number)
            assert network.happened.is_set()
            assert sorted(event.position for event in outcome.values()) == list(range(1, 41)) == await positions(log)


async def test_a_refusal_is_a_refusal_after_a_lost_connection(dsn: str) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, replica=False) as log:
            await log.append(append(write("session:1", None, draft(key=MARK))))
            network.fault, network.marker = "lose request", MARK.encode()
            with pytest.raises(Duplicate):
                await log.append(append(write("session:2", None, draft(key=MARK))))
            assert network.happened.is_set()


async def test_dates_are_kept_when_their_connection_is_lost(dsn: str) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, replica=False) as log:
            network.fault, network.marker = "lose reply", MARK.encode()
            await log.append(Append(agenda=((MARK, 5),)))
            assert network.happened.is_set()
            assert await log.due(5) == [MARK]


async def test_a_date_that_was_lost_on_its_way_does_not_come_back_later(dsn: str) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, replica=False) as log:
            network.fault, network.marker = "delay request", MARK.encode()
            await log.append(Append(agenda=((MARK, 5),)))
            await log.append(Append(agenda=((MARK, 9),)))
            network.deliver()
            await network.delivered.wait()
            assert await log.next_due() == 9


async def test_without_a_database_appends_are_not_recorded_and_told_so(dsn: str, connection: Connection) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, wait=0.2, replica=False) as log:
            await log.append(append(write("session:1")))
            network.cut()
            while log.writer.connected:
                await anyio.lowlevel.checkpoint()
            for _ in range(3):
                with pytest.raises(TryAgain, match="nothing was recorded"):
                    await log.append(append(write("session:1")))
            with pytest.raises(TryAgain):
                await log.read_stream("session:1")
            network.accepting = True
            await until_recorded(log, "session:1")
            assert await connection.fetchval("select count(*) from events") == 2


async def until_recorded(log: PostgresEventLog, stream: str) -> None:
    while True:
        try:
            await log.append(append(write(stream)))
        except TryAgain:
            continue
        return


async def test_an_append_in_doubt_waits_for_the_truth_however_long(dsn: str, connection: Connection) -> None:
    with anyio.fail_after(SECONDS):
        async with faulty_network(dsn) as (network, through), open_log(through, wait=0.2, replica=False) as log:
            network.fault, network.marker = "lose reply", MARK.encode()
            outcome: list[Recorded] = []

            async def in_doubt() -> None:
                outcome.extend(await log.append(append(write("session:1", 0, MARKED))))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(in_doubt)
                await network.happened.wait()
                network.cut()
                with pytest.raises(TryAgain, match="nothing was recorded"):
                    await log.append(append(write("session:2")))  # behind it, never sent, waits its time
                assert not outcome
                network.accepting = True
            assert [event.position for event in outcome] == [1]
            assert await connection.fetchval("select count(*) from events") == 1


async def test_a_killed_server_process_loses_nothing(log: PostgresEventLog, connection: Connection) -> None:
    done: list[int] = []

    async def actor(number: int) -> None:
        for version in range(25):
            await log.append(append(write(f"session:{number}", version)))
            done.append(number)

    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(actor, number)
            for kills in range(1, 6):
                while len(done) < kills * 30:
                    await anyio.lowlevel.checkpoint()
                await connection.execute("select pg_terminate_backend($1)", log.writer.backend)
    assert await positions(log) == list(range(1, 201))


async def test_what_the_server_refuses_for_now_was_not_recorded(log: PostgresEventLog, connection: Connection) -> None:
    await log.append(append(write("session:1")))
    await connection.execute(
        "create function full_disk() returns trigger language plpgsql as"
        " $$begin raise exception 'disk' using errcode = 'disk_full'; end$$"
    )
    await connection.execute("create trigger full_disk before insert on events execute function full_disk()")
    with pytest.raises(TryAgain, match="53100"):
        await log.append(append(write("session:1")))
    await connection.execute("drop trigger full_disk on events")
    assert [event.version for event in await log.append(append(write("session:1")))] == [2]


async def test_of_a_batch_that_the_server_refuses_for_good_only_who_is_to_blame_fails(
    log: PostgresEventLog, connection: Connection
) -> None:
    await connection.execute("alter table events add constraint odd check (actor <> 'refused') not valid")
    outcome: dict[str, object] = {}

    async def run(name: str, one: Append) -> None:
        try:
            outcome[name] = [event.version for event in await log.append(one)]
        except Exception as error:  # noqa: BLE001 - compared below
            outcome[name] = str(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "before", append(write("a")))
        tasks.start_soon(run, "refused", append(write("b", None, draft(actor="refused"))))
        tasks.start_soon(run, "after", append(write("c")))
    assert outcome.pop("refused") == "the database refused a statement (CheckViolationError, SQLSTATE 23514)"
    assert outcome == {"before": [1], "after": [1]}
