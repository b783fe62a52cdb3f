import anyio
import asyncpg
import msgspec
import pytest

from adapters.postgres.connect import connect
from adapters.postgres.migrate import Migration, migrate, migrations
from engine.ports import GiveUp
from tests.databases import Databases

EXTRA = Migration(number=len(migrations()) + 1, name="9999_extra.sql", sql="create table extra (id bigint primary key)")


async def run(dsn: str, wanted: list[Migration] | None = None) -> None:
    connection = await connect(dsn)
    try:
        await migrate(connection, wanted)
    finally:
        await connection.close()


async def tables(dsn: str) -> set[str]:
    connection = await connect(dsn)
    try:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    finally:
        await connection.close()
    return {row[0] for row in rows}


def test_files_are_numbered_from_one_without_a_gap() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))
    assert all(migration.name.startswith(f"{migration.number:04}_") for migration in migrations())


async def test_any_number_of_processes_may_migrate_at_once(pg_server: Databases) -> None:
    dsn = await pg_server.empty()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(run, dsn)
    assert {"events", "migrations", "work"} <= await tables(dsn)
    await pg_server.drop(dsn)


async def test_only_what_is_new_is_run(dsn: str) -> None:
    wanted = [*migrations(), EXTRA]
    await run(dsn, wanted)
    await run(dsn, wanted)
    assert "extra" in await tables(dsn)


async def test_a_database_of_a_newer_version_is_refused(dsn: str) -> None:
    await run(dsn, [*migrations(), EXTRA])
    with pytest.raises(GiveUp, match=r"newer version .*9999_extra\.sql"):
        await run(dsn)


async def test_an_edited_file_is_refused(dsn: str) -> None:
    first, *others = migrations()
    edited = msgspec.structs.replace(first, sql=first.sql + "\n-- harmless")
    with pytest.raises(GiveUp, match="must not be edited"):
        await run(dsn, [edited, *others, EXTRA])
    assert "extra" not in await tables(dsn)


async def test_a_broken_migration_leaves_nothing_behind(pg_server: Databases) -> None:
    dsn = await pg_server.empty()
    broken = msgspec.structs.replace(EXTRA, sql=EXTRA.sql + "; select 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await run(dsn, [*migrations(), broken])
    assert await tables(dsn) == set()
    await run(dsn)
    await pg_server.drop(dsn)
