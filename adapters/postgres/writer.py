"""Group commit: one task that records, in one statement, whatever appends have queued up meanwhile.

How an append may go, and what its caller gets:

- The batch commits: its events. Almost always; this is one statement and one fsync for everybody in it.
- Something in the batch is refused: the whole of it is decided again, append by append, on what the database holds while
  the head is locked (`isolate.py`). Each refused append fails alone, with its reason; the others are recorded.
- The server cannot do it now, or the append was not sent within the `wait` of the log: TryAgain; nothing was recorded.
- The connection is lost in the statement. Then nobody is answered before it is known what became of it (`_resolve`), for
  as long as that takes: an answer by the clock would be a guess.

The callers' tasks only wait: one that is cancelled before its append was sent takes it back, afterwards it changes nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio

from adapters.postgres import errors, isolate
from adapters.postgres.batch import Batch, Head, Heads, Pending
from adapters.postgres.connect import CALL_SECONDS, Connection, connect
from adapters.postgres.errors import FAILURES
from engine.ports import EngineError, GiveUp, TryAgain
from schema import codec
from schema.envelope import Append, Recorded, check

_MOST = 128  # appends in a batch: while the server works on one, the callers of the one before draft the next
_PAUSES = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5)  # seconds before each try to connect; the last one for all that follow

_APPEND = """
select log_append(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
)"""

# One event under one lease at most. The row lock on the lease, taken after the head's lock, reads the row as it is then,
# not as it was when the statement began: without `for share` a deposed owner could append (the wait for the head's lock
# may be the wait for the very commit that deposes it).
_APPEND_ONE = """
with head as (
    update log_head set position = position + 1 where position >= $1 returning position, listeners
), lease as materialized (
    select epoch from leases where target = $13 and epoch = $14 for share
), recorded as (
    insert into events (position, stream, version, kind, payload, key_id, hash, at, actor, cause, key)
    select
        case when $13::text is null or exists (select from lease) then head.position else log_refuse() end,
        $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
    from head
)
select position - 1, case when listeners > $2 then pg_notify('log', '') end from head
"""

_BACKEND = "select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()"
_END_BACKEND = "select pg_terminate_backend(pid, 2000) from pg_stat_activity where pid = $1 and backend_start = $2"
_FIND = "select position from events where stream = $1 and version = $2 and hash = $3"


class Writer:
    """The one task that appends. `committed` is told of every batch before its callers are."""

    def __init__(
        self, dsn: str, *, wait: float, committed: Callable[[Sequence[Pending], Sequence[Sequence[Recorded]]], None]
    ) -> None:
        self._dsn = dsn
        self._wait = wait
        self._committed = committed
        self._queue: deque[Pending] = deque()
        self._taken: Sequence[Pending] = ()  # from the queue, and not answered yet
        self._queued = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None
        self._closing = False
        self._life = anyio.CancelScope(shield=True)
        self._heads = Heads()
        self._connection: Connection | None = None
        self._backend: Sequence[Any] = (None, None)
        self._tries = 0
        self.seen = 0
        """The last position that this process knows of."""
        self.listening = 0
        """1 when this process listens itself, so that only others are worth a NOTIFY."""

    @property
    def backend(self) -> int | None:
        """The number of the server process that writes for us."""
        return self._backend[0]

    @property
    def connected(self) -> bool:
        """Whether the database was there, as far as is known."""
        return self._connection is not None and not self._connection.is_closed()

    async def append(self, append: Append) -> Sequence[Recorded]:
        """See `engine.ports.EventLog.append`."""
        check(append)
        if self._closing:
            raise TryAgain("the log is closing: nothing was recorded")
        encoded = [codec.encode(draft.event) for write in append.writes for draft in write.drafts]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Recorded]] = loop.create_future()
        pending = Pending(append, encoded, future, loop.time() + self._wait)
        self._queue.append(pending)
        self._queued.set()
        if self._expiry is None:
            self._expiry = loop.call_at(pending.deadline, self._expire)
        return await future

    def _queue_again(self, pendings: Sequence[Pending]) -> None:
        self._taken = ()
        self._queue.extendleft(reversed(pendings))
        if self._expiry is None:
            self._expire()

    def close(self) -> None:
        """Take no more appends. `run` returns when those that wait are written or have expired."""
        self._closing = True
        self._queued.set()
        self._life.deadline = anyio.current_time() + self._wait + CALL_SECONDS

    async def run(self) -> None:
        """Write batches until closed, whoever is cancelled around it. Raises GiveUp when the database lost commits."""
        try:
            with self._life:
                while self._queue or not self._closing:
                    if not self._queue:
                        self._queued.clear()
                        await self._queued.wait()
                    elif self._connection is None or self._connection.is_closed():
                        await self._connect()
                    else:
                        await self._write(self._connection, self._take())
        finally:
            self._closing = True
            if self._expiry is not None:
                self._expiry.cancel()
            if self._connection is not None:
                self._connection.terminate()
            _fail(self._queue, TryAgain("the log was closed: nothing was recorded"))
            for pending in self._taken:  # what became of them, nobody in this process will know
                pending.future.cancel()

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue and self._queue[0].deadline <= loop.time():
            _fail([self._queue.popleft()], TryAgain("the database cannot be reached: nothing was recorded"))
        self._expiry = loop.call_at(self._queue[0].deadline, self._expire) if self._queue else None

    def _take(self) -> Sequence[Pending]:
        queued = [self._queue.popleft() for _ in range(min(len(self._queue), _MOST))]
        self._taken = [pending for pending in queued if not pending.future.done()]  # the others' callers were cancelled
        return self._taken

    async def _connect(self) -> None:
        await anyio.sleep(_PAUSES[min(self._tries, len(_PAUSES) - 1)])
        self._tries += 1
        self._connection = None
        try:
            connection = await connect(self._dsn)
            (self._backend,) = await connection.fetch(_BACKEND)
        except FAILURES:
            return  # the appends that wait expire by themselves
        self._connection = connection
        self._tries = 0

    async def _write(self, connection: Connection, pendings: Sequence[Pending]) -> None:
        batch, left = Batch({}), ()
        try:
            batch, left = _fit(pendings, await self._load_heads(connection, pendings))
            if batch.taken:
                self._succeed(batch, await self._execute(connection, batch))
        except FAILURES as error:
            if not errors.refused(error):
                await self._failed(connection, error, batch, pendings)
                return
            left = pendings
        if left:
            await self._isolate(connection, left)

    async def _isolate(self, connection: Connection, pendings: Sequence[Pending]) -> None:
        self._taken = pendings
        verdict = isolate.Verdict()
        base = 0
        try:
            async with connection.transaction():
                await isolate.decide(connection, pendings, verdict)
                if verdict.batch.taken:
                    base = await self._execute(connection, verdict.batch)
        except FAILURES as error:
            await self._failed(connection, error, verdict.batch, pendings)
            return
        self._succeed(verdict.batch, base)
        for pending, refusal in verdict.refused:
            _fail([pending], refusal)

    async def _failed(
        self, connection: Connection, error: Exception, batch: Batch, pendings: Sequence[Pending]
    ) -> None:
        """A statement failed, and not with a refusal. Of `pendings`, at most those in `batch` may be recorded."""
        if errors.lost(error) or connection.is_closed():
            base = await self._resolve(batch)
            if base is not None:
                self._succeed(batch, base)
            self._queue_again([one for one in pendings if base is None or one not in batch.taken])
            return
        if errors.sqlstate(error) == errors.MOVED_BACK:
            raise self._moved_back()
        failure = errors.translate(error)
        if isinstance(failure, TryAgain) or len(pendings) == 1:
            _fail(pendings, failure)
            return
        for pending in pendings:  # one of them is to blame, and should fail alone
            await self._write(connection, [pending])

    async def _resolve(self, batch: Batch) -> int | None:
        """What became of a batch whose connection was lost: the position before its first event, None for nothing.

        A batch of nothing but dates in the agenda is nothing, too: it may be repeated, as long as it cannot come later.
        """
        backend, connection = self._backend, self._connection
        while True:
            if connection is not None:
                connection.terminate()
            if not batch.taken:
                return None
            await self._connect()
            connection = self._connection
            if connection is None:
                continue
            try:
                return await _find(connection, backend, batch)
            except FAILURES:
                continue

    async def _load_heads(self, connection: Connection, pendings: Sequence[Pending]) -> dict[str, Head]:
        heads: dict[str, Head] = {}
        unknown: set[str] = set()
        for pending in pendings:
            for stream in pending.streams():
                if stream not in heads:
                    known = self._heads.get(stream)
                    if known is None:
                        unknown.add(stream)
                    else:
                        heads[stream] = known
        if unknown:
            heads.update(await isolate.read_heads(connection, unknown))
        return heads

    async def _execute(self, connection: Connection, batch: Batch) -> int:
        """Returns the position before the first event."""
        if not batch.plain:
            return await connection.fetchval(_APPEND, self.seen, self.listening, *batch.columns())
        target, epoch = next(iter(batch.leases.items()), (None, None))
        row = await connection.fetchrow(_APPEND_ONE, self.seen, self.listening, *batch.rows[0], target, epoch)
        if row is None:
            raise self._moved_back()
        return row[0]

    def _moved_back(self) -> GiveUp:
        failure = GiveUp(f"the log ends before position {self.seen}, which was recorded: the database lost commits")
        _fail([*self._taken, *self._queue], failure)
        return failure

    def _succeed(self, batch: Batch, base: int) -> None:
        self._heads.learn(batch.heads)
        self.seen = base + len(batch.rows)
        recorded = batch.recorded(base)
        self._committed(batch.taken, recorded)
        for pending, events in zip(batch.taken, recorded, strict=True):
            if not pending.future.done():
                pending.future.set_result(events)


def _fit(pendings: Sequence[Pending], heads: dict[str, Head]) -> tuple[Batch, Sequence[Pending]]:
    """A batch, and what is left from the first append on that does not fit: appends take effect in the order they came."""
    batch = Batch(heads)
    for index, pending in enumerate(pendings):
        if not batch.take(pending):
            return batch, pendings[index:]
    return batch, ()


async def _find(connection: Connection, backend: Sequence[Any], batch: Batch) -> int | None:
    # First, what was sent and the server has not looked at yet must not take effect any more.
    if await connection.fetchval(_END_BACKEND, *backend) is False:
        raise TimeoutError
    if not batch.rows:
        return None
    async with connection.transaction():
        await connection.fetchval(isolate.LOCK_HEAD)
        stream, version, _, _, _, hash_, *_ = batch.rows[0]
        position = await connection.fetchval(_FIND, stream, version, hash_)
    return None if position is None else position - 1


def _fail(pendings: Iterable[Pending], failure: EngineError) -> None:
    for pending in pendings:
        if not pending.future.done():
            pending.future.set_exception(failure)
