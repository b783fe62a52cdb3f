"""How many requests are on their way at once, and which goes first."""

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from adapters.discord.pace import Pace

FAST = 1_000_000.0


class Requests:
    """Each holds its slot until it is let go."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.on_their_way: list[str] = []
        self.done = anyio.Event()

    async def make(self, name: str, urgency: int, requests: int) -> None:
        async with self.pace.slot(urgency, requests=requests):
            self.on_their_way.append(name)
            await self.done.wait()


@pytest.mark.parametrize(("requests", "expected"), [(1, 8), (2, 4), (3, 2)])
async def test_so_many_requests_are_on_their_way_and_a_page_is_two(requests: int, expected: int) -> None:
    made = Requests(Pace(FAST, 8))
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(made.make, str(number), Pace.NORMAL, requests)
        await wait_all_tasks_blocked()
        assert len(made.on_their_way) == expected
        made.done.set()
    assert len(made.on_their_way) == 10


async def test_what_is_urgent_passes_what_waits_and_who_gives_up_takes_no_slot_along() -> None:
    made = Requests(Pace(FAST, 2))
    async with anyio.create_task_group() as tasks:
        for name in ("first", "second"):
            tasks.start_soon(made.make, name, Pace.NORMAL, 1)
        await wait_all_tasks_blocked()
        async with anyio.create_task_group() as given_up:
            given_up.start_soon(made.make, "given up", Pace.URGENT, 2)
            for name, urgency in (("late", Pace.LATE), ("normal", Pace.NORMAL), ("urgent", Pace.URGENT)):
                tasks.start_soon(made.make, name, urgency, 1)
            await wait_all_tasks_blocked()
            given_up.cancel_scope.cancel()
        made.done.set()
    assert made.on_their_way == ["first", "second", "urgent", "normal", "late"]
