"""The event log in memory: all that the log promises but durability.

Several logs may share one `MemoryStore`, as processes share a database; each is one holder of leases. Everything happens
between two awaits, so appends are serial by themselves.
"""

from collections.abc import AsyncIterator, Callable, Sequence

import anyio
import anyio.lowlevel

from adapters.admission import Facts
from engine.ports import Committed, GiveUp, TryAgain, Work
from projections import exact
from schema import codec, hashing
from schema.envelope import Append, Draft, Recorded, check

_PAGE = 500


class MemoryStore:
    """What a database would hold."""

    def __init__(self) -> None:
        self.facts = Facts(versions={}, epochs={}, keys={}, work={})
        self.events: list[Recorded] = []
        self.streams: dict[str, list[Recorded]] = {}
        self.views: dict[str, dict[str, str]] = {}
        self.owners: dict[str, MemoryEventLog] = {}
        self.logs: set[MemoryEventLog] = set()


class MemoryEventLog:
    """See `engine.ports.EventLog`, which this implements."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = MemoryStore() if store is None else store
        self._store.logs.add(self)
        self._subscribers: list[Callable[[Committed], None]] = []
        self._grown = anyio.Event()
        self._woken = anyio.Event()

    def close(self) -> None:
        """Let go of every lease, as the end of a process does. What was appended stays in the store."""
        self._store.logs.discard(self)

    async def append(self, append: Append) -> Sequence[Recorded]:
        check(append)
        await anyio.lowlevel.checkpoint()
        if refusal := self._store.facts.refusal(append):
            raise refusal
        position = len(self._store.events) + 1
        recorded = [self._record(write.stream, draft) for write in append.writes for draft in write.drafts]
        self._store.facts.apply(append, position)
        self._tell(append, recorded)
        return recorded

    def _record(self, stream: str, draft: Draft) -> Recorded:
        events = self._store.streams.setdefault(stream, [])
        version = len(events) + 1
        kind, payload, key_id = codec.encode(draft.event)
        recorded = Recorded(
            position=len(self._store.events) + 1,
            stream=stream,
            version=version,
            at=draft.at,
            actor=draft.actor,
            cause=draft.cause,
            key=draft.key,
            hash=hashing.event_hash(
                events[-1].hash if events else hashing.FIRST,
                stream,
                version,
                kind,
                payload,
                key_id,
                draft.at,
                draft.actor,
                draft.cause,
                draft.key,
            ),
            event=draft.event,
        )
        self._store.events.append(recorded)
        events.append(recorded)
        for view, (key, value) in exact.changes(stream, draft.event):
            rows = self._store.views.setdefault(view, {})
            rows.pop(key, None)
            if value is not None:
                rows[key] = value
        return recorded

    def _tell(self, append: Append, recorded: Sequence[Recorded]) -> None:
        for log in self._store.logs:
            log._grown.set()  # noqa: SLF001 - of this class
            log._grown = anyio.Event()  # noqa: SLF001 - of this class
            if log is not self:
                log._woken.set()  # noqa: SLF001 - of this class
        targets = [draft.to for write in append.writes for draft in write.drafts if draft.to is not None]
        for callback in list(self._subscribers):
            callback(Committed(recorded=recorded, targets=targets))

    async def read_stream(self, stream: str, *, after: int = 0) -> Sequence[Recorded]:
        await anyio.lowlevel.checkpoint()
        return self._store.streams.get(stream, [])[after:]

    async def read(self, positions: Sequence[int]) -> Sequence[Recorded]:
        await anyio.lowlevel.checkpoint()
        for position in positions:
            if not 1 <= position <= len(self._store.events):
                raise GiveUp(f"the log has no position {position}: it ends at {len(self._store.events)}")
        return [self._store.events[position - 1] for position in positions]

    async def replay(self, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        end = len(self._store.events) if until is None else min(until, len(self._store.events))
        for start in range(after, end, _PAGE):
            await anyio.lowlevel.checkpoint()
            yield self._store.events[start : min(start + _PAGE, end)]

    async def follow(self, *, after: int) -> AsyncIterator[Sequence[Recorded]]:
        if after > len(self._store.events):
            raise GiveUp(f"the log ends at {len(self._store.events)}, before {after}, which was read already")
        while True:
            grown = self._grown
            async for page in self.replay(after=after):
                after = page[-1].position
                yield page
            if after == len(self._store.events):
                await grown.wait()

    async def head(self) -> int:
        await anyio.lowlevel.checkpoint()
        return len(self._store.events)

    async def work(self, target: str) -> Sequence[Work]:
        await anyio.lowlevel.checkpoint()
        mine = [(position, due) for (name, position), due in self._store.facts.work.items() if name == target]
        return [Work(target=target, position=position, due=due) for position, due in sorted(mine)]

    async def due(self, now: int, *, limit: int = 1000) -> Sequence[str]:
        await anyio.lowlevel.checkpoint()
        first: dict[str, int] = {}
        for (target, _), due in self._store.facts.work.items():
            first[target] = min(due, first.get(target, due))
        waiting = sorted((due, target) for target, due in first.items() if due <= now)
        return [target for _, target in waiting[:limit]]

    async def next_due(self) -> int | None:
        await anyio.lowlevel.checkpoint()
        return min(self._store.facts.work.values(), default=None)

    async def lookup(self, view: str, key: str) -> str | None:
        await anyio.lowlevel.checkpoint()
        return self._store.views.get(exact.IDS[view], {}).get(key)

    async def rows(self, view: str) -> dict[str, str]:
        await anyio.lowlevel.checkpoint()
        return dict(self._store.views.get(exact.IDS[view], {}))

    def subscribe(self, callback: Callable[[Committed], None]) -> Callable[[], None]:
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def wakeups(self) -> AsyncIterator[None]:
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            yield

    async def lease(self, target: str) -> int:
        await anyio.lowlevel.checkpoint()
        owner = self._store.owners.get(target)
        if owner is not None and owner is not self and owner in self._store.logs:
            raise TryAgain(f"{target} is leased by another process")
        self._store.owners[target] = self
        epochs = self._store.facts.epochs
        epochs[target] = epochs.get(target, 0) + 1
        return epochs[target]
