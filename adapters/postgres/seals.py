"""Seals: proof that the log is the one that was written, to whoever has LOG_KEY_FILE.

Hashes alone show an accident, not an intruder: who can write to the database can compute new ones. A seal is a MAC over a
range of positions and the seal before it, under a key that is not in the database:

    HMAC-SHA256(key for "seals",  mac of the seal before (32 zeros for the first)  |  first position  |  last position
                |  hash of the first event  |  …  |  hash of the last event)          positions: 8 bytes, big endian

What was recorded after the last seal is covered by hashes only, and what a restored backup lacks at its end by nothing in
here: for both there is an anchor outside the database (verify.py).
"""

import hmac
from contextlib import suppress

import anyio

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.sealing import MasterKey
from engine.ports import TryAgain
from schema.hashing import FIRST

_RANGE = 1000  # events in a seal, at most
_PAUSE_SECONDS = 10.0

_LAST = "select last, mac from seals order by first desc limit 1"
_HASHES = "select position, hash from events where position > $1 order by position limit $2"
_SEAL = "insert into seals (first, last, mac) values ($1, $2, $3) on conflict do nothing"


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
                mac = begin(self._key, previous, first, last)
                for row in rows:
                    mac.update(row["hash"])
                await self._pool.execute(_SEAL, first, last, mac.digest())


def begin(key: bytes, previous: bytes, first: int, last: int) -> hmac.HMAC:
    """The MAC of a seal, before the hashes in it."""
    return hmac.new(key, previous + first.to_bytes(8, "big") + last.to_bytes(8, "big"), "sha256")
