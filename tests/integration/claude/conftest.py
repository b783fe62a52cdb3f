"""The model, the gateway before it, and the real CLI before that."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

SECONDS = 30


async def wait_until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(SECONDS):
        while not condition():  # noqa: ASYNC110 - see below
            await anyio.sleep(0.01)  # files, sockets and processes of others: nothing wakes us


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    return wait_until
