"""An upgrade from the first release, for real: from its database as it was written, while a bot of the old release lives and one of
the new release writes. The event `usage.counted`, the view `usage` and the function `log_join` are other ones since.
"""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import anyio
import pytest

from adapters.postgres import rebuild
from adapters.postgres.connect import Connection, connect
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.exact import rebuild_exact
from adapters.postgres.keyring import open_keyring
from adapters.postgres.migrate import Migration, OlderAlive, migrate, migrations
from adapters.postgres.verify import verify
from adapters.postgres.views import Follower, lags, read_view
from projections.exact import EXACT
from projections.followed import FOLLOWED
from projections.keyed import stored
from projections.usage import USAGE, totals
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.databases import Databases
from tests.golden.database import FOLDER, MASTER, TEXT, restore

SECONDS = 60
RELEASES = sorted(path.stem for path in FOLDER.glob("*.json"))
BEFORE, AFTER = "0003_releases.sql", "0005_releases.after.sql"


@pytest.fixture(params=RELEASES)
async def old(pg_server: Databases, request: pytest.FixtureRequest) -> AsyncGenerator[str]:
    """A database as an older release left it."""
    dsn = await restore(pg_server, request.param)
    yield dsn
    await pg_server.drop(dsn)


async def ran(connection: Connection) -> list[str]:
    return [name for (name,) in await connection.fetch("select name from migrations order by number")]


async def spend(log: PostgresEventLog, count: int) -> None:
    for _ in range(count):
        used = e.UsageCounted(reservation="r", model="claude-sonnet-4-5", input=1, output=1, cache_write_1h=10)
        draft = Draft(event=used, at=1_790_000_000_000_000, actor="gateway")
        await log.append(Append(writes=(Write(stream="usage:101", expected=None, drafts=(draft,)),)))


async def until_built(log: PostgresEventLog) -> None:
    wanted = {(view.name, view.version, 0) for view in FOLLOWED.values()}
    with anyio.fail_after(SECONDS):
        while {(lag.view, lag.version, lag.events) for lag in await lags(log.pool)} != wanted:
            await anyio.lowlevel.checkpoint()


async def check_all(log: PostgresEventLog, dsn: str) -> None:
    """Everything is right: the log, texts of the first release, and each view."""
    report = await verify(log.pool, MASTER)
    assert report.problems == ()
    keyring = await open_keyring(log.pool, MASTER)
    for session in ("101", "102"):
        stream = await log.read_stream(f"session:{session}")
        texts = [await keyring.open(one.event.text) for one in stream if isinstance(one.event, e.PromptQueued)]
        assert texts == [TEXT]
    for view in FOLLOWED.values():
        rows: dict[str, Any] = {}
        async for page in log.replay():
            view.fold(rows, page)
        live = await read_view(log.pool, view)
        assert {key: stored(row) for key, row in live.items()} == {key: stored(row) for key, row in rows.items()}
        assert (await rebuild.rebuild(dsn, log, view)).different == 0
    for exact in EXACT.values():
        assert (await rebuild_exact(dsn, log, exact)).differences == []


async def test_a_bot_works_through_the_upgrade_and_everything_is_right_after_it(old: str) -> None:
    connection, older = await connect(old), await connect(old)
    assert await older.fetchval("select log_join(null)")  # a bot of the old release, alive
    failures: list[str] = []
    async with open_log(old) as log, anyio.create_task_group() as tasks:
        assert (BEFORE in await ran(connection), AFTER in await ran(connection)) == (True, False)
        build = partial(rebuild.rebuild, old, log)
        for view in FOLLOWED.values():
            follower = Follower(
                log, old, view, build=build, failed=lambda name, error: failures.append(f"{name}: {error}")
            )
            tasks.start_soon(follower.run)
        async with anyio.create_task_group() as writers:  # the bot works on all the while
            writers.start_soon(spend, log, 60)
            with pytest.raises(OlderAlive, match=rf"1 of the processes .* {AFTER}"):
                await migrate(connection, finish=True)
            assert await older.fetchval("select log_join(null)")  # what it calls is there
            await until_built(log)
        await older.close()
        async with anyio.create_task_group() as writers:
            writers.start_soon(spend, log, 60)
            with anyio.fail_after(SECONDS):
                while AFTER not in await ran(connection):
                    try:
                        await migrate(connection, finish=True)
                    except OlderAlive:  # the server has not noticed yet that it is gone
                        await anyio.lowlevel.checkpoint()
        assert await connection.fetchval("select to_regprocedure('log_join(integer)')") is None
        await until_built(log)
        used = {total.person: total.counts for total in totals((await read_view(log.pool, USAGE)).values(), 0)}
        assert (used["1"].cache_write_5m, used["1"].cache_write_1h, used["1"].input) == (40, 1200, 100 + 120)
        assert (used["2"].cache_write_5m, used["2"].cache_write_1h, used["2"].turns) == (40, 0, 1)
        await check_all(log, old)
        tasks.cancel_scope.cancel()
    await connection.close()
    assert failures == []


async def test_what_older_processes_do_not_need_may_be_taken_away_at_once(old: str) -> None:
    connection = await connect(old)
    await migrate(connection, finish=True)
    assert await ran(connection) == [migration.name for migration in migrations()]
    assert await migrate(connection, finish=True) == []
    await connection.close()
    async with open_log(old) as log:
        await spend(log, 1)
        assert (await verify(log.pool, MASTER)).problems == ()
        assert await log.rows("running") == {"101": "5 1", "102": "5 2"}  # which the older release did not keep


async def test_a_new_database_gets_both_phases_at_once(dsn: str, connection: Connection) -> None:
    assert await ran(connection) == [migration.name for migration in migrations()]


async def test_an_older_bot_that_lives_keeps_the_next_release_from_taking_away(old: str) -> None:
    """A release later, the start of a bot finishes what was not finished, or says who is in the way."""
    connection, older = await connect(old), await connect(old)
    await migrate(connection)
    await older.fetchval("select log_join(null)")
    later = [*migrations(), Migration(number=len(migrations()) + 1, name="9999_later.sql", sql="select 1")]
    with pytest.raises(OlderAlive):
        await migrate(connection, later)
    await older.close()
    with anyio.fail_after(SECONDS):
        while (await ran(connection))[-1] != "9999_later.sql":
            try:
                await migrate(connection, later)
            except OlderAlive:
                await anyio.lowlevel.checkpoint()
    await connection.close()
