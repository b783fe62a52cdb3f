"""Sandboxes as pods: transport only. What is in a pod stands in its template; what is said over exec is the supervisor's protocol.

It promises that a pod is ours by its label or not touched, that it is named for its reservation and never made a second time
once it has been up, and that it counts as gone only when a consistent GET does not find it. The configuration, which holds a
session's token, goes into the pod over exec, once it has passed the gate: it stands in no object of the cluster.
"""

import hashlib
import re
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import msgspec

from adapters.kubernetes.api import Api, ApiError, printable
from adapters.kubernetes.exec import PodProcess, execute
from adapters.kubernetes.gate import PROGRAM, Gate, Place
from adapters.kubernetes.probe import Target
from adapters.kubernetes.standing import Standing, standing
from adapters.kubernetes.template import CONTAINER, INSTALLATION, Template
from engine.ports import GiveUp, SandboxGone, SandboxInfo, SandboxSpec, Started, TryAgain
from schema.events import Check

_EXECUTED_VARIABLE = "SUPERVISOR_EXECUTED"  # the supervisor's own name for it
_START_SECONDS = 20  # one try: whoever waits learns why, and tries again
_CONFIGURE_SECONDS = 20
_DELETE_SECONDS = 60
_INTERRUPT_SECONDS = 5
_PROBE_SECONDS = 15
_ANSWER_BYTES = 4096
_KUBELET = 10_250
_ANY_PORT = 80  # nothing listens in a sandbox: who is let through is refused
_PAUSE_SECONDS = (0.2, 15.0)  # between two tries to watch: at first, and at most

Json = Mapping[str, Any]


CLI = "/usr/local/bin/claude"
"""Where the image of sandboxes has Claude Code."""


class KubernetesSandbox:
    """`engine.ports.Sandbox` in one namespace of a cluster. `installation`: the log's, in the label of every pod of ours.

    `gate`: what a new sandbox has to pass; None for none.
    """

    supervisor: Sequence[str] = ("python3", "-I", "/opt/discord-claude/supervisor.py")
    isolated = True

    def __init__(
        self, api: Api, namespace: str, installation: str, template: Template, gate: Gate | None = None
    ) -> None:
        self._api = api
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._installation = installation
        self._template = template
        self._gate = gate

    @property
    def disk_bytes(self) -> int:
        """What a sandbox may fill before its node evicts it."""
        return self._template.disk_bytes

    async def start(self, spec: SandboxSpec) -> Started:
        name = _name(spec.reservation)
        try:
            pod = await self._existing(name) if spec.existed else await self._create(name, spec.session)
            await self._until_running(name, pod)
            pods = {pod["metadata"]["name"]: pod for pod in (await self._listed())["items"]}
            gate = None if spec.existed else self._gate
            checks = await self._pass_gate(name, gate, pods) if gate else ()
        except ApiError as error:
            if error.permanent:
                raise GiveUp(str(error)) from None
            raise
        await self._configure(spec)
        addresses = tuple(str(one["ip"]) for one in pods.get(name, {}).get("status", {}).get("podIPs", ()))
        return Started(checks=tuple(checks), addresses=addresses)

    async def _existing(self, name: str) -> Json:
        pod = await self._get(name)
        if pod is None:
            raise SandboxGone(f"the pod {name} is gone")
        return pod

    async def _create(self, name: str, session: str) -> Json:
        try:
            body = self._template.pod(name, session)
            return await self._api.request("POST", self._pods, "create the sandbox's pod", body=body)
        except ApiError as error:
            # a quota that is used up is said before that the pod exists
            pod = None
            if error.status in (403, 409):
                with suppress(ApiError):  # who may not even look: what was refused first is what is told
                    pod = await self._get(name)
            if pod is None:
                raise
        if not self._is_ours(pod):
            raise GiveUp(f"a pod named {name} is there already, and belongs to somebody else")
        return pod

    async def _until_running(self, name: str, pod: Json) -> None:
        """Raises TryAgain: what it waits for; SandboxGone when it will never run."""
        found = standing(pod)
        with anyio.move_on_after(_START_SECONDS):
            async with aclosing(self._states(name, pod)) as states:
                async for found in states:
                    if found.running or found.stuck or found.over:
                        break
        if found.over:
            raise SandboxGone(found.says, found.over)
        if not found.running:
            raise TryAgain(f"the sandbox is not up yet. {found.says}")

    async def _states(self, name: str, pod: Json) -> AsyncGenerator[Standing]:
        """How a pod stands, from `pod` on, until it is deleted or the watch ends. Raises ApiError."""
        yield standing(pod)
        query = [("fieldSelector", f"metadata.name={name}"), ("resourceVersion", _version(pod))]
        async with aclosing(self._api.watch(self._pods, "watch the sandbox's pod", query)) as events:
            async for event in events:
                match event["type"]:
                    case "ADDED" | "MODIFIED":
                        yield standing(event["object"])
                    case "DELETED":
                        yield Standing(over="gone", says="It was deleted.")
                        return
                    case "ERROR":
                        return
                    case _:  # a bookmark
                        pass

    async def _pass_gate(self, name: str, gate: Gate, pods: Mapping[str, Json]) -> Sequence[Check]:
        """Nothing of the session is in it yet. `pods`: ours. Raises Unwalled, TryAgain."""
        near: dict[str, Place] = {}
        for other, pod in pods.items():
            status = pod["status"]
            if other == name:
                near["kubelet"] = Place(wall="kubelet", host=status["hostIP"], port=_KUBELET)
            elif standing(pod).running:
                witness = partial(self._reach, other)
                near["sandbox"] = Place(wall="sandbox", host=status["podIP"], port=_ANY_PORT, witness=witness)
        return await gate.pass_through(name, partial(self._reach, name), [*near.values()])

    async def _reach(self, name: str, targets: Sequence[Target], seconds: float) -> Sequence[str]:
        """What is reached from inside a sandbox. Raises TryAgain, SandboxGone."""
        question = msgspec.json.encode({"seconds": seconds, "targets": targets}) + b"\n"
        answer = b""
        try:
            with anyio.fail_after(_PROBE_SECONDS):
                async with self.exec(name, PROGRAM) as process:
                    await process.write(question)
                    async for chunk in process:
                        answer = (answer + chunk)[-_ANSWER_BYTES:]
                    status, stderr = await process.exit_status()
            found = msgspec.json.decode(answer, type=list[str])
        except (TimeoutError, msgspec.MsgspecError):
            found, status, stderr = [], 0, b"no answer"
        if len(found) != len(targets):
            said = printable(stderr.decode(errors="replace")[-200:]) or f"status {status}"
            raise TryAgain(f"what the sandbox reaches could not be seen: {said}")
        return found

    async def _configure(self, spec: SandboxSpec) -> None:
        header = f"{len(spec.config)} {hashlib.sha256(spec.config).hexdigest()}\n".encode()
        try:
            with anyio.fail_after(_CONFIGURE_SECONDS):
                async with self.exec(spec.reservation, [*self.supervisor, "configure"]) as process:
                    with suppress(TryAgain):  # it may have refused before it read everything: its status tells
                        await process.write(header + spec.config)
                    answer = b"".join([chunk async for chunk in process])
                    status, stderr = await process.exit_status()
        except TimeoutError:
            raise TryAgain(f"the sandbox's supervisor did not start within {_CONFIGURE_SECONDS} s") from None
        if status or answer != b"ok\n":
            said = stderr.decode(errors="replace").strip()[-200:] or f"status {status}"
            raise TryAgain(f"the sandbox's supervisor did not start: {said}")

    @asynccontextmanager
    async def exec(self, reservation: str, argv: Sequence[str]) -> AsyncGenerator[PodProcess]:
        name = _name(reservation)
        mark = uuid.uuid4().hex
        marked = ["/usr/bin/env", f"{_EXECUTED_VARIABLE}={mark}", *argv]
        async with AsyncExitStack() as stack:
            try:
                process = await stack.enter_async_context(execute(self._api, self._path(name), CONTAINER, marked))
            except ApiError as error:
                raise await self._explained(name, error) from None
            try:
                yield process
            finally:
                if not process.ended:
                    await self._interrupt(name, mark)

    async def _interrupt(self, name: str, mark: str) -> None:
        """End what was executed: a lost connection ends it on some servers and not on others. As well as the link allows."""
        argv = [*self.supervisor, "interrupt", mark]
        with anyio.move_on_after(_INTERRUPT_SECONDS, shield=True), suppress(TryAgain):
            async with execute(self._api, self._path(name), CONTAINER, argv) as process:
                await process.exit_status()

    async def _explained(self, name: str, error: ApiError) -> Exception:
        """Why nothing can be executed in a pod: the server's own words for it are the same for several reasons."""
        if not error.status:
            return error
        pod = await self._get(name)
        if pod is None:
            return SandboxGone(f"the pod {name} is gone")
        found = standing(pod)
        if found.over:
            return SandboxGone(found.says, found.over)
        return error if found.running else TryAgain(f"the sandbox is not up. {found.says}")

    async def delete(self, reservation: str) -> None:
        name = _name(reservation)
        with anyio.move_on_after(_DELETE_SECONDS):
            while (pod := await self._get(name)) and self._is_ours(pod):
                if not pod["metadata"].get("deletionTimestamp"):
                    await self._ask_to_go(name, pod)
                async with aclosing(self._states(name, pod)) as states:
                    async for _ in states:
                        pass
            return
        raise TryAgain(f"the pod {name} is not gone after {_DELETE_SECONDS} s: its slot stays taken until it is")

    async def _ask_to_go(self, name: str, pod: Json) -> None:
        """Delete exactly this pod. One that ended meanwhile is what we want; one that was replaced is looked at again."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod["metadata"]["uid"]}}
        try:
            await self._api.request("DELETE", self._path(name), "delete the sandbox's pod", body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def list(self) -> Sequence[SandboxInfo]:
        return [_info(pod) for pod in (await self._listed())["items"]]

    async def _listed(self) -> Json:
        return await self._api.request("GET", self._pods, "list the sandboxes' pods", query=self._ours)

    async def watch(self) -> AsyncGenerator[SandboxInfo]:
        known: dict[str, SandboxInfo] = {}
        pause = _PAUSE_SECONDS[0]
        while True:
            try:
                listed = await self._listed()
                found = {info.reservation: info for info in map(_info, listed["items"])}
                for reservation in known.keys() - found.keys():
                    yield _deleted(reservation)
                for reservation, info in found.items():
                    if known.get(reservation) != info:
                        yield info
                known = found
                query = [*self._ours, ("resourceVersion", _version(listed))]
                async with aclosing(self._api.watch(self._pods, "watch the sandboxes' pods", query)) as events:
                    async for event in events:
                        pause = _PAUSE_SECONDS[0]
                        changed = _change(event)
                        if changed is None:
                            continue
                        if known.get(changed.reservation) != changed:
                            yield changed
                        if event["type"] == "DELETED":
                            del known[changed.reservation]
                        else:
                            known[changed.reservation] = changed
            except ApiError:
                await anyio.sleep(pause)
                pause = min(2 * pause, _PAUSE_SECONDS[1])

    async def _get(self, name: str) -> Json | None:
        """The pod as it is now: without a version, the server asks the majority of its store. Raises ApiError."""
        try:
            return await self._api.request("GET", self._path(name), "look at the sandbox's pod")
        except ApiError as error:
            if error.status == 404 and error.reason == "NotFound":
                return None
            raise

    def _path(self, name: str) -> str:
        return f"{self._pods}/{name}"

    @property
    def _ours(self) -> "list[tuple[str, str]]":
        return [("labelSelector", f"{INSTALLATION}={self._installation}")]

    def _is_ours(self, pod: Json) -> bool:
        labels: Json = pod["metadata"].get("labels", {})
        return labels.get(INSTALLATION) == self._installation


def _name(reservation: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", reservation):
        raise GiveUp(f"{reservation!r} is not a name of a sandbox")
    return reservation


def _version(listed: Json) -> str:
    return listed["metadata"]["resourceVersion"]


def _info(pod: Json) -> SandboxInfo:
    found = standing(pod)
    return SandboxInfo(reservation=pod["metadata"]["name"], alive=found.running, detail=found.says)


def _deleted(reservation: str) -> SandboxInfo:
    return SandboxInfo(reservation=reservation, alive=False, detail="It was deleted.")


def _change(event: Json) -> SandboxInfo | None:
    """What an event of a watch tells, None for nothing. Raises ApiError when the watch must begin anew."""
    match event["type"]:
        case "ADDED" | "MODIFIED":
            return _info(event["object"])
        case "DELETED":
            return _deleted(event["object"]["metadata"]["name"])
        case "ERROR":
            raise ApiError("the cluster ended the watch", status=int(event["object"].get("code") or 0))
        case _:
            return None
