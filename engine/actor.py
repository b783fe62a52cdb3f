"""One session's actor: folds its stream, decides one command at a time, keeps its effects running.

It promises that commands are decided one after the other against the state they were appended to, that nothing is shown,
sent or deleted before the event that wants it is recorded, and that it acts under its lease only. It has a task while it has
something to do and none otherwise: a message to an idle actor starts one. Everything it knows can be read again from the
log, so any surprise is answered by forgetting and loading.

Its mailbox holds *inputs*: events of the log that want an outcome here, reports of its own effects, and pokes (look again).
It is one file because its mailbox, its decisions and its effects are one thing: what may happen between which two of them.
"""

from collections.abc import Sequence

import anyio
import msgspec

from engine import line, slots
from engine.commands import Command, Context, Report, Tick
from engine.decide import decide
from engine.evolve import evolve, fold
from engine.handle import Handle
from engine.host import Host
from engine.ports import Fenced, GiveUp, Settled, TryAgain, VersionConflict
from engine.retry import delay
from engine.session import Session
from engine.todo import Attach, DeleteSandbox, Deliver, Effect, HandOver, RestartCli, Wanted, next_due, todo
from schema import events as e
from schema.envelope import Append, Draft, Recorded, Write

RELOAD_SECONDS = 1.0
"""How long an actor waits before it asks a log that was away again."""

DEFECT_DELAY = 30_000_000
"""How long (µs) a session rests after a defect of ours, before it is tried again."""

AGAIN_DELAY = 5_000_000
"""How long (µs) an effect rests that ended well and is still wanted, while the session stays as it saw it."""

_IN_SANDBOX = (Attach, RestartCli, Deliver, HandOver)
"""A sandbox is deleted only when none of these is on its way: what was begun could bring it back."""


class _Input(msgspec.Struct, kw_only=True):
    """An event that wants an outcome here, or what an effect found out, or has to decide with the slots; a tick if none."""

    received: Recorded | None = None
    event: e.SessionEvent | None = None
    joint: line.Joint | None = None
    done: anyio.Event | None = None


class _Running(msgspec.Struct, kw_only=True):
    """An effect on its way."""

    effect: Effect
    scope: anyio.CancelScope
    handle: Handle


class _Done(msgspec.Struct, frozen=True):
    """How an effect last ended: the version of the session that it had looked at, and when it may run again regardless."""

    version: int
    again: int


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
        "_rests_until",
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
        self._inbox: list[_Input] = []
        self._effects: dict[str, _Running] = {}
        self._done: dict[str, _Done] = {}
        self._changes: anyio.Event | None = None
        self._agenda: int | None = None
        self._rests_until = 0
        self._loaded = False
        self._look = False
        self._running = False
        self._dead = False

    # --- the mailbox -------------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """See what there is to do by the state alone."""
        if self._running or self._dead:
            return
        if self._rests_until > self._host.now():
            self._host.wake_at(self.target, self._rests_until)
            return
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
        if self._dead:
            raise Fenced(self.target)

    async def confirm(self) -> None:
        """Returns when the log says that the lease is still ours. Raises Fenced, TryAgain."""
        await self._host.log.append(Append(leases=((self.target, self.epoch),)))

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
            self._host.failed(self.target, "defect", error)
            self._loaded = False
            self._rests_until = self._host.now() + DEFECT_DELAY
            self._host.wake_at(self.target, self._rests_until)
        finally:
            self._running = False
            self._host.rest(self)

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
                self._host.failed(self.target, "log", error)
                await anyio.sleep(RELOAD_SECONDS)
            except VersionConflict:
                self._loaded = False
            except Settled:
                del self._inbox[:1]
                self._loaded = False
            if self._dead or (self._loaded and not (self._look or self._inbox)):
                return

    @staticmethod
    def _finish(handled: _Input) -> None:
        if handled.done:
            handled.done.set()

    def _fenced(self, error: Fenced) -> None:
        if not self._dead:
            self._host.failed(self.target, "fenced", error)
            self.stop()

    def stop(self) -> None:
        """End every effect and act no more: somebody else does now, or nobody."""
        self._dead = True
        for running in self._effects.values():
            running.scope.cancel()
        for waiting in self._inbox:
            self._finish(waiting)
        self._inbox.clear()
        self._host.rest(self)

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
        self._done = {key: done for key, done in self._done.items() if key in wanted}
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
        done = self._done.get(one.effect.key)
        if done and done.version == self.session.version and now < done.again:
            self._host.wake_at(self.target, done.again)
            return False
        if isinstance(one.effect, Deliver):  # lines go to the CLI one by one, in the order in which `todo` names them
            return not self._runs(Deliver)
        return not (isinstance(one.effect, DeleteSandbox) and self._runs(*_IN_SANDBOX))

    def _runs(self, *kinds: type[Effect]) -> bool:
        return any(isinstance(running.effect, kinds) for running in self._effects.values())

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
        running = _Running(effect=effect, scope=anyio.CancelScope(), handle=Handle(self))
        self._effects[effect.key] = running
        self._host.tasks.start_soon(self._perform, running)

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
            self._done[key] = _Done(running.handle.seen, self._host.now() + AGAIN_DELAY)
            self.poke()

    async def _try(self, running: _Running) -> None:
        try:
            await self._host.performer.perform(running.effect, running.handle)
            return
        except Fenced:
            raise
        except (TryAgain, GiveUp) as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a defect in an effect is retried like any failure, and told
            self._host.failed(self.target, running.effect.key, error)
            failure = error
        if self._wants(running.effect):
            await self._report_failure(running.effect, failure)

    async def _report_failure(self, effect: Effect, error: Exception) -> None:
        before = self.session.failures.get(effect.key)
        attempt = before.attempt + 1 if before else 1
        retry = None if isinstance(error, GiveUp) else self._host.now() + delay(attempt)
        why = str(error) if isinstance(error, TryAgain | GiveUp) else type(error).__name__
        await self.report(e.EffectFailed(what=effect.key, attempt=attempt, why=why[:500], retry=retry))
