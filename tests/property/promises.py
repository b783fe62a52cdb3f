"""What must hold in every log, whoever wrote it."""

from collections.abc import Iterable
from itertools import pairwise

from schema import events as e


def check_journal(events: Iterable[e.Event]) -> None:
    """P3: within a reservation, pieces of the journal follow each other without a gap, and none comes twice."""
    reads: list[e.JournalRead] = []
    for event in events:
        if isinstance(event, e.SandboxReserved):
            reads = []
        if isinstance(event, e.JournalRead):
            reads.append(event)
    for one, after in pairwise(reads):
        goes_on = (after.epoch, after.start) == (one.epoch, one.end)
        assert goes_on or (after.epoch > one.epoch and after.start == 0)


def check_slots(events: Iterable[e.Event], alive: set[str], limit: int) -> None:
    """P4: first come, first served; never more than the limit; no sandbox without a reservation."""
    waiting: list[str] = []
    held: set[str] = set()
    for event in events:
        match event:
            case e.Asked(session=session):
                assert session not in waiting
                waiting.append(session)
            case e.Left(session=session):
                waiting.remove(session)
            case e.Granted(session=session, reservation=reservation):
                assert waiting.pop(0) == session, "not first come, first served"
                held.add(reservation)
                assert len(held) <= limit
            case e.Released(reservation=reservation):
                held.remove(reservation)
            case _:
                raise AssertionError(event)
    assert alive <= held, "a sandbox without a reservation"
    assert len(alive) <= limit


def fates(events: Iterable[e.Event]) -> dict[str, str]:
    """What became of each prompt: queued, removed, sent or started."""
    found: dict[str, str] = {}
    for event in events:
        match event:
            case e.PromptQueued(prompt=prompt):
                found[prompt] = "queued"
            case e.PromptRemoved(prompt=prompt):
                found[prompt] = "removed"
            case e.PromptSent(prompt=prompt):
                found[prompt] = "sent"
            case e.TurnStarted(prompt=prompt) if prompt:
                assert found[prompt] == "sent"
                found[prompt] = "started"
            case _:
                pass
    return found
