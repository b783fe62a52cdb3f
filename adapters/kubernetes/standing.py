"""How a pod stands, in words: what its status means for whoever waits for a sandbox, or has lost one. Pure.

A status is read as the API server gave it. It promises a sentence for every pod, also for one whose status nobody foresaw.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters.kubernetes.api import printable
from engine.ports import Loss


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`running`: commands can be executed. `says`: a sentence for people when they cannot.

    `over`: why it never will run again, as in `SandboxGone.why`. `stuck`: it cannot come up as things are; waiting alone does
    not help.
    """

    running: bool = False
    says: str = ""
    over: Loss | None = None
    stuck: bool = False


# Reasons in `status.reason` of a failed pod, or of its condition DisruptionTarget.
_OVER: Mapping[str, tuple[Loss, str]] = {
    "Evicted": ("evicted", "The node evicted it"),
    "EvictionByEvictionAPI": ("evicted", "It was evicted from its node"),
    "TerminationByKubelet": ("evicted", "The node ended it"),
    "PreemptionByScheduler": ("evicted", "It had to make room for something more important"),
    "Preempting": ("evicted", "It had to make room for something more important"),
    "DeadlineExceeded": ("evicted", "It ran for longer than the cluster allows"),
    "OOMKilled": ("memory", "It ran out of memory"),
    "DeletionByTaintManager": ("node", "Its node does not answer"),
    "DeletionByPodGC": ("node", "Its node is gone"),
    "NodeLost": ("node", "Its node does not answer"),
    "NodeShutdown": ("node", "Its node was shut down"),
    "Terminated": ("node", "Its node was shut down"),
    "NodeAffinity": ("node", "Its node does not take it any more"),
    "OutOfcpu": ("evicted", "Its node had no room for it"),
    "OutOfmemory": ("evicted", "Its node had no room for it"),
    "OutOfpods": ("evicted", "Its node had no room for it"),
    "UnexpectedAdmissionError": ("evicted", "Its node refused it"),
}

# Reasons of a container that waits, and whether it is stuck.
_WAITING = {
    "ContainerCreating": ("It is being made", False),
    "PodInitializing": ("It is being made", False),
    "ErrImagePull": ("Its image cannot be pulled", True),
    "ImagePullBackOff": ("Its image cannot be pulled", True),
    "InvalidImageName": ("The name of its image is none", True),
    "ErrImageNeverPull": ("Its image is not on the node", True),
    "ImageInspectError": ("Its image cannot be read", True),
    "RegistryUnavailable": ("Where its image comes from does not answer", True),
    "CreateContainerConfigError": ("Its container cannot be configured", True),
    "CreateContainerError": ("Its container cannot be made", True),
    "RunContainerError": ("Its container cannot be started", True),
}


class _Reason(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Condition(_Reason):
    type: str = ""
    status: str = ""


class _State(msgspec.Struct):
    waiting: _Reason | None = None
    running: dict[str, Any] | None = None
    terminated: _Reason | None = None


class _Container(msgspec.Struct, rename="camel"):
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)


class _Status(_Reason, rename="camel"):
    phase: str = ""
    conditions: list[_Condition] = []
    container_statuses: list[_Container] = []

    def condition(self, kind: str) -> _Condition:
        return next((one for one in self.conditions if one.type == kind), _Condition())

    @property
    def container(self) -> _Container:
        return self.container_statuses[0] if self.container_statuses else _Container()


class _Metadata(msgspec.Struct, rename="camel"):
    deletion_timestamp: str | None = None


class _Pod(msgspec.Struct):
    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)


def standing(pod: Mapping[str, Any]) -> Standing:
    """How `pod` stands."""
    known = msgspec.convert(pod, _Pod)
    status = known.status
    match status.phase:
        case "Succeeded":
            return Standing(over="gone", says="It has ended.")
        case "Failed":
            return _over(_failure(status), otherwise="It failed")
        case _ if known.metadata.deletion_timestamp:
            return _over(status.condition("DisruptionTarget"), otherwise="It is being deleted")
        case "Running":
            return _container(status.container)
        case "Unknown":
            return Standing(says="Its node does not answer.")
        case _:
            return _pending(status)


def _failure(status: _Status) -> _Reason:
    """The first reason there is: of the pod, of who sent it away, of its container."""
    ended = status.container.state.terminated or _Reason()
    return next((one for one in (status, status.condition("DisruptionTarget"), ended) if one.reason), _Reason())


def _over(reason: _Reason, *, otherwise: str) -> Standing:
    over, says = _OVER.get(reason.reason, ("gone", otherwise))
    return Standing(over=over, says=_sentence(says, reason.message))


def _container(container: _Container) -> Standing:
    """Of a pod that runs: its container does, or is started again."""
    state = container.state
    if state.running is not None:
        return Standing(running=True)
    ended = state.terminated or container.last_state.terminated or _Reason()
    if ended.reason == "OOMKilled":
        return Standing(says="It ran out of memory and is being started again.")
    if state.waiting and state.waiting.reason != "CrashLoopBackOff":
        return _waiting(state.waiting)
    return Standing(says=_sentence("Its supervisor ended and is being started again", ended.message))


def _pending(status: _Status) -> Standing:
    waiting = status.container.state.waiting
    if waiting:
        return _waiting(waiting)
    scheduled = status.condition("PodScheduled")
    if scheduled.status == "False":
        return Standing(says=_sentence("The cluster has no room for it", scheduled.message), stuck=True)
    return Standing(says="It is being made.")


def _waiting(waiting: _Reason) -> Standing:
    says, stuck = _WAITING.get(waiting.reason, (f"It waits: {waiting.reason}", False))
    return Standing(says=_sentence(says, waiting.message), stuck=stuck)


def _sentence(says: str, detail: str) -> str:
    detail = printable(detail).rstrip(".")
    return f"{says}: {detail}." if detail else f"{says}."
