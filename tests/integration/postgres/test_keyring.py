import time

import pytest

from adapters.postgres import keyring as module
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog
from adapters.postgres.keyring import PostgresKeyring, open_keyring
from adapters.postgres.tokens import LIFE, Tokens
from adapters.sealing import MasterKey
from engine.ports import GiveUp
from schema.sealed import Sealed, key_id

MASTER = MasterKey(bytes(range(32)))
TEXT = 'なにか "personal"\0'


@pytest.fixture
async def keyring(log: PostgresEventLog) -> PostgresKeyring:
    return await open_keyring(log.pool, MASTER)


async def another(log: PostgresEventLog) -> PostgresKeyring:
    """What another process has: the same keys, nothing remembered."""
    return await open_keyring(log.pool, MASTER)


async def test_what_was_sealed_opens_anywhere_in_the_installation(
    keyring: PostgresKeyring, log: PostgresEventLog
) -> None:
    key = await keyring.prepare("session:1", "7")
    box = keyring.seal(key, TEXT)
    assert key_id(box) == key
    assert TEXT.encode() not in box
    assert await keyring.open(box) == TEXT
    assert await (await another(log)).open(box) == TEXT


async def test_each_person_has_a_key_in_each_scope(keyring: PostgresKeyring, log: PostgresEventLog) -> None:
    pairs = [("session:1", "7"), ("session:1", "8"), ("session:2", "7"), ("guild:1", "7")]
    keys = [await keyring.prepare(*pair) for pair in pairs]
    assert len(set(keys)) == 4
    assert [await (await another(log)).prepare(*pair) for pair in pairs] == keys
    assert len({keyring.seal(keys[0], TEXT) for _ in range(20)}) == 20


async def test_a_changed_box_does_not_open(keyring: PostgresKeyring) -> None:
    one, other = await keyring.prepare("a", "7"), await keyring.prepare("b", "7")
    box = keyring.seal(one, TEXT)
    for position in range(len(box)):
        changed = bytearray(box)
        changed[position] ^= 1
        with pytest.raises(GiveUp):
            await keyring.open(Sealed(bytes(changed)))
    with pytest.raises(GiveUp, match="tampered"):
        await keyring.open(Sealed(box[:1] + other.to_bytes(8, "big") + box[9:]))
    for short in (b"", box[:8], box[:25]):
        with pytest.raises(GiveUp):
            await keyring.open(Sealed(short))


async def test_a_destroyed_key_erases_its_texts(keyring: PostgresKeyring, log: PostgresEventLog) -> None:
    elsewhere = await another(log)
    box = keyring.seal(await keyring.prepare("session:1", "7"), TEXT)
    kept = keyring.seal(await keyring.prepare("session:1", "8"), TEXT)
    assert await elsewhere.prepare("session:1", "7")
    await keyring.destroy("session:1", "7", 1_000)
    await keyring.destroy("session:1", "7", 2_000)
    await keyring.destroy("session:1", "nobody", 2_000)
    assert await keyring.open(box) is None
    assert await keyring.open(kept) == TEXT
    for ring in (keyring, await another(log)):
        with pytest.raises(GiveUp, match="destroyed"):
            await ring.prepare("session:1", "7")
    assert await log.pool.fetchval("select destroyed_at from keys where wrapped is null") == 1_000


async def test_other_processes_notice_within_a_minute(
    keyring: PostgresKeyring, log: PostgresEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = await another(log)
    box = elsewhere.seal(await elsewhere.prepare("session:1", "7"), TEXT)
    await keyring.destroy("session:1", "7", 1_000)
    assert await elsewhere.open(box) == TEXT
    now = time.monotonic() + 61
    monkeypatch.setattr(module, "time", type("later", (), {"monotonic": staticmethod(lambda: now)}))
    assert await elsewhere.open(box) is None


async def test_of_many_keys_the_oldest_are_read_again(
    keyring: PostgresKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEPT", 3)
    boxes = [keyring.seal(await keyring.prepare("session:1", str(person)), TEXT) for person in range(10)]
    assert [await keyring.open(box) for box in boxes] == [TEXT] * 10


async def test_another_key_file_is_refused_before_anything_is_sealed(log: PostgresEventLog) -> None:
    await open_keyring(log.pool, MASTER)
    with pytest.raises(GiveUp, match="LOG_KEY_FILE is not the file"):
        await open_keyring(log.pool, MasterKey(bytes(32)))


async def test_a_wrapped_key_does_not_open_for_somebody_else(
    keyring: PostgresKeyring, log: PostgresEventLog, connection: Connection
) -> None:
    await keyring.prepare("session:1", "7")
    box = keyring.seal(await keyring.prepare("session:1", "8"), TEXT)
    await connection.execute(
        "update keys set wrapped = (select wrapped from keys where person = '7') where person = '8'"
    )
    with pytest.raises(GiveUp):
        await (await another(log)).open(box)


async def test_a_token_lives_for_fifteen_minutes(log: PostgresEventLog, connection: Connection) -> None:
    tokens = Tokens(log.pool, MASTER)
    await tokens.put("1", "a token", at=1_000)
    await tokens.put("1", "the token", at=1_000)
    assert await tokens.get("1", now=1_000 + LIFE - 1) == "the token"
    assert await tokens.get("1", now=1_000 + LIFE) is None
    assert await tokens.get("2", now=0) is None
    assert b"token" not in await connection.fetchval("select sealed from tokens")
    await tokens.put("2", "another", at=5_000)
    await tokens.sweep(now=1_000 + LIFE)
    assert await connection.fetchval("select interaction from tokens") == "2"


async def test_a_token_is_of_its_interaction_only(log: PostgresEventLog, connection: Connection) -> None:
    tokens = Tokens(log.pool, MASTER)
    await tokens.put("1", "a token", at=1_000)
    await connection.execute("update tokens set interaction = '2'")
    with pytest.raises(GiveUp):
        await tokens.get("2", now=1_000)
