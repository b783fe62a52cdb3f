"""Files of sessions that could not be posted: sealed, under the key of who started the session, until operators take them away."""

from collections.abc import Sequence

import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.postgres.keyring import PostgresKeyring
from engine.ports import File
from engine.session import Session
from schema.sealed import Sealed

LARGEST = 64 << 20
"""Bytes of one file that is kept; a statement cannot carry much more in its time."""

_KEEP_SECONDS = 60.0
_PATIENCE = "set local statement_timeout = '60s'"
_KEEP = """
insert into kept_files (session, name, size, sealed) values ($1, $2, $3, $4)
on conflict (session, name) do update set size = excluded.size, sealed = excluded.sealed
"""
_LIST = "select name, size, kept_at from kept_files where session = $1 order by name"
_GET = "select sealed from kept_files where session = $1 and name = $2"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is kept. `size` in bytes, `at` in µs."""

    name: str
    size: int
    at: int


class KeptFiles:
    """`engine.ports.Keeper`."""

    def __init__(self, pool: Pool, keyring: PostgresKeyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def keep(self, session: Session, files: Sequence[File]) -> int:
        """What is larger than `LARGEST` is left out."""
        key = await self._keyring.prepare(f"session:{session.id}", session.starter)
        small = [file for file in files if len(file.data) <= LARGEST]
        with errors.translated():
            for file in small:
                sealed = self._keyring.seal_data(key, file.data)
                async with self._pool.acquire() as connection, connection.transaction():
                    await connection.execute(_PATIENCE)
                    await connection.execute(
                        _KEEP, session.id, file.name, len(file.data), sealed, timeout=_KEEP_SECONDS
                    )
        return len(small)

    async def of(self, session: str) -> Sequence[Kept]:
        """What is kept of a session. Raises TryAgain."""
        with errors.translated():
            rows = await self._pool.fetch(_LIST, session)
        return [Kept(name=name, size=size, at=int(at.timestamp() * 1_000_000)) for name, size, at in rows]

    async def open(self, session: str, name: str) -> bytes | None:
        """What is in one of them; None when its key was destroyed, or there is none. Raises TryAgain, GiveUp."""
        with errors.translated():
            sealed = await self._pool.fetchval(_GET, session, name, timeout=_KEEP_SECONDS)
        return None if sealed is None else await self._keyring.open_data(Sealed(sealed))
