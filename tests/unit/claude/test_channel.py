"""A link that lies: it tells of a success although the command has not ended, as a node does whose container runtime dies."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from adapters.claude.channel import SupervisorChannel
from engine.ports import SandboxInfo, SandboxSpec, Started, TryAgain

Do = Callable[[SupervisorChannel], Awaitable[object]]


class Answer:
    """A process of status 0 that has printed this."""

    def __init__(self, stdout: bytes) -> None:
        self._stdout = stdout

    async def write(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._stdout

    async def exit_status(self) -> tuple[int, bytes]:
        return 0, b""


class Link:
    """A `Sandbox` of which every command succeeds and prints the same."""

    supervisor: Sequence[str] = ("supervisor",)

    def __init__(self, stdout: bytes) -> None:
        self._stdout = stdout

    async def start(self, spec: SandboxSpec) -> Started: ...

    @asynccontextmanager
    async def exec(self, reservation: str, argv: Sequence[str]) -> AsyncGenerator[Answer]:
        yield Answer(self._stdout)

    async def delete(self, reservation: str) -> None: ...

    async def list(self) -> Sequence[SandboxInfo]:
        return []

    async def watch(self) -> AsyncGenerator[SandboxInfo]:
        for info in await self.list():
            yield info


COMMANDS: dict[str, Do] = {
    "claim": lambda channel: channel.claim(),
    "send": lambda channel: channel.send("prompt-1", b"{}"),
    "put": lambda channel: channel.put("work/a", b""),
    "unpack": lambda channel: channel.unpack("work", b""),
    "restart": lambda channel: channel.restart(),
    "stop": lambda channel: channel.stop(),
    "status": lambda channel: channel.status(),
    "get": lambda channel: channel.get("work/a"),
}


@pytest.mark.parametrize("said", [b"", b"o", b"ok\nok\n", b"\xff"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_a_success_that_was_not_said_is_none(command: Do, said: bytes) -> None:
    with pytest.raises(TryAgain):
        await command(SupervisorChannel(Link(said), "a", 1))


@pytest.mark.parametrize(("said", "new"), [(b"ok\n", True), (b"dup\n", False)])
async def test_what_was_said_is_told(said: bytes, new: bool) -> None:  # noqa: FBT001 - one column
    assert await SupervisorChannel(Link(said), "a", 1).send("prompt-1", b"{}") is new
