"""The event log in PostgreSQL: see `engine.ports.EventLog` for what it promises, README.md for how it keeps it."""

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from adapters.postgres import connect, errors
from adapters.postgres.batch import Pending
from adapters.postgres.leases import Replica
from adapters.postgres.migrate import migrate
from adapters.postgres.reader import Reader
from adapters.postgres.writer import Writer
from engine.ports import Committed, GiveUp, TryAgain
from schema.envelope import Append, Recorded

_INSTALLATION = "select id::text from installation"
_PAUSE_SECONDS = 0.5  # of a follower whose database is away
_MOST_OWN = 5_000  # events
_PAGE = 500  # events


class _Own:
    """What this process appended and a follower has not seen yet; what is too much is forgotten, and read instead."""

    def __init__(self) -> None:
        self._batches: deque[Sequence[Recorded]] = deque()
        self._count = 0

    def take(self, committed: Committed) -> None:
        if not committed.recorded:  # an append may hold nothing but guards
            return
        self._batches.append(committed.recorded)
        self._count += len(committed.recorded)
        while self._count > _MOST_OWN:
            self._count -= len(self._batches.popleft())

    def behind(self, position: int) -> Sequence[Recorded]:
        """What follows `position` without a gap: a page at most."""
        page: list[Recorded] = []
        while self._batches and len(page) < _PAGE and self._batches[0][0].position <= position + 1:
            batch = self._batches.popleft()
            self._count -= len(batch)
            page += [one for one in batch if one.position > position]
            position = max(position, batch[-1].position)
        return page

    @property
    def waits(self) -> bool:
        """Something is here that does not follow yet: others appended before it."""
        return bool(self._batches)


class PostgresEventLog(Reader):
    """One process's view of the log. `pool` is for what is kept beside it (keys, tokens, seals).

    `timed` is called with the seconds of each append that was recorded.
    """

    timed: Callable[[float], None] | None = None

    def __init__(self, dsn: str, pool: connect.Pool, tasks: TaskGroup, wait: float) -> None:
        super().__init__(pool, tasks)
        self.pool = pool
        self.writer = Writer(dsn, wait=wait, committed=self._committed)
        self.replica = Replica(dsn, pool, self._ring)
        self._subscribers: list[Callable[[Committed], None]] = []
        self._grown: anyio.Event | None = None  # made by whoever waits
        self._woken = anyio.Event()
        self._rings = 0  # how often others may have appended

    async def append(self, append: Append) -> Sequence[Recorded]:
        began = time.perf_counter()
        recorded = await self.writer.append(append)
        if self.timed:
            self.timed(time.perf_counter() - began)
        return recorded

    async def installation(self) -> str:
        """What tells this log from every other. Raises TryAgain."""
        return (await self._fetch(_INSTALLATION))[0][0]

    async def lease(self, target: str) -> int:
        return await self.replica.lease(target)

    def subscribe(self, callback: Callable[[Committed], None]) -> Callable[[], None]:
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def wakeups(self) -> AsyncIterator[None]:
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            yield

    async def follow(self, *, after: int) -> AsyncIterator[Sequence[Recorded]]:
        own = _Own()  # what this process appends meanwhile need not be read
        unsubscribe = self.subscribe(own.take)
        rings: int | None = None
        try:
            while True:
                grown = self._grown = self._grown or anyio.Event()
                try:
                    while page := own.behind(after):
                        after = page[-1].position
                        yield page
                    if own.waits or rings != self._rings:  # others have appended, or it may be
                        rings = self._rings
                        page, more = await self._newer(after)  # one trip, as a rule
                        if page:
                            after = page[-1].position
                            yield page
                            if not more:
                                continue
                        head = await self.head()
                        if head < after:
                            raise GiveUp(
                                f"the log ends at {head}, before {after}, which was read already: commits were lost"
                            )
                        async for page in self._pages(after, head):
                            after = page[-1].position
                            yield page
                except TryAgain:
                    rings = None
                    await anyio.sleep(_PAUSE_SECONDS)
                else:
                    await grown.wait()  # rung every few seconds, whatever is missed
        finally:
            unsubscribe()

    def _committed(self, appends: Sequence[Pending], recorded: Sequence[Sequence[Recorded]]) -> None:
        self._grow()
        if self._subscribers:
            targets = [draft.to for pending in appends for _, draft in pending.drafts() if draft.to is not None]
            committed = Committed(recorded=[event for events in recorded for event in events], targets=targets)
            for callback in list(self._subscribers):
                callback(committed)

    def _ring(self, backend: int | None) -> None:
        if backend != self.writer.backend:
            self._rings += 1
            self._grow()
            self._woken.set()

    def _grow(self) -> None:
        if self._grown is not None:
            self._grown.set()
            self._grown = None


@asynccontextmanager
async def open_log(dsn: str, *, wait: float = 2.0, replica: bool = True) -> AsyncGenerator[PostgresEventLog]:
    """The log in the database at `dsn`, migrated to this release.

    `wait`: seconds that an append waits for a database that is away. `replica`: take part in leases and listen; False for a
    process that only appends. Leaving finishes the appends that wait. Raises TryAgain when the database cannot be reached,
    GiveUp when it is not ours to use, or, later and through the task group, when it lost commits.
    """
    with errors.translated():
        connection = await connect.connect(dsn)
        try:
            await migrate(connection)
        finally:
            connection.terminate()
    async with connect.pool(dsn) as pool, anyio.create_task_group() as tasks:
        log = PostgresEventLog(dsn, pool, tasks, wait)
        log.writer.seen = await log.head()
        if replica:
            with errors.translated():
                await log.replica.join()
            log.writer.listening = 1
            tasks.start_soon(log.replica.run)
        tasks.start_soon(log.writer.run)
        try:
            yield log
        finally:
            log.writer.close()
            tasks.cancel_scope.cancel()
