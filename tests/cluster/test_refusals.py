"""What a cluster can refuse, and what people are told of it: a sentence that says what happened, and the detail."""

import itertools
import json
import os
import subprocess
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from adapters.local.discord.people import open_people
from adapters.playground import Options, open_playground
from engine.ports import SandboxGone, SandboxSpec, TryAgain
from tests.clusters import BASE, Cluster, find_cluster, open_namespace, pod_sandbox

pytestmark = pytest.mark.cluster

SECONDS = 90
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class Place:
    """A namespace of the cluster."""

    def __init__(self, cluster: Cluster, api: Api, namespace: str) -> None:
        self.cluster, self.api, self.namespace = cluster, api, namespace

    def sandbox(self, api: Api | None = None) -> KubernetesSandbox:
        return pod_sandbox(api or self.api, self.namespace, self.cluster.image)

    def changed(self, folder: Path, change: Callable[[Any], None]) -> KubernetesSandbox:
        pod = yaml.safe_load((BASE / "sandbox-pod.yaml").read_text())
        change(pod["spec"])
        (folder / "pod.yaml").write_text(yaml.safe_dump(pod))
        installation = str(uuid.uuid4())
        fields = Fields(installation=installation, namespace=self.namespace, image=self.cluster.image)
        return KubernetesSandbox(self.api, self.namespace, installation, Template(folder / "pod.yaml", fields))

    async def allow(self, *verbs: str) -> None:
        """What the namespace's default account may do with pods, and with nothing else."""
        meta = {"name": "some", "namespace": self.namespace}
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]
        await self.api.request(
            "POST", f"{RBAC}/{self.namespace}/roles", "allow", body={"metadata": meta, "rules": rules}
        )
        who = [{"kind": "ServiceAccount", "name": "default", "namespace": self.namespace}]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"}
        body = {"metadata": meta, "roleRef": role, "subjects": who}
        await self.api.request("POST", f"{RBAC}/{self.namespace}/rolebindings", "allow", body=body)

    def account(self, folder: Path) -> Path:
        """A kubeconfig that acts as the namespace's default account, which may do nothing."""
        if self.cluster.testcluster is None:
            pytest.skip("who acts as a service account needs the test cluster beside the checkout")
        done = subprocess.run(
            [str(self.cluster.testcluster), "kubeconfig", f"{self.namespace}/default"],
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(done.stdout.strip())


@pytest.fixture
async def place() -> AsyncGenerator[Place]:
    cluster = find_cluster()
    async with open_namespace(cluster) as (api, namespace):
        yield Place(cluster, api, namespace)


def spec(reservation: str) -> SandboxSpec:
    config = {"argv": ["/bin/sh", "-c", "cat >/dev/null"], "session": str(uuid.uuid4()), "stop_seconds": 1}
    return SandboxSpec(reservation=reservation, session="1", config=json.dumps(config).encode())


async def executed(sandbox: KubernetesSandbox, reservation: str) -> int:
    with anyio.fail_after(SECONDS):
        async with sandbox.exec(reservation, ["true"]) as process:
            return (await process.exit_status())[0]


async def test_a_verb_that_is_refused_is_named(place: Place, tmp_path: Path) -> None:
    async with connect(place.account(tmp_path)) as api:
        with pytest.raises(TryAgain, match=r"could not create the sandbox's pod: the bot's role .*cannot create"):
            await place.sandbox(api).start(spec("1-2"))
        with pytest.raises(TryAgain, match=r"could not list the sandboxes' pods: the bot's role .*cannot list"):
            await place.sandbox(api).list()


async def test_exec_that_is_refused_is_told_from_a_pod_that_is_away(place: Place, tmp_path: Path) -> None:
    await place.allow("create", "get", "list", "watch", "delete")
    async with connect(place.account(tmp_path)) as api:
        with pytest.raises(TryAgain, match=r"could not execute a command in the sandbox: the bot's role"):
            await place.sandbox(api).start(spec("1-2"))


async def test_what_is_not_there_to_execute_in_is_said_as_it_is(place: Place, tmp_path: Path) -> None:
    """The handshake is answered with 404, 400 and 500, each for several reasons: the pod is asked."""
    with pytest.raises(SandboxGone, match="the pod 1-2 is gone"):
        await executed(place.sandbox(), "1-2")
    nowhere = place.changed(tmp_path, lambda pod: pod.update(nodeSelector={"there": "is-none"}))
    with pytest.raises(TryAgain, match="The cluster has no room for it"):
        await nowhere.start(spec("3-4"))
    with pytest.raises(TryAgain, match=r"is not up\. The cluster has no room for it"):
        await executed(nowhere, "3-4")
    ends = place.changed(tmp_path, lambda pod: pod["containers"][0].update(command=["true"]))
    with anyio.fail_after(SECONDS), pytest.raises(SandboxGone, match=r"It has ended\."):
        await _start_until_it_is_over(ends, "5-6")
    with pytest.raises(SandboxGone, match=r"It has ended\."):
        await executed(ends, "5-6")


async def _start_until_it_is_over(sandbox: KubernetesSandbox, reservation: str) -> None:
    """While it ends, it cannot be told from one that only does not answer."""
    while True:
        with suppress(TryAgain):
            await sandbox.start(spec(reservation))


async def _start_one_after_the_other(sandbox: KubernetesSandbox) -> None:
    """The API server learns of a webhook a moment later."""
    for number in itertools.count(1):
        await sandbox.start(spec(f"1-{number}"))
        await sandbox.delete(f"1-{number}")


async def test_a_webhook_that_does_not_answer_is_said(place: Place) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}.example.com"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": name,
        "rules": [rule],
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    await place.api.request("POST", WEBHOOKS, "hook", body={"metadata": {"name": name}, "webhooks": [hook]})
    try:
        with anyio.fail_after(SECONDS), pytest.raises(TryAgain, match="a webhook of the cluster does not answer"):
            await _start_one_after_the_other(place.sandbox())
    finally:
        await place.api.request("DELETE", f"{WEBHOOKS}/{name}", "remove the hook")


TOLD = {
    "limits": (
        {"SANDBOX_CPU": "9"},
        "no sandbox can be made as things are",
        "the namespace's limits do not allow it (",
    ),
    "image": (
        {"SANDBOX_IMAGE": "registry.invalid/discord-claude-sandbox:none", "SANDBOX_START_SECONDS": "3"},
        "it did not come up in time",
        "the sandbox is not up yet. Its image cannot be pulled",
    ),
}


@pytest.mark.parametrize(("settings", "happened", "detail"), TOLD.values(), ids=TOLD)
async def test_the_thread_is_told_what_happened_and_what_happens_next(
    tmp_path: Path, settings: dict[str, str], happened: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = find_cluster()
    for name, value in ({"KUBECONFIG": str(cluster.kubeconfig), "SANDBOX_IMAGE": cluster.image} | settings).items():
        monkeypatch.setitem(os.environ, name, value)
    async with (
        open_playground(Options(folder=tmp_path / "p", kubernetes=True), lambda _: None) as playground,
        open_people(playground.discord) as people,
        connect(cluster.kubeconfig) as api,
    ):
        alice, channel = people["alice"], playground.discord["channel_id"]
        known = alice.threads(channel)
        await alice.slash("claude", "start", channel=channel)
        thread = await alice.wait_thread(channel, known, SECONDS)
        told = await alice.wait_message(thread, lambda one: happened in one["content"], happened, SECONDS)
        assert detail in told["content"].replace("\\", "")
        assert "rite a message to" in told["content"]
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        with anyio.fail_after(SECONDS):
            while (await api.request("GET", pods, "look"))["items"]:
                pass
