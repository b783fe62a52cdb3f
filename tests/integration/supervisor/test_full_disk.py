"""A disk that is really full, to the last byte: a small file system of its own, where it may be mounted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING

import pytest

from engine.ports import TryAgain

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from conftest import Host

    MakeHost = Callable[..., AbstractAsyncContextManager[Host]]
    StandIn = Callable[..., bytes]
    WaitUntil = Callable[[Callable[[], bool]], Awaitable[None]]

FILLS_EVERYTHING = """
sys.stdin.readline()
with open("fill", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError: pass
while True:
    try: os.write(1, b'{"type":"lost?"}' * 1000 + b"\\n")
    except OSError: break
time.sleep(1000)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own may not be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
async def host(make_host: MakeHost, small_disk: Path) -> AsyncGenerator[Host]:
    async with make_host(directory=small_disk) as made:
        yield made


async def test_a_disk_full_to_the_last_byte_is_marked_and_the_sandbox_goes_on_when_it_is_emptied(
    host: Host, stand_in: StandIn, wait_until: WaitUntil
) -> None:
    await host.start(stand_in(FILLS_EVERYTHING))
    await host.say("go")
    assert (await host.reader.wait(event="disk"))["stopped"] is True
    assert (await host.reader.wait(event="exit"))["why"] == "the disk is full"
    with pytest.raises(TryAgain, match=r"the disk is 100 % full: make room first"):
        await host.channel.restart()
    with pytest.raises(TryAgain, match="No space left on device"):
        await host.channel.put("work/more", bytes(1_000_000))
    (host.directory / "work/fill").unlink()
    status = host.directory / "state/status.json"
    await wait_until(lambda: json.loads(status.read_bytes())["disk_percent"] < 80)
    since = len(host.reader.lines)
    assert await host.channel.restart()
    await host.reader.wait(since, event="start")
    await host.reader_caught_up()
