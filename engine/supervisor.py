"""The supervisor of actors: one actor per target with something to do, started on demand, forgotten when idle.

Work is found through the log: what this process commits wakes the target at once, what another commits is read when it
wakes us, and a slow poll reads to be sure. A start reads what is open, not every session there ever was.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio
import msgspec
from anyio.abc import TaskGroup

from engine import guild as guilds
from engine import slots
from engine.actor import Actor
from engine.commands import Policy
from engine.effects import Performer
from engine.guild_actor import GuildActor
from engine.latest import Latest
from engine.ports import Committed, EventLog, Translator, TryAgain
from engine.session_actor import SessionActor

_POLL = 5_000_000
"""The slow poll (µs): how late work of another process can be found when its wake-up got lost."""


_COURTESY_SECONDS = 0.25
"""How long work that is found waits for what is urgent."""


class Urgent(Protocol):
    """What goes before the work of any actor, because somebody counts the seconds."""

    @property
    def busy(self) -> bool:
        """Whether any is under way."""
        ...

    async def rest(self) -> None:
        """Wait until none is."""
        ...


async def nothing_spent(_person: str, _now: int) -> int:
    """Where nobody has a budget."""
    return 0


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What actors act with. `now`: the time in µs. `failed`: tells operators the target, what was done, and the error.

    `spent`: what a person has used on the day of a time (µs), in millionths of a dollar. Raises TryAgain.
    """

    log: EventLog
    translator: Translator
    performer: Performer
    now: Callable[[], int]
    failed: Callable[[str, str, Exception], None]
    urgent: Urgent | None = None
    spent: Callable[[str, int], Awaitable[int]] = nothing_spent


class Supervisor:
    """Runs actors. Everything they share is here; `engine.actor.Host` says what they use of it.

    `name` stands as the actor of events that no person caused; `limit` is MAX_SANDBOXES; `actors` are those in memory.
    """

    tasks: TaskGroup

    def __init__(self, world: World, *, policy: Policy, limit: int, name: str = "bot") -> None:
        self.log = world.log
        self.translator = world.translator
        self.performer = world.performer
        self.policy = policy
        self.limit = limit
        self.name = name
        self.slots = Latest(world.log, slots.STREAM, slots.fold, slots.Slots())
        self._world = world
        self.actors: dict[str, Actor[Any]] = {}
        self._guilds: dict[str, Latest[guilds.Guild]] = {}
        self._due: dict[str, int] = {}
        self._held: dict[str, None] = {}
        self._alarm = 0
        self._woken = anyio.Event()

    def now(self) -> int:
        """The time, in µs."""
        return self._world.now()

    async def spent(self, person: str) -> int:
        """What somebody has used today, in millionths of a dollar, about. Raises TryAgain."""
        return await self._world.spent(person, self.now())

    def failed(self, target: str, what: str, error: Exception) -> None:
        """Tell operators of an error that is no part of the protocol."""
        self._world.failed(target, what, error)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator["Supervisor"]:
        """Act for as long as the context is open. Leaving it ends every actor; what they wanted stays in the log."""
        async with anyio.create_task_group() as tasks:
            self.tasks = tasks
            unsubscribe = self.log.subscribe(self._committed)
            tasks.start_soon(self._find_work)
            tasks.start_soon(self._listen)
            try:
                yield self
            finally:
                unsubscribe()
                tasks.cancel_scope.cancel()

    def guild(self, guild: str) -> Latest[guilds.Guild]:
        """A server's members, as this process last saw them."""
        if guild not in self._guilds:
            self._guilds[guild] = Latest(self.log, guilds.stream(guild), guilds.fold, guilds.Guild())
        return self._guilds[guild]

    def actor(self, target: str) -> Actor[Any]:
        """The actor of `target`, made when there is none."""
        actor = self.actors.get(target)
        if actor is None:
            kind = GuildActor if target.startswith(guilds.stream("")) else SessionActor
            actor = self.actors[target] = kind(target, self)
        return actor

    def rest(self, actor: Actor[Any]) -> None:
        """Forget an actor that has nothing to do by itself, or may not act: what it knew is in the log."""
        if actor.forgettable and self.actors.get(actor.target) is actor:
            del self.actors[actor.target]
            self._due.pop(actor.target, None)

    def wake_at(self, target: str, due: int) -> None:
        """Poke `target` at `due` (µs), or sooner: when poked, it says again what it waits for."""
        if due < self._due.get(target, due + 1):
            self._due[target] = due
            if due < self._alarm:
                self._woken.set()

    def _committed(self, committed: Committed) -> None:
        urgent = self._world.urgent
        if self._held or (committed.targets and urgent and urgent.busy):
            if not self._held:
                self.tasks.start_soon(self._release)
            self._held.update(dict.fromkeys(committed.targets))
            return
        for target in committed.targets:
            self.actor(target).look()

    async def _release(self) -> None:
        assert self._world.urgent
        with anyio.move_on_after(_COURTESY_SECONDS):
            await self._world.urgent.rest()
        held, self._held = self._held, {}
        for target in held:
            self.actor(target).look()

    async def _listen(self) -> None:
        async for _ in self.log.wakeups():
            self._woken.set()

    async def _find_work(self) -> None:
        while True:
            self._woken = anyio.Event()
            now = self.now()
            self._poke_due(now)
            try:
                for target in await self.log.due(now):
                    self.actor(target).look()
            except TryAgain as error:
                self.failed("", "work", error)
            self._alarm = min(self._due.values(), default=now + _POLL)
            with anyio.move_on_after(min(_POLL, max(0, self._alarm - self.now())) / 1_000_000):
                await self._woken.wait()

    def _poke_due(self, now: int) -> None:
        for target in [target for target, due in self._due.items() if due <= now]:
            del self._due[target]
            self.actor(target).poke()
