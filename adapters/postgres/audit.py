"""Reading the log as it is stored, for people who ask about it: what is here also reads what this release cannot decode.

Nothing here changes anything. Reads go in windows of positions, so no statement runs long, whatever is asked.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.postgres.migrate import migrations
from adapters.postgres.reader import decoded
from engine.ports import GiveUp
from projections import exact
from schema.envelope import Recorded

_WINDOW = 5000  # positions

_COLUMNS = "e.position, s.name, e.version, e.kind, e.payload, e.key_id, e.hash, e.at, e.actor, e.cause, e.key"
_FROM = f"select {_COLUMNS} from events as e join streams as s on s.id = e.stream"  # noqa: S608 - a constant
_JSON = "convert_from(e.payload, 'UTF8')::json"
_SEARCH = f"""
{_FROM} where e.position > $1 and e.position <= $2
and ($3::text [] is null or e.kind like any($3))
and ($4::text is null or e.actor = 'person:' || $4 or {_JSON} ->> 'by' = $4)
and ($5::bigint is null or e.at >= $5) and ($6::bigint is null or e.at <= $6)
order by e.position
"""
# a session's own streams, what caused them, what waits for it, and what the line did for it
_SESSION = f"""
with own as (
    select o.position, o.cause, o.kind, o.payload from events as o
    where o.stream = any(array(
        select id from streams where name in ('session:' || $1, 'usage:' || $1, 'erasure:' || $1)
    ))
), slots as (
    select e.position, {_JSON} as body from events as e where e.stream = (select id from streams where name = 'slots')
)
{_FROM} where e.position > $2 and e.position = any(array(
    select position from own union select cause from own
    union select position from work where target = 'session:' || $1
    union select position from slots where body ->> 'session' = $1 or body ->> 'reservation' in (
        select convert_from(payload, 'UTF8')::json ->> 'reservation' from own where kind = 'session.sandbox_reserved'
    )
)) order by e.position
"""  # noqa: S608 - a constant
_STREAM = """
select position, stream, version, kind, payload, hash, at, actor, cause, key
from events where stream = (select id from streams where name = $1) and ($2::bigint is null or position <= $2)
order by version
"""
_AT = f"{_FROM} where e.position = $1"
_HEAD = "select position from log_head"
_INSTALLATION = "select id::text from installation"
_THREAD = "select value from view_rows where view = $1 and key = $2"
_ROWS = """
select v.key, v.value, v.position, e.at from view_rows as v left join events as e on e.position = v.position
where v.view = $1 order by v.position
"""
_EXISTS = "select true from streams where name = 'session:' || $1"
_MIGRATED = "select number, name from migrations order by number desc limit 1"
_TABLE = "select to_regclass('migrations') is not null and to_regclass('events') is not null"


class Stored(msgspec.Struct, frozen=True):
    """An event as the database holds it: the columns of `events`, with the stream's name."""

    position: int
    stream: str
    version: int
    kind: str
    payload: bytes
    key_id: int | None
    hash: bytes
    at: int
    actor: str
    cause: int
    key: str | None


class Set(msgspec.Struct, frozen=True):
    """A row of an exact view; `at`: when the event at `position` set it (µs)."""

    key: str
    value: str
    position: int
    at: int | None


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; None is everything. `kinds` may have a `*`; without a dot they are of any stream. Times in µs."""

    session: str | None = None
    person: str | None = None
    kinds: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None


class History:
    """The stored log, read only."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def check(self, *, older: bool = True) -> None:
        """Raise GiveUp when there is no log here, or one of a newer release; or, unless that will do, of an `older` one."""
        if not await self._value(_TABLE):
            raise GiveUp("this database holds no log of discord-claude")
        newest = (await self._fetch(_MIGRATED))[0]
        ours = migrations()[-1]
        if newest["number"] > ours.number:
            raise GiveUp(
                f"this database was migrated by a newer version of discord-claude ({newest['name']}; this version ends at "
                f"{ours.name}): run that version or a later one"
            )

        missing = [one for one in migrations() if one.number > newest["number"] and not one.after]
        if missing and not older:
            raise GiveUp(
                f"this database was made by an older version of discord-claude ({newest['name']}; this version ends at "
                f"{ours.name}): start the bot of this version first"
            )

    async def finished(self) -> bool:
        """Whether what runs after an upgrade has run: until then, exact views that it brought are not complete."""
        return (await self._fetch(_MIGRATED))[0]["number"] == migrations()[-1].number

    async def head(self) -> int:
        return await self._value(_HEAD)

    async def installation(self) -> str:
        """What tells this database from another."""
        return await self._value(_INSTALLATION)

    async def session_of(self, thread: str) -> str | None:
        """The session of a thread; a session's own id is taken as well."""
        session = await self._value(_THREAD, exact.IDS["threads"], thread)
        return session or (thread if await self._value(_EXISTS, thread) else None)

    async def rows(self, view: str) -> Sequence[Set]:
        """An exact view, in the order in which its rows were set."""
        return [Set(*row) for row in await self._fetch(_ROWS, exact.IDS[view])]

    async def event(self, position: int) -> Stored | None:
        rows = await self._fetch(_AT, position)
        return Stored(*rows[0]) if rows else None

    async def stream(self, name: str, *, position: int | None = None) -> Sequence[Recorded]:
        """One stream up to `position`, as the engine reads it. Raises CodecError."""
        rows = await self._fetch(_STREAM, name, position)
        return decoded(rows, {rows[0]["stream"]: name}) if rows else []

    async def of_session(self, session: str, *, after: int = 0) -> Sequence[Stored]:
        """Everything that belongs to a session: its streams, what it answers, what the line and the gateway did for it."""
        return [Stored(*row) for row in await self._fetch(_SESSION, session, after)]

    async def search(self, search: Search, *, after: int = 0) -> AsyncIterator[Stored]:
        """What is found from `after` to the present head, in order."""
        if search.session is not None:
            for stored in await self.of_session(search.session, after=after):
                if _matches(stored, search):
                    yield stored
            return
        kinds = [_like(kind) for kind in search.kinds] or None
        head = await self.head()
        while after < head:
            last = min(after + _WINDOW, head)
            for row in await self._fetch(_SEARCH, after, last, kinds, search.person, search.since, search.until):
                yield Stored(*row)
            after = last

    async def _value(self, statement: str, *arguments: Any) -> Any:
        rows = await self._fetch(statement, *arguments)
        return rows[0][0] if rows else None

    async def _fetch(self, statement: str, *arguments: Any) -> Sequence[Any]:
        with errors.translated():
            return await self.pool.fetch(statement, *arguments)


def _like(kind: str) -> str:
    pattern = kind.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%").replace("*", "%")
    return pattern if "." in kind else f"%.{pattern}"


def _matches(stored: Stored, search: Search) -> bool:
    kinds = any(_fits(kind, stored.kind) for kind in search.kinds) if search.kinds else True
    person = search.person is None or stored.actor == f"person:{search.person}" or _by(stored) == search.person
    return kinds and person and (search.since or 0) <= stored.at and (search.until is None or stored.at <= search.until)


def _fits(pattern: str, kind: str) -> bool:
    pattern = pattern if "." in pattern else f"*.{pattern}"
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), kind) is not None


def _by(stored: Stored) -> str | None:
    return msgspec.json.decode(stored.payload).get("by")
