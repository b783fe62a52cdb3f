"""The slots: who has a sandbox, and who waits for one. One stream for the whole installation; pure.

P4 lives here: a slot is granted only while fewer than the limit are held, and freed only by `Release`, which follows the
sandbox having been seen gone. The line is first come, first served. Any process may append, at the stream's version.
"""

import copy
from collections.abc import Iterable

import msgspec

from schema import events as e
from schema.envelope import Recorded

STREAM = "slots"


class Slots(msgspec.Struct, kw_only=True):
    """Reservation by session for those who hold a slot, and those who wait, in order."""

    version: int = 0
    held: dict[str, str] = {}
    line: tuple[str, ...] = ()

    def place(self, session: str) -> int:
        """The place of `session` in the line, 1 being next; 0 when it does not wait."""
        return self.line.index(session) + 1 if session in self.line else 0


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
        case e.Granted():
            slots.line = tuple(one for one in slots.line if one != event.session)
            slots.held = {**slots.held, event.session: event.reservation}
        case e.Left():
            slots.line = tuple(one for one in slots.line if one != event.session)
        case e.Released():
            slots.held = {session: held for session, held in slots.held.items() if held != event.reservation}
        case _:
            pass
    return slots


def ask(slots: Slots, session: str, *, limit: int) -> list[e.SlotsEvent]:
    """A session wants a sandbox: it joins the line, and whoever is next is served. Nothing when it has or awaits one."""
    if session in slots.held or session in slots.line:
        return []
    return _told(slots, _serve(slots, [e.Asked(session=session)], limit))


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
        session = slots.line[0]
        granted = e.Granted(session=session, reservation=f"{session}-{slots.version + 1}")
        events.append(granted)
        slots = evolve(slots, granted)
    return events


def _told(slots: Slots, events: list[e.SlotsEvent]) -> list[e.SlotsEvent]:
    """`events`, and where those stand now who waited before them and wait still."""
    after = slots
    for event in events:
        after = evolve(after, event)
    places = {session: after.place(session) for session in slots.line}
    moved = [e.Moved(session=one, place=now) for one, now in places.items() if now and now != slots.place(one)]
    return [*events, *moved]
