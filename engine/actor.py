"""One session's actor: folds its stream, decides one command at a time, keeps its effects running.

It promises that commands are decided one after the other against the state they were appended to, that nothing is shown,
sent or deleted before the event that wants it is recorded, and that it acts under its lease only. It has a task while it has
something to do and none otherwise: a message to an idle actor starts one. Everything it knows can be read again from the
log, so any surprise is answered by forgetting and loading.

Its mailbox holds *inputs*: events of the log that want an outcome here, reports of its own effects, and pokes (look again).
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec

from engine import line, slots
from engine.commands import Command, Context, Policy, Report, Tick
from engine.decide import decide
from engine.effects import Performer
from engine.evolve import evolve, fold
from engine.handle import Handle
from engine.ports import EventLog, Fenced, GiveUp, Settled, Translator, TryAgain, VersionConflict
from engine.retry import delay
from engine.session import Session
from engine.slots import Slots
from engine.todo import Deliver, Effect, Wanted, next_due, todo
from schema import events as e
from schema.envelope import Append, Draft, Recorded, Write

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

RELOAD_SECONDS = 1.0
"""How long an actor waits before it asks a log that was away again."""

DEFECT_DELAY = 30_000_000
"""How long (µs) a session rests after a defect of ours, before it is folded anew and tried again."""


class Host(Protocol):
    """What an actor needs from whoever runs it; shared by all actors of a process."""

    log: EventLog
    translator: Translator
    performer: Performer
    policy: Policy
    limit: int
    name: str
    slots: Slots
    tasks: "TaskGroup"

    def now(self) -> int:
        """The time, in µs."""
        ...

    def wake_at(self, target: str, due: int) -> None:
        """Poke `target` at `due` (µs)."""
        ...

    def failed(self, target: str, what: str, error: Exception) -> None:
        """Tell operators of an error that is no part of the protocol."""
        ...

    def rest(self, actor: "Actor") -> None:
        """The actor has nothing to do now, or must not act any more."""
        ...


class _Input(msgspec.Struct, kw_only=True):
    """An event that wants an outcome here, or what an effect found out, or has to decide with the slots; a tick if none."""

    received: Recorded | None = None
    event: e.SessionEvent | None = None
    joint: line.Joint | None = None
    done: anyio.Event | None = None


class _Running(msgspec.Struct, kw_only=True):
    """A running effect, and the version of the session it was started for."""

    effect: Effect
    scope: anyio.CancelScope
    version: int


class Actor:
    """The one that acts for `target`, as long as it holds the lease."""

    __slots__ = (
        "_agenda",
        "_changes",
        "_dead",
        "_done",
        "_effects",
        "_host",
        "_inbox",
        "_loaded",
        "_look",
        "_running",
        "epoch",
        "live",
        "session",
        "target",
    )

    def __init__(self, target: str, host: Host) -> None:
        self.target = target
        self.session = Session()
        self.epoch = 0
        self.live = ""
        self._host = host
        self._inbox: deque[_Input] = deque()
        self._effects: dict[str, _Running] = {}
        self._done: dict[str, int] = {}
        self._changes: anyio.Event | None = None
        self._agenda: int | None = None
        self._loaded = False
        self._look = False
        self._running = False
        self._dead = False

    # --- the mailbox -------------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """See what there is to do by the state alone. Costs nothing when there is nothing."""
        if not (self._running or self._dead):
            self._running = True
            self._host.tasks.start_soon(self._run)

    def look(self) -> None:
        """See what there is to do, also in the log: somebody may want an outcome."""
        self._look = True
        self.poke()

    async def report(self, event: e.SessionEvent) -> None:
        """Decide on what an effect found out; returns when it is recorded, or found to be of no more use."""
        await self._send(_Input(event=event, done=anyio.Event()))

    async def decide_with_slots(self, joint: line.Joint) -> None:
        """Decide, in one append, what concerns this session and the slots."""
        await self._send(_Input(joint=joint, done=anyio.Event()))

    async def _send(self, sent: _Input) -> None:
        assert sent.done
        if self._dead:
            raise Fenced(self.target)
        self._inbox.append(sent)
        self.poke()
        await sent.done.wait()

    def say(self, live: str) -> None:
        """Set what is being said right now."""
        if live != self.live:
            self.live = live
            self._change()

    @property
    def changes(self) -> anyio.Event:
        """Set at the next change of the session or of `live`."""
        if self._changes is None:
            self._changes = anyio.Event()
        return self._changes

    def _change(self) -> None:
        if self._changes is not None:
            self._changes.set()
            self._changes = None

    @property
    def forgettable(self) -> bool:
        """Whether nothing is lost when it is forgotten: it does nothing, and has nothing to do by itself."""
        return self._dead or not (
            self._running or self._effects or self._inbox or self._look or self._agenda is not None
        )

    # --- its task ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._work()
        except Fenced as error:
            self._host.failed(self.target, "fenced", error)
            self.stop()
        except Exception as error:  # noqa: BLE001 - a defect in one session must not end the others
            self._host.failed(self.target, "defect", error)
            self._loaded = False
            self._host.wake_at(self.target, self._host.now() + DEFECT_DELAY)
        finally:
            self._running = False
            self._host.rest(self)

    async def _work(self) -> None:
        while not self._dead:
            try:
                await self._read()
                while self._inbox:
                    await self._handle(self._inbox[0])
                    self._finish(self._inbox.popleft())
                self._tend()
            except TryAgain as error:
                self._host.failed(self.target, "log", error)
                await anyio.sleep(RELOAD_SECONDS)
            except (VersionConflict, Settled):
                self._loaded, self._look = False, True
            if self._loaded and not (self._look or self._inbox):
                return

    @staticmethod
    def _finish(handled: _Input) -> None:
        if handled.done:
            handled.done.set()

    def stop(self) -> None:
        """End every effect and act no more: somebody else does now, or nobody."""
        self._dead = True
        for running in self._effects.values():
            running.scope.cancel()
        for waiting in self._inbox:
            self._finish(waiting)
        self._inbox.clear()

    async def _read(self) -> None:
        """Know the session as the log does, and what is wanted of it."""
        log = self._host.log
        if not self._loaded:
            self.epoch = self.epoch or await log.lease(self.target)
            self.session = fold(await log.read_stream(self.target, after=self.session.version), self.session)
            self._loaded = self._look = True
            self._change()
        if self._look:
            self._look = False
            work = await log.work(self.target)
            self._agenda = next((row.due for row in work if row.position == 0), None)
            queued = {one.received.position for one in self._inbox if one.received}
            wanted = [row.position for row in work if row.position and row.position not in queued]
            if wanted:
                self._inbox.extend(_Input(received=received) for received in await log.read(wanted))

    async def _handle(self, handled: _Input) -> None:
        if handled.received is not None:
            command, context = await self._host.translator.translate(handled.received)
            context = msgspec.structs.replace(context, policy=self._host.policy)
            await self._decide(command, context, settles=handled.received.position)
        elif handled.joint is not None:
            await self._decide_jointly(handled.joint)
        elif handled.event is not None:
            await self._decide(Report(event=handled.event), self._context())
        else:
            await self._decide(Tick(), self._context())

    def _context(self) -> Context:
        return Context(at=self._host.now(), policy=self._host.policy)

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def _decide(self, command: Command, context: Context, *, settles: int = 0) -> None:
        events = decide(self.session, command, context)
        if events:
            await self._append(events, context, settles=settles)

    async def _decide_jointly(self, joint: line.Joint) -> None:
        """Decide against the newest slots; whoever appended to them first made us look again."""
        host = self._host
        while True:
            new = await host.log.read_stream(slots.STREAM, after=host.slots.version)
            state = host.slots = slots.fold([one for one in new if one.version > host.slots.version], host.slots)
            if not self._wants(joint):
                return
            given, told = line.decide(state, joint, self.session, limit=host.limit)
            context = self._context()
            events = decide(self.session, Report(event=told), context) if told else []
            if not events and not given:
                return
            try:
                await self._append(events, context, given=(state.version, given))
            except VersionConflict as conflict:
                if conflict.stream != slots.STREAM:
                    raise
            else:
                return

    def _wants(self, effect: Effect) -> bool:
        return any(one.effect == effect for one in todo(self.session))

    async def _append(
        self,
        events: Sequence[e.SessionEvent],
        context: Context,
        *,
        settles: int = 0,
        given: tuple[int, Sequence[e.SlotsEvent]] = (0, ()),
    ) -> None:
        session, after = self.session, self.session
        for event in events:
            after = evolve(after, event, stream=self.target, at=context.at, cause=context.cause)
        wanted = todo(after)
        due = next_due(after, wanted)
        actor = f"person:{context.by}" if context.by else self._host.name
        drafts = tuple(Draft(event=event, at=context.at, actor=actor, cause=context.cause) for event in events)
        writes = [Write(stream=self.target, expected=session.version, drafts=drafts)] if drafts else []
        if given[1]:
            writes.append(self._slots_write(given, context))
        append = Append(
            writes=tuple(writes),
            leases=((self.target, self.epoch),),
            settles=((self.target, settles),) if settles else (),
            agenda=((self.target, due),) if due != self._agenda else (),
        )
        await self._host.log.append(append)
        self.session, self._agenda = after, due
        self._change()

    def _slots_write(self, given: tuple[int, Sequence[e.SlotsEvent]], context: Context) -> Write:
        """Slots granted to others are work for them; our own grant is recorded in this very append."""
        drafts: list[Draft] = []
        for event in given[1]:
            other = isinstance(event, e.Granted) and event.session != self.session.id
            to = f"session:{event.session}" if other and isinstance(event, e.Granted) else None
            drafts.append(Draft(event=event, at=context.at, actor=self._host.name, cause=context.cause, to=to))
        return Write(stream=slots.STREAM, expected=given[0], drafts=tuple(drafts))

    # --- effects -----------------------------------------------------------------------------------------------------

    def _tend(self) -> None:
        """Start what is wanted and does not run, stop what runs and is not wanted, remember what is wanted later."""
        now = self._host.now()
        wanted = {one.effect.key: one for one in todo(self.session)}
        for key, running in list(self._effects.items()):
            if key not in wanted or wanted[key].effect != running.effect:
                running.scope.cancel()
        for key, one in wanted.items():
            if key not in self._effects and self._may_start(one, now):
                self._start(one.effect)
        if self._agenda is not None:
            self._expire(now)

    def _may_start(self, one: Wanted, now: int) -> bool:
        if one.since > now:
            self._host.wake_at(self.target, one.since)
            return False
        if self._done.get(one.effect.key) == self.session.version:
            return False
        return not (isinstance(one.effect, Deliver) and self._delivers())

    def _delivers(self) -> bool:
        """Lines go to the CLI one after the other, in the order in which `todo` names them."""
        return any(isinstance(running.effect, Deliver) for running in self._effects.values())

    def _expire(self, now: int) -> None:
        times = [ask.expires for ask in self.session.asks if not ask.choice]
        times += [reply.until for reply in self.session.replies]
        if not times:
            return
        if min(times) > now:
            self._host.wake_at(self.target, min(times))
        else:
            self._inbox.append(_Input())

    def _start(self, effect: Effect) -> None:
        running = _Running(effect=effect, scope=anyio.CancelScope(), version=self.session.version)
        self._effects[effect.key] = running
        self._host.tasks.start_soon(self._perform, running)

    async def _perform(self, running: _Running) -> None:
        """Run one effect to its end; a failure is reported, and what it means is for the decider."""
        key = running.effect.key
        try:
            with running.scope:
                await self._try(running.effect)
        finally:
            del self._effects[key]
            self._done[key] = running.version
            self.poke()

    async def _try(self, effect: Effect) -> None:
        context = Handle(self)
        try:
            await self._host.performer.perform(effect, context)
        except TryAgain as error:
            await self._report_failure(effect, error, final=False)
        except GiveUp as error:
            await self._report_failure(effect, error, final=True)
        except Fenced as error:
            self._host.failed(self.target, "fenced", error)
            self.stop()
        except Exception as error:  # noqa: BLE001 - a defect in an effect is retried like any failure, and told
            self._host.failed(self.target, effect.key, error)
            await self._report_failure(effect, error, final=False)

    async def _report_failure(self, effect: Effect, error: Exception, *, final: bool) -> None:
        failure = self.session.failures.get(effect.key)
        attempt = failure.attempt + 1 if failure else 1
        retry = None if final else self._host.now() + delay(attempt)
        why = str(error) if isinstance(error, TryAgain | GiveUp) else type(error).__name__
        await self.report(e.EffectFailed(what=effect.key, attempt=attempt, why=why[:500], retry=retry))
