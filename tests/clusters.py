"""A real Kubernetes for tests: the one that KUBECONFIG names, or the test cluster beside the checkout while it runs.

Tests that need one are marked `cluster`, and are skipped with the reason when there is none. They work in a namespace of their
own, made from `deploy/base`, and leave nothing in it.
"""

import hashlib
import os
import subprocess
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import msgspec
import pytest

from adapters.kubernetes import manifests
from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.kubernetes.template import Fields, Template

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "deploy" / "base"
TESTCLUSTER = ROOT.parent / "shared" / "testcluster" / "testcluster"
DOCKERFILE = "deploy/images/sandbox.Dockerfile"
PODS = 8


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """`image`: of sandboxes, on its nodes. `testcluster`: what kills its parts, where it is the one beside the checkout."""

    kubeconfig: Path
    image: str
    testcluster: Path | None = None


def find_cluster() -> Cluster:
    """Skips the test when there is none, or no image of a sandbox on it."""
    found = look_for_cluster()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@cache
def look_for_cluster() -> Cluster | str:
    """The cluster, or why there is none."""
    named = os.environ.get("KUBECONFIG")
    ours = _running_testcluster()
    if named and (ours is None or Path(named) != ours):
        image = os.environ.get("SANDBOX_IMAGE")
        if not image:
            return "KUBECONFIG names a cluster, but SANDBOX_IMAGE no image of a sandbox that its nodes can pull"
        return Cluster(kubeconfig=Path(named), image=image)
    if ours is None:
        return "no cluster: KUBECONFIG is not set, and no test cluster runs (../shared/testcluster/testcluster up)"
    return Cluster(kubeconfig=ours, image=_image(), testcluster=TESTCLUSTER)


def _running_testcluster() -> Path | None:
    if not TESTCLUSTER.is_file() or os.geteuid() != 0:
        return None
    status = _testcluster("status")
    if any("not running" in line for line in status.splitlines()):
        return None
    return Path(_testcluster("up").strip())


def _image() -> str:
    """The image of this very source: built when the node does not have it."""
    sources = (DOCKERFILE, "adapters/claude/supervisor.py", "deploy/requirements-playground.lock")
    digest = hashlib.sha256(b"\0".join((ROOT / source).read_bytes() for source in sources)).hexdigest()
    tag = f"discord-claude-sandbox:test-{digest[:12]}"
    there = _testcluster("inside", "ctr", "images", "ls", "-q")
    if f"/{tag}" not in there:
        for old in (line.rpartition("/")[2] for line in there.splitlines() if "/discord-claude-sandbox:test-" in line):
            _testcluster("image", old, "--forget")
        _testcluster("image", tag, str(ROOT), "--file", str(ROOT / DOCKERFILE))
    return tag


def _testcluster(*arguments: str) -> str:
    done = subprocess.run([str(TESTCLUSTER), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"testcluster {arguments[0]}: {done.stderr[-500:]}")
    return done.stdout


@asynccontextmanager
async def open_namespace(cluster: Cluster) -> AsyncGenerator[tuple[Api, str]]:
    """The cluster, and a namespace made from `deploy/base` that goes with the context."""
    namespace = f"discord-claude-test-{uuid.uuid4().hex[:8]}"
    async with connect(cluster.kubeconfig) as api:
        for document in manifests.sandboxes(BASE / "sandboxes.yaml", namespace, PODS):
            await manifests.apply(api, document)
        await manifests.until_ready(api, namespace)
        try:
            yield api, namespace
        finally:
            await api.request("DELETE", f"/api/v1/namespaces/{namespace}", "delete the test's namespace")


def pod_sandbox(api: Api, namespace: str, image: str, *, installation: str | None = None) -> KubernetesSandbox:
    """Sandboxes of an installation of its own."""
    installation = installation or str(uuid.uuid4())
    fields = Fields(installation=installation, namespace=namespace, image=image)
    return KubernetesSandbox(api, namespace, installation, Template(BASE / "sandbox-pod.yaml", fields))
