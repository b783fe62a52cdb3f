"""Leases: which process acts for what, and the one session by which a process is known to be alive.

A replica is a row and an advisory lock that its session holds. A replica whose lock is free is dead, and what it held may be
taken over at once. That does not rest on its being dead: the take-over counts the lease's epoch up under the head's lock,
and an append under an older epoch is refused.

The same session listens, so it tells when other processes appended. It is looked at every few seconds, and whoever waits for
news is woken then as well: a missed NOTIFY costs seconds, never an event.
"""

from collections.abc import Callable
from contextlib import suppress

import anyio

from adapters.postgres import errors
from adapters.postgres.connect import Connection, Pool, connect
from adapters.postgres.migrate import migrations
from engine.ports import TryAgain

_LOOK_SECONDS = 3.0
_PAUSE_SECONDS = 0.5  # between two tries to connect
_LEAVE_SECONDS = 2.0

_JOIN = "select log_join($1, $2)"
_LEAVE = "select log_leave($1)"
_LEASE = "select log_lease($1, $2)"
_ALIVE = "select 1"


class Replica:
    """What other processes see of ours. `ring` is called with the number of the server process that sent a NOTIFY."""

    def __init__(self, dsn: str, pool: Pool, ring: Callable[[int | None], None]) -> None:
        self._dsn = dsn
        self._pool = pool
        self._ring = ring
        self._id: int | None = None
        self._session: Connection | None = None
        self._lost = anyio.Event()

    async def join(self) -> None:
        """Become known. Raises what asyncpg raises."""
        lost = anyio.Event()
        session = await connect(self._dsn)
        try:
            session.add_termination_listener(lambda _: lost.set())
            await session.add_listener("log", self._heard)
            self._id = await session.fetchval(_JOIN, self._id, migrations()[-1].number)
        except BaseException:
            session.terminate()
            raise
        self._session, self._lost = session, lost

    async def run(self) -> None:
        """Stay known until cancelled: with a new session, and the same number, whenever one is lost. Then leave."""
        try:
            while True:
                if self._session is None:
                    try:
                        await self.join()
                    except errors.FAILURES:
                        await anyio.sleep(_PAUSE_SECONDS)
                else:
                    await self._look(self._session)
                self._ring(None)
        finally:
            with anyio.move_on_after(_LEAVE_SECONDS, shield=True):
                await self._leave()

    async def _look(self, session: Connection) -> None:
        with anyio.move_on_after(_LOOK_SECONDS):
            await self._lost.wait()
        try:
            await session.fetchval(_ALIVE)
        except errors.FAILURES:
            self._session = None
            session.terminate()

    async def _leave(self) -> None:
        with suppress(*errors.FAILURES):  # else it is found out by its advisory lock
            await self._pool.fetchval(_LEAVE, self._id)
        if self._session is not None:
            self._session.terminate()

    async def lease(self, target: str) -> int:
        """See `engine.ports.EventLog.lease`."""
        if self._session is None:
            raise TryAgain("the database cannot be reached")
        with errors.translated():
            epoch = await self._pool.fetchval(_LEASE, target, self._id)
        if epoch is None:
            raise TryAgain(f"{target} is leased by another process")
        return epoch

    def _heard(self, _connection: object, backend: int, _channel: str, _payload: object) -> None:
        self._ring(backend)
