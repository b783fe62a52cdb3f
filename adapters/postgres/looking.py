"""Looking at the database for `discord-claude check`: its version, the tables, whose they are, and the log's key."""

from collections.abc import AsyncGenerator

from adapters.findings import Finding, note, ok, wrong
from adapters.postgres import connect, errors
from adapters.postgres.audit import History
from adapters.postgres.keyring import open_keyring
from adapters.postgres.migrate import migrations
from adapters.sealing import MasterKey
from engine.ports import EngineError

_OLDEST = 15
_OWNS = "select pg_has_role(current_user, relowner, 'usage') from pg_class where oid = 'events'::regclass"
_RESTORE = "the file that was backed up when the database was made; a new one needs an empty database"


async def look_at_database(dsn: str, master: MasterKey) -> AsyncGenerator[Finding]:
    """What is found, one after the other."""
    try:
        with errors.translated():
            connection = await connect.connect(dsn)
        version = connection.get_server_version().major
        connection.terminate()
    except EngineError as error:
        yield wrong(
            "database", str(error), "DB_HOST, DB_USER, DB_PASSWORD, DB_NAME; a policy that lets the bot through"
        )
        return
    if version < _OLDEST:
        yield wrong("database", f"PostgreSQL {version}", f"PostgreSQL {_OLDEST} or newer")
        return
    yield ok("database", f"PostgreSQL {version}")
    async with connect.pool(dsn) as pool:
        history = History(pool)
        try:
            await history.check(older=False)
            finished = await history.finished()
        except EngineError as error:
            yield wrong("migrations", str(error), "discord-claude migrate, as the role that owns the tables")
            return
        if finished:
            yield ok("migrations", f"all {len(migrations())}")
        else:
            yield note(
                "migrations", "an upgrade is not finished", "discord-claude migrate --finish, when no older bot runs"
            )
        with errors.translated():
            owns = await pool.fetchval(_OWNS)
        if owns:
            says = "this one owns the tables, and could change what is recorded"
            yield note(
                "role of the database", says, "discord-claude migrate --bot ROLE, as their owner, and run as ROLE"
            )
        else:
            yield ok("role of the database", "it cannot change what is recorded")
        try:
            await open_keyring(pool, master)
        except EngineError as error:
            yield wrong("key of the log", str(error), _RESTORE)
        else:
            yield ok("key of the log", "the one this database began with")
