"""The slots: who has a sandbox, and who waits for one. One stream for the whole installation; pure.

P4 lives here: a slot is granted only while fewer than the limit are held, and freed only by `Release`, which follows the
sandbox having been seen gone. Any process may append, at the stream's version.

How several Discord servers share the slots: each has a line of its own, first come, first served, and a free slot goes to the
line of the server that has the fewest sandboxes; of several such, to the one that was served longest ago. So a server that fills
its line keeps no other one waiting behind it: one without a sandbox is overtaken by each other server once at most. Nothing is
taken from who has it, no slot is kept free for who might come, and with one server all of it is first come, first served.
"""

import copy
from collections import Counter
from collections.abc import Iterable

import msgspec

from schema import events as e
from schema.envelope import Recorded

STREAM = "slots"


class Slots(msgspec.Struct, kw_only=True):
    """Reservation by session for those who hold a slot, and those who wait, in the order in which they came.

    `servers`: where each of them is. `served`: the version at which a server last got a slot.
    """

    version: int = 0
    held: dict[str, str] = {}
    line: tuple[str, ...] = ()
    servers: dict[str, str] = {}
    served: dict[str, int] = {}

    @property
    def places(self) -> dict[str, int]:
        """Everybody who waits, by their place in the line of their server, 1 being next there."""
        waiting = Counter[str]()
        places: dict[str, int] = {}
        for session in self.line:
            server = self.servers[session]
            waiting[server] += 1
            places[session] = waiting[server]
        return places

    def place(self, session: str) -> int:
        """The place of `session` in the line of its server; 0 when it does not wait."""
        return self.places.get(session, 0)

    @property
    def next(self) -> str:
        """Whom the next free slot is for; "" when nobody waits."""
        first: dict[str, str] = {}
        for session in self.line:
            first.setdefault(self.servers[session], session)
        has = Counter(self.servers.get(session, "") for session in self.held)
        server = min(first, key=lambda one: (has[one], self.served.get(one, 0)), default="")
        return first.get(server, "")


def fold(recorded: Iterable[Recorded], slots: Slots) -> Slots:
    """The state after `recorded`, which follow `slots` without a gap."""
    for one in recorded:
        slots = evolve(slots, one.event)
    return slots


def evolve(slots: Slots, event: e.Event) -> Slots:
    """The state after one event."""
    slots = copy.copy(slots)
    slots.version += 1
    match event:
        case e.Asked():
            slots.line = (*slots.line, event.session)
            slots.servers = {**slots.servers, event.session: event.guild}
        case e.Granted():
            slots.line = tuple(one for one in slots.line if one != event.session)
            slots.held = {**slots.held, event.session: event.reservation}
            slots.served = {**slots.served, slots.servers.get(event.session, ""): slots.version}
        case e.Left():
            slots.line = tuple(one for one in slots.line if one != event.session)
            _forget(slots)
        case e.Released():
            slots.held = {session: held for session, held in slots.held.items() if held != event.reservation}
            _forget(slots)
        case _:
            pass
    return slots


def _forget(slots: Slots) -> None:
    """Who neither holds nor waits is nowhere."""
    there = {*slots.held, *slots.line}
    slots.servers = {session: server for session, server in slots.servers.items() if session in there}


def ask(slots: Slots, session: str, guild: str, *, limit: int) -> list[e.SlotsEvent]:
    """A session of a server wants a sandbox: it joins the line, and whoever is next is served. Nothing when it has or awaits
    one.
    """
    if session in slots.held or session in slots.line:
        return []
    return _told(slots, _serve(slots, [e.Asked(session=session, guild=guild)], limit))


def leave(slots: Slots, session: str) -> list[e.SlotsEvent]:
    """A session no longer waits. Nothing when it does not, or was served meanwhile."""
    return _told(slots, [e.Left(session=session)]) if session in slots.line else []


def release(slots: Slots, reservation: str, *, limit: int) -> list[e.SlotsEvent]:
    """A sandbox was seen gone: its slot goes to whoever is next. Nothing when it was released before."""
    if reservation not in slots.held.values():
        return []
    return _told(slots, _serve(slots, [e.Released(reservation=reservation)], limit))


def _serve(slots: Slots, events: list[e.SlotsEvent], limit: int) -> list[e.SlotsEvent]:
    """`events`, and a slot for whoever is next. Its version in the stream makes a reservation's name unique."""
    for event in events:
        slots = evolve(slots, event)
    while slots.line and len(slots.held) < limit:
        session = slots.next
        granted = e.Granted(session=session, reservation=f"{session}-{slots.version + 1}")
        events.append(granted)
        slots = evolve(slots, granted)
    return events


def _told(slots: Slots, events: list[e.SlotsEvent]) -> list[e.SlotsEvent]:
    """`events`; where those stand now who waited before and wait still; and whether those who hold a slot keep others waiting."""
    after = slots
    for event in events:
        after = evolve(after, event)
    before, places = slots.places, after.places
    moved = [e.Moved(session=one, place=places[one]) for one in before if places.get(one, before[one]) != before[one]]
    waits = bool(after.line)
    new = [
        one
        for one in after.held
        if (one in slots.held and waits != bool(slots.line)) or (one not in slots.held and waits)
    ]
    return [*events, *moved, *(e.Needed(session=one, needed=waits) for one in new)]
