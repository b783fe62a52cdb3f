"""How this program connects: with time-outs on both sides, so that no call waits for ever and no lock outlives a hang."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import asyncpg

if TYPE_CHECKING:  # generic in the stubs only
    Connection: TypeAlias = asyncpg.Connection[Any]
    Pool: TypeAlias = asyncpg.Pool[Any]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 5.0
"""When the server cancels a statement; it then had no effect."""
CALL_SECONDS = 10.0
"""When we stop waiting for the server and give the connection up; what became of the statement is then unknown."""

_LEAVE_SECONDS = 2.0

_SETTINGS = {
    "application_name": "discord-claude",
    "jit": "off",
    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
    # a process that hangs between two statements must not hold the head's lock
    "idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS:.0f}s",
}


async def connect(dsn: str) -> Connection:
    """A connection for one task. Raises what asyncpg raises (see errors.py)."""
    return await asyncpg.connect(
        dsn, timeout=CONNECT_SECONDS, command_timeout=CALL_SECONDS, server_settings=_SETTINGS, statement_cache_size=100
    )


async def leave(connection: Connection) -> None:
    """Close it, and wait until the server has let go of what its session held; also when the caller is being cancelled."""
    with anyio.move_on_after(_LEAVE_SECONDS, shield=True):
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close()
            return
    connection.terminate()


def pool(dsn: str, *, size: int = 4) -> Pool:
    """Connections for reading. Nothing on them changes the session, so nothing is reset between two uses."""
    return asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=CONNECT_SECONDS,
        command_timeout=CALL_SECONDS,
        server_settings=_SETTINGS,
        reset=_keep,
    )


async def _keep(connection: Connection) -> None:
    """There is nothing to reset."""
