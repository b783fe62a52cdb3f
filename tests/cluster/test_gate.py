"""The gate on a real cluster: it lets a sandbox through behind its walls, and none without them; whoever asked is told why."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.local.discord.people import Person, open_people
from adapters.playground import Options, open_playground
from engine.ports import SandboxSpec, TryAgain, Unwalled
from schema.events import Check
from tests.cluster.conftest import SECONDS, Walled, policies_of
from tests.clusters import find_cluster

pytestmark = pytest.mark.cluster

TOKEN = "dc1.a-token-that-nobody-must-see"


def spec(reservation: str, *, existed: bool = False) -> SandboxSpec:
    environment = {"PATH": "/usr/bin:/bin", "ANTHROPIC_AUTH_TOKEN": TOKEN}
    argv = ["/bin/sh", "-c", "cat >/dev/null"]
    config = {"argv": argv, "env": environment, "session": str(uuid.uuid4()), "stop_seconds": 1}
    return SandboxSpec(reservation=reservation, session="1", config=json.dumps(config).encode(), existed=existed)


def found(checks: Any) -> dict[str, set[str]]:
    by_wall: dict[str, set[str]] = {}
    for check in checks:
        assert isinstance(check, Check)
        by_wall.setdefault(check.wall, set()).add(check.found)
    return by_wall


async def in_it(sandbox: KubernetesSandbox, reservation: str) -> str:
    """Whether anything of the session is in a sandbox."""
    script = "cat /sandbox/state/config.json /proc/[0-9]*/environ | tr '\\0' '\\n'"
    async with sandbox.exec(reservation, ["sh", "-c", script]) as process:
        return b"".join([chunk async for chunk in process]).decode()


async def test_behind_its_walls_a_sandbox_passes_and_each_wall_was_shown(walled: Walled) -> None:
    sandbox = walled.sandbox()
    with anyio.fail_after(SECONDS):
        alone = found((await sandbox.start(spec("1-2"))).checks)
        assert "sandbox" not in alone
        checks = (await sandbox.start(spec("3-4"))).checks
    by_wall = found(checks)
    # as pods know the API server, only pods reach it; and nothing has to be at the address of the metadata here
    assert by_wall.pop("api") <= {"closed", "unshown"}
    assert by_wall.pop("metadata") <= {"closed", "unshown"}
    assert by_wall == {
        "kubelet": {"closed"},
        "outside": {"closed"},
        "dns": {"closed"},
        "ipv6": {"closed"},
        "sandbox": {"closed"},
        "gateway": {"reached"},
    }
    server = f"{walled.api.server[0]}:{walled.api.server[1]}"
    assert Check(wall="api", found="closed", address=server) in checks
    assert TOKEN in await in_it(sandbox, "3-4")


async def test_without_them_none_passes_and_nothing_was_put_into_it(walled: Walled) -> None:
    await walled.open_up()
    sandbox, other = walled.sandbox(), walled.sandbox(enforce=False)
    with anyio.fail_after(SECONDS):
        warned = found((await other.start(spec("1-2"))).checks)
        with pytest.raises(Unwalled, match=r"reaches what must be closed to it: .*api \(") as refused:
            await sandbox.start(spec("3-4"))
    by_wall = found(refused.value.checks)
    opened = {wall for wall, how in by_wall.items() if "open" in how}
    assert opened >= {"api", "kubelet", "outside", "dns"}
    assert {wall for wall, how in warned.items() if "open" in how} == opened
    assert TOKEN not in await in_it(sandbox, "3-4")
    assert TOKEN in await in_it(other, "1-2")


async def test_who_has_been_up_is_not_tried_again(walled: Walled) -> None:
    sandbox = walled.sandbox()
    with anyio.fail_after(SECONDS):
        await sandbox.start(spec("1-2"))
        await walled.open_up()
        assert (await sandbox.start(spec("1-2", existed=True))).checks == ()


async def test_a_sandbox_that_does_not_reach_the_gateway_is_not_up_yet(walled: Walled) -> None:
    shut = walled._replace(gateway=walled.closed[-2])
    with anyio.fail_after(SECONDS), pytest.raises(TryAgain, match="does not reach the gateway at"):
        await shut.sandbox().start(spec("1-2"))


@pytest.mark.cli
@pytest.mark.parametrize("isolation", ["enforce", "warn"])
async def test_the_thread_is_told_which_wall_is_open(tmp_path: Path, isolation: str, monkeypatch: Any) -> None:
    """The whole bot, on a cluster that nobody walls off: it says no and why, or warns and works."""
    cluster = find_cluster()
    for name, value in {"KUBECONFIG": cluster.kubeconfig, "SANDBOX_IMAGE": cluster.image}.items():
        monkeypatch.setitem(os.environ, name, str(value))
    monkeypatch.setitem(os.environ, "SANDBOX_ISOLATION", isolation)
    options = Options(folder=tmp_path / "p", kubernetes=True)
    async with (
        connect(cluster.kubeconfig) as api,
        open_playground(options, lambda _: None) as playground,
        open_people(playground.discord) as people,
    ):
        for policy in (await api.request("GET", policies_of(NAMESPACE), "look"))["items"]:
            path = f"{policies_of(NAMESPACE)}/{policy['metadata']['name']}"
            await api.request("DELETE", path, "delete a policy")
        alice, channel = people["alice"], playground.discord["channel_id"]
        known = alice.threads(channel)
        await alice.slash("claude", "start", channel=channel, prompt="Say hello")
        thread = await alice.wait_thread(channel, known, SECONDS)
        if isolation == "enforce":
            told = await alice.wait_message(thread, lambda one: "🧱" in one["content"], "why there is none", SECONDS)
            assert "it reaches the cluster's API server · its node, and must not" in told["content"]
            assert "Write a message" in (await _head(alice, thread, "is gone"))["content"]
            await _until_no_pod(api)
            await alice.say(thread, "once more")
            await alice.wait_message(thread, lambda one: _again(one, told), "the same again", SECONDS)
        else:
            await alice.wait_message(thread, lambda one: "✅ done" in one["content"], "the turn is done", SECONDS)
            head = await _head(alice, thread, "This sandbox is not walled off")
            assert "it reaches the cluster's API server · its node" in head["content"]


def _again(message: dict[str, Any], told: dict[str, Any]) -> bool:
    return "🧱" in message["content"] and message["id"] != told["id"]


async def _head(person: Person, thread: str, words: str) -> dict[str, Any]:
    return await person.wait_message(thread, lambda one: words in one["content"], words, SECONDS)


async def _until_no_pod(api: Api) -> None:
    with anyio.fail_after(SECONDS):
        while (await api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", "look"))["items"]:
            pass
