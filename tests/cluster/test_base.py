"""`deploy/base`, as `kubectl apply -k` puts it onto the test cluster: it holds, the bot can work with it, and with no less."""

import json
import subprocess
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from adapters.kubernetes.api import connect
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from engine.ports import GiveUp, SandboxInfo, SandboxSpec
from tests.clusters import BASE, Cluster, find_cluster

pytestmark = pytest.mark.cluster

BOT = "discord-claude/discord-claude-bot"
SANDBOXES = "discord-claude-sandboxes"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    found = find_cluster()
    if found.testcluster is None:
        pytest.skip("these tests change what the whole cluster has: they are for the test cluster beside the checkout")
    return found


def on_testcluster(cluster: Cluster, *arguments: str) -> str:
    done = subprocess.run([str(cluster.testcluster), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """Everything of `deploy/base`, as its README says."""
    on_testcluster(cluster, "kubectl", "apply", "-k", str(BASE))
    return cluster


class Bot:
    """Sandboxes, as the bot's service account may have them."""

    def __init__(self, sandbox: KubernetesSandbox, used: Callable[[], set[tuple[str, str]]]) -> None:
        self.sandbox = sandbox
        self.used = used


@pytest.fixture
async def bot(installed: Cluster) -> AsyncGenerator[Bot]:
    kubeconfig = Path(on_testcluster(installed, "kubeconfig", BOT))
    audit = installed.kubeconfig.parent / "log" / "audit.log"
    before = audit.stat().st_size

    def used() -> set[tuple[str, str]]:
        """(verb, resource) of every request of the bot since."""
        with audit.open() as lines:
            lines.seek(before)
            entries = [json.loads(line) for line in lines]
        ours = [one for one in entries if one["user"]["username"] == f"system:serviceaccount:{BOT.replace('/', ':')}"]
        assert {one["objectRef"]["namespace"] for one in ours} == {SANDBOXES}
        return {(one["verb"], _resource(one["objectRef"])) for one in ours}

    installation = str(uuid.uuid4())
    fields = Fields(installation=installation, namespace=SANDBOXES, image=installed.image)
    async with connect(kubeconfig) as api:
        sandbox = KubernetesSandbox(api, SANDBOXES, installation, Template(BASE / "sandbox-pod.yaml", fields))
        yield Bot(sandbox, used)
        for info in await sandbox.list():
            await sandbox.delete(info.reservation)


def _resource(reference: dict[str, str]) -> str:
    return "/".join(filter(None, (reference["resource"], reference.get("subresource"))))


def spec(reservation: str) -> SandboxSpec:
    config = {"argv": ["/bin/sh", "-c", "cat >/dev/null"], "session": str(uuid.uuid4()), "stop_seconds": 1}
    return SandboxSpec(reservation=reservation, session="1", config=json.dumps(config).encode())


async def test_the_bot_needs_all_that_it_may_and_no_more(bot: Bot) -> None:
    with anyio.fail_after(60):
        await bot.sandbox.start(spec("1-2"))
        await bot.sandbox.start(spec("1-2"))
        async with aclosing(bot.sandbox.watch()) as changes:
            assert await anext(changes) == SandboxInfo(reservation="1-2", alive=True)
            await bot.sandbox.delete("1-2")
            await anext(changes)
    granted: set[tuple[str, str]] = set()
    for document in yaml.safe_load_all((BASE / "bot-role.yaml").read_text()):
        for rule in document.get("rules", []):
            granted |= {(verb, resource) for verb in rule["verbs"] for resource in rule["resources"]}
    # the audit log calls a WebSocket's GET what RBAC asks for as both
    assert bot.used() | {("create", "pods/exec"), ("get", "pods/exec")} == granted


REFUSED: dict[str, Callable[[Any], None]] = {
    "a secret's volume": lambda pod: pod["spec"]["volumes"].append({"name": "s", "secret": {"secretName": "s"}}),
    "a token": lambda pod: pod["spec"].pop("automountServiceAccountToken"),
    "an environment from elsewhere": lambda pod: pod["spec"]["containers"][0].update(
        envFrom=[{"secretRef": {"name": "s"}}]
    ),
    "a value from elsewhere": lambda pod: pod["spec"]["containers"][0]["env"].append(
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    ),
    "another image": lambda pod: pod["spec"]["containers"][0].update(image="debian:bookworm-slim"),
    "an image of almost that name": lambda pod: pod["spec"]["containers"][0].update(
        image="my-discord-claude-sandbox:1"
    ),
    "a second container": lambda pod: pod["spec"].update(
        initContainers=[{**pod["spec"]["containers"][0], "name": "second"}]
    ),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
async def test_a_pod_that_would_hold_more_is_refused(
    installed: Cluster, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    """Whoever makes it: this is the cluster's administrator."""
    pod = yaml.safe_load((BASE / "sandbox-pod.yaml").read_text())
    pod["spec"]["containers"][0]["image"] = installed.image
    change(pod)
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
    installation = str(uuid.uuid4())
    fields = Fields(installation=installation, namespace=SANDBOXES)
    async with connect(installed.kubeconfig) as api:
        sandbox = KubernetesSandbox(api, SANDBOXES, installation, Template(tmp_path / "pod.yaml", fields))
        with pytest.raises(GiveUp, match="a rule of the cluster forbids it"):
            await sandbox.start(spec("1-2"))
        assert await sandbox.list() == []
