"""What drills on a real cluster share: a playground with its pods counted from outside of the bot, and what people do in it."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from adapters.kubernetes.api import Api, ApiError, connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.kubernetes.template import INSTALLATION
from adapters.local.discord.people import Person, open_people
from adapters.playground import DATABASE, Options, Playground, open_playground
from adapters.postgres.event_log import open_log
from engine import slots
from schema import events as e
from tests.clusters import Cluster

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_PAUSE_SECONDS = 0.2  # between two tries to watch
_EVERYTHING = ("pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts")


class Watched:
    """The pods of the namespace, as they come and go."""

    def __init__(self, api: Api) -> None:
        self.now: set[str] = set()
        self.most = 0
        self._api = api

    async def follow(self) -> None:
        """For ever, also while the API server dies."""
        while True:
            with suppress(ApiError):
                listed = await self._api.request("GET", PODS, "list the pods")
                self._see({one["metadata"]["name"] for one in listed["items"]})
                since = [("resourceVersion", listed["metadata"]["resourceVersion"])]
                async with aclosing(self._api.watch(PODS, "watch the pods", since)) as events:
                    async for event in events:
                        name = event["object"]["metadata"].get("name", "")
                        if event["type"] == "ADDED":
                            self._see(self.now | {name})
                        elif event["type"] == "DELETED":
                            self._see(self.now - {name})
            await anyio.sleep(_PAUSE_SECONDS)

    def _see(self, pods: set[str]) -> None:
        self.now = pods
        self.most = max(self.most, len(pods))


class Play(NamedTuple):
    """A playground with sandboxes on the cluster, an owner in it, and who counts the pods."""

    playground: Playground
    alice: Person
    channel: str
    watched: Watched
    api: Api

    async def balance(self, starts: int) -> None:
        """What the log and the cluster say of it all: first come, first served; nobody holds, awaits or left anything."""
        while self.watched.now:
            await anyio.lowlevel.checkpoint()
        async with open_log(self.playground.postgres.dsn(DATABASE), replica=False) as log:
            recorded, installation = await log.read_stream("slots"), await log.installation()
        events = [one.event for one in recorded]
        asked = [one.session for one in events if isinstance(one, e.Asked)]
        assert [one.session for one in events if isinstance(one, e.Granted)] == asked
        assert len(set(asked)) == starts
        assert not [one for one in events if isinstance(one, e.LeakRemoved)]
        state = slots.fold(recorded, slots.Slots())
        assert (state.held, state.line) == ({}, ())
        ours = [("labelSelector", f"{INSTALLATION}={installation}")]
        for kind in _EVERYTHING:
            left = await self.api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/{kind}", "look", query=ours)
            assert left["items"] == [], kind


@asynccontextmanager
async def open_play(
    cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, *, slots: int, kubeconfig: Path | None = None
) -> AsyncGenerator[Play]:
    """`kubeconfig`: by which the bot finds the cluster. The namespace's quota would allow more pods than there are slots."""
    for name, value in {"KUBECONFIG": kubeconfig or cluster.kubeconfig, "SANDBOX_IMAGE": cluster.image}.items():
        monkeypatch.setitem(os.environ, name, str(value))
    options = Options(folder=folder / "p", kubernetes=True, max_sandboxes=slots)
    async with (
        connect(cluster.kubeconfig) as api,
        open_playground(options, lambda _: None) as playground,
        open_people(playground.discord) as people,
        anyio.create_task_group() as tasks,
    ):
        watched = Watched(api)
        tasks.start_soon(watched.follow)
        quota = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/sandboxes"
        more = {"spec": {"hard": {"pods": "50"}}}
        await api.request("PATCH", quota, "allow more pods", body=more, kind="application/merge-patch+json")
        yield Play(playground, people["alice"], playground.discord["channel_id"], watched, api)
        tasks.cancel_scope.cancel()


async def close(person: Person, thread: str, seconds: float) -> None:
    """A command that a dying bot did not answer is given again."""
    while not await _answered(person, await person.slash("claude", "close", channel=thread), seconds):
        pass
    await person.wait_message(thread, lambda one: "is closed" in one["content"], "the end", seconds)


async def _answered(person: Person, asked: str, seconds: float) -> bool:
    await person.wait(lambda: person.interaction(asked) != "waiting", "an answer to a command", seconds)
    return person.interaction(asked) == "answered"
