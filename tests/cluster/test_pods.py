"""What only pods do: what the cluster says about them, what is in them and what is not, and links of both kinds."""

import json
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
import yaml

from adapters.claude.channel import SupervisorChannel
from adapters.kubernetes.api import Api
from adapters.kubernetes.exec import execute
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import CONTAINER, Fields, Template
from adapters.reaper import Reaper
from engine.ports import GiveUp, Sandbox, SandboxGone, SandboxInfo, SandboxSpec, TryAgain
from tests.clusters import BASE, PODS, Cluster, find_cluster, open_namespace, pod_sandbox

pytestmark = pytest.mark.cluster

SECONDS = 60
PORT = 8000
TOKEN = "dc1.a-token-that-nobody-must-see"
PRINTS = 'read -r line; i=0; while [ $i -lt 3000 ]; do echo "{\\"n\\": $i}"; i=$((i+1)); done; cat >/dev/null'


class Home(NamedTuple):
    """A namespace of the cluster, and sandboxes in it."""

    cluster: Cluster
    api: Api
    namespace: str
    sandbox: KubernetesSandbox

    async def pod(self, name: str) -> Any:
        return await self.api.request("GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}", "look")

    def changed(self, folder: Path, change: Callable[[Any], None]) -> KubernetesSandbox:
        """Sandboxes from a template that was changed."""
        pod = yaml.safe_load((BASE / "sandbox-pod.yaml").read_text())
        change(pod)
        file = folder / "pod.yaml"
        file.write_text(yaml.safe_dump(pod))
        installation = str(uuid.uuid4())
        fields = Fields(installation=installation, namespace=self.namespace, image=self.cluster.image)
        return KubernetesSandbox(self.api, self.namespace, installation, Template(file, fields))


@pytest.fixture
async def home() -> AsyncGenerator[Home]:
    cluster = find_cluster()
    async with open_namespace(cluster) as (api, namespace):
        yield Home(cluster, api, namespace, pod_sandbox(api, namespace, cluster.image))


def spec(reservation: str, *, command: str = "cat >/dev/null") -> SandboxSpec:
    environment = {"PATH": "/usr/bin:/bin", "ANTHROPIC_AUTH_TOKEN": TOKEN}
    config = {"argv": ["/bin/sh", "-c", command], "env": environment, "session": str(uuid.uuid4()), "stop_seconds": 1}
    return SandboxSpec(reservation=reservation, session="1", config=json.dumps(config).encode())


def saying(text: str) -> bytes:
    """A line that the supervisor takes."""
    return json.dumps({"type": "user", "message": {"role": "user", "content": text}}).encode()


async def run(sandbox: Sandbox, reservation: str, script: str) -> tuple[str, int]:
    with anyio.fail_after(SECONDS):
        async with sandbox.exec(reservation, ["sh", "-c", script]) as process:
            output = b"".join([chunk async for chunk in process])
            status, _ = await process.exit_status()
    return output.decode(), status


async def test_a_pod_is_restricted_and_holds_no_token(home: Home) -> None:
    await home.sandbox.start(spec("1-2"))
    inside, _ = await run(
        home.sandbox,
        "1-2",
        "id -u; grep -E '^(Seccomp|NoNewPrivs|CapEff|CapBnd):' /proc/1/status; touch /x 2>&1; "
        "ls /var/run/secrets 2>&1; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; cat /etc/resolv.conf",
    )
    lines = inside.splitlines()
    assert lines[0] == "1000"
    status = dict(line.split(":\t") for line in lines[1:5])
    assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapBnd"], 16)) == (
        "2",
        "1",
        0,
        0,
    )
    assert "Read-only file system" in lines[5]
    assert "No such file or directory" in lines[6]
    named = set(lines[7].split())
    assert "HOME" in named
    # nothing of other services, but for the API server's own, which enableServiceLinks does not turn off
    assert not {name for name in named if "SERVICE" in name and not name.startswith("KUBERNETES_")}
    assert "127.0.0.1" in lines[8]
    pod = await home.pod("1-2")
    assert TOKEN not in json.dumps(pod)
    assert pod["metadata"]["labels"]["discord-claude/session"] == "1"
    assert pod["spec"]["preemptionPolicy"] == "Never"
    assert pod["spec"]["priority"] < 0


REACHES = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print("open")
    except OSError as error:
        print(type(error).__name__)
"""


async def test_a_sandbox_reaches_neither_the_api_server_nor_another_sandbox(home: Home) -> None:
    """Enforced a moment after it has its address: what matters waits for a probe, which is not there yet."""
    serves = f"while :; do python3 -m http.server {PORT}; done"
    await home.sandbox.start(spec("1-2", command=serves))
    await home.sandbox.start(spec("3-4"))
    other = (await home.pod("1-2"))["status"]["podIP"]
    host = (await run(home.sandbox, "3-4", "echo $KUBERNETES_SERVICE_HOST"))[0].strip()
    with anyio.fail_after(SECONDS):
        assert await _reached(home.sandbox, "1-2", f"{other}:{PORT}") == ["open"]  # itself: it serves
        while "open" in await _reached(home.sandbox, "3-4", f"{other}:{PORT}", f"{host}:443"):
            pass
    assert await _reached(home.sandbox, "3-4", f"{other}:{PORT}", f"{host}:443") == ["TimeoutError", "TimeoutError"]


async def _reached(sandbox: Sandbox, reservation: str, *targets: str) -> list[str]:
    with anyio.fail_after(SECONDS):
        while True:
            async with sandbox.exec(reservation, ["python3", "-c", REACHES, *targets]) as process:
                found = b"".join([chunk async for chunk in process]).decode().split()
            if "ConnectionRefusedError" not in found:  # not serving yet
                return found


async def test_an_image_that_cannot_be_pulled_is_said(home: Home) -> None:
    sandbox = pod_sandbox(home.api, home.namespace, "registry.invalid/discord-claude-sandbox:none")
    with pytest.raises(TryAgain, match="Its image cannot be pulled"):
        await sandbox.start(spec("1-2"))
    [info] = await sandbox.list()
    assert not info.alive
    await sandbox.delete("1-2")


async def test_a_cluster_without_room_is_said(home: Home, tmp_path: Path) -> None:
    def nowhere(pod: Any) -> None:
        pod["spec"]["nodeSelector"] = {"there": "is-none"}

    sandbox = home.changed(tmp_path, nowhere)
    with pytest.raises(TryAgain, match=r"The cluster has no room for it: .*nodes are available"):
        await sandbox.start(spec("1-2"))


async def test_a_pod_that_the_namespace_does_not_allow_is_given_up(home: Home, tmp_path: Path) -> None:
    def privileged(pod: Any) -> None:
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    with pytest.raises(GiveUp, match=r"the namespace does not allow such pods .*allowPrivilegeEscalation"):
        await home.changed(tmp_path, privileged).start(spec("1-2"))


async def test_the_quota_is_the_fence(home: Home) -> None:
    sandbox = pod_sandbox(home.api, home.namespace, "registry.invalid/discord-claude-sandbox:none")

    async def start(number: int) -> None:
        with suppress(TryAgain):
            await sandbox.start(spec(f"1-{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(PODS):
            tasks.start_soon(start, number)
    with pytest.raises(TryAgain, match="the namespace's quota is used up"):
        await sandbox.start(spec(f"1-{PODS}"))
    assert len(await sandbox.list()) == PODS


async def test_a_namespace_that_is_not_there_is_said(home: Home) -> None:
    sandbox = pod_sandbox(home.api, "no-such-namespace", home.cluster.image)
    with pytest.raises(TryAgain, match=r"it is not there .*no-such-namespace"):
        await sandbox.start(spec("1-2"))
    assert await sandbox.list() == []


async def test_pods_of_others_are_not_touched(home: Home) -> None:
    other = pod_sandbox(home.api, home.namespace, home.cluster.image)
    await other.start(spec("1-2"))
    assert await home.sandbox.list() == []
    with pytest.raises(GiveUp, match="belongs to somebody else"):
        await home.sandbox.start(spec("1-2"))
    await home.sandbox.delete("1-2")
    assert [info.reservation for info in await other.list()] == ["1-2"]
    assert await run(other, "1-2", "echo here") == ("here\n", 0)


async def test_a_pod_deleted_by_hand_is_gone(home: Home) -> None:
    await home.sandbox.start(spec("1-2"))
    path = f"/api/v1/namespaces/{home.namespace}/pods/1-2"
    with anyio.fail_after(SECONDS):
        async with aclosing(home.sandbox.watch()) as changes:
            assert await anext(changes) == SandboxInfo(reservation="1-2", alive=True)
            await home.api.request("DELETE", path, "delete by hand")
            with pytest.raises(SandboxGone):
                await _until_it_fails(home.sandbox, "1-2")
            async for change in changes:
                if change.detail == "It was deleted.":
                    break
    with pytest.raises(SandboxGone):
        await home.sandbox.start(SandboxSpec(reservation="1-2", session="1", config=b"{}", existed=True))


async def _until_it_fails(sandbox: Sandbox, reservation: str) -> None:
    while True:
        with suppress(TryAgain):
            await run(sandbox, reservation, "true")


async def _until_it_is_not_alive(sandbox: Sandbox) -> str:
    async with aclosing(sandbox.watch()) as changes:
        return await anext(change.detail async for change in changes if not change.alive)


async def test_a_disk_that_is_overfull_is_said(home: Home, tmp_path: Path) -> None:
    def small(pod: Any) -> None:
        pod["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = "8Mi"

    sandbox = home.changed(tmp_path, small)
    await sandbox.start(spec("1-2"))
    await run(sandbox, "1-2", "head -c 30000000 /dev/zero >/sandbox/work/big")
    with anyio.fail_after(100):
        said = await _until_it_is_not_alive(sandbox)
    assert "The node evicted it: Usage of EmptyDir volume" in said
    with pytest.raises(SandboxGone) as gone:
        await run(sandbox, "1-2", "true")
    assert gone.value.why == "evicted"
    await sandbox.delete("1-2")
    assert await sandbox.list() == []


FILLS = """python3 -I -c 'import json, sys
kept = bytearray(b"x") * int(json.loads(sys.stdin.readline())["message"]["content"])
sys.stdin.read()'"""


async def test_memory_near_its_limit_is_marked_in_the_journal(home: Home, tmp_path: Path) -> None:
    def small(pod: Any) -> None:
        resources = pod["spec"]["containers"][0]["resources"]
        resources["limits"]["memory"] = resources["requests"]["memory"] = "200Mi"

    sandbox = home.changed(tmp_path, small)
    await sandbox.start(spec("1-2", command=FILLS))
    channel = SupervisorChannel(sandbox, "1-2", 1)
    await channel.claim()
    usage = await channel.usage()
    assert (usage.memory_limit, usage.cpu_limit) == (200 << 20, 1000)
    assert usage.memory
    await channel.send("go", saying(str((182 << 20) - usage.memory)))
    with anyio.fail_after(SECONDS):
        async with aclosing(channel.follow(1, 0)) as lines:
            marks = (json.loads(piece.line or b"{}") async for piece in lines)
            marked = await anext(mark async for mark in marks if mark.get("event") == "memory")
    assert 90 <= marked["percent"] <= 100


async def test_the_older_protocol_knows_statuses_too_and_the_supervisor_needs_no_end_of_stdin(home: Home) -> None:
    await home.sandbox.start(spec("1-2"))
    pod = f"/api/v1/namespaces/{home.namespace}/pods/1-2"
    v4 = ["v4.channel.k8s.io"]
    with anyio.fail_after(SECONDS):
        async with execute(home.api, pod, CONTAINER, ["sh", "-c", "echo out; echo err >&2; exit 7"], v4) as process:
            assert b"".join([chunk async for chunk in process]) == b"out\n"
            assert await process.exit_status() == (7, b"err\n")
        claim = [*home.sandbox.supervisor, "claim", "1"]
        async with execute(home.api, pod, CONTAINER, claim, v4) as process:
            await process.close_stdin()
            assert b"".join([chunk async for chunk in process]) == b"ok\n"
        async with execute(home.api, pod, CONTAINER, ["head", "-c", "3000000"], v4) as process:
            await process.write(b"x" * 3_000_000)
            assert sum([len(chunk) async for chunk in process]) == 3_000_000


async def test_the_newer_protocol_is_the_one_that_is_used(home: Home) -> None:
    await home.sandbox.start(spec("1-2"))
    with anyio.fail_after(SECONDS):
        async with home.sandbox.exec("1-2", ["cat"]) as process:
            await process.write(b"x")
            await process.close_stdin()
            assert await process.exit_status() == (0, b"")


async def test_a_journal_is_read_to_its_end_whatever_cuts_the_link(home: Home) -> None:
    """Cut after every few lines, and read on from there: nothing is lost, nothing comes twice."""
    await home.sandbox.start(spec("1-2", command=PRINTS))
    channel = SupervisorChannel(home.sandbox, "1-2", 1)
    await channel.claim()
    assert await channel.send("go", saying("go"))
    epoch, offset, found = 1, 0, list[int]()
    with anyio.fail_after(SECONDS):
        while len(found) < 3000:
            async with aclosing(channel.follow(epoch, offset)) as lines:
                async for piece in lines:
                    epoch, offset = piece.epoch, piece.end
                    value = json.loads(piece.line or b"{}")
                    if "n" in value:
                        found.append(value["n"])
                    if len(found) % 500 == 0:
                        break
    assert found == list(range(3000))


async def test_a_new_owner_deposes_the_old_one_over_the_same_link(home: Home) -> None:
    await home.sandbox.start(spec("1-2"))
    old, new = SupervisorChannel(home.sandbox, "1-2", 1), SupervisorChannel(home.sandbox, "1-2", 2)
    await old.claim()
    await new.claim()
    with pytest.raises(Exception, match="epoch 1 was deposed"):
        await old.restart()


async def test_a_leak_is_removed_and_the_rest_stays(home: Home) -> None:
    for reservation in ("1-2", "3-4"):
        await home.sandbox.start(spec(reservation))
    removed: list[str] = []

    async def held() -> list[str]:
        return ["3-4"]

    async def tell(reservation: str) -> None:
        removed.append(reservation)

    await Reaper(home.sandbox, held, tell, every=60).reconcile()
    assert removed == ["1-2"]
    assert [info.reservation for info in await home.sandbox.list()] == ["3-4"]
