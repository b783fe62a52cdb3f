"""Seals: proof that the log is the one that was written, to whoever has LOG_KEY_FILE.

Hashes alone show an accident, not an intruder: who can write to the database can compute new ones. A seal is a MAC over a
range of positions and the seal before it, under a key that is not in the database:

    HMAC-SHA256(key for "seals",  mac of the seal before (32 zeros for the first)  |  first position  |  last position
                |  hash of the first event  |  …  |  hash of the last event)          positions: 8 bytes, big endian

What was recorded after the last seal is covered by hashes only, and what a restored backup lacks at its end by nothing in
here: for both, note `Report.sealed` and `Report.mac` somewhere else, and look whether they are still there.
"""

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import anyio
import msgspec

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.sealing import MasterKey
from engine.ports import TryAgain
from schema.hashing import FIRST, event_hash

_RANGE = 1000  # events in a seal, at most
_PAUSE_SECONDS = 10.0
_MOST_PROBLEMS = 100

_LAST = "select last, mac from seals order by first desc limit 1"
_HASHES = "select position, hash from events where position > $1 order by position limit $2"
_SEAL = "insert into seals (first, last, mac) values ($1, $2, $3) on conflict do nothing"
_SEALS = "select first, last, mac from seals order by first"
_ROWS = """
select
    e.position, s.name, e.version, e.kind, e.payload, e.key_id, e.hash, e.at, e.actor, e.cause, e.key
from events as e left join streams as s on s.id = e.stream
where e.position > $1 order by e.position limit $2
"""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found. `problems` are sentences for people, each naming a position; the first hundred of them.

    `sealed`, `mac`: the last position under a seal, and that seal.
    """

    events: int
    sealed: int
    mac: bytes
    problems: tuple[str, ...]


class Sealer:
    """Seals what is not sealed yet. Any number of processes may do so at once."""

    def __init__(self, pool: Pool, master: MasterKey) -> None:
        self._pool = pool
        self._key = master.derive("seals")

    async def run(self) -> None:
        """Seal for ever, every few seconds."""
        while True:
            with suppress(TryAgain):
                await self.seal()
            await anyio.sleep(_PAUSE_SECONDS)

    async def seal(self) -> None:
        """Seal everything up to the head. Raises TryAgain."""
        with errors.translated():
            while True:
                newest = await self._pool.fetchrow(_LAST)
                last, previous = newest or (0, FIRST)
                rows = await self._pool.fetch(_HASHES, last, _RANGE)
                if not rows:
                    return
                first, last = rows[0]["position"], rows[-1]["position"]
                mac = _begin(self._key, previous, first, last)
                for row in rows:
                    mac.update(row["hash"])
                await self._pool.execute(_SEAL, first, last, mac.digest())


async def verify(pool: Pool, master: MasterKey) -> Report:
    """Look at every event, hash and seal. Raises TryAgain."""
    check = _Check(master.derive("seals"), [tuple(row) for row in await _fetch(pool, _SEALS)])
    async for row in _every_row(pool):
        check.look_at(*row)
    return check.report()


class _Check:
    def __init__(self, key: bytes, seals: Sequence[tuple[int, int, bytes]]) -> None:
        self._key = key
        self._seals = list(reversed(seals))
        self._mac: hmac.HMAC | None = None
        self._last_mac = FIRST
        self._sealed = 0
        self._position = 0
        self._streams: dict[str | None, tuple[int, bytes]] = {}
        self._problems: list[str] = []

    def look_at(self, position: int, stream: str | None, version: int, *rest: Any) -> None:
        kind, payload, key_id, hash_, at, actor, cause, key = rest
        if position != self._position + 1:
            self._say(f"positions {self._position + 1} to {position - 1} are missing")
        before, previous = self._streams.get(stream, (0, FIRST))
        if stream is None:
            self._say(f"position {position} is of a stream without a name")
        elif version != before + 1:
            self._say(f"position {position}: version {version} of {stream} follows version {before}")
        elif event_hash(previous, stream, version, kind, payload, key_id, at, actor, cause, key) != hash_:
            self._say(f"position {position}: version {version} of {stream} does not have the hash that was recorded")
        self._streams[stream] = (version, hash_)
        self._position = position
        self._compare_seal(position, hash_)

    def _compare_seal(self, position: int, hash_: bytes) -> None:
        if not self._seals:
            return
        first, last, mac = self._seals[-1]
        if self._mac is None:
            if first != self._sealed + 1:
                self._say(f"positions {self._sealed + 1} to {first - 1} have lost their seal")
            self._mac = _begin(self._key, self._last_mac, first, last)
        if position >= first:
            self._mac.update(hash_)
        if position >= last:
            if not hmac.compare_digest(self._mac.digest(), mac):
                self._say(f"positions {first} to {last} are not what was sealed")
            self._seals.pop()
            self._sealed, self._last_mac, self._mac = last, mac, None

    def report(self) -> Report:
        for first, last, _ in reversed(self._seals):
            self._say(f"positions {first} to {last} were sealed, and are missing")
        problems = tuple(self._problems[:_MOST_PROBLEMS])
        return Report(events=self._position, sealed=self._sealed, mac=self._last_mac, problems=problems)

    def _say(self, problem: str) -> None:
        self._problems.append(problem)


def _begin(key: bytes, previous: bytes, first: int, last: int) -> hmac.HMAC:
    return hmac.new(key, previous + first.to_bytes(8, "big") + last.to_bytes(8, "big"), "sha256")


async def _every_row(pool: Pool) -> AsyncIterator[Sequence[Any]]:
    position = 0
    while rows := await _fetch(pool, _ROWS, position, _RANGE):
        for row in rows:
            yield row
        position = rows[-1]["position"]


async def _fetch(pool: Pool, statement: str, *arguments: Any) -> Sequence[Any]:
    with errors.translated():
        return await pool.fetch(statement, *arguments)
