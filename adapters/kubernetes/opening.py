"""Sandboxes as pods, from the settings: the connection to the cluster, the template, and the addresses that a pod must know."""

import ipaddress
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio

from adapters.kubernetes.api import connect
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from adapters.settings import Pods
from engine.ports import GiveUp


@asynccontextmanager
async def open_pods(pods: Pods, installation: str, urls: Sequence[str]) -> AsyncGenerator[KubernetesSandbox]:
    """`urls`: what a sandbox must reach by name. Raises GiveUp: there is no cluster, the template is none, a name is unknown."""
    fields = Fields(
        installation=installation,
        namespace=pods.namespace,
        image=pods.image,
        cpu=pods.cpu,
        cpu_request=pods.cpu_request,
        memory=pods.memory,
        memory_request=pods.memory_request,
        runtime_class=pods.runtime_class,
        hosts=await _addresses(urls),
    )
    async with connect(pods.kubeconfig) as api:
        yield KubernetesSandbox(api, pods.namespace, installation, Template(pods.template, fields))


async def _addresses(urls: Sequence[str]) -> dict[str, str]:
    """The address of each host that is a name. A Service keeps its address for as long as it lives."""
    found: dict[str, str] = {}
    for host in {urlsplit(url).hostname or "" for url in urls}:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            try:
                [(*_, (found[host], *_)), *_] = await anyio.getaddrinfo(host, 443, family=socket.AF_INET)
            except OSError:
                raise GiveUp(f"sandboxes must reach {host} (GATEWAY_URL, EGRESS_URL), and it has no address") from None
    return found
