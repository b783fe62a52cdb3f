"""The kill drill: people talk while parts die, then the books are balanced.

The bot dies at every boundary (append, acknowledge, send, journal, Discord call), before and after it; the database, the
gateway, the CLI and the supervisor die at random moments. Everybody is real but Discord's servers and the model. Nothing may
be lost and nothing doubled: each prompt is recorded once, has one outcome, ran its tool at most once, and its answer is in
the thread once, or people were told that it was cut.
"""

import os
import random
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import anyio
import pytest

from tests.drill.world import BOT, PARTS, Death, World, deadly, open_world

KILLS = int(os.environ.get("DRILL_KILLS") or 20)
SEED = int(os.environ.get("DRILL_SEED") or random.randrange(1 << 32))
WORLDS = 3
"""Discord lets a bot in once in 2.5 s (GET /gateway/bot): more often, only several bots can die."""
AT_LEAST = KILLS // 20  # at each side of each boundary, and of each other part
LONGEST = 120 + 3 * KILLS
"""Seconds."""

pytestmark = pytest.mark.drill


def _dealt(rng: random.Random) -> list[tuple[list[Death], list[str]]]:
    """For each world, how its bot dies and what else; all ways equally often."""
    ways = list(islice(cycle([*BOT, *((part, "") for part in PARTS)]), KILLS))
    rng.shuffle(ways)
    hands = [ways[number::WORLDS] for number in range(WORLDS)]
    return [
        (deadly(rng, [way for way in hand if way in BOT]), [part for part, side in hand if not side]) for hand in hands
    ]


@pytest.mark.timeout(LONGEST + 60)
async def test_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    print(f"DRILL_SEED={SEED} DRILL_KILLS={KILLS}, at most {LONGEST} s")
    wrong: list[str] = []
    worlds: list[World] = []

    async def drill(number: int, own: list[Death], parts: list[str]) -> None:
        async with open_world(tmp_path / f"world{number}", f"{SEED}-{number}", own, parts) as world:
            worlds.append(world)
            wrong.extend(await world.run())

    try:
        with anyio.fail_after(LONGEST):
            async with anyio.create_task_group() as tasks:
                for number, (own, parts) in enumerate(_dealt(random.Random(SEED))):
                    tasks.start_soon(drill, number, own, parts)
    except Exception as error:
        states = [f"  {world.folder.name}: {world.state()}" for world in worlds]
        error.add_note("\n".join([f"DRILL_SEED={SEED}, logs in {tmp_path}; in the end:", *states]))
        raise
    deaths = sum((world.deaths for world in worlds), Counter[str]())
    for what in [*(f"{boundary} {side}" for boundary, side in BOT), *PARTS]:
        print(f"{what:20} {deaths[what]:4}")
        if deaths[what] < AT_LEAST:
            wrong.append(f"only {deaths[what]} deaths at {what}")
    prompts, cut = (sum(len(getattr(world, name)) for world in worlds) for name in ("prompts", "cut"))
    print(f"{'killed':20} {deaths.total():4}; {prompts} prompts, {cut} cut")
    assert deaths.total() >= KILLS
    assert not wrong, "\n".join([f"DRILL_SEED={SEED}, logs in {tmp_path}", *wrong])
