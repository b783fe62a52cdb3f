"""Usage on its way into the log: in the background, so that no stream waits for it, and not for ever."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from engine.ports import Duplicate
from schema.events import UsageCounted

log_line = structlog.get_logger(__name__)

_MOST_SECONDS = 600.0
_LAST_SECONDS = 5.0
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 15.0

Record = Callable[[str, str, UsageCounted], Awaitable[None]]
"""Records usage: session, request id (the idempotency key), event. Raises Duplicate, TryAgain; then it is called again."""


class Recording:
    """Tries for ten minutes while the log is away; once told to end, for a few seconds. What is lost is told to operators."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._scopes: set[anyio.CancelScope] = set()
        self._ending: anyio.Event
        self._tasks: TaskGroup

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """What is given while the context is open is recorded, or given up, when it is left; being cancelled changes nothing."""
        self._ending = anyio.Event()
        async with anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self._ending.set()
                for scope in self._scopes:
                    scope.deadline = min(scope.deadline, anyio.current_time() + _LAST_SECONDS)

    def add(self, session: str, request: str, event: UsageCounted) -> None:
        """Record this. Returns at once."""
        self._tasks.start_soon(self._keep, session, request, event)

    async def _keep(self, session: str, request: str, event: UsageCounted) -> None:
        seconds = _LAST_SECONDS if self._ending.is_set() else _MOST_SECONDS
        with anyio.CancelScope(deadline=anyio.current_time() + seconds, shield=True) as scope:
            self._scopes.add(scope)
            await self._try(session, request, event)
        self._scopes.discard(scope)
        if scope.cancelled_caught:
            counts = msgspec.to_builtins(event)
            log_line.error("usage was not recorded", session=session, request=request, counts=counts)

    async def _try(self, session: str, request: str, event: UsageCounted) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                await self._record(session, request, event)
            except Duplicate:
                return
            except Exception:  # noqa: BLE001 - whatever is wrong with the log, it may be right again
                with anyio.move_on_after(delay):
                    await (anyio.sleep_forever() if self._ending.is_set() else self._ending.wait())
                delay = _FIRST_DELAY if self._ending.is_set() else min(2 * delay, _LONGEST_DELAY)
            else:
                return
