"""Conversations on a real cluster while parts die: each prompt is answered, in the order of the line, and nothing is left behind.

`DRILL_STARTS` threads begin at once, for fewer slots. Whenever one is served something dies (the bot, the gateway, somebody's pod),
in an order that the seed tells. Pods are counted from outside of the bot, in a namespace whose quota would allow more.
"""

import os
import random
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapters.kubernetes.api import Api, connect
from adapters.kubernetes.playground import NAMESPACE
from adapters.local.discord.people import Person, buttons, open_people
from adapters.playground import DATABASE, Options, Playground, open_playground
from adapters.postgres.event_log import open_log
from engine import slots
from schema import events as e
from tests.clusters import find_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.cli]

STARTS = int(os.environ.get("DRILL_STARTS") or 3)
SEED = int(os.environ.get("DRILL_SEED") or random.randrange(1_000_000))
SLOTS = 2
SECONDS = 120 + 30 * STARTS
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class Watched:
    """The pods of the namespace, as they come and go."""

    def __init__(self, api: Api) -> None:
        self.now: set[str] = set()
        self.most = 0
        self._api = api

    async def follow(self) -> None:
        async with aclosing(self._api.watch(PODS, "watch the pods", [])) as events:
            async for event in events:
                name = event["object"]["metadata"].get("name", "")
                if event["type"] == "ADDED":
                    self.now.add(name)
                elif event["type"] == "DELETED":
                    self.now.discard(name)
                self.most = max(self.most, len(self.now))


class Drill:
    """What dies, one each time that somebody was served."""

    def __init__(self, playground: Playground, watched: Watched, api: Api) -> None:
        self.died: list[str] = []
        self._playground = playground
        self._watched = watched
        self._api = api
        self._chance = random.Random(SEED)
        self._next: list[str] = []

    async def strike(self) -> None:
        if not self._next:
            self._next = self._chance.sample(["bot", "gateway", "pod"], 3)
        what = self._next.pop()
        self.died.append(what)
        if what != "pod":
            self._playground.services[what].kill()
        elif self._watched.now:
            name = self._chance.choice(sorted(self._watched.now))
            await self._api.request("DELETE", f"{PODS}/{name}", "delete a pod by hand")


def _labels(message: dict[str, Any]) -> set[str]:
    return {str(button.get("label")) for button in buttons(message)}


async def converse(person: Person, thread: str) -> None:
    """Until the prompt is answered, whatever happens to it; then the session is closed."""
    seen: set[str] = set()

    def news(one: dict[str, Any]) -> bool:
        told = "✅ done" in one["content"] or "was lost" in one["content"] or "Retry" in _labels(one)
        return one["id"] not in seen and told

    while True:
        one = await person.wait_message(thread, news, "an answer, or what happened to it", SECONDS)
        seen.add(one["id"])
        if "✅ done" in one["content"]:
            break
        if "Retry" in _labels(one):
            await person.press(one, "Retry")
        elif not any("Retry" in _labels(other) for other in person.messages(thread)):
            await person.say(thread, "Say hello")


async def close(person: Person, thread: str) -> None:
    """A command that a dying bot did not answer is given again."""
    while not await _answered(person, await person.slash("claude", "close", channel=thread)):
        pass
    await person.wait_message(thread, lambda one: "is closed" in one["content"], "the end", SECONDS)


async def _answered(person: Person, asked: str) -> bool:
    await person.wait(lambda: person.interaction(asked) != "waiting", "an answer to a command", SECONDS)
    return person.interaction(asked) == "answered"


@pytest.mark.timeout(SECONDS + 60)
async def test_all_are_served_in_order_with_no_pod_too_many_whatever_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"DRILL_SEED={SEED} DRILL_STARTS={STARTS}")
    cluster = find_cluster()
    for name, value in {"KUBECONFIG": str(cluster.kubeconfig), "SANDBOX_IMAGE": cluster.image}.items():
        monkeypatch.setitem(os.environ, name, value)
    options = Options(folder=tmp_path / "p", kubernetes=True, max_sandboxes=SLOTS)
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
        drill = Drill(playground, watched, api)
        alice, channel = people["alice"], playground.discord["channel_id"]
        threads: list[str] = []
        for _ in range(STARTS):
            await alice.slash("claude", "start", channel=channel, prompt="Say hello")
            threads.append(await alice.wait_thread(channel, threads, SECONDS))

        async def whole(thread: str) -> None:
            await converse(alice, thread)
            await drill.strike()
            await close(alice, thread)

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as conversations:
                for thread in threads:
                    conversations.start_soon(whole, thread)
            while watched.now:
                await anyio.lowlevel.checkpoint()
        print(f"died: {drill.died}; pods at once, at most: {watched.most}")
        await _balanced(playground)
        assert watched.most == SLOTS
        tasks.cancel_scope.cancel()


async def _balanced(playground: Playground) -> None:
    """What the log says of it all: first come, first served; nobody holds or awaits anything; nothing leaked."""
    async with open_log(playground.postgres.dsn(DATABASE), replica=False) as log:
        recorded = await log.read_stream("slots")
    events = [one.event for one in recorded]
    asked = [one.session for one in events if isinstance(one, e.Asked)]
    assert [one.session for one in events if isinstance(one, e.Granted)] == asked
    assert len(set(asked)) == STARTS
    assert not [one for one in events if isinstance(one, e.LeakRemoved)]
    state = slots.fold(recorded, slots.Slots())
    assert (state.held, state.line) == ({}, ())
