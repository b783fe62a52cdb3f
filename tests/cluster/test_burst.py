"""Many starts and closes, one after the other and at once, for fewer slots: never a pod too many, all served, nothing left.

`make drill-cluster` has `DRILL_ROW` and `DRILL_AT_ONCE` of them; here there are fewer.
"""

import os
from pathlib import Path

import anyio
import pytest

from tests.cluster.playing import Play, close, open_play
from tests.clusters import find_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.cli]

ROW = int(os.environ.get("DRILL_ROW") or 10)
AT_ONCE = int(os.environ.get("DRILL_AT_ONCE") or 8)
SLOTS = 5
SECONDS = 60 + 20 * (ROW + AT_ONCE)


async def _serve(play: Play, thread: str) -> None:
    await play.alice.wait_message(thread, lambda one: "✅ Ready" in one["content"], "a sandbox", SECONDS)
    await close(play.alice, thread, SECONDS)


@pytest.mark.timeout(SECONDS + 60)
async def test_starts_and_closes_in_a_row_and_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    async with open_play(find_cluster(), tmp_path, monkeypatch, slots=SLOTS) as play:

        async def start() -> str:
            await play.alice.slash("claude", "start", channel=play.channel)
            threads.append(await play.alice.wait_thread(play.channel, threads, SECONDS))
            return threads[-1]

        with anyio.fail_after(SECONDS):
            for _ in range(ROW):
                await _serve(play, await start())
            in_a_row = play.watched.most
            async with anyio.create_task_group() as tasks:
                for _ in range(AT_ONCE):
                    await play.alice.slash("claude", "start", channel=play.channel)
                await play.alice.wait(
                    lambda: len(play.alice.threads(play.channel)) == ROW + AT_ONCE, "all threads", SECONDS
                )
                for thread in play.alice.threads(play.channel)[ROW:]:
                    tasks.start_soon(_serve, play, thread)
            await play.balance(ROW + AT_ONCE)
        print(f"pods at most: {in_a_row} in a row, {play.watched.most} at once")
        assert play.watched.most == SLOTS
