"""Sandboxes against reservations, on real sandboxes of this machine."""

import json
import uuid
from collections.abc import AsyncGenerator, Collection
from pathlib import Path

import anyio
import pytest

from adapters.claude import supervisor
from adapters.local.sandbox import LocalSandbox
from adapters.reaper import Reaper
from engine.ports import SandboxSpec, TryAgain


class Books:
    """What the log holds, and what was removed."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.away = False
        self.removed: list[str] = []
        self.seen = anyio.Event()

    async def read(self) -> Collection[str]:
        self.seen.set()
        if self.away:
            raise TryAgain("the log is away")
        return self.held

    async def remove(self, reservation: str) -> None:
        self.removed.append(reservation)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncGenerator[LocalSandbox]:
    made = LocalSandbox(tmp_path, Path(supervisor.__file__))
    config = {"argv": ["/bin/cat"], "session": str(uuid.uuid4()), "stop_seconds": 1}
    for reservation in ("1-2", "3-4", "5-6"):
        await made.start(SandboxSpec(reservation=reservation, session="1", config=json.dumps(config).encode()))
    yield made
    for info in await made.list():
        await made.delete(info.reservation)


async def names(sandbox: LocalSandbox) -> list[str]:
    return [info.reservation for info in await sandbox.list()]


async def test_what_nobody_has_reserved_goes_and_the_rest_stays(sandbox: LocalSandbox) -> None:
    books = Books()
    books.held = {"3-4", "7-8"}
    reaper = Reaper(sandbox, books.read, books.remove, every=60)
    await reaper.reconcile()
    assert await names(sandbox) == ["3-4"]
    assert sorted(books.removed) == ["1-2", "5-6"]
    assert reaper.missing == 1
    await reaper.reconcile()
    assert sorted(books.removed) == ["1-2", "5-6"]


async def test_nothing_goes_while_the_log_cannot_be_read_and_it_goes_on_when_it_can(sandbox: LocalSandbox) -> None:
    books = Books()
    books.away = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Reaper(sandbox, books.read, books.remove, every=0.01).run)
        with anyio.fail_after(30):
            for _ in range(2):
                await books.seen.wait()
                books.seen = anyio.Event()
            assert await names(sandbox) == ["1-2", "3-4", "5-6"]
            books.away = False
            while len(books.removed) < 3:
                books.seen = anyio.Event()
                await books.seen.wait()
        tasks.cancel_scope.cancel()
    assert await names(sandbox) == []


async def test_a_leak_that_cannot_be_removed_hides_no_other(sandbox: LocalSandbox, tmp_path: Path) -> None:
    books = Books()

    class Stubborn(LocalSandbox):
        async def delete(self, reservation: str) -> None:
            if reservation == "1-2":
                raise TryAgain("it does not end")
            await super().delete(reservation)

    stubborn = Stubborn(tmp_path, Path(supervisor.__file__))
    await Reaper(stubborn, books.read, books.remove, every=60).reconcile()
    assert await names(sandbox) == ["1-2"]
    assert sorted(books.removed) == ["3-4", "5-6"]
