"""Files that could not be posted: whole, sealed, once, and gone when their key is."""

from collections.abc import Sequence

import pytest

from adapters.postgres import kept_files
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import PostgresEventLog
from adapters.postgres.kept_files import KeptFiles
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from engine.ports import File, GiveUp
from engine.session import Session

MASTER = MasterKey(bytes(range(32)))
SESSION = Session(id="1", starter="7")
PATCH, ZIP = (
    File(name="changes.patch", data="+ ひみつ\n".encode()),
    File(name="files.zip", data=bytes(range(256)) * 5_000),
)


async def keeper(log: PostgresEventLog) -> KeptFiles:
    return KeptFiles(log.pool, await open_keyring(log.pool, MASTER))


async def everything(kept: KeptFiles, session: str) -> Sequence[tuple[str, bytes | None]]:
    return [(one.name, await kept.open(session, one.name)) for one in await kept.of(session)]


async def test_what_is_kept_comes_back_as_it_was(log: PostgresEventLog, connection: Connection) -> None:
    kept = await keeper(log)
    for _ in range(2):  # as after an answer of the database that was lost
        assert await kept.keep(SESSION, [PATCH, ZIP]) == 2
    assert [(one.name, one.size) for one in await kept.of("1")] == [
        ("changes.patch", len(PATCH.data)),
        ("files.zip", 1_280_000),
    ]
    assert await everything(await keeper(log), "1") == [("changes.patch", PATCH.data), ("files.zip", ZIP.data)]
    assert await everything(kept, "2") == []
    assert (
        await connection.fetchval("select count(*) from kept_files where position('ひみつ'::bytea in sealed) > 0") == 0
    )


async def test_what_is_too_large_is_left_out(log: PostgresEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_files, "LARGEST", 100)
    kept = await keeper(log)
    assert await kept.keep(SESSION, [ZIP, PATCH]) == 1
    assert await everything(kept, "1") == [("changes.patch", PATCH.data)]
    assert await kept.keep(SESSION, [ZIP]) == 0


async def test_without_their_key_they_are_gone(log: PostgresEventLog) -> None:
    kept = await keeper(log)
    await kept.keep(SESSION, [PATCH])
    await (await open_keyring(log.pool, MASTER)).destroy("session:1", "7", 1)
    again = await keeper(log)
    assert await everything(again, "1") == [("changes.patch", None)]
    with pytest.raises(GiveUp):
        await again.keep(SESSION, [ZIP])
