"""The supervisor of actors: whoever has something to do is found, whoever has not is forgotten."""

import anyio

from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine.ports import TryAgain
from engine.supervisor import Supervisor, nothing_spent
from schema import events as e
from tests.unit.engine.process import Process, rest, until


async def test_what_was_said_while_nobody_ran_is_found() -> None:
    process = Process()
    await process.say("start")
    async with process.run():
        await until(lambda: process.events(e.ThreadOpened))


async def test_what_a_process_left_half_done_another_goes_on_with() -> None:
    store = MemoryStore()
    async with Process(store).run() as first:
        await first.ready()
    async with Process(store).run() as second:
        await until(lambda: "attach" in second.ports.calls)
        assert "starter" not in second.ports.calls


async def test_what_another_process_recorded_is_found_at_once() -> None:
    store = MemoryStore()
    async with Process(store).run() as process:
        ingress = Process(store)
        await ingress.say("start")
        await until(lambda: process.events(e.ThreadOpened))


async def test_who_waits_in_the_line_needs_no_memory() -> None:
    async with Process().run() as process:
        await process.say("start", "a")
        await until(lambda: process.events(e.SandboxReady, "a"))
        await process.say("start", "b")
        await until(lambda: process.events(e.SlotAsked, "b"))
        await until(lambda: "session:b" not in process.supervisor.actors)


async def test_leaving_ends_every_effect_and_forgets_nothing() -> None:
    async with Process().run() as process:
        hanging = anyio.Event()
        process.ports.plan("starter", hanging)
        await process.say("start")
        await until(lambda: process.ports.calls)
    assert [row.due for row in await process.log.work("session:s")] == [0]


class _Acknowledging:
    """Discord waits for as long as `over` is not set; `busy` says that it does."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.busy = True

    async def rest(self) -> None:
        await self.over.wait()


async def test_what_somebody_counts_the_seconds_for_goes_first() -> None:
    urgent = _Acknowledging()
    async with Process(urgent=urgent).run() as process:
        await rest()  # what is there at the start is read, and found
        await process.say("start", "a")
        urgent.busy = False  # who comes later waits in line all the same
        await process.say("start", "b")
        await rest()
        assert not process.supervisor.actors
        urgent.over.set()
        await until(lambda: process.events(e.ThreadOpened, "a"))
        await until(lambda: process.events(e.ThreadOpened, "b"))


async def test_what_is_urgent_for_ever_holds_nobody_up_for_long() -> None:
    async with Process(urgent=_Acknowledging()).run() as process:
        await process.say("start")
        await until(lambda: process.events(e.ThreadOpened))


async def test_where_nobody_has_a_budget_nothing_is_spent() -> None:
    assert await nothing_spent("7", 0) == 0


async def test_nobody_waits_for_what_is_not_under_way() -> None:
    urgent = _Acknowledging()
    urgent.busy = False
    async with Process(urgent=urgent).run() as process:
        await process.say("start")
        assert "session:s" in process.supervisor.actors


async def test_the_earliest_of_many_times_wakes() -> None:
    async with Process().run() as process:
        process.ports.plan("starter", *[TryAgain("no")] * 2)
        await process.say("start", "a")
        await until(lambda: process.events(e.EffectFailed, "a"))
        process.tick(300_000)
        process.ports.plan("starter", TryAgain("no"))
        await process.say("start", "b")
        await until(lambda: process.events(e.EffectFailed, "b"))
        process.tick(200_000)
        await until(lambda: len(process.events(e.EffectFailed, "a")) == 2)
        await rest()
        assert len(process.events(e.EffectFailed, "b")) == 1


async def test_a_later_time_does_not_push_an_earlier_one_away() -> None:
    async with Process().run() as process:
        supervisor = process.supervisor
        poked: list[str] = []
        supervisor.actor = _Poked(supervisor, poked).actor  # type: ignore[method-assign] - to see who is poked
        supervisor.wake_at("session:x", process.now + 10)
        supervisor.wake_at("session:x", process.now + 20)
        process.tick(10)
        await until(lambda: poked)
        process.tick(10)
        await rest()
        assert poked == ["session:x"]


class _Poked:
    def __init__(self, supervisor: Supervisor, poked: list[str]) -> None:
        self._actor = supervisor.actor
        self._poked = poked

    def actor(self, target: str) -> object:
        self._poked.append(target)
        return self._actor(target)


async def test_a_target_that_is_leased_elsewhere_is_left_alone() -> None:
    store = MemoryStore()
    other = MemoryEventLog(store)
    await other.lease("session:s")
    async with Process(store).run() as process:
        await process.say("start")
        await rest()
        assert not process.supervisor.actors
        assert not process.errors
        other.close()
        process.tick(0)
        await until(lambda: process.events(e.ThreadOpened))
