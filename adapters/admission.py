"""What a log refuses, and why: one rule for every implementation of the event log, without any I/O.

An append is looked at against facts that cannot change under it: those of the memory log, or those read from PostgreSQL
while the head's lock is held. When several reasons apply, the first one of `refusal` is given.
"""

import msgspec

from engine.ports import Duplicate, EngineError, Fenced, Settled, VersionConflict
from schema.envelope import Append


class Facts(msgspec.Struct):
    """What appends are checked against. For PostgreSQL only what the appends at hand name; for memory everything."""

    versions: dict[str, int]
    """The version of each stream; absent: 0."""
    epochs: dict[str, int]
    """The fencing epoch of each lease."""
    keys: dict[str, int]
    """Idempotency keys and their positions."""
    work: dict[tuple[str, int], int]
    """When open work, by (target, position), is due. Position 0 is the target's own agenda."""

    def refusal(self, append: Append) -> EngineError | None:
        """Why `append` is refused, None when it is not."""
        for target, epoch in append.leases:
            if self.epochs.get(target) != epoch:
                return Fenced(f"{target}: epoch {epoch} is over")
        for write in append.writes:
            for draft in write.drafts:
                if draft.key is not None and draft.key in self.keys:
                    return Duplicate(draft.key, self.keys[draft.key])
        settled: set[tuple[str, int]] = set()
        for work in append.settles:
            if work not in self.work or work in settled:
                return Settled(*work)
            settled.add(work)
        return self._conflict(append)

    def _conflict(self, append: Append) -> VersionConflict | None:
        for stream, version in append.versions:
            if self.versions.get(stream, 0) != version:
                return VersionConflict(stream)
        written: dict[str, int] = {}
        for write in append.writes:
            version = written.get(write.stream, self.versions.get(write.stream, 0))
            if write.expected not in {None, version}:
                return VersionConflict(write.stream)
            written[write.stream] = version + len(write.drafts)
        return None

    def apply(self, append: Append, position: int) -> None:
        """Take in an append that was not refused, whose first event stands at `position`."""
        for work in append.settles:
            del self.work[work]
        for write in append.writes:
            self.versions[write.stream] = self.versions.get(write.stream, 0) + len(write.drafts)
            for draft in write.drafts:
                if draft.key is not None:
                    self.keys[draft.key] = position
                if draft.to is not None:
                    self.work[draft.to, position] = draft.at
                position += 1
        for target, due in append.agenda:
            if due is None:
                self.work.pop((target, 0), None)
            else:
                self.work[target, 0] = due
