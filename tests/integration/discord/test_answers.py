"""An answer never goes out before the acknowledgement, which Discord wants first, however soon the outcome is there."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from adapters.discord.arrivals import Arrival
from adapters.local.discord.people import Person
from schema import events as e
from tests.integration.discord.conftest import Bot, Installation, Json

People = dict[str, Person]


async def answered(person: Person, channel: str) -> Json:
    return await person.wait_message(channel, lambda one: "in the thread of a session" in one["content"], "the answer")


def acknowledges_after(patch: pytest.MonkeyPatch, bot: Bot, wait: Callable[[], Awaitable[Any]]) -> None:
    acknowledge = bot.connection.ingress._acknowledge  # pyright: ignore[reportPrivateUsage] - what is late

    async def late(arrival: Arrival) -> None:
        await wait()
        await acknowledge(arrival)

    patch.setattr(bot.connection.ingress, "_acknowledge", late)


async def test_the_answer_waits_for_a_late_acknowledgement(
    installation: Installation, people: People, general: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation.bot(engine=True) as bot:

        async def outcome() -> None:
            await bot.log.wait(lambda: bot.log.of(e.Refused))
            with anyio.move_on_after(0.5):  # time in which an answer would be sent, and fail
                await bot.log.wait(lambda: bot.log.of(e.Replied) or bot.log.of(e.EffectFailed))

        acknowledges_after(monkeypatch, bot, outcome)
        await people["alice"].slash("claude", "status", channel=general)
        await answered(people["alice"], general)
        await bot.log.wait(lambda: bot.log.of(e.Replied))
        assert [one.late for one in bot.log.of(e.Replied)] == [False]
        assert not bot.log.of(e.EffectFailed)


async def test_an_answer_is_tried_again_while_another_process_acknowledges(
    installation: Installation, people: People, general: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hear_nothing(*_: object) -> None:
        pass

    async with installation.bot() as ingress, installation.bot(engine=True) as engine:
        monkeypatch.setattr(engine.connection.ingress, "_interaction", hear_nothing)
        acknowledges_after(monkeypatch, ingress, lambda: engine.log.wait(lambda: engine.log.of(e.EffectFailed)))
        await people["alice"].slash("claude", "status", channel=general)
        await answered(people["alice"], general)
        await engine.log.wait(lambda: engine.log.of(e.Replied))
        assert [one.late for one in engine.log.of(e.Replied)] == [False]
        assert all(one.what.startswith("reply:") and one.retry for one in engine.log.of(e.EffectFailed))
