"""The erase drill: what was erased is found in the database's files before, and nowhere after; the log still verifies."""

import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.local.postgres import EmbeddedPostgres
from adapters.postgres import erase
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.keyring import open_keyring
from adapters.postgres.rebuild import rebuild
from adapters.postgres.seals import Sealer
from adapters.postgres.verify import verify
from adapters.postgres.views import read_view
from adapters.sealing import MasterKey, open_text
from engine.ports import GiveUp
from projections.followed import FOLLOWED
from projections.keyed import stored
from projections.sessions import SESSIONS
from projections.usage import USAGE, totals
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.sealed import Sealed
from tests.integration.asking import PERSON, SESSION, THREAD, Ask, execute

MASTER = MasterKey(bytes(range(32)))
ANN, BOB = "700000000000000001", "700000000000000002"
TEXT = "what nobody may read any more"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[EmbeddedPostgres]:
    """A server whose write-ahead log is small, and whose used segments are removed instead of kept to be used again."""
    settings = {"wal_recycle": "off", "min_wal_size": "2MB", "max_wal_size": "4MB", "autovacuum": "off"}
    server = EmbeddedPostgres(tmp_path / "postgres", settings=settings)
    await server.start()
    yield server
    await server.stop()


async def say(log: PostgresEventLog, session: str, person: str, *, closed: bool = True) -> Sealed:
    """A session in which somebody wrote something."""
    keyring = await open_keyring(log.pool, MASTER)
    box = keyring.seal(await keyring.prepare(f"session:{session}", person), TEXT)
    events = [
        e.Requested(by=person, locale="en-US", guild="5", channel="6"),
        e.ThreadOpened(thread=f"9{session}"),
        e.PromptQueued(prompt="p", by=person, text=box, size=9),
        e.TurnStarted(turn=1, prompt="p", by=person),
        e.TurnEnded(turn=1, outcome="completed"),
        *([e.Closed()] if closed else []),
    ]
    drafts = tuple(Draft(event=event, at=1_000, actor="bot") for event in events)
    await log.append(Append(writes=(Write(stream=f"session:{session}", expected=None, drafts=drafts),)))
    return box


def found(server: EmbeddedPostgres, needle: bytes) -> list[str]:
    """The files of the database, write-ahead log and all, that hold these bytes."""
    files: list[str] = []
    for path in (server.folder / "data").rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and needle in path.read_bytes():
                files.append(str(path))
    return files


async def test_nothing_of_an_erased_key_or_row_is_left_in_the_files(server: EmbeddedPostgres) -> None:
    dsn = server.dsn()
    async with open_log(dsn) as log:
        boxes = [await say(log, "1", ANN), await say(log, "2", ANN), await say(log, "3", BOB)]
        await Sealer(log.pool, MASTER).seal()
        for view in FOLLOWED.values():
            await rebuild(dsn, log, view)
        wrapped = [row[0] for row in await log.pool.fetch("select wrapped from keys where person = $1", ANN)]
        rows = [
            stored(row).encode()
            for view in FOLLOWED.values()
            for key, row in (await read_view(log.pool, view)).items()
            if key in {"1", "2"}
        ]
        await execute(dsn, "checkpoint")
        assert len(wrapped) == 2
        assert len(rows) == 4
        for needle in (*wrapped, *rows):
            assert found(server, needle), "the drill looks in the right place"

        keyring = await open_keyring(log.pool, MASTER)
        await erase.erase(dsn, keyring, await erase.keys_of(log.pool, person=ANN), at=2_000)
        assert await erase.wipe(dsn) == []

        for needle in (*wrapped, *rows):
            assert found(server, needle) == []
        assert [await keyring.open(box) for box in boxes] == [None, None, TEXT]
        await no_remaining_key_opens(log, boxes[0])
        report = await verify(log.pool, MASTER)
        assert (report.problems, report.events) == ((), 18 + 2)
        for view in FOLLOWED.values():
            outcome = await rebuild(dsn, log, view)
            assert (outcome.different, outcome.rows) == (0, 3)


async def no_remaining_key_opens(log: PostgresEventLog, box: Sealed) -> None:
    """Not even when the box is said to be another key's."""
    cipher = MASTER.cipher("wrap")
    for scope, person, wrapped in await log.pool.fetch(
        "select scope, person, wrapped from keys where wrapped is not null"
    ):
        about = len(scope.encode()).to_bytes(4, "big") + scope.encode() + person.encode()
        key = type(cipher)(cipher.open(wrapped, about))
        with pytest.raises(GiveUp):
            open_text(key, box)


async def test_views_forget_the_person_and_keep_the_numbers(dsn: str) -> None:
    async with open_log(dsn) as log:
        await say(log, "1", ANN)
        await say(log, "2", BOB)
        for view in FOLLOWED.values():
            await rebuild(dsn, log, view)
        await erase.erase(
            dsn, await open_keyring(log.pool, MASTER), await erase.keys_of(log.pool, session="1"), at=2_000
        )
        sessions = await read_view(log.pool, SESSIONS)
        assert {key: (row.starter, row.turns, row.erased) for key, row in sessions.items()} == {
            "1": ("", 1, 1),
            "2": (BOB, 1, 0),
        }
        used = totals((await read_view(log.pool, USAGE)).values(), 0)
        assert [(one.person, one.counts.turns) for one in used] == [("", 1), (BOB, 1)]


async def test_an_erasure_that_was_cut_off_is_completed_by_doing_it_again(dsn: str) -> None:
    async with open_log(dsn) as log:
        await say(log, "1", ANN)
        keyring = await open_keyring(log.pool, MASTER)
        await keyring.destroy("session:1", ANN, 1_500)  # and then it died
        for _ in range(2):
            await erase.erase(dsn, keyring, await erase.keys_of(log.pool, person=ANN), at=2_000)
        events = [one.event for page in [page async for page in log.replay()] for one in page]
        assert events.count(e.Erased(person=ANN)) == 1


async def test_what_the_role_may_not_do_is_told(dsn: str, server: EmbeddedPostgres) -> None:
    async with open_log(server.dsn()):
        await execute(server.dsn(), "create role bot login; grant all on all tables in schema public to bot")
    refused = await erase.wipe(server.dsn().replace("postgres@", "bot@"))
    assert {"select pg_switch_wal()", "checkpoint"} <= set(refused)


async def close(dsn: str) -> None:
    async with open_log(dsn) as log:
        draft = Draft(event=e.Closed(), at=9_000_000, actor="bot")
        await log.append(Append(writes=(Write(stream=f"session:{SESSION}", expected=None, drafts=(draft,)),)))


async def test_the_command_line_erases_what_is_closed_and_confirmed(
    ask: Ask, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, told = await ask(f"erase {THREAD} --yes")
    assert (status, f"close first: {SESSION}" in told) == (5, True)
    await close(dsn)
    await ask("rebuild --all")
    assert (await ask(f"erase {THREAD}"))[0] == 2  # nobody there to say yes
    assert "make" in (await ask("log --texts --kind prompt_queued"))[1]
    status, out, _ = await ask(f"erase {THREAD} --yes")
    assert (status, f"all texts of 1 person in session {SESSION}" in out) == (0, True)
    assert "[erased]" in (await ask("log --texts --kind prompt_queued"))[1]
    assert (await ask("verify"))[0] == 0
    assert (await ask("rebuild --all"))[0] == 0
    _, out, _ = await ask(f"log --thread {THREAD} --kind erased --json")
    assert json.loads(out)["event"] == {"kind": "erasure.erased", "person": PERSON}
    status, out, _ = await ask(f"erase {PERSON} --yes --json")
    assert (status, json.loads(out)["keys"]) == (0, [1])


async def test_what_is_not_there_cannot_be_erased(ask: Ask) -> None:
    assert (await ask("erase 404 --yes"))[0] == 3
    assert (await ask(f"erase {THREAD} --json"))[0] == 2


async def test_a_database_of_an_older_release_is_not_written_to(ask: Ask, dsn: str) -> None:
    await execute(dsn, "delete from migrations where number > 1")
    for command in ("erase 1 --yes", "rebuild --all", "usage", "sessions", "views"):
        status, _, told = await ask(command)
        assert (status, "start the bot of this version first" in told) == (1, True)
