"""The actors' figures: what one takes that has nothing to do now, and how soon it does what it is told to."""

import gc
import time
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from adapters.discord.translate import DiscordTranslator
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from engine.actor import Actor
from engine.commands import Policy
from engine.effects import JointContext, Performer
from engine.ports import EventLog, TryAgain
from engine.supervisor import Supervisor, World
from engine.todo import Effect
from schema.envelope import Append, Draft, Write
from schema.events import Requested
from tests.load.figures import Bench, figure

_NOW = 1_790_000_000_000_000
"""The time: it stands still, so that nothing is due."""
_ACTORS = 1_000
_AT_ONCE = 50


class _Away(Performer):
    """As long as Discord cannot be reached."""

    def __init__(self) -> None: ...

    async def perform(self, effect: Effect, context: JointContext) -> None:
        raise TryAgain("Discord cannot be reached")


class _Engine(Supervisor):
    """Tells when every actor that was woken is done."""

    def __init__(self, world: World) -> None:
        super().__init__(world, policy=Policy(), limit=3)
        self._left = 0
        self._done = anyio.Event()

    def rest(self, actor: Actor[Any]) -> None:
        super().rest(actor)
        self._left -= 1
        if self._left == 0:
            self._done.set()

    def expect(self, rests: int) -> anyio.Event:
        """Set when actors have come to rest so often."""
        self._left, self._done = rests, anyio.Event()
        return self._done


@asynccontextmanager
async def _engine(bench: Bench) -> AsyncGenerator[_Engine]:
    dsn = await bench.server.create()
    try:
        async with open_log(dsn) as log:
            keyring = await open_keyring(log.pool, MasterKey(bytes(32)))
            translator = DiscordTranslator(keyring)
            world = World(log=log, translator=translator, performer=_Away(), now=lambda: _NOW, failed=_told)
            async with _Engine(world).run() as engine:
                assert isinstance(engine, _Engine)
                yield engine
    finally:
        await bench.server.drop(dsn)


def _told(target: str, what: str, error: Exception) -> None: ...


async def _request(log: EventLog, session: str) -> None:
    requested = Requested(by="7", locale="ja", guild="1", channel="2")
    draft = Draft(event=requested, at=_NOW, actor="person:7")
    write = Write(stream=f"session:{session}", expected=0, drafts=(draft,))
    # a date that never comes: only this module wakes actors
    await log.append(Append(writes=(write,), agenda=((f"session:{session}", 2 * _NOW),)))


async def _idle(engine: _Engine, first: int, count: int) -> list[Actor[Any]]:
    """Actors that tried to post their session's first message, and wait for the time to try again."""
    actors = [engine.actor(f"session:{number}") for number in range(first, first + count)]
    for begin in range(0, count, _AT_ONCE):
        some = actors[begin : begin + _AT_ONCE]
        for actor in some:
            await _request(engine.log, actor.target.partition(":")[2])
        # it rests when the effect has been started, when its failure is recorded, and when that is seen to be over
        done = engine.expect(3 * len(some))
        for actor in some:
            actor.look()
        with anyio.fail_after(60):
            await done.wait()
    assert all(actor.idle and not actor.forgettable for actor in actors)
    return actors


@figure
async def idle_actor_bytes(bench: Bench) -> None:
    """What is free again when actors are gone that had no task, only a date. A session's state is as large as what it holds:
    it is not counted.
    """
    async with _engine(bench) as engine:
        count, first = bench.some(_ACTORS), 0

        async def freed() -> float:
            nonlocal first
            first += count
            tracemalloc.start()
            try:
                actors = await _idle(engine, first, count)
                gc.collect()
                sessions = [actor.state for actor in actors]
                before, _ = tracemalloc.get_traced_memory()
                while actors:
                    actors.pop().stop()
                gc.collect()
                after, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert len(sessions) == count
            return (before - after) / count

        await bench.tell("idle_actor_bytes", freed, "none: bytes an actor, besides the state of its session")


async def _empty() -> None: ...


@figure
async def wake_up(bench: Bench) -> None:
    """From the message that wakes an actor until its task has seen to its session and is gone; of many at once."""
    async with _engine(bench) as engine:
        actors = await _idle(engine, 1, bench.some(_ACTORS))

        async def ours() -> float:
            done = engine.expect(len(actors))
            start = time.perf_counter()
            for actor in actors:
                actor.poke()
            await done.wait()
            return (time.perf_counter() - start) / len(actors) * 1e6

        async def baseline() -> float:
            start = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for _ in actors:
                    tasks.start_soon(_empty)
            return (time.perf_counter() - start) / len(actors) * 1e6

        await ours()
        await bench.compare("wake_up", ours=ours, baseline=baseline, to="start_soon of an empty coroutine, µs")
