"""Objects of the cluster's side of the sandboxes, from the files in `deploy/base`: for a playground and for tests.

An installation is made with `kubectl apply -k`; this needs no kubectl, and puts everything into a namespace of its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import yaml

from adapters.kubernetes.api import Api

_READY_SECONDS = 30

# Where objects of a kind are, below a namespace or not.
_PATHS = {
    "LimitRange": "/api/v1/namespaces/{namespace}/limitranges",
    "Namespace": "/api/v1/namespaces",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "ResourceQuota": "/api/v1/namespaces/{namespace}/resourcequotas",
}


def sandboxes(file: Path, namespace: str, pods: int) -> Iterator[dict[str, Any]]:
    """The objects of `deploy/base/sandboxes.yaml`, for a namespace of another name and as many pods as that."""
    for one in yaml.safe_load_all(file.read_text()):
        document = cast("dict[str, Any]", one)
        metadata = document["metadata"]
        if document["kind"] == "Namespace":
            metadata["name"] = namespace
        elif "namespace" in metadata:
            metadata["namespace"] = namespace
        if document["kind"] == "ResourceQuota":
            document["spec"]["hard"]["pods"] = str(pods)
        yield document


async def until_ready(api: Api, namespace: str) -> None:
    """Until pods can be made in a namespace that is new: its controllers have seen it. Raises ApiError, TimeoutError."""
    inside = f"/api/v1/namespaces/{namespace}"
    with anyio.fail_after(_READY_SECONDS):
        while True:
            quotas = await api.request("GET", f"{inside}/resourcequotas", "look at the quotas")
            accounts = await api.request("GET", f"{inside}/serviceaccounts", "look at the accounts")
            if accounts["items"] and all(one.get("status", {}).get("hard") for one in quotas["items"]):
                return
            await anyio.sleep(0.1)


async def apply(api: Api, document: Mapping[str, Any]) -> None:
    """Make one object as `document` says, or change it to that. Raises ApiError."""
    kind, metadata = document["kind"], document["metadata"]
    path = _PATHS[kind].format(namespace=metadata.get("namespace", ""))
    await api.request(
        "PATCH",
        f"{path}/{metadata['name']}",
        f"apply the {kind} {metadata['name']}",
        body=document,
        query=[("fieldManager", "discord-claude"), ("force", "true")],
        kind="application/apply-patch+yaml",
    )
