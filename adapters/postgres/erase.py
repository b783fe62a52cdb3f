"""Erasing personal text: the keys it is sealed under are destroyed, and what is left of them in the database's files goes too.

Events stay as they are, so every hash and seal stays right; the erasure is an event of its own, by which views forget the
person. An erasure that was cut off is completed by doing it again.
"""

from collections.abc import Sequence

import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Pool, connect
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import PostgresKeyring
from adapters.postgres.rebuild import catch_up
from engine.ports import Duplicate
from projections.followed import FOLLOWED
from schema.envelope import Append, Draft, Write
from schema.events import Erased

_KEYS = """
select k.id, k.scope, k.person, k.wrapped is null from keys as k
where k.scope like 'session:%' and (k.scope = $1 or k.person = $2) order by k.id
"""
_OPEN = """
select s.name from streams as s
where s.name = any($1)
and exists (select from events as e where e.stream = s.id and e.kind = 'session.requested')
and not exists (select from events as e where e.stream = s.id and e.kind = 'session.closed')
order by s.id
"""
# rewritten, because a page of a table keeps what was deleted from it until the place is needed
_WIPE = ("vacuum full keys", "vacuum full kept_files", "vacuum full projection_rows", "vacuum full tokens")
# what the write-ahead log holds goes with its segments: they are of no use once a checkpoint stands behind them
_RECYCLE = ("select pg_switch_wal()", "checkpoint", "select pg_switch_wal()", "checkpoint")


class Key(msgspec.Struct, frozen=True):
    """The key of a person's texts in `scope`, which is `session:<id>`."""

    id: int
    scope: str
    person: str
    destroyed: bool

    @property
    def session(self) -> str:
        return self.scope.partition(":")[2]


async def keys_of(pool: Pool, *, session: str | None = None, person: str | None = None) -> Sequence[Key]:
    """Of everybody in a session, or of a person everywhere; destroyed ones too. Raises TryAgain."""
    with errors.translated():
        rows = await pool.fetch(_KEYS, f"session:{session}" if session else None, person)
    return [Key(*row) for row in rows]


async def still_open(pool: Pool, keys: Sequence[Key]) -> Sequence[str]:
    """The sessions of these keys that are not closed: who works there needs their keys. Raises TryAgain."""
    with errors.translated():
        rows = await pool.fetch(_OPEN, list({key.scope for key in keys}))
    return [name.partition(":")[2] for (name,) in rows]


async def erase(dsn: str, keyring: PostgresKeyring, keys: Sequence[Key], *, at: int) -> None:
    """Destroy the keys, record it, and have every view take it in. `at` in µs. Raises EngineError."""
    async with open_log(dsn, replica=False) as log:
        for key in keys:
            await keyring.destroy(key.scope, key.person, at)
            draft = Draft(event=Erased(person=key.person), at=at, actor="operator", key=f"e:{key.id}")
            try:
                await log.append(
                    Append(writes=(Write(stream=f"erasure:{key.session}", expected=None, drafts=(draft,)),))
                )
            except Duplicate:
                continue
        for view in FOLLOWED.values():
            await catch_up(dsn, log, view)


async def wipe(dsn: str) -> Sequence[str]:
    """Have the database's files forget what was deleted. Returns what this role may not do: somebody else must."""
    refused: list[str] = []
    with errors.translated():
        connection = await connect(dsn)
        try:
            await connection.execute("set statement_timeout = '10min'; set lock_timeout = '60s'")
            for statement in (*_WIPE, *_RECYCLE):
                try:
                    await connection.execute(statement, timeout=600)
                except errors.NotAllowed:
                    if statement not in refused:
                        refused.append(statement)
        finally:
            connection.terminate()
    return refused
