"""Looking at a cluster for `discord-claude check`: what the account may do, the quota, and two throw-away sandboxes.

It promises to leave no pod behind, and to touch nothing but pods of its own.
"""

import json
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio

from adapters.findings import Finding, note, ok, wrong
from adapters.kubernetes.api import Api, ApiError, connect
from adapters.kubernetes.opening import open_pods
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.settings import Pods
from engine.ports import EngineError, GiveUp, SandboxGone, SandboxSpec, Started, TryAgain, Unwalled

VERBS = {"pods": ("create", "get", "list", "watch", "delete"), "pods/exec": ("create", "get")}
"""All that the bot does in a cluster."""

_MINOR = 30
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_BASE = "kubectl apply -k deploy/base, as cluster-admin"
# what a supervisor runs when there is nothing to run
_CONFIG = json.dumps({"argv": ["/bin/sh", "-c", "cat >/dev/null"], "session": str(uuid.UUID(int=0)), "stop_seconds": 1})


async def look_at_cluster(
    pods: Pods, limit: int, urls: Sequence[str], closed: Mapping[str, tuple[str, int]], seconds: float
) -> AsyncGenerator[Finding]:
    """What is found, one after the other. `limit`: MAX_SANDBOXES; `urls`, `closed`: see `open_pods`; `seconds`: for a start."""
    try:
        async with connect(pods.kubeconfig) as api:
            yield await _version(api)
            verbs = await _verbs(api, pods.namespace)
            yield verbs
            yield await _quota(api, pods.namespace, limit)
        if verbs.state == "ok":
            yield await _sandboxes(pods, limit, urls, closed, seconds)
    except EngineError as error:
        yield wrong(
            "cluster", str(error), "KUBECONFIG, or the bot's service account and its network policy, and the API server"
        )


async def _version(api: Api) -> Finding:
    found = await api.request("GET", "/version", "ask the cluster for its version")
    says = f"Kubernetes {found['gitVersion']}"
    if (int(found["major"]), int("".join(filter(str.isdigit, found["minor"])))) < (1, _MINOR):
        return wrong("cluster", says, f"1.{_MINOR} or newer: older ones ignore deploy/base/sandbox-policy.yaml")
    return ok("cluster", says)


async def _verbs(api: Api, namespace: str) -> Finding:
    missing: list[str] = []
    for resource, verbs in VERBS.items():
        name, _, sub = resource.partition("/")
        for verb in verbs:
            asked = {"namespace": namespace, "verb": verb, "resource": name, "subresource": sub}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
            body |= {"spec": {"resourceAttributes": asked}}
            answer = await api.request("POST", _REVIEWS, "ask what we may do", body=body)
            if not answer["status"].get("allowed"):
                missing.append(f"{verb} {resource}")
    if missing:
        return wrong("role", f"in the namespace {namespace} we may not: {', '.join(missing)}", _BASE)
    return ok("role", f"pods and exec in the namespace {namespace}")


async def _quota(api: Api, namespace: str, limit: int) -> Finding:
    try:
        found = await api.request("GET", f"/api/v1/namespaces/{namespace}/resourcequotas", "look at the quota")
    except ApiError as error:
        if error.status != 403:
            raise
        return note("quota", "the bot's account may not read it", "run this with an administrator's KUBECONFIG, too")
    hard = [one["spec"]["hard"]["pods"] for one in found["items"] if "pods" in one["spec"]["hard"]]
    if hard != [str(limit)]:
        says = f"the quota is {' and '.join(hard)} pods" if hard else "there is no quota of pods"
        return wrong("quota", f"{says}, MAX_SANDBOXES is {limit}", "make them equal (deploy/base/sandboxes.yaml)")
    return ok("quota", f"{limit} pods, as MAX_SANDBOXES")


async def _sandboxes(
    pods: Pods, limit: int, urls: Sequence[str], closed: Mapping[str, tuple[str, int]], seconds: float
) -> Finding:
    """Two sandboxes, the second beside the first: the image, the walls, the gateway as they reach it."""
    installation = str(uuid.uuid4())
    names = [f"check-{installation[:8]}-{number}" for number in range(min(2, limit))]
    began, found = anyio.current_time(), Started()
    try:
        async with open_pods(pods, installation, urls, closed) as sandbox, _removed(sandbox, names):
            for name in names:
                found = await _start(sandbox, name, seconds)
    except Unwalled as error:
        return wrong(
            "sandboxes", str(error), "a network plugin that enforces NetworkPolicy, and deploy/base/sandboxes.yaml"
        )
    except (GiveUp, TryAgain, SandboxGone) as error:
        return wrong(
            "sandboxes", str(error), "the image on the nodes, room for a pod, the gateway: see deploy/README.md"
        )
    walls = ", ".join(f"{check.wall} {check.found}" for check in found.checks)
    says = f"{len(names)} were up and walled off in {anyio.current_time() - began:.1f} s"
    unshown = [check.wall for check in found.checks if check.found == "unshown"]
    return ok(
        "sandboxes", f"{says}: {walls}" + (" (unshown: nobody else reaches it from here either)" if unshown else "")
    )


async def _start(sandbox: KubernetesSandbox, name: str, seconds: float) -> Started:
    """Raises what the last try raised."""
    end = anyio.current_time() + seconds
    spec = SandboxSpec(reservation=name, session="check", config=_CONFIG.encode())
    while True:
        try:
            return await sandbox.start(spec)
        except TryAgain:
            if anyio.current_time() > end:
                raise
            await anyio.sleep(0.5)


@asynccontextmanager
async def _removed(sandbox: KubernetesSandbox, names: Sequence[str]) -> AsyncGenerator[None]:
    """Whatever happens, they are gone afterwards."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(sandbox.delete, name)
