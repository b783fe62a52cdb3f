"""The envelope: what surrounds an event on its way into the log, and out of it.

A `Draft` is an event before it is recorded, a `Recorded` one after. An `Append` is all or nothing. Times are µs since the
Unix epoch (UTC), given by whoever drafts; positions are contiguous from 1 over the whole log, versions from 1 in a stream.
"""

import msgspec

from schema.events import Event


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that wants to be recorded.

    `actor`: who did it (`person:<id>`, `bot`, `gateway`, …). `cause`: the position of the event it follows from, 0 for none.
    `key`: idempotency key, once in the whole log. `to`: a target (stream) that must give this event an outcome: recording
    it opens work there.
    """

    event: Event
    at: int
    actor: str
    cause: int = 0
    key: str | None = None
    to: str | None = None


class Write(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Drafts for one stream. `expected`: the version they rest on; None appends at the end, wherever that is."""

    stream: str
    expected: int | None
    drafts: tuple[Draft, ...]


class Append(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All or nothing: writes, what they rest on, and the work they settle.

    `leases`: (target, fencing epoch) that must be held. `versions`: (stream, version) that a decision rests on.
    `settles`: (target, position) of work answered by this append. `agenda`: (target, µs or None): the next time at which
    the target has something to do by itself.
    """

    writes: tuple[Write, ...] = ()
    leases: tuple[tuple[str, int], ...] = ()
    versions: tuple[tuple[str, int], ...] = ()
    settles: tuple[tuple[str, int], ...] = ()
    agenda: tuple[tuple[str, int | None], ...] = ()


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as the log holds it. `hash` covers every column but the position, and the hash before it in the stream."""

    position: int
    stream: str
    version: int
    at: int
    actor: str
    cause: int
    key: str | None
    hash: bytes
    event: Event


def check(append: Append) -> None:
    """Raise ValueError for an append that no log can store. Bugs are found here, before they can fail a batch."""
    keys: list[str] = []
    for write in append.writes:
        _check_text("stream", write.stream)
        if not write.drafts:
            raise ValueError(f"a write to {write.stream} without drafts: guard a stream with `versions`")
        for draft in write.drafts:
            _check_text("actor", draft.actor)
            if draft.to is not None:
                _check_text("target", draft.to)
            if draft.key is not None:
                _check_text("idempotency key", draft.key)
                keys.append(draft.key)
    if len(set(keys)) < len(keys):
        raise ValueError(f"an idempotency key stands twice in one append: {sorted(keys)}")
    if append.settles and not append.writes:
        raise ValueError("an append settles work without recording its outcome")


def _check_text(what: str, text: str) -> None:
    if not text or "\0" in text:
        raise ValueError(f"{what} {text!r} is empty or has a NUL in it")
    if not text.isascii():
        text.encode()  # raises a ValueError of its own for lone surrogates
