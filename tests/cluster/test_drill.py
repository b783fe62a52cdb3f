"""Conversations on a real cluster while parts die: each prompt is answered, in the order of the line, and nothing is left behind.

`DRILL_STARTS` threads begin at once, for fewer slots. Whenever one is served something dies (the bot, the gateway, somebody's pod),
in an order that the seed tells. Pods are counted from outside of the bot, in a namespace whose quota would allow more.
"""

import os
import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapters.kubernetes.api import Api
from adapters.local.discord.people import Person, buttons
from adapters.playground import Playground
from tests.cluster.playing import PODS, Watched, close, open_play
from tests.clusters import find_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.cli]

STARTS = int(os.environ.get("DRILL_STARTS") or 3)
SEED = int(os.environ.get("DRILL_SEED") or random.randrange(1_000_000))
SLOTS = 2
SECONDS = 120 + 30 * STARTS


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


@pytest.mark.timeout(SECONDS + 60)
async def test_all_are_served_in_order_with_no_pod_too_many_whatever_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"DRILL_SEED={SEED} DRILL_STARTS={STARTS}")
    async with open_play(find_cluster(), tmp_path, monkeypatch, slots=SLOTS) as play:
        drill = Drill(play.playground, play.watched, play.api)
        alice = play.alice
        threads: list[str] = []
        for _ in range(STARTS):
            await alice.slash("claude", "start", channel=play.channel, prompt="Say hello")
            threads.append(await alice.wait_thread(play.channel, threads, SECONDS))

        async def whole(thread: str) -> None:
            await converse(alice, thread)
            await drill.strike()
            await close(alice, thread, SECONDS)

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as conversations:
                for thread in threads:
                    conversations.start_soon(whole, thread)
            await play.balance(STARTS)
        print(f"died: {drill.died}; pods at once, at most: {play.watched.most}")
        assert play.watched.most == SLOTS
