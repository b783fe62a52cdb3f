"""What the database itself promises, whoever connects to it."""

import json

import asyncpg
import pytest

from adapters.postgres.connect import Connection, connect, leave
from adapters.postgres.event_log import PostgresEventLog
from tests.drafts import append, draft, write


@pytest.mark.parametrize(
    "statement",
    [
        "update events set actor = 'somebody else'",
        "update events set payload = '' where position = 1",
        "delete from events",
        "delete from events where false",
        "truncate events",
        "insert into events select * from events on conflict (position) do update set actor = 'x'",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica", "local"])
async def test_events_are_never_changed_or_removed(
    log: PostgresEventLog, connection: Connection, statement: str, role: str
) -> None:
    await log.append(append(write("session:1")))
    await connection.execute(f"set session_replication_role = {role}")
    with pytest.raises(asyncpg.RestrictViolationError, match="never changed or removed"):
        await connection.execute(statement)
    assert len(await log.read_stream("session:1")) == 1


async def test_people_can_read_the_log(log: PostgresEventLog, connection: Connection) -> None:
    await log.append(append(write("session:1", 0, draft(7, key="k"))))
    (row,) = await connection.fetch("select * from log")
    assert (row["position"], row["stream"], row["version"], row["kind"]) == (1, "session:1", 1, "session.slot_asked")
    assert row["at"].isoformat() == "1970-01-01T00:00:00.001007+00:00"
    assert json.loads(row["payload"]) == {"kind": "session.slot_asked", "place": 7}


async def test_a_stream_cannot_have_a_version_twice(log: PostgresEventLog, connection: Connection) -> None:
    await log.append(append(write("session:1")))
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(
            "insert into events select 99, stream, version, kind, payload, key_id, hash, at, actor, cause, key from events"
        )


async def test_what_a_session_held_is_free_when_it_was_left(connection: Connection, dsn: str) -> None:
    """Else who builds a view right after another would find it locked."""
    for _ in range(50):
        left = await connect(dsn)
        await left.execute("select pg_advisory_lock(9, 9)")
        await leave(left)
        assert await connection.fetchval("select pg_try_advisory_lock(9, 9)")
        await connection.execute("select pg_advisory_unlock(9, 9)")


async def test_leaving_does_not_wait_for_a_server_that_is_gone(connection: Connection, dsn: str) -> None:
    left = await connect(dsn)
    await connection.execute("select pg_terminate_backend($1)", left.get_server_pid())
    await leave(left)
    assert left.is_closed()
