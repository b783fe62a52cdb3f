"""What the tests of the command line have in common."""

from collections.abc import Awaitable, Callable

from adapters.postgres.connect import connect

SESSION, THREAD, PERSON = "1000000000000000001", "1000000000000000002", "77"
"""Of the one session in the log that is asked."""

Ask = Callable[..., Awaitable[tuple[int, str, str]]]
"""Runs a command line. Returns exit code, stdout, stderr."""


async def execute(dsn: str, statement: str) -> None:
    connection = await connect(dsn)
    await connection.execute(statement)
    await connection.close()
