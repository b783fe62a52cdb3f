"""Sandboxes against reservations, both ways and for ever: what has no reservation goes, what has no sandbox is counted.

It promises to remove only what the transport lists as this installation's and the log does not know (any more): sandboxes are
listed first and the log is read afterwards, and a slot is reserved in the log before its sandbox is made, so a new one is never
taken for a leak. While the log cannot be read, nothing is removed. What a session has to do about a sandbox that it has lost
is its actor's business, which looks by itself.
"""

from collections.abc import Awaitable, Callable, Collection

import anyio
import structlog

from engine.ports import EngineError, Sandbox, TryAgain

_AT_ONCE = 8

log_line = structlog.get_logger(__name__)


class Reaper:
    """`held`: the reservations that the log holds open now. `removed` is told of each leak, once it is gone."""

    def __init__(
        self,
        sandbox: Sandbox,
        held: Callable[[], Awaitable[Collection[str]]],
        removed: Callable[[str], Awaitable[None]],
        *,
        every: float,
    ) -> None:
        self.missing = 0
        """Reservations that had no sandbox when last looked: being made, or lost."""
        self._sandbox = sandbox
        self._held = held
        self._removed = removed
        self._every = every

    async def run(self) -> None:
        """Reconcile at once, then every so many seconds. A world that does not answer is asked again."""
        while True:
            try:
                await self.reconcile()
            except TryAgain as error:
                log_line.warning("sandboxes and reservations cannot be compared", error=str(error))
            await anyio.sleep(self._every)

    async def reconcile(self) -> None:
        """Compare once, and remove what nobody has reserved. Raises TryAgain."""
        found = {info.reservation for info in await self._sandbox.list()}
        held = set(await self._held())
        self.missing = len(held - found)
        limit = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for reservation in sorted(found - held):
                tasks.start_soon(self._remove, reservation, limit)

    async def _remove(self, reservation: str, limit: anyio.CapacityLimiter) -> None:
        async with limit:
            try:
                await self._sandbox.delete(reservation)
                await self._removed(reservation)
            except EngineError as error:
                log_line.warning(
                    "a sandbox without a reservation is still there", sandbox=reservation, error=str(error)
                )
            else:
                log_line.warning("a sandbox without a reservation was removed", sandbox=reservation)
