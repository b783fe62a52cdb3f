"""Migrations: numbered SQL files (`schema/migrations`), run once each, in order, never back.

All new files run in one transaction under an advisory lock, so any number of processes may start at once and a broken
migration leaves nothing behind. What has run is recorded with a checksum: a database that is newer than this code, or was
made by files that were edited since, is refused before anything is touched.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec

from adapters.postgres.connect import Connection
from engine.ports import GiveUp

_LOCK = "select pg_advisory_xact_lock(1, 0)"  # of a transaction that waits for nothing but other migrations
_TIMEOUTS = "set local lock_timeout = '60s'; set local statement_timeout = '10min'"
_TABLE = """
create table if not exists migrations (
    number integer primary key,
    name text not null,
    checksum bytea not null,
    applied_at timestamptz not null default now()
)"""
_DONE = "select number, name, checksum from migrations order by number"
_RECORD = "insert into migrations (number, name, checksum) values ($1, $2, $3)"


class Migration(msgspec.Struct, frozen=True):
    """One file: `0001_log.sql` is number 1."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).digest()


def migrations() -> Sequence[Migration]:
    """The files of this release, in order."""
    found = [file for file in files("schema").joinpath("migrations").iterdir() if file.name.endswith(".sql")]
    return sorted(
        (Migration(int(file.name.split("_")[0]), file.name, file.read_text(encoding="utf-8")) for file in found),
        key=lambda migration: migration.number,
    )


async def migrate(connection: Connection, wanted: Sequence[Migration] | None = None) -> None:
    """Bring the database to this release. Raises GiveUp when it is newer, or was made by other files."""
    wanted = migrations() if wanted is None else wanted
    async with connection.transaction():
        await connection.execute(_TIMEOUTS)
        await connection.execute(_LOCK)
        await connection.execute(_TABLE)
        done = await connection.fetch(_DONE)
        _refuse_strangers(done, wanted)
        for migration in wanted[len(done) :]:
            await connection.execute(migration.sql)
            await connection.execute(_RECORD, migration.number, migration.name, migration.checksum)


def _refuse_strangers(done: Sequence[Any], wanted: Sequence[Migration]) -> None:
    if len(done) > len(wanted):
        raise GiveUp(
            f"this database was migrated by a newer version of discord-claude ({done[-1]['name']}; this version ends at "
            f"{wanted[-1].name}): run that version or a later one"
        )
    for (number, name, checksum), migration in zip(done, wanted, strict=False):
        if number != migration.number or checksum != migration.checksum:
            raise GiveUp(
                f"this database was made by another {name} than this version's {migration.name}: a migration that was "
                "released must not be edited; restore the file, or start with an empty database"
            )
