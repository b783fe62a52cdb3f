"""`discord-claude check` on a real cluster: every line ok behind the walls, what is wrong named, and no pod left behind."""

import anyio
import pytest

from adapters.findings import Finding
from adapters.kubernetes.looking import look_at_cluster
from adapters.settings import Pods
from tests.cluster.conftest import SECONDS, Walled
from tests.clusters import BASE, PODS

pytestmark = pytest.mark.cluster


async def look(walled: Walled, *, limit: int = PODS, namespace: str = "", image: str = "") -> dict[str, Finding]:
    pods = Pods(
        namespace=namespace or walled.namespace,
        kubeconfig=walled.cluster.kubeconfig,
        template=BASE / "sandbox-pod.yaml",
        image=image or walled.cluster.image,
        cpu=None,
        cpu_request=None,
        memory=None,
        memory_request=None,
        runtime_class=None,
        isolation="enforce",
    )
    urls = [f"http://{walled.gateway.host}:{walled.gateway.port}"]
    with anyio.fail_after(SECONDS):
        found = [one async for one in look_at_cluster(pods, limit, urls, {}, 20)]
    assert await _pods(walled) == []
    return {one.what: one for one in found}


async def _pods(walled: Walled) -> list[str]:
    found = await walled.api.request("GET", f"/api/v1/namespaces/{walled.namespace}/pods", "look for pods")
    return [one["metadata"]["name"] for one in found["items"] if "deletionTimestamp" not in one["metadata"]]


async def test_where_all_is_well_every_line_is_ok(walled: Walled) -> None:
    found = await look(walled)
    assert {what: one.state for what, one in found.items()} == {
        "cluster": "ok",
        "role": "ok",
        "quota": "ok",
        "sandboxes": "ok",
    }
    assert "2 were up and walled off" in found["sandboxes"].says
    assert "sandbox closed" in found["sandboxes"].says


async def test_open_walls_and_another_quota_are_named_beside_each_other(walled: Walled) -> None:
    await walled.open_up()
    found = await look(walled, limit=3)
    assert (found["quota"].state, found["sandboxes"].state) == ("wrong", "wrong")
    assert f"the quota is {PODS} pods, MAX_SANDBOXES is 3" in found["quota"].says
    assert "reaches what must be closed to it" in found["sandboxes"].says
    assert "NetworkPolicy" in found["sandboxes"].fix


async def test_an_image_that_is_nowhere_is_named(walled: Walled) -> None:
    found = await look(walled, image="registry.invalid/nowhere:1")
    assert found["sandboxes"].state == "wrong"
    assert "image" in found["sandboxes"].says


async def test_a_namespace_that_is_not_there_is_named(walled: Walled) -> None:
    found = await look(walled, namespace="discord-claude-nowhere")
    assert (found["quota"].state, found["sandboxes"].state) == ("wrong", "wrong")
    assert "discord-claude-nowhere" in found["sandboxes"].says
