"""What would have been decided under another policy: the same deciders, over the commands that a log holds. Pure.

What it can know: each recorded decision, taken again on the very state that it was taken on, with other numbers, another limit
of sandboxes or other roles. What it cannot: what people would have done then. So it goes on from what was recorded, and says of
every decision in a stream that an earlier one would have changed that it comes after that one (`Divergence.after`).
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine import guild, guild_decide, line, mail, slots
from engine.commands import Command, Context, DecideAccess, GuildCommand, Policy, Reason, Resolve, Role, Start, Submit
from engine.decide import decide
from engine.evolve import fold
from engine.guild import Guild
from engine.session import Session
from engine.slots import Slots
from engine.todo import AskSlot
from schema import events as e
from schema.envelope import Recorded

_NEWS = (e.Moved, e.Needed)
"""What others are told of a decision about slots: it follows from that, and is not compared."""

Told = tuple[Command | GuildCommand, Context]
"""A command and its context, but for policy, role and what was spent."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What decisions rest on besides the log. `roles`: by person, in every server, instead of what the log says."""

    policy: Policy
    limit: int
    roles: Mapping[str, Role] = {}


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that would have been otherwise: on the event at `position`, by `by`, for `stream`.

    `was` and `would`: kinds of events; of refusals with their reasons, of grants with their sessions. `after`: the position of
    the first decision of this stream that would have been otherwise, 0 when this is it.
    """

    position: int
    stream: str
    at: int
    by: str
    was: Sequence[str]
    would: Sequence[str]
    after: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`decisions`: taken again. `unread`: commands whose text was erased. `other`: decided otherwise than these deciders do now,
    under the present terms: by an older release, or other settings.
    """

    decisions: int
    unread: int
    other: int
    divergences: Sequence[Divergence]


class _Again(msgspec.Struct):
    """A decision whose recorded events are being collected."""

    cause: int
    by: str
    at: int
    now: list[str]
    would: list[str]
    was: list[str] = []


class Simulation:
    """Takes every event of a log in order. `told`: the command in what a person sent; raises KeyError for one that cannot be read
    any more. `spent`: what a person had used on the day of a time (µs), as of the events so far.
    """

    def __init__(
        self,
        now: Terms,
        changed: Terms,
        *,
        told: Callable[[Recorded], Told],
        spent: Callable[[str, int], int] = lambda _person, _at: 0,
    ) -> None:
        self._now = now
        self._changed = changed
        self._told = told
        self._spent = spent
        self._asked: dict[int, Told | None] = {}
        self._refused: dict[int, Told] = {}  # what strangers wanted, for when they are let in
        self._sessions: dict[str, Session] = {}
        self._guilds: dict[str, Guild] = {}
        self._running: dict[str, dict[str, None]] = {}  # by who started them
        self._slots = Slots()
        self._open: dict[str, _Again] = {}
        self._first: dict[str, int] = {}
        self._decisions = 0
        self._other = 0
        self._unread = 0
        self._found: list[Divergence] = []

    def take(self, recorded: Recorded) -> None:
        """The next event."""
        stream = recorded.stream
        if stream == slots.STREAM:
            self._take_slots(recorded)
            self._slots = slots.evolve(self._slots, recorded.event)
        elif stream.startswith("session:"):
            self._collect(stream, recorded)
            if isinstance(recorded.event, e.LineLeft) and not recorded.event.by:
                self._take_crowded(recorded)
            session = self._sessions[stream] = fold([recorded], self._session(stream))
            self._count(session, recorded.event)
        elif stream.startswith("guild:"):
            self._collect(stream, recorded)
            self._guilds[stream] = guild.fold([recorded], self._guild(stream))
        self._listen(recorded)

    def verdict(self) -> Verdict:
        """What came out, when every event was taken."""
        for stream in list(self._open):
            self._close(stream)
        found = sorted(self._found, key=lambda one: one.position)
        return Verdict(decisions=self._decisions, unread=self._unread, other=self._other, divergences=found)

    def _listen(self, recorded: Recorded) -> None:
        """Keep what the event asks for until it has its outcome."""
        match recorded.event:
            case e.Received():
                try:
                    self._asked[recorded.position] = self._told(recorded)
                except KeyError:
                    self._unread += 1
            case e.AccessAsked():
                self._asked[recorded.position] = mail.command(recorded)
            case e.AccessDecided(choice="approved", received=received) if told := self._refused.get(received):
                command, context = told
                context = msgspec.structs.replace(context, at=recorded.at, cause=recorded.position)
                self._asked[recorded.position] = (command, context)
            case _:
                pass

    # --- sessions and servers ----------------------------------------------------------------------------------------

    def _collect(self, stream: str, recorded: Recorded) -> None:
        again = self._open.get(stream)
        later = isinstance(recorded.event, e.Dismissed | e.Cleared)  # what a removal leads to, under the same cause
        if again is not None and (recorded.cause != again.cause or later):
            self._close(stream)
            again = None
        told = None if later or again is not None else self._asked.get(recorded.cause)
        if told is not None and _is_for(stream, told[0]):
            del self._asked[recorded.cause]
            if isinstance(recorded.event, e.AccessAsked):
                self._refused[recorded.cause] = told
            again = self._open[stream] = self._decide(stream, recorded, told)
        if again is not None:
            again.was.append(_shape(recorded.event))

    def _decide(self, stream: str, first: Recorded, told: Told) -> _Again:
        """`first`: of what was decided then."""
        command, context = told
        if isinstance(command, DecideAccess):
            command = msgspec.structs.replace(command, here=_was_here(first.event))
        now, would = (self._outcome(stream, command, context, terms) for terms in (self._now, self._changed))
        return _Again(cause=first.cause, by=context.by, at=context.at, now=now, would=would)

    def _outcome(self, stream: str, command: Command | GuildCommand, context: Context, terms: Terms) -> list[str]:
        context = msgspec.structs.replace(context, policy=terms.policy)
        if stream.startswith("guild:"):
            assert isinstance(command, GuildCommand)
            events = guild_decide.decide(self._with_roles(stream, terms), command, context)
            return [_shape(event) for event in events]
        assert isinstance(command, Command)
        session = self._session(stream)
        server = command.guild if isinstance(command, Start) else session.guild
        role = self._with_roles(guild.stream(server), terms).role(context.by)
        spent = 0
        if terms.policy.budget(role) and isinstance(command, Start | Submit | Resolve):
            spent = self._spent(context.by, context.at)
        sessions = len(self._running.get(context.by, ())) if isinstance(command, Start) else 0
        context = msgspec.structs.replace(context, role=role, spent=spent, running=sessions)
        return [_shape(event) for event in decide(session, command, context)]

    def _with_roles(self, stream: str, terms: Terms) -> Guild:
        state = copy.copy(self._guild(stream))
        roles = {**state.roles, **terms.roles}
        state.roles = {person: role for person, role in roles.items() if role is not Role.STRANGER}
        return state

    def _session(self, stream: str) -> Session:
        return self._sessions.get(stream) or Session(id=stream.removeprefix("session:"))

    def _guild(self, stream: str) -> Guild:
        return self._guilds.get(stream) or Guild(id=stream.removeprefix("guild:"))

    def _count(self, session: Session, event: e.Event) -> None:
        """As the exact view `running` does."""
        match event:
            case e.Requested():
                self._running.setdefault(session.starter, {})[session.id] = None
            case e.Closed():
                self._running.get(session.starter, {}).pop(session.id, None)
            case _:
                pass

    # --- the line ----------------------------------------------------------------------------------------------------

    def _take_slots(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, _NEWS):
            return
        if isinstance(event, e.Granted):
            if again := self._open.get(slots.STREAM):
                again.was.append(_shape(event))
            return
        self._close(slots.STREAM)
        if isinstance(event, e.Asked | e.Left | e.Released):
            now, would = (self._served(event, terms) for terms in (self._now, self._changed))
            again = _Again(cause=recorded.position, by="", at=recorded.at, now=now, would=would, was=[_shape(event)])
            self._open[slots.STREAM] = again

    def _served(self, event: e.Asked | e.Left | e.Released, terms: Terms) -> list[str]:
        match event:
            case e.Asked():
                return self._asked_for(self._session(f"session:{event.session}"), terms)
            case e.Left():
                return _shapes(slots.leave(self._slots, event.session))
            case _:
                return _shapes(slots.release(self._slots, event.reservation, limit=terms.limit))

    def _asked_for(self, session: Session, terms: Terms) -> list[str]:
        """What the line makes of a session that wants a sandbox; nothing where one person has too many."""
        most = terms.policy.sandboxes_per_person
        others = {*self._slots.held, *self._slots.line} - {session.id}
        crowded = 0 < most <= len(others & self._running.get(session.starter, {}).keys())
        given, _ = line.decide(self._slots, AskSlot(), session, limit=terms.limit, crowded=crowded)
        return _shapes(given)

    def _take_crowded(self, recorded: Recorded) -> None:
        """A session that did not get into the line, for its starter had too many sandboxes."""
        self._close(slots.STREAM)
        now, would = (self._asked_for(self._session(recorded.stream), terms) for terms in (self._now, self._changed))
        again = _Again(cause=recorded.position, by="", at=recorded.at, now=now, would=would)
        self._open[slots.STREAM] = again

    # --- comparing ---------------------------------------------------------------------------------------------------

    def _close(self, stream: str) -> None:
        again = self._open.pop(stream, None)
        if again is None:
            return
        self._decisions += 1
        self._other += again.now != again.was
        if again.would not in (again.now, again.was):
            first = self._first.setdefault(stream, again.cause)
            self._found.append(
                Divergence(
                    position=again.cause,
                    stream=stream,
                    at=again.at,
                    by=again.by,
                    was=again.was,
                    would=again.would,
                    after=0 if first == again.cause else first,
                )
            )


def _is_for(stream: str, command: Command | GuildCommand) -> bool:
    """What a server was told may have an outcome in a session, too, which is another decision."""
    return isinstance(command, GuildCommand) if stream.startswith("guild:") else isinstance(command, Command)


def _was_here(first: e.Event) -> bool | None:
    """What Discord said of a newcomer, as the outcome tells."""
    match first:
        case e.GuildRefused(reason=Reason.LEFT):
            return False
        case e.GuildRefused(reason=Reason.UNSURE):
            return None
        case _:
            return True


def _shapes(given: Sequence[e.SlotsEvent]) -> list[str]:
    return [_shape(event) for event in given if not isinstance(event, _NEWS)]


def _shape(event: e.Event) -> str:
    """What of an event makes the difference."""
    kind = str(event.__struct_config__.tag)
    match event:
        case e.Refused() | e.GuildRefused():
            return f"{kind}:{event.reason}"
        case e.Granted():
            return f"{kind}:{event.session}"
        case _:
            return kind
