from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial, wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapters.local.event_log import MemoryEventLog, MemoryStore
from adapters.postgres.event_log import open_log
from engine.ports import EventLog
from tests.clusters import look_for_cluster
from tests.databases import Databases, databases

OpenLog = Callable[[], AbstractAsyncContextManager[EventLog]]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for a cluster before the first test's time begins: its image may have to be built."""
    if any(item.get_closest_marker("cluster") for item in session.items) and not session.config.option.collectonly:
        look_for_cluster()


_OF_ITS_TIME = 0.8
"""A test that hangs is cancelled when this part of its time is over."""


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """End an asynchronous test that hangs from inside of its event loop.

    Ended by pytest-timeout's signal, it would take the loop with it, and every test that shares the loop would fail too.
    """
    marked = pyfuncitem.get_closest_marker("timeout")
    seconds = float(marked.args[0] if marked and marked.args else pyfuncitem.config.getoption("--timeout") or 0)
    seconds = seconds or float(pyfuncitem.config.getini("timeout") or 0)
    if seconds and iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = _limited(pyfuncitem.obj, seconds * _OF_ITS_TIME)
    return (yield)


def _limited(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def limited(*arguments: Any, **named: Any) -> None:
        with anyio.fail_after(seconds):
            await test(*arguments, **named)

    return limited


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def pg_server() -> Generator[Databases]:
    """A running server, and fresh databases on it."""
    with databases() as server:
        yield server


@pytest.fixture
async def dsn(pg_server: Databases) -> AsyncGenerator[str]:
    """A fresh database with the tables of this release."""
    created = await pg_server.create()
    yield created
    await pg_server.drop(created)


@pytest.fixture(params=["memory", "postgres"])
def new_process(request: pytest.FixtureRequest) -> OpenLog:
    """Opens the same fresh log once more, as another process would."""
    if request.param == "memory":
        return partial(_memory_log, MemoryStore())
    return partial(open_log, request.getfixturevalue("dsn"))


@asynccontextmanager
async def _memory_log(store: MemoryStore) -> AsyncGenerator[MemoryEventLog]:
    log = MemoryEventLog(store)
    yield log
    log.close()


@pytest.fixture
async def event_log(new_process: OpenLog) -> AsyncGenerator[EventLog]:
    """A fresh log, in memory and in PostgreSQL."""
    async with new_process() as log:
        yield log


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout: captured lines, Discord's OpenAPI document."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("there is no folder `shared` beside the checkout")
    return folder
