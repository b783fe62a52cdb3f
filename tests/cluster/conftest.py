"""What tests on a real cluster share: a namespace behind its walls, and what is on either side of them."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import NamedTuple

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from adapters.kubernetes import gate, manifests
from adapters.kubernetes.api import Api
from adapters.kubernetes.gate import ALWAYS, Gate, Place
from adapters.kubernetes.playground import gateway_policy
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from tests.clusters import BASE, Cluster, find_cluster, open_namespace

SECONDS = 90


class Walled(NamedTuple):
    """A namespace with the walls of `deploy/base`, and two addresses of this machine: a gateway's, and one off the list."""

    cluster: Cluster
    api: Api
    namespace: str
    closed: list[Place]
    gateway: Place

    def sandbox(self, *, enforce: bool = True) -> KubernetesSandbox:
        installation = str(uuid.uuid4())
        fields = Fields(installation=installation, namespace=self.namespace, image=self.cluster.image)
        template = Template(BASE / "sandbox-pod.yaml", fields)
        gate = Gate(self.closed, [self.gateway], enforce=enforce)
        return KubernetesSandbox(self.api, self.namespace, installation, template, gate)

    async def policies(self) -> list[str]:
        found = await self.api.request("GET", policies_of(self.namespace), "look at the policies")
        return [one["metadata"]["name"] for one in found["items"]]

    async def open_up(self) -> None:
        for name in await self.policies():
            await self.api.request("DELETE", f"{policies_of(self.namespace)}/{name}", "delete a policy")


def policies_of(namespace: str) -> str:
    """Where the network policies of a namespace are."""
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"


async def _greet(stream: SocketStream) -> None:
    await stream.aclose()


@pytest.fixture
async def walled(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Walled]:
    cluster = find_cluster()
    monkeypatch.setattr(gate, "_SETTLE_SECONDS", 3)
    async with AsyncExitStack() as stack:
        api, namespace = await stack.enter_async_context(open_namespace(cluster))
        here = api.own_address()
        listeners = [
            await stack.enter_async_context(await anyio.create_tcp_listener(local_host=here)) for _ in range(2)
        ]
        ports = [int(one.extra(SocketAttribute.local_port)) for one in listeners]
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for one in listeners:
            tasks.start_soon(one.serve, _greet)
        await manifests.apply(api, gateway_policy(namespace, here, ports[0]))
        server, port = api.server
        closed = [
            *ALWAYS,
            Place(wall="api", host=server, port=port),
            Place(wall="outside", host=here, port=ports[1]),
            Place(wall="dns", host=await _name_server(api), port=53, kind="dns"),
        ]
        yield Walled(cluster, api, namespace, closed, Place(wall="gateway", host=here, port=ports[0]))
        tasks.cancel_scope.cancel()


async def _name_server(api: Api) -> str:
    """A pod of the cluster's DNS: this machine reaches it, and so would a sandbox that may."""
    query = [("labelSelector", "k8s-app=kube-dns")]
    found = await api.request("GET", "/api/v1/namespaces/kube-system/pods", "find the DNS", query=query)
    return found["items"][0]["status"]["podIP"]
