"""One session's actor: what `actor.py` promises, for a session. It also decides together with the slots, on roles as they stand,
and lets nothing reach a sandbox out of order.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from engine import guild, line, mail, running, slots
from engine.actor import Actor, Handle
from engine.commands import Command, Context, Reason, Reject, Report, Resolve, Start, Submit
from engine.decide import decide
from engine.evolve import evolve, fold
from engine.host import Host
from engine.ports import VersionConflict
from engine.session import Session
from engine.slots import Slots
from engine.todo import AskSlot, Attach, DeleteSandbox, Deliver, Effect, HandOver, RestartCli, Wanted, deadlines, todo
from schema import events as e
from schema.envelope import Draft, Recorded, Write

_IN_SANDBOX = (Attach, RestartCli, Deliver, HandOver)
"""A sandbox is deleted only when none of these is on its way: what was begun could bring it back."""

_COSTLY = (Start, Submit, Resolve)
"""May have Claude begin something. What was used is no stream of ours to guard with: the gateway counts while turns run, in
every session of the person, and what a turn costs is known when it is over; so a budget may be overrun by what runs."""


class _Joint(msgspec.Struct, frozen=True):
    """An effect has to decide with the slots."""

    effect: line.Joint


class SessionActor(Actor[Session]):
    """Acts for `session:<id>`. `live`: what Claude is saying right now."""

    __slots__ = ("live",)

    def __init__(self, target: str, host: Host) -> None:
        super().__init__(target, host, Session())
        self.live = ""

    def say(self, live: str) -> None:
        """Set what is being said right now."""
        if live != self.live:
            self.live = live
            self.change()

    async def report(self, event: e.Event) -> None:
        assert isinstance(event, e.SessionEvent)
        await self.send(Report(event=event))

    async def decide_with_slots(self, joint: line.Joint) -> None:
        """Decide, in one append, what concerns this session and the slots."""
        await self.send(_Joint(joint))

    # --- a session ---------------------------------------------------------------------------------------------------

    def fold(self, recorded: Sequence[Recorded]) -> Session:
        return fold(recorded, self.state)

    def evolve(self, state: Session, event: e.Event, context: Context) -> Session:
        return evolve(state, event, stream=self.target, at=context.at, cause=context.cause)

    def todo(self, state: Session) -> tuple[Wanted[Effect], ...]:
        return todo(state)

    def deadlines(self, state: Session) -> list[int]:
        return deadlines(state)

    def failed(self, what: str, attempt: int, why: str, retry: int | None) -> e.Event:
        return e.EffectFailed(what=what, attempt=attempt, why=why, retry=retry)

    # --- deciding ----------------------------------------------------------------------------------------------------

    async def answer(self, command: Any, context: Context, *, settles: int) -> None:
        if isinstance(command, _Joint):
            await self._decide_jointly(command.effect)
            return
        if not isinstance(command, Command):
            command = Reject(reason=Reason.MALFORMED)
        guards: list[tuple[str, int]] = []
        if context.by and (server := command.guild if isinstance(command, Start) else self.state.guild):
            here = await self.host.guild(server).read()
            guards.append((guild.stream(server), here.version))
            role = here.role(context.by)
            spent = (
                await self.host.spent(context.by) if context.policy.budget(role) and isinstance(command, _COSTLY) else 0
            )
            sessions = 0
            if isinstance(command, Start) and context.policy.sandboxes_per_person:
                sessions = len(await running.of_person(self.host.log, context.by))
            context = msgspec.structs.replace(context, role=role, spent=spent, running=sessions)
        events = decide(self.state, command, context)
        if events:
            await self.append(events, context, settles=settles, guards=guards)

    async def _decide_jointly(self, joint: line.Joint) -> None:
        """Decide against the newest slots; whoever appended to them first made us look again."""
        host = self.host
        while True:
            state = await host.slots.read()
            if not self.wants(joint):
                return
            crowded = isinstance(joint, AskSlot) and await self._crowded(state)
            given, told = line.decide(state, joint, self.state, limit=host.limit, crowded=crowded)
            context = self.context()
            events = decide(self.state, Report(event=told), context) if told else []
            if not events and not given:
                return
            others = [self._slots_write(state.version, given, context)] if given else []
            guards = [] if given else [(slots.STREAM, state.version)]
            try:
                await self.append(events, context, others=others, guards=guards)
            except VersionConflict as conflict:
                if conflict.stream != slots.STREAM:
                    raise
            else:
                return

    async def _crowded(self, state: Slots) -> bool:
        """Whether others of its starter's sessions hold, or wait for, as many slots as one person may."""
        most = self.host.policy.sandboxes_per_person
        if not most:
            return False
        others = {*state.held, *state.line} - {self.state.id}
        return len(others & await running.of_person(self.host.log, self.state.starter)) >= most

    def _slots_write(self, version: int, given: Sequence[e.SlotsEvent], context: Context) -> Write:
        """Slots granted to others are work for them; our own grant is recorded in this very append."""
        drafts: list[Draft] = []
        for event in given:
            to = mail.recipient(event)
            to = None if to == self.target else to
            drafts.append(Draft(event=event, at=context.at, actor=self.host.name, cause=context.cause, to=to))
        return Write(stream=slots.STREAM, expected=version, drafts=tuple(drafts))

    # --- effects -----------------------------------------------------------------------------------------------------

    def new_handle(self) -> "SessionHandle":
        return SessionHandle(self)

    async def perform(self, effect: Any, handle: Handle[Session]) -> None:
        assert isinstance(handle, SessionHandle)
        await self.host.performer.perform(effect, handle)

    def may_start(self, effect: Any) -> bool:
        if isinstance(effect, Deliver):  # lines go to the CLI one by one, in the order in which `todo` names them
            return not self.runs(Deliver)
        return not (isinstance(effect, DeleteSandbox) and self.runs(*_IN_SANDBOX))


class SessionHandle(Handle[Session]):
    """What one run of one effect holds of a session: `engine.effects.JointContext`."""

    __slots__ = ("_session_actor",)

    def __init__(self, actor: SessionActor) -> None:
        super().__init__(actor)
        self._session_actor = actor

    @property
    def session(self) -> Session:
        """The session as it is now."""
        return self.state

    @property
    def live(self) -> str:
        """What Claude is saying right now."""
        return self._session_actor.live

    def say(self, live: str) -> None:
        """Set `live`."""
        self._session_actor.say(live)

    async def decide_with_slots(self, joint: line.Joint) -> None:
        """Record what concerns the session and the slots."""
        await self._session_actor.decide_with_slots(joint)
