"""`discord-claude check`: what is well is said to be, and what is not is named, with what to do, beside all the rest."""

import base64
import json
import os
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from adapters import cli
from adapters.claude.gateway.app import Config, Gateway
from adapters.parsers import Secret
from adapters.postgres.connect import Connection
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from schema.events import UsageCounted
from tests.integration.local_discord.conftest import Process

Environment = dict[str, str]
Check = Callable[..., Awaitable[tuple[int, str]]]
"""Runs `check` with some settings otherwise. Returns the exit code and what it says."""


class Nobody:
    """The gateway's policy and books, where no sandbox asks."""

    async def is_open(self, session: str, reservation: str, address: str) -> bool:
        raise NotImplementedError

    async def record(self, session: str, request: str, event: UsageCounted) -> None:
        raise NotImplementedError


@pytest.fixture
async def environment(dsn: str, key_file: Path, tmp_path: Path, discord: Process) -> AsyncGenerator[Environment]:
    """Of an installation in which all is well."""
    async with open_log(dsn) as log:
        await open_keyring(log.pool, MasterKey.load(key_file))
    (tmp_path / "secret").write_bytes(base64.b64encode(os.urandom(32)))
    (tmp_path / "sandboxes").mkdir()
    books = Nobody()
    config = Config(upstream="http://127.0.0.1:1", key=Secret("made-up-key"), secret=b"made-up secret")
    async with Gateway(config, books, books.record).serve(0) as port:
        yield {
            "DISCORD_TOKEN": discord.info["token"],
            "DISCORD_API_URL": discord.info["rest_url"],
            "DISCORD_GUILD_ID": discord.info["guild_id"],
            "DB_HOST": parse_qs(urlsplit(dsn).query)["host"][0],
            "DB_PORT": parse_qs(urlsplit(dsn).query)["port"][0],
            "DB_NAME": urlsplit(dsn).path[1:],
            "DB_USER": "postgres",
            "DB_PASSWORD": "",
            "LOG_KEY_FILE": str(key_file),
            "GATEWAY_URL": f"http://127.0.0.1:{port}",
            "GATEWAY_SECRET_FILE": str(tmp_path / "secret"),
            "SANDBOX_DIR": str(tmp_path / "sandboxes"),
        }


@pytest.fixture
def check(environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    async def run(arguments: str = "", **otherwise: str) -> tuple[int, str]:
        for name, value in (environment | otherwise).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["discord-claude", "check", *shlex.split(arguments)])
        with pytest.raises(SystemExit) as ended:
            await anyio.to_thread.run_sync(cli.main)
        code = ended.value.code
        return code if isinstance(code, int) else 0, capsys.readouterr().out

    return run


async def test_where_all_is_well_it_says_so_and_how_to_invite_the_bot(check: Check, discord: Process) -> None:
    code, said = await check()
    assert "WRONG" not in said
    assert code == 0
    link = f"https://discord.com/oauth2/authorize?client_id={discord.info['application_id']}&scope=bot+applications.commands"
    for line in ("settings: complete", "database: PostgreSQL", "migrations: all", "key of the log: the one", link):
        assert line in said
    assert f"server: the bot is in {discord.info['guild_id']}" in said
    assert "intents: Message Content" in said
    assert "gateway: it answers" in said
    code, said = await check("--json")
    found = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert {one["state"] for one in found} <= {"ok", "note"}


@pytest.mark.parametrize(
    ("setting", "value", "says", "fix"),
    [
        ("DB_PORT", "1", "database: the database cannot be reached", "DB_HOST"),
        ("GATEWAY_URL", "http://127.0.0.1:1", "gateway: nothing answers", "discord-claude gateway"),
        ("DISCORD_GUILD_ID", "123", "server: the bot is not in the server 123", "invite it"),
        ("DISCORD_API_URL", "http://127.0.0.1:1/api/v10", "Discord: it does not answer", "discord.com"),
        ("DISCORD_TOKEN", "MTIz.made-up.token-1", "token: Discord does not know it", "Reset Token"),
    ],
)
async def test_what_is_wrong_is_named_with_what_to_do_and_hides_nothing(
    check: Check, setting: str, value: str, says: str, fix: str
) -> None:
    code, said = await check(**{setting: value})
    wrong = [line for line in said.splitlines() if line.startswith("WRONG")]
    assert (code, len(wrong), says in wrong[0]) == (1, 1, True)
    assert fix in said.split(wrong[0])[1]
    assert "sandboxes: processes" in said
    if "TOKEN" in setting:
        assert value not in said


async def test_another_key_than_the_logs_is_found(check: Check, tmp_path: Path) -> None:
    MasterKey.create(tmp_path / "other.key")
    code, said = await check(LOG_KEY_FILE=str(tmp_path / "other.key"))
    assert code == 1
    assert "WRONG  key of the log" in said


async def test_tables_that_are_not_of_this_release_are_found(check: Check, connection: Connection) -> None:
    await connection.execute("insert into migrations (number, name, checksum) values (99, '0099_later.sql', '')")
    code, said = await check()
    assert (code, "WRONG  migrations" in said, "newer version" in said) == (1, True, True)


async def test_settings_that_are_missing_are_all_named(check: Check) -> None:
    code, said = await check("--json", DISCORD_TOKEN="", DB_PORT="none")
    found = [json.loads(line) for line in said.splitlines()]
    assert code == 2
    assert [one["says"].split()[0] for one in found] == ["DISCORD_TOKEN", "DB_PORT"]
