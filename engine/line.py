"""Where sessions and slots meet: decisions that are recorded in both streams at once, or in neither. Pure."""

from typing import assert_never

from engine import slots
from engine.session import Session
from engine.slots import Slots
from engine.todo import AskSlot, DeleteSandbox, LeaveLine
from schema import events as e

Joint = AskSlot | LeaveLine | DeleteSandbox
"""Effects whose outcome is written to both streams; a sandbox counts as deleted when its slot is given back."""


def decide(
    line: Slots, effect: Joint, session: Session, *, limit: int, crowded: bool = False
) -> tuple[list[e.SlotsEvent], e.SessionEvent | None]:
    """The events of the slots stream, and what the session is told.

    `crowded`: whoever started it has, or waits for, as many sandboxes as one person may. Nothing, for a session that leaves the
    line when it has been served: that grant is on its way to it.
    """
    match effect:
        case AskSlot() if crowded:
            return [], e.LineLeft(by="")
        case AskSlot():
            events = slots.ask(line, session.id, session.guild, limit=limit)
            after = _after(line, events)
            held = after.held.get(session.id)
            if held:
                return events, e.SandboxReserved(reservation=held)
            return events, e.SlotAsked(place=after.place(session.id))
        case LeaveLine():
            return ([], None) if session.id in line.held else (slots.leave(line, session.id), e.SlotLeft())
        case DeleteSandbox():
            events = slots.release(line, effect.reservation, limit=limit)
            return events, e.SandboxGone(reservation=effect.reservation)
        case _:
            assert_never(effect)


def _after(line: Slots, events: list[e.SlotsEvent]) -> Slots:
    for event in events:
        line = slots.evolve(line, event)
    return line
