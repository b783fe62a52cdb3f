"""Where the log is, and with which key: from the bot's own settings, or a playground's folder."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from adapters import settings
from adapters.local.postgres import EmbeddedPostgres, EmbeddedPostgresError
from adapters.postgres import connect
from adapters.postgres.audit import History
from adapters.postgres.keyring import PostgresKeyring, open_keyring
from adapters.sealing import MasterKey
from engine.ports import GiveUp

_PLAYGROUND_DATABASE = "discord_claude"


class AuditError(Exception):
    """The root of what ends a sub-command with a sentence and an exit code of its own."""

    code = 1


class NotFound(AuditError):
    """Raised when there is no such thread, session, event or person. The message says which."""

    code = 3


class Misused(AuditError):
    """Raised when arguments do not fit together. The message says what to do."""

    code = 2


class Refused(AuditError):
    """Raised when it must not be done now. The message says what to do first."""

    code = 5


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Where:
    """Which log.

    Parameters
    ----------
    playground
        The folder of a playground: its log instead of the one that the DB_… settings name.
    key_file
        The file that the log's keys are wrapped with; LOG_KEY_FILE, or the playground's, if not given.

    """

    playground: Path | None = None
    key_file: Path | None = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Shown:
    """How it is shown.

    Parameters
    ----------
    json
        For programs: one JSON object, or one a line where there are many.
    texts
        Open personal text (needs the key file). Without it, texts are shown as sealed.

    """

    json: Annotated[bool, Parameter(negative=())] = False
    texts: Annotated[bool, Parameter(negative=())] = False


class Source(msgspec.Struct, frozen=True):
    """An open log. `master`: None when there is no key file."""

    dsn: str
    history: History
    master: MasterKey | None

    async def keyring(self) -> PostgresKeyring:
        """For who must open texts. Raises Misused, GiveUp."""
        return await open_keyring(self.history.pool, self.key())

    def key(self) -> MasterKey:
        """Raises Misused when there is none."""
        if self.master is None:
            raise Misused("this needs the key file of the log: set LOG_KEY_FILE, or say --key-file FILE")
        return self.master

    async def current(self) -> None:
        """For who writes: raises GiveUp when the database is not of this release."""
        await self.history.check(older=False)

    async def complete(self) -> None:
        """For who reads exact views: raises GiveUp, or Refused when one of them may lack what an older release appended."""
        await self.current()
        if not await self.history.finished():
            raise Refused("an upgrade is not finished, so this may not be complete: discord-claude migrate --finish")

    async def session(self, thread: str) -> str:
        """The session that `thread` (or the session's own id) names. Raises NotFound."""
        session = await self.history.session_of(thread)
        if session is None:
            raise NotFound(f"the log knows no thread or session {thread}")
        return session


@asynccontextmanager
async def open_source(where: Where) -> AsyncGenerator[Source]:
    """Raises SettingsError, GiveUp, TryAgain."""
    async with open_database(where) as (dsn, key_file):
        master = MasterKey.load(key_file) if key_file is not None else None
        async with connect.pool(dsn) as pool:
            history = History(pool)
            await history.check()
            yield Source(dsn, history, master)


@asynccontextmanager
async def open_database(where: Where) -> AsyncGenerator[tuple[str, Path | None]]:
    """Where it is, and the key file if there is one; whether a log is in it is not asked. Raises SettingsError, GiveUp."""
    if where.playground is None:
        database, key_file = settings.load_log(os.environ)
        yield database.dsn(), where.key_file or key_file
        return
    folder = where.playground.absolute()
    if not (folder / "postgres" / "data").is_dir() and not (folder / "secrets").is_dir():
        raise GiveUp(f"{where.playground} is not the folder of a playground")
    server = EmbeddedPostgres(folder / "postgres")
    ours = server.pid is None
    try:
        await server.start()
    except EmbeddedPostgresError as error:
        raise GiveUp(str(error)) from error
    try:
        yield server.dsn(_PLAYGROUND_DATABASE), where.key_file or folder / "secrets" / "log.key"
    finally:
        if ours:
            await server.stop()
