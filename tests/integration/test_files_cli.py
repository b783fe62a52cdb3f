"""`discord-claude files`: what could not be posted, given back."""

import json
from pathlib import Path

import pytest

from adapters.postgres.event_log import open_log
from adapters.postgres.kept_files import KeptFiles
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from engine.ports import File
from engine.session import Session
from tests.integration.asking import PERSON, SESSION, THREAD, Ask

FILES = [File(name="changes.patch", data=b"+x\n"), File(name="../../outside", data=b"y")]


@pytest.fixture
async def kept(dsn: str, ask: Ask, key_file: Path) -> None:
    async with open_log(dsn) as log:
        keyring = await open_keyring(log.pool, MasterKey.load(key_file))
        await KeptFiles(log.pool, keyring).keep(Session(id=SESSION, starter=PERSON), FILES)


@pytest.mark.usefixtures("kept")
async def test_they_are_listed_and_written(ask: Ask, tmp_path: Path) -> None:
    code, out, _ = await ask(f"files {THREAD}")
    assert code == 0
    assert "changes.patch" in out
    assert "--to FOLDER" in out
    code, out, _ = await ask(f"files {SESSION} --to {tmp_path}/a/b --json")
    assert (code, [json.loads(line)["size"] for line in out.splitlines()]) == (0, [1, 3])
    assert {file.name: file.read_bytes() for file in (tmp_path / "a" / "b").iterdir()} == {
        "changes.patch": b"+x\n",
        "outside": b"y",
    }


@pytest.mark.usefixtures("kept")
async def test_nothing_is_overwritten(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    code, _, told = await ask(f"files {SESSION} --to {tmp_path}")
    assert (code, "is there already" in told) == (5, True)
    assert not (tmp_path / "changes.patch").exists()


@pytest.mark.usefixtures("kept")
async def test_a_folder_that_cannot_be_made_is_named(ask: Ask, key_file: Path) -> None:
    code, _, told = await ask(f"files {SESSION} --to {key_file}/folder")
    assert (code, f"{key_file}/folder cannot be written to" in told) == (2, True)


async def test_where_nothing_is_kept_it_says_so(ask: Ask) -> None:
    code, _, told = await ask(f"files {THREAD}")
    assert (code, "nothing is kept" in told) == (3, True)
    code, _, told = await ask("files 404")
    assert code == 3
