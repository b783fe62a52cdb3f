"""Reading: streams, positions, pages of the whole log, open work and exact views.

Reads have no effects, so one that failed with its connection is tried once more on another. Rows carry the numbers of
their streams; names are looked up once each and remembered.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio.lowlevel
from anyio.abc import TaskGroup

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from engine.ports import EngineError, GiveUp, Work
from projections import exact
from schema.codec import decode
from schema.envelope import Recorded

_PAGE_EVENTS = 500
_MOST_NAMES = 100_000  # of streams, remembered; beyond that all are forgotten at once

_STREAM = """
select e.position, e.stream, e.version, e.kind, e.payload, e.hash, e.at, e.actor, e.cause, e.key
from events as e where e.stream = (select s.id from streams as s where s.name = $1) and e.version > $2 order by e.version
"""
_POSITIONS = """
select position, stream, version, kind, payload, hash, at, actor, cause, key from events where position = any($1)
"""
_PAGE = """
select position, stream, version, kind, payload, hash, at, actor, cause, key
from events where position > $1 and position <= $2 order by position
"""
_HEAD = "select position from log_head"
_NAMES = "select id, name from streams where id = any($1)"
_WORK = "select target, position, due from work where target = $1 order by position"
_DUE = "select target from work where due <= $1 group by target order by min(due), target limit $2"
_NEXT_DUE = "select min(due) from work"
_LOOKUP = "select value from view_rows where view = $1 and key = $2"
_ROWS = "select key, value from view_rows where view = $1 order by position"

Rows = Sequence[Any]


class Reader:
    """What `engine.ports.EventLog` says about reading. `tasks` are those of the log: pages are fetched ahead in them."""

    def __init__(self, pool: Pool, tasks: TaskGroup) -> None:
        self._pool = pool
        self._tasks = tasks
        self._names: dict[int, str] = {}

    async def read_stream(self, stream: str, *, after: int = 0) -> Sequence[Recorded]:
        rows = await self._fetch(_STREAM, stream, after)
        return decoded(rows, {rows[0]["stream"]: stream}) if rows else []

    async def read(self, positions: Sequence[int]) -> Sequence[Recorded]:
        rows = await self._fetch(_POSITIONS, positions)
        found = {event.position: event for event in decoded(rows, await self._names_of(rows))}
        for position in positions:
            if position not in found:
                raise GiveUp(f"the log has no position {position}")
        return [found[position] for position in positions]

    async def replay(self, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        head = await self.head()
        async for page in self._pages(after, head if until is None else min(until, head)):
            yield page

    async def _newer(self, after: int) -> tuple[Sequence[Recorded], bool]:
        """What there is beyond `after`, without asking for the head first; and whether there may be more than this page."""
        rows = await self._fetch(_PAGE, after, after + _PAGE_EVENTS)
        if rows and rows[-1]["position"] != after + len(rows):
            raise GiveUp(f"some of the positions {after + 1} to {rows[-1]['position']} are missing")
        return decoded(rows, await self._names_of(rows)), len(rows) == _PAGE_EVENTS

    async def _pages(self, after: int, end: int) -> AsyncIterator[Sequence[Recorded]]:
        """The next page is on its way, on another connection, while the caller works on one."""
        coming = self._ahead(after, end)
        try:
            while after < end:
                rows = await coming
                last = min(after + _PAGE_EVENTS, end)
                if len(rows) != last - after:
                    raise GiveUp(f"{last - after - len(rows)} of the positions {after + 1} to {last} are missing")
                after = last
                if after < end:
                    coming = self._ahead(after, end)
                    await anyio.lowlevel.checkpoint()  # so that it is asked for before this page is worked on
                yield decoded(rows, await self._names_of(rows))
        finally:
            coming.cancel()

    def _ahead(self, after: int, end: int) -> asyncio.Future[Rows]:
        future: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._tasks.start_soon(self._fetch_page, future, after, min(after + _PAGE_EVENTS, end))
        return future

    async def _fetch_page(self, future: asyncio.Future[Rows], after: int, last: int) -> None:
        try:
            rows = await self._fetch(_PAGE, after, last)
        except EngineError as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(rows)

    async def head(self) -> int:
        return (await self._fetch(_HEAD))[0][0]

    async def work(self, target: str) -> Sequence[Work]:
        return [
            Work(target=name, position=position, due=due) for name, position, due in await self._fetch(_WORK, target)
        ]

    async def due(self, now: int, *, limit: int = 1000) -> Sequence[str]:
        return [target for (target,) in await self._fetch(_DUE, now, limit)]

    async def next_due(self) -> int | None:
        return (await self._fetch(_NEXT_DUE))[0][0]

    async def lookup(self, view: str, key: str) -> str | None:
        rows = await self._fetch(_LOOKUP, exact.IDS[view], key)
        return rows[0][0] if rows else None

    async def rows(self, view: str) -> dict[str, str]:
        return dict(await self._fetch(_ROWS, exact.IDS[view]))

    async def _names_of(self, rows: Rows) -> Mapping[int, str]:
        streams = {row["stream"] for row in rows}
        if not streams.issubset(self._names):
            if len(self._names) > _MOST_NAMES:
                self._names.clear()
            self._names.update(await self._fetch(_NAMES, list(streams)))
        return self._names

    async def _fetch(self, statement: str, *arguments: Any) -> Rows:
        try:
            return await self._pool.fetch(statement, *arguments)
        except errors.FAILURES as error:
            if not errors.lost(error):
                raise errors.translate(error) from error
        with errors.translated():
            return await self._pool.fetch(statement, *arguments)


def decoded(rows: Rows, names: Mapping[int, str]) -> Sequence[Recorded]:
    """Rows of `events`, without the key's id, as events; `names`: of their streams, by number. Raises CodecError."""
    return [
        Recorded(
            position=position,
            stream=names[stream],
            version=version,
            at=at,
            actor=actor,
            cause=cause,
            key=key,
            hash=hash_,
            event=decode(kind, payload, position),
        )
        for position, stream, version, kind, payload, hash_, at, actor, cause, key in rows
    ]
