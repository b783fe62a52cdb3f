"""A private repository in a pod: cloned through the gateway, by who has no login, and nothing of it runs by itself."""

import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import msgspec
import pytest
from aiohttp import web

from adapters.claude import invocation, wire
from adapters.claude.agent import ClaudeAgent
from adapters.claude.channel import SupervisorChannel
from adapters.claude.gateway import repositories, tokens
from adapters.claude.gateway.app import Config, Gateway
from adapters.claude.gateway.egress import Entry
from adapters.claude.gateway.repositories import Repositories, read_credentials
from adapters.claude.gateway.reservations import Reservations
from adapters.kubernetes.api import Api
from adapters.kubernetes.sandbox import CLI, KubernetesSandbox
from adapters.local.event_log import MemoryEventLog, MemoryStore
from adapters.local.model.server import Model
from adapters.parsers import Secret
from engine.ports import SandboxSpec
from schema import events as e
from tests.cluster.test_inside import (
    KEY,
    READABLE,
    RESERVATION,
    SECONDS,
    SECRET,
    SESSION,
    Attached,
    append,
    unused,
    walled,
)
from tests.clusters import find_cluster, open_namespace
from tests.git_hosts import LOGIN, NAME, PRIVATE, GitHost
from tests.property.boxes import Keys, box, unbox

pytestmark = [pytest.mark.cluster, pytest.mark.cli]


async def run(sandbox: KubernetesSandbox, script: str) -> str:
    async with sandbox.exec(RESERVATION, ["sh", "-c", f"{script}\nexit 0"]) as process:
        return b"".join([chunk async for chunk in process]).decode(errors="replace")


async def one_turn(sandbox: KubernetesSandbox) -> None:
    channel = SupervisorChannel(sandbox, RESERVATION, 1)
    await channel.send("prompt", wire.user_message("p-1", "hello"))
    async for piece in channel.follow(1, 0):
        if json.loads(piece.line or b"{}").get("type") == "result":
            return


async def until_restarted(api: Api, namespace: str) -> None:
    """Until the pod's container runs again, and its supervisor hears."""
    with anyio.fail_after(SECONDS):
        while True:
            pod = await api.request("GET", f"/api/v1/namespaces/{namespace}/pods/{RESERVATION}", "look at the pod")
            (container,) = pod["status"]["containerStatuses"]
            if container["restartCount"] and "running" in container["state"]:
                return
            await anyio.sleep(0.2)  # what a node does wakes nobody here


class Begun(NamedTuple):
    """A pod that has begun with a repository, and had one turn."""

    git: GitHost
    commit: str
    sandbox: KubernetesSandbox
    settings: invocation.CliSettings
    reported: list[e.SessionEvent]
    until_restarted: Callable[[], Awaitable[None]]


@pytest.fixture
async def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Begun]:
    async def look_up(host: str, *_: object) -> dict[str, Any]:
        return {"127.0.0.1": socket.AF_INET} if host == NAME else {}

    monkeypatch.setattr(repositories, "_look_up", look_up)
    cluster = find_cluster()
    git = GitHost(tmp_path)
    hook = {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "touch /tmp/it-ran"}]}]}}
    commit = git.add(PRIVATE, {"a.txt": "one\n", ".claude/settings.json": json.dumps(hook)}, {"a.txt": "two\n"})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(git.serve())
        api, namespace = await stack.enter_async_context(open_namespace(cluster))
        here = api.own_address()
        runner = web.AppRunner(Model(tmp_path / "model", KEY).app(), handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        log = MemoryEventLog(MemoryStore())
        await append(log, "slots", e.Granted(session=SESSION, reservation=RESERVATION))
        policy = Reservations(log, check_address=True)
        served = Repositories(
            SECRET,
            [Entry(NAME, git.port)],
            policy,
            credentials=read_credentials(f"https://{LOGIN[0]}:{LOGIN[1]}@{git.host}/team"),
            tls=git.tls(),
            may_reach=lambda _entry, address: address == "127.0.0.1",
        )
        config = Config(upstream=f"http://127.0.0.1:{runner.addresses[0][1]}", key=Secret(KEY), secret=SECRET)
        port = await stack.enter_async_context(Gateway(config, policy, unused, served).serve(0, here))
        sandbox = await walled(api, namespace, cluster.image, here, port)
        settings = invocation.CliSettings(cli=CLI, base_url=f"http://{here}:{port}", isolated=True)
        keys: Any = Keys()
        agent = ClaudeAgent(sandbox, keys, settings, partial(tokens.make, SECRET))
        attached: Any = Attached(log)
        attached.session = msgspec.structs.replace(attached.session, repo=box(f"https://{git.host}/{PRIVATE}"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.attach, RESERVATION, attached)
            with anyio.fail_after(SECONDS):
                await attached.ready.wait()
                await one_turn(sandbox)
            tasks.cancel_scope.cancel()
        yield Begun(git, commit, sandbox, settings, attached.reported, partial(until_restarted, api, namespace))


async def test_a_pod_begins_with_a_private_repository(begun: Begun) -> None:
    git, commit, sandbox = begun.git, begun.commit, begun.sandbox
    (cloned,) = [one for one in begun.reported if isinstance(one, e.RepoCloned)]
    assert unbox(cloned.repo).endswith(commit[:12])
    assert (cloned.code, cloned.trusted) == (("settings",), False)
    # git works for who is in there, and none of the repository's hooks has run
    said = await run(sandbox, "cat a.txt; git log --format=%H; git fetch && git status --short; ls /tmp/it-ran 2>&1")
    assert said.split("\n")[:2] == ["two", commit]
    assert "dubious" not in said
    assert "cannot access '/tmp/it-ran'" in said
    assert LOGIN[1] not in await run(sandbox, READABLE)
    # a container that is started again keeps what was made, and nothing is cloned again
    asked = len(git.logins)
    await run(sandbox, "echo mine > a.txt; kill -TERM 1")
    await begun.until_restarted()
    config = invocation.config(begun.settings, session=SESSION, token="", clones=True, trusted=False)
    await sandbox.start(SandboxSpec(reservation=RESERVATION, session=SESSION, config=config, existed=True))
    channel = SupervisorChannel(sandbox, RESERVATION, 2)
    await channel.claim()
    request = json.dumps({"url": "http://x/git/x", "origin": "https://x", "token": "", "seconds": 5}).encode()
    assert (await channel.clone(request, 5)).commit == commit
    assert await run(sandbox, "cat a.txt") == "mine\n"
    assert len(git.logins) == asked
