"""Who waits for an acknowledgement waits for that one, and who lets all of them go first for all of them."""

import anyio
from anyio.lowlevel import checkpoint

from adapters.discord.acknowledging import Acknowledging


async def test_an_answer_waits_for_its_own_acknowledgement() -> None:
    acknowledging, order = Acknowledging(), list[str]()

    async def answer(interaction: str) -> None:
        await acknowledging.over(interaction)
        order.append(interaction)

    async with anyio.create_task_group() as tasks:
        with acknowledging.of("1"):
            with acknowledging.of("2"):
                for interaction in ("1", "2", "3"):
                    tasks.start_soon(answer, interaction)
                await checkpoint()
            assert order == ["3"]  # that of another process is not waited for
            await checkpoint()
            assert order == ["3", "2"]
    assert order == ["3", "2", "1"]


async def test_all_are_waited_for_and_who_comes_meanwhile() -> None:
    acknowledging, rested = Acknowledging(), anyio.Event()

    async def wait() -> None:
        await acknowledging.rest()
        rested.set()

    async with anyio.create_task_group() as tasks:
        with acknowledging.of("2"):
            with acknowledging.of("1"):
                tasks.start_soon(wait)
                await checkpoint()
            await checkpoint()
            assert acknowledging.busy
            assert not rested.is_set()
    assert rested.is_set()
    assert not acknowledging.busy


async def test_what_discord_sends_twice_is_over_once_each() -> None:
    acknowledging = Acknowledging()
    with acknowledging.of("1"), acknowledging.of("1"):
        pass
    assert not acknowledging.busy
    await acknowledging.over("1")
