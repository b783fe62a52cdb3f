"""The agent of a process that has just taken a session over, on a real supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from adapters.claude import invocation
from adapters.claude.agent import ClaudeAgent
from engine.session import Session
from schema import events as e

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Host

    from engine.ports import Sandbox, SandboxSpec, Started

SECONDS = 30
WAITS = """
print(json.dumps({"type": "ready"}))
sys.stdin.read()
"""


class Owner:
    """What an effect sees of a session, under the epoch after that of `host`."""

    epoch = 2
    session = Session(id="1", starter="7")

    async def report(self, _: e.Event) -> None:
        await anyio.sleep_forever()


class Slow:
    """A sandbox that starts, or is looked for, once it is let."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.asked = anyio.Event()
        self.let = anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)

    async def start(self, spec: SandboxSpec) -> Started:
        self.asked.set()
        await self.let.wait()
        return await self._sandbox.start(spec)


async def test_what_an_owner_says_waits_for_the_claim(host: Host, stand_in: Callable[..., bytes]) -> None:
    await host.start(stand_in(WAITS))
    sandbox: Any = Slow(host.local)
    settings = invocation.CliSettings(cli="claude", base_url="http://localhost", isolated=False)
    agent = ClaudeAgent(sandbox, None, settings, lambda *_: "a-token")  # type: ignore[arg-type] - nothing is sealed
    owner: Any = Owner()
    said = anyio.Event()

    async def say() -> None:
        await agent.restart("r-1", owner)
        await agent.deliver("r-1", "stop:1", owner)
        said.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(say)
        tasks.start_soon(agent.attach, "r-1", owner)
        await sandbox.asked.wait()
        await host.channel.status()  # time enough to be refused
        assert not said.is_set()
        sandbox.let.set()
        with anyio.fail_after(SECONDS):
            await said.wait()
        tasks.cancel_scope.cancel()
