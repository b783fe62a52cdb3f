"""Keys of personal text: one per (scope, person), kept in the database, wrapped by a key that is not.

Destroying a key erases every text under it, wherever copies of the events are, and leaves all hashes as they are. Here, a
key that another process destroyed is of use for a minute at most.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.sealing import Cipher, MasterKey, new_key, open_data, seal_data
from engine.ports import GiveUp
from schema.sealed import Sealed, key_id

_KEPT = 10_000  # unwrapped keys
_FRESH_SECONDS = 60.0

_CHECK = "select key_check from installation"
_SET_CHECK = "update installation set key_check = $1 where key_check is null"
_FIND = "select id, scope, person, wrapped from keys where scope = $1 and person = $2"
_FIND_OR_ADD = """
with added as (
    insert into keys (scope, person, wrapped)
    select $1, $2, $3 where not exists (select from keys where scope = $1 and person = $2)
    on conflict (scope, person) do nothing returning id, scope, person, wrapped
)
select id, scope, person, wrapped from added
union all
select id, scope, person, wrapped from keys where scope = $1 and person = $2
"""
_LOAD = "select id, scope, person, wrapped from keys where id = $1"
_DESTROY = "update keys set wrapped = null, destroyed_at = $3 where scope = $1 and person = $2 and wrapped is not null"

K = TypeVar("K")
V = TypeVar("V")


class _Key(NamedTuple):
    cipher: Cipher | None  # None: destroyed
    read_at: float  # monotonic seconds


class PostgresKeyring:
    """See `engine.ports.Keyring`, which this implements. Made by `open_keyring`."""

    def __init__(self, pool: Pool, wrapping: Cipher) -> None:
        self._pool = pool
        self._wrapping = wrapping
        self._keys: OrderedDict[int, _Key] = OrderedDict()
        self._ids: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def prepare(self, scope: str, person: str) -> int:
        number = self._ids.get((scope, person))
        cipher = self._fresh(number) if number is not None else None
        if number is None or cipher is None:
            number, cipher = await self._find_or_add(scope, person)
            self._ids[scope, person] = number
            _shorten(self._ids)
        if cipher is None:
            raise GiveUp("the key for this person's texts here was destroyed")
        return number

    def seal(self, key: int, text: str) -> Sealed:
        return self.seal_data(key, text.encode())

    def seal_data(self, key: int, data: bytes) -> Sealed:
        """A box for what is no text, under a key that was prepared."""
        cipher = self._keys[key].cipher
        assert cipher is not None, "sealed under a key that is not prepared"
        return seal_data(cipher, key, data)

    async def open(self, box: Sealed) -> str | None:
        data = await self.open_data(box)
        return None if data is None else data.decode()

    async def open_data(self, box: Sealed) -> bytes | None:
        """What is in a box; None when its key was destroyed. Raises TryAgain, GiveUp."""
        try:
            number = key_id(box)
        except ValueError as error:
            raise GiveUp(str(error)) from None
        cipher = self._fresh(number)
        if cipher is None:
            with errors.translated():
                rows = await self._pool.fetch(_LOAD, number)
            if not rows:
                raise GiveUp(f"a text is sealed under key {number}, which this database does not have")
            cipher = self._keep(rows[0])
        return None if cipher is None else open_data(cipher, box)

    async def destroy(self, scope: str, person: str, at: int) -> None:
        """Erase every text under the key for (scope, person), for ever. `at` in µs. Raises TryAgain."""
        with errors.translated():
            await self._pool.execute(_DESTROY, scope, person, at)
        number = self._ids.pop((scope, person), None)
        if number is not None:
            self._keys.pop(number, None)

    async def _find_or_add(self, scope: str, person: str) -> tuple[int, Cipher | None]:
        with errors.translated():
            wrapped = self._wrapping.seal(new_key(), _about(scope, person))
            rows = await self._pool.fetch(_FIND_OR_ADD, scope, person, wrapped)
            rows = rows or await self._pool.fetch(_FIND, scope, person)  # that of who was faster
        return rows[0][0], self._keep(rows[0])

    def _fresh(self, number: int) -> Cipher | None:
        key = self._keys.get(number)
        if key is None or time.monotonic() - key.read_at > _FRESH_SECONDS:
            return None
        self._keys.move_to_end(number)
        return key.cipher

    def _keep(self, row: Sequence[object]) -> Cipher | None:
        number, scope, person, wrapped = row
        assert isinstance(number, int)
        cipher = None
        if wrapped is not None:
            assert isinstance(wrapped, bytes)
            cipher = Cipher(self._wrapping.open(wrapped, _about(str(scope), str(person))))
        self._keys[number] = _Key(cipher, time.monotonic())
        self._keys.move_to_end(number)
        _shorten(self._keys)
        return cipher


async def open_keyring(pool: Pool, master: MasterKey) -> PostgresKeyring:
    """Raises GiveUp when the database began with another LOG_KEY_FILE, TryAgain."""
    check = master.derive("check")
    with errors.translated():
        await pool.execute(_SET_CHECK, check)
        if await pool.fetchval(_CHECK) != check:
            raise GiveUp(
                "LOG_KEY_FILE is not the file that this database began with: nothing in it could be read with this one"
            )
    return PostgresKeyring(pool, master.cipher("wrap"))


def _about(scope: str, person: str) -> bytes:
    return len(scope.encode()).to_bytes(4, "big") + scope.encode() + person.encode()


def _shorten(mapping: OrderedDict[K, V]) -> None:
    while len(mapping) > _KEPT:
        mapping.popitem(last=False)
