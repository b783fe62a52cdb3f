"""What integration tests share: a local Discord, somebody else's connection, and a log with one session and the command line that
asks it.
"""

import shlex
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from adapters import cli
from adapters.postgres.connect import Connection, connect
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.integration.asking import PERSON, SESSION, THREAD, Ask
from tests.integration.local_discord.conftest import Process
from tests.openapi import undocumented


@pytest.fixture
async def connection(dsn: str) -> AsyncGenerator[Connection]:
    """Somebody else's connection to the same database, as the owner of everything in it."""
    connection = await connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
def discord(tmp_path: Path) -> Generator[Process]:
    """Whatever the bot sends in a test must be what Discord documents, and so must what it is answered."""
    process = Process(tmp_path / "discord")
    process.start()
    yield process
    process.kill()
    assert undocumented(process.calls()) == []


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    MasterKey.create(tmp_path / "log.key")
    return tmp_path / "log.key"


@pytest.fixture
async def filled(dsn: str, key_file: Path) -> None:
    """One prompt, from its request to the end of its turn."""
    async with open_log(dsn) as log:
        keyring = await open_keyring(log.pool, MasterKey.load(key_file))
        number = await keyring.prepare(f"session:{SESSION}", PERSON)
        text = keyring.seal(number, "make \x1b[31mit\x1b[0m red")
        asked = e.Received(
            what="command",
            discord_id=SESSION,
            session=SESSION,
            by=PERSON,
            locale="ja",
            guild="5",
            channel="6",
            raw=text,
        )
        inbox = Draft(event=asked, at=1, actor=f"person:{PERSON}", key=f"i:{SESSION}", to=f"session:{SESSION}")
        await log.append(Append(writes=(Write(stream="inbox:x", expected=None, drafts=(inbox,)),)))
        answers = (
            e.Requested(by=PERSON, locale="ja", guild="5", channel="6"),
            e.PromptQueued(prompt=SESSION, by=PERSON, text=text, size=9),
        )
        later = (
            e.ThreadOpened(thread=THREAD),
            e.PromptSent(prompt=SESSION),
            e.TurnStarted(turn=1, prompt=SESSION, by=PERSON),
            e.TurnEnded(turn=1, outcome="completed"),
        )
        stream = f"session:{SESSION}"
        drafts = tuple(Draft(event=one, at=2_000_000, actor=f"person:{PERSON}", cause=1) for one in answers)
        write = Write(stream=stream, expected=0, drafts=drafts)
        await log.append(Append(writes=(write,), settles=((stream, 1),)))
        for number, one in enumerate(later):
            draft = Draft(event=one, at=(number + 3) * 1_000_000, actor="bot")
            await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=(draft,)),)))


@pytest.fixture
def ask(
    dsn: str,
    filled: None,
    key_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ask:
    """Runs the command line. Returns exit code, stdout, stderr."""
    host = parse_qs(urlsplit(dsn).query)
    named = {"DB_HOST": host["host"][0], "DB_PORT": host["port"][0], "DB_NAME": urlsplit(dsn).path[1:]}
    for name, value in (named | {"DB_USER": "postgres", "DB_PASSWORD": "", "LOG_KEY_FILE": str(key_file)}).items():
        monkeypatch.setenv(name, value)

    async def run(command: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["discord-claude", *shlex.split(command)])
        with pytest.raises(SystemExit) as ended:
            await anyio.to_thread.run_sync(cli.main)
        told = capsys.readouterr()
        code = ended.value.code
        return code if isinstance(code, int) else 0, told.out, told.err

    return run
