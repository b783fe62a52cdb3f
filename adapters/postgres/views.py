"""Views that follow the log, in their tables: read, and kept up with the log.

A view's rows and its position change in one transaction, so after whatever crash it goes on from where it is. That
transaction need not reach the disk before it is seen: what a crash of the server takes back is folded again. Any number of
processes may follow a view: whoever finds that another was faster stands by, and takes over when that one falls behind.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import anyio
import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Connection, Pool, connect
from adapters.postgres.event_log import PostgresEventLog
from engine.ports import EngineError, GiveUp, TryAgain
from projections.keyed import Keyed, stored
from schema.codec import CodecError
from schema.envelope import Recorded

_MOST_ROWS = 50_000  # of a view, in memory
_STAND_BY_SECONDS = 3.0
_PAUSE_SECONDS = 1.0
_LONG_PAUSE_SECONDS = 30.0

_LIVE = "select generation, version, position, hash from projections where name = $1 and live"
_ROWS = """
select r.key, r.value from projection_rows as r
where r.generation = (select p.generation from projections as p where p.name = $1 and p.live) order by r.key
"""
_LOAD = "select key, value from projection_rows where generation = $1 and key = any($2)"
_ADVANCE = "select projection_advance($1, $2, $3, $4, $5, $6)"
_HASH = "select hash from events where position = $1"
_LAGS = """
select p.name, p.version, p.position, h.position - p.position as events, e.at
from projections as p cross join log_head as h left join events as e on e.position = p.position + 1
where p.live order by p.name
"""


class Moved(Exception):
    """Raised when another process has changed these rows meanwhile, or a rebuilt view has taken their place."""


class Lag(msgspec.Struct, frozen=True):
    """How far a view is behind the log. `since`: when the first event that is not in it happened (µs), None for none."""

    view: str
    version: int
    position: int
    events: int
    since: int | None


class Build(msgspec.Struct, frozen=True):
    """A build of a view, as `projections` has it."""

    generation: int
    version: int
    position: int
    hash: bytes | None


class Source(Protocol):
    """What can be asked: a pool or a connection."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]: ...


async def live_build(source: Source, view: str) -> Build | None:
    """What readers see. Raises TryAgain."""
    with errors.translated():
        rows = await source.fetch(_LIVE, view)
    return Build(*rows[0]) if rows else None


async def read_view(pool: Pool, view: Keyed) -> Mapping[str, Any]:
    """Every row by its key, as of the view's position. Raises GiveUp when the view is not here in this version, TryAgain."""
    live = await live_build(pool, view.name)
    if live is None or live.version != view.version:
        has = "is not built yet" if live is None else f"is here in version {live.version}, not {view.version}"
        raise GiveUp(f"the view {view.name} {has}: start the bot, or discord-claude rebuild {view.name}")
    with errors.translated():
        rows = await pool.fetch(_ROWS, view.name)
    return {key: view.load(value) for key, value in rows}


async def lags(pool: Pool) -> Sequence[Lag]:
    """Of every view that readers see. Raises TryAgain."""
    with errors.translated():
        return [Lag(*row) for row in await pool.fetch(_LAGS)]


async def check_place(source: Source, view: str, build: Build) -> None:
    """Raise GiveUp when the log is not the one that the view was built from (an older backup of it, say)."""
    if build.position == 0:
        return
    with errors.translated():
        rows = await source.fetch(_HASH, build.position)
    if not rows or rows[0][0] != build.hash:
        raise GiveUp(
            f"the view {view} rests on another position {build.position} than this log has: was an older backup restored? "
            f"discord-claude rebuild {view}"
        )


class Generation:
    """A build whose rows are changed here, through one connection; in memory as far as they fit."""

    def __init__(self, connection: Connection, view: Keyed, build: Build) -> None:
        self._connection = connection
        self._view = view
        self._number = build.generation
        self._rows: dict[str, Any] = {}
        self._whole = build.position == 0  # what is not in memory does not exist
        self._changed: set[str] = set()
        self._written: int = build.position
        self.position: int = build.position
        self.hash = build.hash

    async def fold(self, page: Sequence[Recorded]) -> None:
        """Take in a page that follows `position`. Nobody sees it before `write`. Raises what asyncpg raises."""
        if not self._whole:
            missing = self._view.concerns(page) - self._rows.keys()
            if missing:
                rows = await self._connection.fetch(_LOAD, self._number, list(missing))
                self._rows.update((key, self._view.load(value)) for key, value in rows)
        self._changed |= self._view.fold(self._rows, page)
        self.position, self.hash = page[-1].position, page[-1].hash

    async def write(self) -> None:
        """Make visible what was folded. Raises Moved, and what asyncpg raises; after either, these rows are of no more use."""
        if self.position == self._written:
            return
        keys = list(self._changed)
        values = [stored(self._rows[key]) for key in keys]
        done = await self._connection.fetchval(
            _ADVANCE, self._number, self._written, self.position, self.hash, keys, values
        )
        if not done:
            raise Moved
        self._written = self.position
        self._changed.clear()
        if len(self._rows) > _MOST_ROWS:
            self._rows.clear()
            self._whole = False


class Follower:
    """Keeps one view up with the log. `build` makes it from the beginning (rebuild.py); `failed` is told what went wrong."""

    def __init__(
        self,
        log: PostgresEventLog,
        dsn: str,
        view: Keyed,
        *,
        build: Callable[[Keyed], Awaitable[object]],
        failed: Callable[[str, Exception], None],
    ) -> None:
        self._log = log
        self._dsn = dsn
        self._view = view
        self._build = build
        self._failed = failed

    async def run(self) -> None:
        """Follow for ever, whatever happens to the database or the view."""
        while True:
            try:
                await self._follow_or_stand_by()
            except TryAgain:
                await anyio.sleep(_PAUSE_SECONDS)
            except (EngineError, CodecError) as error:
                self._failed(self._view.name, error)
                await anyio.sleep(_LONG_PAUSE_SECONDS)

    async def _follow_or_stand_by(self) -> None:
        try:
            await self._follow()
        except Moved:
            await self._stand_by()

    async def _follow(self) -> None:
        live = await live_build(self._log.pool, self._view.name)
        if live is None or live.version < self._view.version:
            await self._build(self._view)
            return
        if live.version > self._view.version:  # of a newer release, whose processes keep it
            raise Moved
        await check_place(self._log.pool, self._view.name, live)
        with errors.translated():
            connection = await connect(self._dsn)
            try:
                await connection.execute("set synchronous_commit = off")
                rows = Generation(connection, self._view, live)
                async for page in self._log.follow(after=live.position):
                    await rows.fold(page)
                    await rows.write()
            finally:
                connection.terminate()

    async def _stand_by(self) -> None:
        """Until nobody keeps the view up with the log."""
        while True:
            head = await self._log.head()
            await anyio.sleep(_STAND_BY_SECONDS)
            live = await live_build(self._log.pool, self._view.name)
            if live is None or (live.version <= self._view.version and live.position < head):
                return
