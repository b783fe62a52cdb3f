"""What a playground needs of a cluster: a namespace with the walls of `deploy/base`, and an end that leaves no pod.

The gateway of a playground runs on this machine, so the wall has one more hole: to this machine's address, at the gateway's port.
"""

import ipaddress
import os
from pathlib import Path
from typing import Any

import anyio

from adapters.kubernetes import manifests
from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from engine.ports import GiveUp

NAMESPACE = "discord-claude-playground"


def find_kubeconfig() -> Path:
    """The one that kubectl would use. Raises GiveUp."""
    named = os.environ.get("KUBECONFIG")
    path = Path(named) if named else Path.home() / ".kube" / "config"
    if not path.is_file():
        raise GiveUp("there is no cluster: name one file in KUBECONFIG, as kubectl takes it")
    return path


async def prepare(kubeconfig: Path, base: Path, *, pods: int, gateway_host: str | None, port: int) -> str:
    """Make the namespace; returns the address at which its pods reach this machine. Raises GiveUp, ApiError."""
    async with connect(kubeconfig) as api:
        address = gateway_host or _address(api)
        for document in manifests.sandboxes(base / "sandboxes.yaml", NAMESPACE, pods):
            await manifests.apply(api, document)
        await manifests.apply(api, gateway_policy(NAMESPACE, address, port))
        await manifests.until_ready(api, NAMESPACE)
        return address


def _address(api: Api) -> str:
    """The address of this machine on the way to the API server: pods of a cluster nearby reach it, too."""
    address = api.own_address()
    if ipaddress.ip_address(address).is_loopback:
        raise GiveUp("which address of this machine pods can reach is not known: say it, with --gateway-host")
    return address


def gateway_policy(namespace: str, address: str, port: int) -> dict[str, Any]:
    """One more hole in the walls of a namespace, for a gateway that is not in the cluster."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "playground",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "discord-claude"},
        },
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": [{"protocol": "TCP", "port": port}]}],
        },
    }


async def clear(kubeconfig: Path, base: Path, installation: str) -> None:
    """Delete every pod of this playground; returns when they are seen gone. Raises TryAgain."""
    async with connect(kubeconfig) as api, anyio.create_task_group() as tasks:
        fields = Fields(installation=installation, namespace=NAMESPACE)
        sandbox = KubernetesSandbox(api, NAMESPACE, installation, Template(base / "sandbox-pod.yaml", fields))
        for info in await sandbox.list():
            tasks.start_soon(sandbox.delete, info.reservation)
