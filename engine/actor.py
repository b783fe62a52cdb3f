"""An actor: folds its stream, decides one command at a time, keeps its effects running.

It promises that commands are decided one after the other against the state they were appended to, that nothing is shown,
sent or deleted before the event that wants it is recorded, and that it acts under its lease only. It has a task while it has
something to do and none otherwise: a message to an idle actor starts one. Everything it knows can be read again from the
log, so any surprise is answered by forgetting and loading.

Its mailbox holds *inputs*: events of the log that want an outcome here, reports of its own effects, and pokes (look again).
What it decides is its kind's: `session_actor.py`, `guild_actor.py`. It is one file because its mailbox, its appends and its
effects are one thing: what may happen between which two of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import anyio
import msgspec

from engine import mail
from engine.commands import Command, Context, GuildCommand, Tick
from engine.host import Host
from engine.ports import Fenced, GiveUp, Settled, TryAgain, VersionConflict
from engine.retry import DETAIL, delay
from engine.session import Failure
from engine.todo import BaseEffect, Wanted, next_due
from schema import events as e
from schema.envelope import Append, Draft, Recorded, Write

RELOAD_SECONDS = 1.0
"""How long an actor waits before it asks a log that was away again."""

DEFECT_DELAY = 30_000_000
"""How long (µs) an actor rests after a defect of ours, before it is tried again."""

AGAIN_DELAY = 5_000_000
"""How long (µs) an effect rests that ended well and is still wanted, while the state stays as it saw it."""


class State(Protocol):
    """What an actor must see of its state."""

    @property
    def version(self) -> int: ...

    @property
    def failures(self) -> dict[str, Failure]: ...


S = TypeVar("S", bound=State)


class Input(msgspec.Struct, kw_only=True):
    """An event that wants an outcome here, or a command of our own: what an effect found out, or that time has passed."""

    received: Recorded | None = None
    command: Any = None
    done: anyio.Event | None = None


class Handle(Generic[S]):
    """What one run of one effect holds of its actor."""

    __slots__ = ("_changes", "actor", "seen")

    def __init__(self, actor: "Actor[S]") -> None:
        self.actor = actor
        self._changes = actor.changes
        self.seen = actor.state.version
        """The newest version of the state that the effect has looked at."""

    @property
    def state(self) -> S:
        """The state as it is now."""
        state = self.actor.state
        self.seen = state.version
        return state

    @property
    def epoch(self) -> int:
        """The fencing epoch of the actor."""
        return self.actor.epoch

    async def report(self, event: e.Event) -> None:
        """Record what the effect found out."""
        await self.actor.report(event)

    async def confirm(self) -> None:
        """Ask the log whether this process still acts for the target. Raises Fenced, TryAgain."""
        await self.actor.confirm()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changes.wait()
        self._changes = self.actor.changes


class _Running(msgspec.Struct, kw_only=True):
    """An effect on its way."""

    effect: BaseEffect
    scope: anyio.CancelScope
    handle: Handle[Any]


class _Done(msgspec.Struct, frozen=True):
    """How an effect last ended: the version of the state that it had looked at, and when it may run again regardless."""

    version: int
    again: int


class Actor(ABC, Generic[S]):
    """The one that acts for `target`, as long as it holds the lease."""

    __slots__ = (
        "_agenda",
        "_changes",
        "_dead",
        "_done",
        "_effects",
        "_inbox",
        "_loaded",
        "_look",
        "_rests_until",
        "_running",
        "epoch",
        "host",
        "state",
        "target",
    )

    def __init__(self, target: str, host: Host, state: S) -> None:
        self.target = target
        self.state = state
        self.epoch = 0
        self.host = host
        self._inbox: list[Input] = []
        self._effects: dict[str, _Running] = {}
        self._done: dict[str, _Done] = {}
        self._changes: anyio.Event | None = None
        self._agenda: int | None = None
        self._rests_until = 0
        self._loaded = False
        self._look = False
        self._running = False
        self._dead = False

    # --- what its kind knows -----------------------------------------------------------------------------------------

    @abstractmethod
    def fold(self, recorded: Sequence[Recorded]) -> S:
        """The state after `recorded`, which follow it."""

    @abstractmethod
    def evolve(self, state: S, event: e.Event, context: Context) -> S:
        """`state` after an event that was just decided."""

    @abstractmethod
    def todo(self, state: S) -> tuple[Wanted[Any], ...]:
        """What is wanted, now or later."""

    @abstractmethod
    def deadlines(self, state: S) -> list[int]:
        """When time alone makes a difference (µs)."""

    @abstractmethod
    async def answer(self, command: Any, context: Context, *, settles: int) -> None:
        """Decide on a command and append what follows. `settles`: the position of the work that it answers, 0 for none."""

    @abstractmethod
    async def report(self, event: e.Event) -> None:
        """Decide on what an effect found out; returns when it is recorded, or found to be of no more use."""

    @abstractmethod
    async def perform(self, effect: Any, handle: Handle[S]) -> None:
        """Do what is wanted. Raises TryAgain, GiveUp, Fenced."""

    @abstractmethod
    def failed(self, what: str, attempt: int, why: str, retry: int | None) -> e.Event:
        """The event that says that an effect did not work."""

    def new_handle(self) -> Handle[S]:
        """What an effect that begins is given."""
        return Handle(self)

    def may_start(self, effect: Any) -> bool:
        """Whether what runs allows a wanted effect to begin."""
        del effect
        return True

    # --- the mailbox -------------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """See what there is to do by the state alone."""
        if self._running or self._dead:
            return
        if self._rests_until > self.host.now():
            self.host.wake_at(self.target, self._rests_until)
            return
        self._running = True
        self.host.tasks.start_soon(self._run)

    def look(self) -> None:
        """See what there is to do, also in the log: somebody may want an outcome."""
        self._look = True
        self.poke()

    async def send(self, command: Any) -> None:
        """Have a command of our own decided; returns when it is. Raises Fenced."""
        if self._dead:
            raise Fenced(self.target)
        done = anyio.Event()
        self._inbox.append(Input(command=command, done=done))
        self.poke()
        await done.wait()
        if self._dead:
            raise Fenced(self.target)

    async def confirm(self) -> None:
        """Returns when the log says that the lease is still ours. Raises Fenced, TryAgain."""
        await self.host.log.append(Append(leases=((self.target, self.epoch),)))

    @property
    def changes(self) -> anyio.Event:
        """Set at the next change of the state."""
        if self._changes is None:
            self._changes = anyio.Event()
        return self._changes

    def change(self) -> None:
        """Tell whoever waits for a change."""
        if self._changes is not None:
            self._changes.set()
            self._changes = None

    @property
    def idle(self) -> bool:
        """Whether it has no task, and nothing to decide."""
        return not (self._running or self._inbox or self._look)

    @property
    def forgettable(self) -> bool:
        """Whether nothing is lost when it is forgotten: it does nothing, and has nothing to do by itself."""
        return self._dead or (self.idle and not self._effects and self._agenda is None)

    # --- its task ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._work()
        except Fenced as error:
            self._fenced(error)
        except Exception as error:  # noqa: BLE001 - a defect in one session must not end the others
            self.host.failed(self.target, "defect", error)
            self._loaded = False
            self._rests_until = self.host.now() + DEFECT_DELAY
            self.host.wake_at(self.target, self._rests_until)
        finally:
            self._running = False
            self.host.rest(self)

    async def _work(self) -> None:
        while True:
            try:
                await self._read()
                while self._inbox and not self._dead:
                    handled = self._inbox[0]
                    await self._handle(handled)
                    self._finish(handled)
                    del self._inbox[:1]  # it may have been cleared meanwhile
                if not self._dead:
                    self._tend()
            except TryAgain as error:
                if not self.epoch:
                    # another process acts for it, or the log is away: whoever looks for work returns
                    self._look = False
                    return
                self.host.failed(self.target, "log", error)
                await anyio.sleep(RELOAD_SECONDS)
            except VersionConflict:
                self._loaded = False
            except Settled:
                del self._inbox[:1]
                self._loaded = False
            if self._dead or (self._loaded and not (self._look or self._inbox)):
                return

    @staticmethod
    def _finish(handled: Input) -> None:
        if handled.done:
            handled.done.set()

    def _fenced(self, error: Fenced) -> None:
        if not self._dead:
            self.host.failed(self.target, "fenced", error)
            self.stop()

    def stop(self) -> None:
        """End every effect and act no more: somebody else does now, or nobody."""
        self._dead = True
        for running in self._effects.values():
            running.scope.cancel()
        for waiting in self._inbox:
            self._finish(waiting)
        self._inbox.clear()
        self.host.rest(self)

    async def _read(self) -> None:
        """Know the state as the log does, and what is wanted of it."""
        log = self.host.log
        if not self._loaded:
            self.epoch = self.epoch or await log.lease(self.target)
            self.state = self.fold(await log.read_stream(self.target, after=self.state.version))
            self._loaded = self._look = True
            self.change()
        if self._look:
            self._look = False
            work = await log.work(self.target)
            self._agenda = next((row.due for row in work if row.position == 0), None)
            queued = {one.received.position for one in self._inbox if one.received}
            wanted = [row.position for row in work if row.position and row.position not in queued]
            if wanted:
                self._inbox.extend(Input(received=received) for received in await log.read(wanted))

    async def _handle(self, handled: Input) -> None:
        if handled.received is None:
            await self.answer(handled.command, self.context(), settles=0)
            return
        command, context = await self._read_command(handled.received)
        context = msgspec.structs.replace(context, policy=self.host.policy)
        await self.answer(command, context, settles=handled.received.position)

    async def _read_command(self, received: Recorded) -> tuple[Command | GuildCommand, Context]:
        """What an event with work open asks of us: what somebody sent, at once or again, or what another stream wants."""
        if again := mail.original(received.event):
            (asked,) = await self.host.log.read([again])
            command, context = await self.host.translator.translate(asked)
            return command, msgspec.structs.replace(context, at=received.at, cause=received.position)
        return mail.command(received) or await self.host.translator.translate(received)

    def context(self) -> Context:
        """What surrounds a command of our own."""
        return Context(at=self.host.now(), policy=self.host.policy)

    async def append(
        self,
        events: Sequence[e.Event],
        context: Context,
        *,
        settles: int = 0,
        guards: Sequence[tuple[str, int]] = (),
        others: Sequence[Write] = (),
    ) -> None:
        """Record events of ours that were decided on the state as it is. `guards`: versions of streams they rest on too.
        `others`: what is written to other streams with them.
        """
        before, after = self.state, self.state
        for event in events:
            after = self.evolve(after, event, context)
        due = next_due(self.todo(after), self.deadlines(after))
        actor = f"person:{context.by}" if context.by else self.host.name
        drafts = tuple(
            Draft(event=event, at=context.at, actor=actor, cause=context.cause, to=mail.recipient(event))
            for event in events
        )
        own = (Write(stream=self.target, expected=before.version, drafts=drafts),) if drafts else ()
        append = Append(
            writes=(*own, *others),
            leases=((self.target, self.epoch),),
            versions=tuple(guards),
            settles=((self.target, settles),) if settles else (),
            agenda=((self.target, due),) if due != self._agenda else (),
        )
        await self.host.log.append(append)
        self.state, self._agenda = after, due
        self.change()

    # --- effects -----------------------------------------------------------------------------------------------------

    def _tend(self) -> None:
        """Start what is wanted and does not run, stop what runs and is not wanted, remember what is wanted later."""
        now = self.host.now()
        wanted = {one.effect.key: one for one in self.todo(self.state)}
        self._done = {key: done for key, done in self._done.items() if key in wanted}
        for key, running in list(self._effects.items()):
            if key not in wanted or wanted[key].effect != running.effect:
                running.scope.cancel()
        for key, one in wanted.items():
            if key not in self._effects and self._may_start(one, now):
                self._start(one.effect)
        if self._agenda is not None:
            self._expire(now)

    def _may_start(self, one: Wanted[Any], now: int) -> bool:
        if one.since > now:
            self.host.wake_at(self.target, one.since)
            return False
        done = self._done.get(one.effect.key)
        if done and done.version == self.state.version and now < done.again:
            self.host.wake_at(self.target, done.again)
            return False
        return self.may_start(one.effect)

    def runs(self, *kinds: type[Any]) -> bool:
        """Whether an effect of one of these kinds is on its way."""
        return any(isinstance(running.effect, kinds) for running in self._effects.values())

    def _expire(self, now: int) -> None:
        times = self.deadlines(self.state)
        if not times:
            return
        if min(times) > now:
            self.host.wake_at(self.target, min(times))
        else:
            self._inbox.append(Input(command=Tick()))

    def wants(self, effect: BaseEffect) -> bool:
        """Whether an effect is (still) wanted."""
        return any(one.effect == effect for one in self.todo(self.state))

    def _start(self, effect: BaseEffect) -> None:
        running = _Running(effect=effect, scope=anyio.CancelScope(), handle=self.new_handle())
        self._effects[effect.key] = running
        self.host.tasks.start_soon(self._perform, running)

    async def _perform(self, running: _Running) -> None:
        """Run one effect to its end; a failure is reported, and what it means is for the decider."""
        key = running.effect.key
        try:
            with running.scope:
                await self._try(running)
        except Fenced as error:
            self._fenced(error)
        finally:
            del self._effects[key]
            self._done[key] = _Done(running.handle.seen, self.host.now() + AGAIN_DELAY)
            self.poke()

    async def _try(self, running: _Running) -> None:
        try:
            await self.perform(running.effect, running.handle)
            return
        except Fenced:
            raise
        except (TryAgain, GiveUp) as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a defect in an effect is retried like any failure, and told
            self.host.failed(self.target, running.effect.key, error)
            failure = error
        if self.wants(running.effect):
            await self._report_failure(running.effect, failure)

    async def _report_failure(self, effect: BaseEffect, error: Exception) -> None:
        before = self.state.failures.get(effect.key)
        attempt = before.attempt + 1 if before else 1
        retry = None if isinstance(error, GiveUp) else self.host.now() + delay(attempt)
        why = str(error) if isinstance(error, TryAgain | GiveUp) else type(error).__name__
        await self.report(self.failed(effect.key, attempt, why[:DETAIL], retry))
