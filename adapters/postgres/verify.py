"""Is the log the one that was written? Every event, hash and seal is looked at; what is wrong is named by its position.

Hashes show an accident; seals (seals.py) show an intruder who computed new hashes, to whoever has LOG_KEY_FILE; an `Anchor`,
kept outside the database, shows what both cannot: an end that was cut off, and what was changed after the last seal.
"""

import asyncio
import hashlib
import hmac
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Connection, Pool
from adapters.postgres.seals import begin
from adapters.sealing import MasterKey
from schema.codec import CodecError, decode
from schema.hashing import FIRST, event_hash

_PAGE = 1000
_MOST_PROBLEMS = 100
_MARKS = 1000
"""How many places of the log an anchor remembers, about: a change is named by the two around it."""

_SEALS = "select first, last, mac from seals order by first"
_HEAD = "select position from log_head"
_INSTALLATION = "select id::text from installation"
_NAMES = "select id, name from streams where id = any($1)"
_ROWS = """
select position, stream, version, kind, payload, key_id, hash, at, actor, cause, key
from events where position > $1 order by position limit $2
"""


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """What the log was at its `head`. `marks`: (position, digest of the hashes up to it), hexadecimal; the last is the head's."""

    installation: str
    head: int
    sealed: int
    seal: str
    marks: tuple[tuple[int, str], ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found. `problems` are sentences for people, each naming a position; the first hundred of them.

    `sealed`, `mac`: the last position under a seal, and that seal; 0 without a key. `anchor`: what to keep elsewhere.
    """

    events: int
    sealed: int
    mac: bytes
    problems: tuple[str, ...]
    anchor: Anchor


async def verify(source: Pool | Connection, master: MasterKey | None, against: Anchor | None = None) -> Report:
    """Look at everything. Without a key, seals are left out. Raises TryAgain."""
    seals = [tuple(row) for row in await _fetch(source, _SEALS)] if master else []
    head = (await _fetch(source, _HEAD))[0][0]
    check = _Check(master.derive("seals") if master else b"", seals, against, _step(head, against))
    async for rows, names in _pages(source):
        for row in rows:
            check.look_at(row, names.get(row[1]))
    return check.report((await _fetch(source, _INSTALLATION))[0][0], head)


def _step(head: int, against: Anchor | None) -> int:
    """Positions between two marks. Those of an anchor are looked at where they are."""
    most = max(head, against.head if against else 0)
    return max(1, -(-most // _MARKS))


class _Check:
    def __init__(self, key: bytes, seals: Sequence[tuple[int, int, bytes]], against: Anchor | None, step: int) -> None:
        self._key = key
        self._seals = list(reversed(seals))
        self._against = against
        self._expected = dict(against.marks) if against else {}
        self._unchanged = 0  # up to here, the log is what the anchor says
        self._step = step
        self._digest = hashlib.sha256()
        self._marks: list[tuple[int, str]] = []
        self._mac: hmac.HMAC | None = None
        self._last_mac = FIRST
        self._sealed = 0
        self._position = 0
        self._streams: dict[str | None, tuple[int, bytes]] = {}
        self._problems: list[str] = []

    def look_at(self, row: Sequence[Any], stream: str | None) -> None:
        position, _, version, kind, payload, key_id, hash_, at, actor, cause, key = row
        if position != self._position + 1:
            self._say(f"positions {self._position + 1} to {position - 1} are missing")
        before, previous = self._streams.get(stream, (0, FIRST))
        if stream is None:
            self._say(f"position {position} is of a stream without a name")
        elif version != before + 1:
            self._say(f"position {position}: version {version} of {stream} follows version {before}")
        elif not _is_hash(hash_, previous, stream, version, kind, payload, key_id, at, actor, cause, key):
            self._say(f"position {position}: version {version} of {stream} does not have the hash that was recorded")
        else:
            try:
                decode(kind, payload, position)
            except CodecError as error:
                self._say(f"{error} (version {version} of {stream})")
        self._streams[stream] = (version, hash_)
        self._position = position
        self._compare_seal(position, hash_)
        self._digest.update(hash_)
        if position % self._step == 0 or position in self._expected:
            self._mark(position)

    def _mark(self, position: int) -> None:
        digest = self._digest.hexdigest()
        if not self._marks or self._marks[-1][0] != position:
            self._marks.append((position, digest))
        if self._expected and position in self._expected:
            if digest == self._expected[position]:
                self._unchanged = position
            else:
                self._say(f"positions {self._unchanged + 1} to {position} are not what they were at the anchor")
                self._expected = {}  # all later digests rest on this one

    def _compare_seal(self, position: int, hash_: bytes) -> None:
        while self._seals and position > self._seals[-1][1]:
            self._end_seal()
        if not self._seals:
            return
        first, last, _ = self._seals[-1]
        mac = self._mac or self._begin_seal()
        if position >= first:
            mac.update(hash_)
        if position == last:
            self._end_seal()

    def _begin_seal(self) -> hmac.HMAC:
        first, last, _ = self._seals[-1]
        if first != self._sealed + 1:
            self._say(f"positions {self._sealed + 1} to {first - 1} have lost their seal")
        self._mac = begin(self._key, self._last_mac, first, last)
        return self._mac

    def _end_seal(self) -> None:
        computed = self._mac or self._begin_seal()
        first, last, mac = self._seals.pop()
        if not hmac.compare_digest(computed.digest(), mac):
            self._say(f"positions {first} to {last} are not what was sealed")
        self._sealed, self._last_mac, self._mac = last, mac, None

    def report(self, installation: str, head: int) -> Report:
        for first, last, _ in reversed(self._seals):
            self._say(f"positions {first} to {last} were sealed, and are missing")
        if head > self._position:
            self._say(f"positions {self._position + 1} to {head} were recorded, and are missing")
        if self._position:
            self._mark(self._position)
        if self._against:
            self._compare_end(self._against, installation)
        anchor = Anchor(
            installation=installation,
            head=self._position,
            sealed=self._sealed,
            seal=self._last_mac.hex(),
            marks=tuple(self._marks),
        )
        problems = tuple(self._problems[:_MOST_PROBLEMS])
        return Report(events=self._position, sealed=self._sealed, mac=self._last_mac, problems=problems, anchor=anchor)

    def _compare_end(self, against: Anchor, installation: str) -> None:
        if against.installation != installation:
            self._say(f"this is another database than the anchor's ({installation}, not {against.installation})")
        if against.head > self._position:
            self._say(f"positions {self._position + 1} to {against.head} were there at the anchor, and are missing")
        if self._key and against.sealed > self._sealed:
            self._say(
                f"the seals of positions {self._sealed + 1} to {against.sealed} were there at the anchor, and are missing"
            )

    def _say(self, problem: str) -> None:
        self._problems.append(problem)


def _is_hash(hash_: bytes, *parts: Any) -> bool:
    try:
        return event_hash(*parts) == hash_
    except struct.error:  # a number that was never one of ours
        return False


async def _pages(source: Pool | Connection) -> AsyncIterator[tuple[Sequence[Any], dict[int, str]]]:
    """Pages of rows, and the names of all streams so far. The next page is on its way while one is looked at."""
    names: dict[int, str] = {}
    rows = await _fetch(source, _ROWS, 0, _PAGE)
    while rows:
        unknown = {row[1] for row in rows} - names.keys()
        if unknown:
            names.update([tuple(row) for row in await _fetch(source, _NAMES, list(unknown))])
        coming = asyncio.ensure_future(_fetch(source, _ROWS, rows[-1][0], _PAGE))
        try:
            await asyncio.sleep(0)  # so that it is asked for before this page is worked on
            yield rows, names
            rows = await coming
        finally:
            coming.cancel()


async def _fetch(source: Pool | Connection, statement: str, *arguments: Any) -> Sequence[Any]:
    with errors.translated():
        return await source.fetch(statement, *arguments)
