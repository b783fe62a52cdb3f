"""The drill is worth something: with a safety taken out, its own books do not balance, and they tell why."""

from pathlib import Path

import pytest

from tests.drill.world import Death, open_world

pytestmark = pytest.mark.drill

_AT: dict[str, list[Death]] = {
    "nonce": [("post", "after", 1 + number % 3) for number in range(20)],
    "uuid": [("send", "after", 1 + number % 2) for number in range(12)],
    "fence": [("append", "stall", 2 + number) for number in range(8)],
}
_TOLD = {"nonce": "shown 2 times", "uuid": "shown 2 times", "fence": "two writers"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("safety", _AT)
async def test_the_drill_fails_without(safety: str, tmp_path: Path) -> None:
    async with open_world(tmp_path / "world", safety, _AT[safety], without=safety) as world:
        world.with_tools = safety != "uuid"  # resent in the middle of a turn, a prompt would become a part of that
        wrong = await world.run(bite=_TOLD[safety])
    print(safety, dict(world.deaths), *wrong, sep="\n  ")
    assert any(_TOLD[safety] in one for one in wrong), wrong
