"""What a fresh pod costs beside what Kubernetes takes for it, and a line of a pod's journal beside a line through `cat`.

They need a cluster (`tests/clusters.py` says which) with nothing else to do.
"""

import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import anyio

from adapters.claude.channel import SupervisorChannel
from adapters.claude.parse import parse
from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.kubernetes.standing import standing
from adapters.kubernetes.template import Fields, Template
from adapters.local.discord.people import Person, open_people
from adapters.playground import DATABASE, Options, open_playground
from adapters.postgres.event_log import PostgresEventLog, open_log
from engine.ports import SandboxSpec
from schema import events as e
from schema import facts as f
from schema.sealed import Sealed
from tests.clusters import BASE, Cluster, look_for_cluster, open_namespace, pod_sandbox
from tests.load.figures import Bench, NotHere, figure, report

Json = dict[str, Any]

_STARTS = 10
_LINES = 50
_PATIENCE = 120.0
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_PROMPT = f"SCRIPT: {json.dumps([{'text': 'streamed ' * 40, 'chunk': 20, 'tick': 0.1}])} END"
_PARTS = ("append", "slot", "pod", "gate", "set_up", "cli", "first_token")
_TALKS = """python3 -I -c 'import json, sys, time
sys.stdin.readline()
while True:
    print(json.dumps({"type": "control_cancel_request", "request_id": str(time.time_ns())}), flush=True)
    time.sleep(0.05)'"""


@figure
async def pod(bench: Bench) -> None:
    """From `/claude start` to the first streamed word, by parts; without the pod, its gate and the CLI it is our own time."""
    async with _measuring(_cluster()) as measuring:
        own: list[float] = []
        parts: dict[str, list[float]] = {part: [] for part in _PARTS}
        bare: list[float] = []
        for _ in range(bench.some(_STARTS)):
            bare.append(await measuring.bare())
            took = await measuring.start()
            for part, seconds in took.items():
                parts[part].append(seconds / bare[-1])
            own.append(sum(took[part] for part in ("append", "slot", "set_up")) / bare[-1])
    to = f"a bare pod, created to ready: {statistics.median(bare):.3g} s"
    for part, ratios in parts.items():
        report(f"pod_{part}", ratios, to)
    report("pod", own, to)


@figure
async def pod_line(bench: Bench) -> None:
    """From a line's being printed in a pod to its facts here; the same clock, where the node is this machine."""
    cluster = _cluster()
    async with open_namespace(cluster) as (api, namespace):
        sandbox = pod_sandbox(api, namespace, cluster.image)
        config = {"argv": ["/bin/sh", "-c", _TALKS], "session": str(uuid.uuid4()), "stop_seconds": 1}
        await sandbox.start(SandboxSpec(reservation="1-2", session="1", config=json.dumps(config).encode()))
        channel = SupervisorChannel(sandbox, "1-2", 1)
        await channel.claim()
        await channel.send("go", b'{"type": "user", "message": {"role": "user", "content": "go"}}')

        async def ours() -> float:
            took: list[float] = []
            began = time.time()
            async with aclosing(channel.follow(1, 0)) as lines:
                async for piece in lines:
                    facts = parse(piece.line or b"", lambda text: Sealed(text.encode()))
                    printed = [int(fact.request) / 1e9 for fact in facts if isinstance(fact, f.PermissionWithdrawn)]
                    took += [time.time() - at for at in printed if at > began]
                    if len(took) >= bench.some(_LINES):
                        break
            return statistics.median(took)

        async def cat() -> float:
            took: list[float] = []
            async with sandbox.exec("1-2", ["cat"]) as process:
                answers = aiter(process)
                for _ in range(bench.some(_LINES)):
                    began = time.perf_counter()
                    await process.write(b"a line of the usual length, about as long as one that Claude Code prints\n")
                    await anext(answers)
                    took.append(time.perf_counter() - began)
                    await anyio.sleep(0.05)
            return statistics.median(took)

        await bench.compare("pod_line", ours=ours, baseline=cat, to="s through cat over exec, there and back")


def _cluster() -> Cluster:
    found = look_for_cluster()
    if isinstance(found, str):
        raise NotHere(found)
    return found


class _Measuring(NamedTuple):
    """A playground with one slot on the cluster, and pods seen from beside it."""

    api: Api
    alice: Person
    channel: str
    log: PostgresEventLog
    template: Template

    async def bare(self) -> float:
        """Seconds from the creation of a pod like a sandbox's until its container runs; it is gone then."""
        name = f"bare-{uuid.uuid4().hex[:8]}"
        began = time.perf_counter()
        await self.api.request("POST", _PODS, "create a pod", body=self.template.pod(name, "1"))
        await self._until(name, lambda pod: standing(pod).running)
        took = time.perf_counter() - began
        await self.api.request("DELETE", f"{_PODS}/{name}", "delete a pod")
        await self._until(name, lambda _: False)
        return took

    async def _until(self, name: str, holds: Callable[[Json], bool]) -> None:
        """Until a pod is as wanted, or gone."""
        query = [("fieldSelector", f"metadata.name={name}")]
        with anyio.fail_after(_PATIENCE):
            async with aclosing(self.api.watch(_PODS, "watch a pod", query)) as events:
                async for event in events:
                    if event["type"] == "DELETED" or (event["type"] != "BOOKMARK" and holds(event["object"])):
                        return

    async def start(self) -> Mapping[str, float]:
        """Seconds of each part of a start, in their order; the session is closed, and its pod gone, then."""
        known, asked = self.alice.threads(self.channel), time.time()
        running = dict[str, float]()
        tasks = anyio.create_task_group()
        marks: Sequence[float] = ()
        async with tasks:
            tasks.start_soon(self._note_running, running)
            await self.alice.slash("claude", "start", channel=self.channel, prompt=_PROMPT)
            thread = await self.alice.wait_thread(self.channel, known, _PATIENCE)
            await self.alice.wait_message(thread, _streams, "the first word", _PATIENCE)
            marks = await self._marks(asked, running, time.time())
            await self.alice.slash("claude", "close", channel=thread)
            await self.alice.wait_message(thread, lambda one: "is closed" in one["content"], "the end", _PATIENCE)
            tasks.cancel_scope.cancel()
        return {part: later - earlier for part, (earlier, later) in zip(_PARTS, pairwise(marks), strict=True)}

    async def _marks(self, asked: float, running: Mapping[str, float], seen: float) -> Sequence[float]:
        """When each part of the last start began, and the last one ended."""
        session = (await self._events("slots", e.Asked))[-1][1].session
        found = {type(one.event): one for one in reversed(await self.log.read_stream(f"session:{session}"))}
        reserved = found[e.SandboxReserved].event
        assert isinstance(reserved, e.SandboxReserved)
        requested, granted, probed, ready, begun = (
            found[kind].at / 1e6
            for kind in (e.Requested, e.SandboxReserved, e.SandboxProbed, e.SandboxReady, e.TurnStarted)
        )
        return asked, requested, granted, running[reserved.reservation], probed, ready, begun, seen

    async def _note_running(self, running: dict[str, float]) -> None:
        """When each pod's container was first seen to run."""
        async with aclosing(self.api.watch(_PODS, "watch the pods", [])) as events:
            async for event in events:
                if event["type"] in {"ADDED", "MODIFIED"} and standing(event["object"]).running:
                    running.setdefault(event["object"]["metadata"]["name"], time.time())

    async def _events(self, stream: str, kind: type[Any]) -> list[tuple[float, Any]]:
        """When, in seconds since the Unix epoch, and what."""
        found = await self.log.read_stream(stream)
        return [(one.at / 1e6, one.event) for one in found if isinstance(one.event, kind)]


def _streams(message: Mapping[str, Any]) -> bool:
    return (
        bool(message["author"].get("bot")) and "streamed" in message["content"] and "SCRIPT" not in message["content"]
    )


@asynccontextmanager
async def _measuring(cluster: Cluster) -> AsyncGenerator[_Measuring]:
    where = {"KUBECONFIG": str(cluster.kubeconfig), "SANDBOX_IMAGE": cluster.image}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, where):
        options = Options(folder=Path(folder) / "p", kubernetes=True, max_sandboxes=2)
        async with (
            connect(cluster.kubeconfig) as api,
            open_playground(options, lambda _: None) as playground,
            open_people(playground.discord) as people,
            open_log(playground.postgres.dsn(DATABASE), replica=False) as log,
        ):
            fields = Fields(installation=str(uuid.uuid4()), namespace=NAMESPACE, image=cluster.image)
            template = Template(BASE / "sandbox-pod.yaml", fields)
            yield _Measuring(api, people["alice"], playground.discord["channel_id"], log, template)
