"""Building a view anew from the log, beside the one that is read, and switching to it when it is complete.

Writers are not held up: the new rows are another generation, and only for the comparison and the switch does whoever follows
the view wait. What is built is kept every few thousand events, so a build that was cancelled goes on from there. Both builds
are brought to the same position before they are compared, row by row; a difference means that the old one was wrong.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Connection, Pool, connect, leave
from adapters.postgres.reader import Reader
from adapters.postgres.views import Build, Generation, Moved, check_place, live_build
from engine.ports import GiveUp, TryAgain
from projections.keyed import Keyed

_KEEP_EVENTS = 20_000
MOST_DIFFERENCES = 100

_LOCK = "select pg_try_advisory_lock(3, hashtext($1))"  # of the session: it ends with it
_BUILDING = "select generation, version, position, hash from projections where name = $1 and not live"
_BEGIN = """
insert into projections (name, version, live) values ($1, $2, false) returning generation, version, position, hash
"""
_DROP_ROWS = "delete from projection_rows where generation = $1"
_DROP = "delete from projections where generation = $1"
_HOLD = "select generation, version, position, hash from projections where name = $1 and live for update"
_SWITCH = "update projections set live = true where generation = $1"
_COUNT = "select count(*) from projection_rows where generation = $1"
_COMPARE = """
select coalesce(o.key, n.key) as key, o.value, n.value
from (select r.key, r.value from projection_rows as r where r.generation = $1) as o
full join (select r.key, r.value from projection_rows as r where r.generation = $2) as n on n.key = o.key
where o.value is distinct from n.value order by 1
"""
PATIENCE = """
set local statement_timeout = '10min'; set local idle_in_transaction_session_timeout = '10min'; set local lock_timeout = '60s'
"""
PATIENCE_SECONDS = 600.0


class Difference(msgspec.Struct, frozen=True):
    """A row that came out otherwise: as it was and as it is, None where there was or is none."""

    key: str
    was: str | None
    now: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`was`: the version that was read before, None for none. `resumed`: the position that a cancelled build had come to.

    `different` counts the rows that differ (of another version: in the fields that both have); `differences` are the first.
    """

    view: str
    version: int
    was: int | None
    resumed: int
    position: int
    rows: int
    different: int
    differences: Sequence[Difference]
    switched: bool


Progress = Callable[[int, int], None]
"""Called with the position that the build has come to, and the one it goes to."""


async def rebuild(
    dsn: str,
    reader: Reader,
    view: Keyed,
    *,
    progress: Progress = lambda _position, _head: None,
    fresh: bool = False,
    switch: bool = True,
) -> Outcome:
    """Build, compare, switch. `fresh`: do not go on with a cancelled build. Without `switch` what was built is thrown away.

    Cancelled, what is built so far stays, and is gone on with by the next. Raises GiveUp, TryAgain (also while another
    process builds this view), CodecError.
    """
    with errors.translated():
        connection = await connect(dsn)
        try:
            if not await connection.fetchval(_LOCK, view.name):
                raise TryAgain(f"the view {view.name} is being built by another process")
            build = await _begin(connection, view, fresh=fresh)
            rows = Generation(connection, view, build)
            await _build(reader, rows, progress)
            return await _finish(connection, reader, view, build, rows, switch=switch)
        finally:
            await leave(connection)  # and the lock with it, for whoever builds next


async def catch_up(dsn: str, reader: Reader, view: Keyed) -> None:
    """Have the view that is read take in what the log holds now, if it is of this version. Raises GiveUp, TryAgain, CodecError."""
    head = await reader.head()
    with errors.translated():
        connection = await connect(dsn)
        try:
            while True:
                live = await live_build(connection, view.name)
                if live is None or live.version != view.version or live.position >= head:
                    return
                await check_place(connection, view.name, live)
                try:
                    await _advance(reader, Generation(connection, view, live), head)
                except Moved:  # somebody follows it: whoever is faster
                    continue
        finally:
            connection.terminate()


async def _advance(reader: Reader, rows: Generation, end: int) -> None:
    async for page in reader.replay(after=rows.position, until=end):
        await rows.fold(page)
    await rows.write()


@asynccontextmanager
async def reading(pool: Pool) -> AsyncGenerator[Reader]:
    """A reader of the log for who is no replica."""
    async with anyio.create_task_group() as tasks:
        yield Reader(pool, tasks)
        tasks.cancel_scope.cancel()


async def _begin(connection: Connection, view: Keyed, *, fresh: bool) -> Build:
    found = await connection.fetch(_BUILDING, view.name)
    if found:
        build = Build(*found[0])
        if not fresh and build.version == view.version:
            try:
                await check_place(connection, view.name, build)
            except GiveUp:
                pass  # of another log: begun anew
            else:
                return build
        await _drop(connection, build)
    return Build(*(await connection.fetch(_BEGIN, view.name, view.version))[0])


async def _drop(connection: Connection, build: Build) -> None:
    async with connection.transaction():
        await connection.execute(PATIENCE)
        await _remove(connection, build)


async def _remove(connection: Connection, build: Build) -> None:
    await connection.execute(_DROP_ROWS, build.generation, timeout=PATIENCE_SECONDS)
    await connection.execute(_DROP, build.generation)


async def _build(reader: Reader, rows: Generation, progress: Progress) -> None:
    """Up to the head, wherever that is by then."""
    kept = rows.position
    while rows.position < (head := await reader.head()):
        async for page in reader.replay(after=rows.position, until=head):
            await rows.fold(page)
            progress(rows.position, head)
            if rows.position - kept >= _KEEP_EVENTS:
                await rows.write()
                kept = rows.position
    await rows.write()


async def _finish(
    connection: Connection, reader: Reader, view: Keyed, build: Build, rows: Generation, *, switch: bool
) -> Outcome:
    async with connection.transaction():
        await connection.execute(PATIENCE)
        found = await connection.fetch(_HOLD, view.name)  # whoever follows it waits
        live = Build(*found[0]) if found else None
        different, differences = 0, list[Difference]()
        if live is not None:
            await _meet(connection, reader, view, live, rows)
            different, differences = await _compare(connection, view, live, build)
            if switch:
                await _remove(connection, live)
        count = await connection.fetchval(_COUNT, build.generation, timeout=PATIENCE_SECONDS)
        if switch:
            await connection.execute(_SWITCH, build.generation)
        else:
            await _remove(connection, build)
    return Outcome(
        view=view.name,
        version=view.version,
        was=live.version if live else None,
        resumed=build.position,
        position=rows.position,
        rows=count,
        different=different,
        differences=differences,
        switched=switch,
    )


async def _meet(connection: Connection, reader: Reader, view: Keyed, live: Build, rows: Generation) -> None:
    """Bring the build that is behind to the position of the other. One of another version cannot be brought anywhere."""
    if live.position > rows.position:
        behind, end = rows, live.position
    elif live.version == view.version:
        behind, end = Generation(connection, view, live), rows.position
    else:
        return
    await _advance(reader, behind, end)


async def _compare(connection: Connection, view: Keyed, live: Build, build: Build) -> tuple[int, list[Difference]]:
    count, found = 0, list[Difference]()
    async for key, was, now in connection.cursor(_COMPARE, live.generation, build.generation, timeout=PATIENCE_SECONDS):
        if live.version != view.version and _agree(was, now):
            continue
        count += 1
        if len(found) < MOST_DIFFERENCES:
            found.append(Difference(key, was, now))
    return count, found


def _agree(was: str | None, now: str | None) -> bool:
    """Rows of two versions are the same in every field that both have."""
    if was is None or now is None:
        return was == now
    one, other = (cast("dict[str, Any]", msgspec.json.decode(row)) for row in (was, now))
    return all(one[name] == other[name] for name in one.keys() & other.keys())
