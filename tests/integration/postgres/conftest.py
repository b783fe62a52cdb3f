from collections.abc import AsyncGenerator

import pytest

from adapters.postgres.connect import Connection, connect
from adapters.postgres.event_log import PostgresEventLog, open_log


@pytest.fixture
async def connection(dsn: str) -> AsyncGenerator[Connection]:
    """Somebody else's connection to the same database, as the owner of everything in it."""
    connection = await connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def log(dsn: str) -> AsyncGenerator[PostgresEventLog]:
    async with open_log(dsn) as log:
        yield log
