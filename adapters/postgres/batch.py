"""A batch: the appends of several callers as the columns of one statement.

Building one is pure. It chains hashes and numbers versions from what is known about each stream's last event, and sets
aside what does not fit (`Batch.take` says when): such an append is decided later, alone, on what the database holds.
"""

from asyncio import Future
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from projections import exact
from schema.codec import Encoded
from schema.envelope import Append, Draft, Recorded
from schema.hashing import event_hash

_YOUNG = 8_192  # streams; all that is remembered takes about 5 MB

Head = tuple[int, int, bytes]
"""The end of a stream: the stream's id in the database, the version and the hash of its last event."""


class Heads:
    """What this process knows about the ends of streams; what was not used for long is forgotten.

    Another process may have gone on since, so knowledge may be old, but it was true once: a stream is never shorter.
    """

    def __init__(self) -> None:
        self._young: dict[str, Head] = {}
        self._old: dict[str, Head] = {}

    def get(self, stream: str) -> Head | None:
        """What is known about `stream`."""
        return self._young.get(stream) or self._old.get(stream)

    def learn(self, heads: Mapping[str, Head]) -> None:
        """Take in what was used or is newer."""
        self._young.update(heads)
        if len(self._young) > _YOUNG:
            self._young, self._old = {}, self._young


class Pending:
    """An append whose caller waits for `future`. After `deadline` (event loop time) it is not sent any more."""

    __slots__ = ("append", "deadline", "encoded", "future")

    def __init__(
        self, append: Append, encoded: Sequence[Encoded], future: Future[Sequence[Recorded]], deadline: float
    ) -> None:
        self.append = append
        self.encoded = encoded
        self.future = future
        self.deadline = deadline

    def streams(self) -> list[str]:
        """Every stream whose end must be known; some more than once."""
        return [write.stream for write in self.append.writes] + [stream for stream, _ in self.append.versions]

    def drafts(self) -> Iterable[tuple[str, Draft]]:
        """The drafts in order, each with its stream."""
        return ((write.stream, draft) for write in self.append.writes for draft in write.drafts)


class Batch:
    """Columns of events, and what they rest on. `heads`: the end of every stream in it, moved on by what is taken."""

    def __init__(self, heads: dict[str, Head]) -> None:
        self.heads = heads
        self.taken: list[Pending] = []
        self.written: set[str] = set()
        self.rows: list[tuple[int, int, str, bytes, int | None, bytes, int, str, int, str | None]] = []
        self.leases: dict[str, int] = {}
        self._guards: dict[str, int] = {}
        self._settles: set[tuple[str, int]] = set()
        self._keys: set[str] = set()
        self._opens: list[tuple[str, int, int]] = []
        self._agenda: dict[str, int | None] = {}
        self._changes: dict[tuple[str, str], tuple[str | None, int]] = {}

    @property
    def plain(self) -> bool:
        """One event under at most one lease, and nothing else: there is a faster statement for it."""
        return (
            len(self.rows) == 1
            and len(self.leases) <= 1
            and not (self._guards or self._settles or self._opens or self._agenda or self._changes)
        )

    def take(self, pending: Pending) -> bool:
        """Take an append in, unless it cannot stand behind what is in the batch already, as far as that is known."""
        append = pending.append
        for write in append.writes:
            if write.expected is not None and write.expected != self.heads[write.stream][1]:
                return False
        for target, epoch in append.leases:
            if self.leases.get(target, epoch) != epoch:
                return False
        simple = len(append.writes) <= 1 and len(append.leases) <= 1
        if (not simple or append.versions or append.settles or self._keys) and not self._has_room(append):
            return False
        self.add(pending)
        return True

    def _has_room(self, append: Append) -> bool:
        """Nothing in `append` stands twice in it, or meets what is in the batch."""
        once = (
            len({write.stream for write in append.writes}) == len(append.writes)
            and len({target for target, _ in append.leases}) == len(append.leases)
            and len(set(append.settles)) == len(append.settles)
        )
        # what decisions rest on is checked before anything of the batch is inserted
        unmoved = all(
            stream not in self.written and self.heads[stream][1] <= version == self._guards.get(stream, version)
            for stream, version in append.versions
        )
        keys = {draft.key for write in append.writes for draft in write.drafts}
        return once and unmoved and self._keys.isdisjoint(keys) and self._settles.isdisjoint(append.settles)

    def add(self, pending: Pending) -> None:
        """Take an append in that is known to fit."""
        append = pending.append
        encoded = iter(pending.encoded)
        for write in append.writes:
            self._write(write.stream, write.drafts, encoded)
        self.leases.update(append.leases)
        if append.versions:
            self._guards.update(append.versions)
        if append.settles:
            self._settles.update(append.settles)
        if append.agenda:
            self._agenda.update(append.agenda)
        self.taken.append(pending)

    def _write(self, stream: str, drafts: Iterable[Draft], encoded: Iterable[Encoded]) -> None:
        number, version, previous = self.heads[stream]
        for draft, (kind, payload, key_id) in zip(drafts, encoded, strict=False):
            version += 1
            at, actor, cause, key = draft.at, draft.actor, draft.cause, draft.key
            previous = event_hash(previous, stream, version, kind, payload, key_id, at, actor, cause, key)
            self.rows.append((number, version, kind, payload, key_id, previous, at, actor, cause, key))
            if key is not None:
                self._keys.add(key)
            if draft.to is not None:
                self._opens.append((draft.to, len(self.rows), at))
            for view, (name, value) in exact.changes(stream, draft.event):
                self._changes[view, name] = (value, len(self.rows))
        self.written.add(stream)
        self.heads[stream] = (number, version, previous)

    def columns(self) -> tuple[Sequence[Any], ...]:
        """The arguments of `log_append`, after the first two."""
        changes = self._changes
        return (
            self.rows,
            *(list(self.leases), list(self.leases.values())),
            *([self.heads[stream][0] for stream in self._guards], list(self._guards.values())),
            *([target for target, _ in self._settles], [position for _, position in self._settles]),
            *([row[i] for row in self._opens] for i in range(3)),
            *(list(self._agenda), list(self._agenda.values())),
            *([view for view, _ in changes], [name for _, name in changes]),
            *([value for value, _ in changes.values()], [offset for _, offset in changes.values()]),
        )

    def recorded(self, base: int) -> list[list[Recorded]]:
        """What each append taken became, when the events before the batch end at `base`."""
        rows = iter(self.rows)
        outcome: list[list[Recorded]] = []
        position = base
        for pending in self.taken:
            events: list[Recorded] = []
            for write in pending.append.writes:
                for draft in write.drafts:
                    position += 1
                    _, version, _, _, _, hash_, at, actor, cause, key = next(rows)
                    events.append(
                        Recorded(
                            position=position,
                            stream=write.stream,
                            version=version,
                            at=at,
                            actor=actor,
                            cause=cause,
                            key=key,
                            hash=hash_,
                            event=draft.event,
                        )
                    )
            outcome.append(events)
        return outcome
