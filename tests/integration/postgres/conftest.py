from collections.abc import AsyncGenerator

import pytest

from adapters.postgres.event_log import PostgresEventLog, open_log


@pytest.fixture
async def log(dsn: str) -> AsyncGenerator[PostgresEventLog]:
    async with open_log(dsn) as log:
        yield log
