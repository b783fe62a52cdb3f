"""What the status of a pod means, as the API server of a 1.36 writes it."""

from typing import Any

import pytest

from adapters.kubernetes.standing import Standing, standing

Json = dict[str, Any]


def pod(phase: str, *, deleted: bool = False, **status: object) -> Json:
    metadata: Json = {"name": "p", "uid": "u"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-25T00:00:00Z"
    return {"metadata": metadata, "status": {"phase": phase, **status}}


def container(**state: Json) -> Json:
    return {"containerStatuses": [{"name": "sandbox", "state": state}]}


def condition(kind: str, status: str, reason: str, message: str = "") -> Json:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate."
KILLED: Json = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
CRASHED: Json = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}

COMING = [
    (pod("Pending"), "It is being made.", False),
    (pod("Pending", **container(waiting={"reason": "ContainerCreating"})), "It is being made.", False),
    (pod("Pending", **container(waiting={"reason": "Sulking"})), "It waits: Sulking.", False),
    (
        pod("Pending", **container(waiting={"reason": "ErrImagePull", "message": "no such host"})),
        "Its image cannot be pulled: no such host.",
        True,
    ),
    (pod("Pending", **container(waiting={"reason": "ErrImageNeverPull"})), "Its image is not on the node.", True),
    (
        pod("Pending", **condition("PodScheduled", "False", "Unschedulable", NO_ROOM)),
        f"The cluster has no room for it: {NO_ROOM}",
        True,
    ),
    (pod("Unknown"), "Its node does not answer.", False),
    (pod("Running", **container(**KILLED)), "It ran out of memory and is being started again.", False),
    (
        pod("Running", **container(terminated={"reason": "Error", "exitCode": 1})),
        "Its supervisor ended and is being started again.",
        False,
    ),
    (pod("Running", **container(**CRASHED)), "Its supervisor ended and is being started again.", False),
    (
        pod("Running", containerStatuses=[{"state": CRASHED, "lastState": KILLED}]),
        "It ran out of memory and is being started again.",
        False,
    ),
    (
        pod("Running", **container(waiting={"reason": "RunContainerError"})),
        "Its container cannot be started.",
        True,
    ),
]


@pytest.mark.parametrize(("given", "says", "stuck"), COMING)
def test_a_pod_that_is_not_up_says_what_it_waits_for(given: Json, says: str, stuck: bool) -> None:  # noqa: FBT001 - one column
    assert standing(given) == Standing(says=says, stuck=stuck)


DISK = 'Usage of EmptyDir volume "sandbox" exceeds the limit "10Gi". '
OVER = [
    (pod("Succeeded"), "gone", "It has ended."),
    (pod("Failed"), "gone", "It failed."),
    (
        pod("Failed", reason="Evicted", message=DISK),
        "evicted",
        'The node evicted it: Usage of EmptyDir volume "sandbox" exceeds the limit "10Gi".',
    ),
    (pod("Failed", **container(**KILLED)), "memory", "It ran out of memory."),
    (pod("Failed", reason="NodeLost"), "node", "Its node does not answer."),
    (
        pod("Failed", **condition("DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")),
        "node",
        "Its node is gone: PodGC: node no longer exists.",
    ),
    (pod("Running", deleted=True, **container(running={})), "gone", "It is being deleted."),
    (
        pod("Running", deleted=True, **condition("DisruptionTarget", "True", "DeletionByTaintManager")),
        "node",
        "Its node does not answer.",
    ),
    (
        pod("Running", deleted=True, **condition("DisruptionTarget", "True", "EvictionByEvictionAPI")),
        "evicted",
        "It was evicted from its node.",
    ),
]


@pytest.mark.parametrize(("given", "over", "says"), OVER)
def test_a_pod_that_will_never_run_again_says_why(given: Json, over: str, says: str) -> None:
    found = standing(given)
    assert (found.running, found.over, found.says) == (False, over, says)


def test_a_pod_whose_container_runs_is_up() -> None:
    assert standing(pod("Running", **container(running={"startedAt": "x"}))) == Standing(running=True)


def test_a_pod_without_a_status_is_being_made() -> None:
    assert standing({"metadata": {}}) == Standing(says="It is being made.")
