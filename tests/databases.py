"""PostgreSQL for tests: one server for a run, one fresh database for whoever asks."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import anyio
import asyncpg

from adapters.local.postgres import EmbeddedPostgres
from adapters.postgres.connect import connect
from adapters.postgres.migrate import migrate

VARIABLE = "TEST_DSN"
"""A superuser's DSN of a server to use instead of an embedded one; it ends in the name of a database."""


class Databases:
    """Databases of one server, migrated and empty: copies of a template that is made once."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._template = f"template_{uuid4().hex[:8]}"
        self._ready = False

    def dsn(self, name: str) -> str:
        before, _, after = self._server.partition("?")
        return f"{before.rsplit('/', 1)[0]}/{name}{'?' if after else ''}{after}"

    async def empty(self) -> str:
        """The DSN of a new database with nothing in it."""
        return await self._create("template0")

    async def create(self) -> str:
        """The DSN of a new database with the tables of this release."""
        if not self._ready:
            await self._make_template()
        return await self._create(self._template)

    async def drop(self, dsn: str) -> None:
        await self._admin(f"drop database if exists {dsn.partition('?')[0].rsplit('/', 1)[1]} with (force)")

    async def _make_template(self) -> None:
        await self._admin(f"create database {self._template} template template0")
        connection = await connect(self.dsn(self._template))
        await migrate(connection)
        await connection.close()
        self._ready = True

    async def _create(self, template: str) -> str:
        name = f"test_{uuid4().hex[:12]}"
        await self._admin(f"create database {name} template {template}")
        return self.dsn(name)

    async def _admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def databases(*, durable: bool = False) -> Generator[Databases]:
    """Of the server that the environment names, or of an embedded one that ends with this, without fsync unless `durable`."""
    if dsn := os.environ.get(VARIABLE):
        yield Databases(dsn)
        return
    folder = Path(tempfile.mkdtemp(prefix="discord-claude-pg-"))
    settings = {"max_connections": "200"} | ({} if durable else {"fsync": "off"})
    server = EmbeddedPostgres(folder, settings=settings)
    try:
        anyio.run(server.start)
        yield Databases(server.dsn())
    finally:
        anyio.run(server.stop)
        shutil.rmtree(folder)
