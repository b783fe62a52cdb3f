"""Sandboxes as pods, from the settings: the connection to the cluster, the template, what a pod must know, and its gate."""

import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.gate import ALWAYS, Gate, Place
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template
from adapters.parsers import ip
from adapters.settings import Pods
from engine.ports import GiveUp

_RESOLVERS = Path("/etc/resolv.conf")


@asynccontextmanager
async def open_pods(
    pods: Pods, installation: str, urls: Sequence[str], closed: Mapping[str, tuple[str, int]]
) -> AsyncGenerator[KubernetesSandbox]:
    """`urls`: what a sandbox must reach by name. `closed`: what it must not, host and port by wall; no host is this very one.

    Raises GiveUp: there is no cluster, the template is none, a name is unknown.
    """
    hosts = await _addresses(urls)
    fields = Fields(
        installation=installation,
        namespace=pods.namespace,
        image=pods.image,
        cpu=pods.cpu,
        cpu_request=pods.cpu_request,
        memory=pods.memory,
        memory_request=pods.memory_request,
        runtime_class=pods.runtime_class,
        hosts=hosts,
    )
    gateways = [_gateway(url, hosts) for url in urls]
    async with connect(pods.kubeconfig) as api:
        gate = Gate(await _behind_walls(api, closed), gateways, enforce=pods.isolation == "enforce")
        yield KubernetesSandbox(api, pods.namespace, installation, Template(pods.template, fields), gate)


async def _addresses(urls: Sequence[str]) -> dict[str, str]:
    """The address of each host that is a name. A Service keeps its address for as long as it lives."""
    found: dict[str, str] = {}
    for host in {urlsplit(url).hostname or "" for url in urls}:
        if not ip(host):
            address = next(iter(await _look_up(host)), "")
            if not address:
                raise GiveUp(f"sandboxes must reach {host} (GATEWAY_URL, EGRESS_URL), and it has no address")
            found[host] = address
    return found


def _gateway(url: str, hosts: Mapping[str, str]) -> Place:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Place(wall="gateway", host=hosts.get(host, host), port=port)


async def _behind_walls(api: Api, closed: Mapping[str, tuple[str, int]]) -> list[Place]:
    """What no sandbox may reach. What only this machine has an address for cannot be tried from another."""
    places = [*ALWAYS]
    for wall, (host, port) in {**closed, "api": api.server}.items():
        places += [Place(wall=wall, host=one, port=port) for one in await _look_up(host or await _own(api))][:1]
    places += [Place(wall="dns", host=one, port=53, kind="dns") for one in _resolvers(_RESOLVERS)]
    return [place for place in places if not _is_loopback(place.host)]


async def _own(api: Api) -> str:
    with suppress(OSError):
        return await anyio.to_thread.run_sync(api.own_address)
    return ""


async def _look_up(host: str) -> list[str]:
    """The IPv4 addresses of a host; none for one that is unknown, or is a folder of sockets."""
    if ip(host):
        return [host]
    if not host or host.startswith("/"):
        return []
    try:
        return [str(one[4][0]) for one in await anyio.getaddrinfo(host, 443, family=socket.AF_INET)]
    except OSError:
        return []


def _resolvers(file: Path) -> list[str]:
    """The name servers of this machine: in a cluster, the cluster's."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return []
    return [words[1] for words in lines if words[:1] == ["nameserver"] and ip(words[-1])]


def _is_loopback(host: str) -> bool:
    found = ip(host)
    return found is not None and found.is_loopback
