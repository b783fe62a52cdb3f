"""Migrations: numbered SQL files (`schema/migrations`), run once each, in order, never back; in two phases.

What a release adds (`0003_releases.sql`) runs when its first process starts, while older ones go on. What it takes away
(`0005_releases.after.sql`) runs when every process that lives knows of it: `discord-claude migrate --finish`, or the start of
the first release after it. A new database gets both at once.

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
from adapters.postgres.errors import NotAllowed
from adapters.postgres.grants import grant
from engine.ports import GiveUp, TryAgain

_LOCK = "select pg_advisory_xact_lock(1, 0)"  # of a transaction that waits for nothing but other migrations
_TIMEOUTS = "set local lock_timeout = '60s'; set local statement_timeout = '10min'"
_THERE = "select to_regclass('migrations') is not null"
_TABLE = """
create table migrations (
    number integer primary key,
    name text not null,
    checksum bytea not null,
    applied_at timestamptz not null default now()
)"""
_DONE = "select number, name, checksum from migrations order by number"
# a replica lives as long as its session holds the lock
_OLDER = "select count(*) from replicas where release < $1 and not pg_try_advisory_xact_lock(2, id)"
_RECORD = "insert into migrations (number, name, checksum) values ($1, $2, $3)"


class OlderAlive(GiveUp):
    """Raised when processes of an older release are still at work."""


class Migration(msgspec.Struct, frozen=True):
    """One file: `0001_log.sql` is number 1."""

    number: int
    name: str
    sql: str

    @property
    def after(self) -> bool:
        """Takes something away that processes of an older release need."""
        return self.name.endswith(".after.sql")

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


async def migrate(
    connection: Connection,
    wanted: Sequence[Migration] | None = None,
    *,
    finish: bool = False,
    bot: str | None = None,
    gateway: str | None = None,
) -> Sequence[Migration]:
    """Bring the database to this release; to its end with `finish`. Returns what has run. `bot`, `gateway`: see `grants`.

    Raises GiveUp when the database is newer or was made by other files, OlderAlive when a process lives from which something
    would be taken away, TryAgain while the tables are not of this release and belong to another role.
    """
    wanted = migrations() if wanted is None else wanted
    try:
        async with connection.transaction():
            ran = await _bring(connection, wanted, finish=finish)
            await grant(connection, bot=bot, gateway=gateway)
            return ran
    except NotAllowed:
        raise TryAgain(
            "the tables of the database are not of this release, or not this role's to use: run `discord-claude migrate` as the "
            "role that owns them, with --bot and --gateway for the others"
        ) from None


async def _bring(connection: Connection, wanted: Sequence[Migration], *, finish: bool) -> Sequence[Migration]:
    await connection.execute(_TIMEOUTS)
    await connection.execute(_LOCK)
    # `create … if not exists` would need a right that only the owner has
    if not await connection.fetchval(_THERE):
        await connection.execute(_TABLE)
    done = await connection.fetch(_DONE)
    _refuse_strangers(done, wanted)
    pending = list(wanted[len(done) :])
    while done and not finish and pending and pending[-1].after:
        pending.pop()
    for migration in pending:
        if done and migration.after:
            await _refuse_older(connection, migration)
        await connection.execute(migration.sql)
        await connection.execute(_RECORD, migration.number, migration.name, migration.checksum)
    return pending


async def _refuse_older(connection: Connection, migration: Migration) -> None:
    older = await connection.fetchval(_OLDER, migration.number)
    if older:
        raise OlderAlive(
            f"{older} of the processes at work are of an older release, and need what {migration.name} takes away: end them, "
            "and try again"
        )


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
