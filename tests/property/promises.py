"""What must hold in every log, whoever wrote it."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from schema import events as e
from schema.envelope import Recorded


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
    """P4: first come, first served in each server, and servers share fairly; never more than the limit; no sandbox without a
    reservation.
    """
    waiting: dict[str, str] = {}
    held: dict[str, str] = {}
    served: list[str] = []
    for event in events:
        match event:
            case e.Asked(session=session, guild=server):
                assert session not in waiting
                waiting[session] = server
            case e.Left(session=session):
                del waiting[session]
            case e.Granted(session=session, reservation=reservation):
                _check_turn(session, waiting, list(held.values()), served)
                held[reservation] = waiting.pop(session)
                served.append(held[reservation])
                assert len(held) <= limit
            case e.Moved(session=session, place=place):
                own = [one for one, server in waiting.items() if server == waiting[session]]
                assert own.index(session) + 1 == place
            case e.Needed(session=session):
                assert any(one.startswith(f"{session}-") for one in held)
            case e.Released(reservation=reservation):
                del held[reservation]
            case _:
                raise AssertionError(event)
    assert alive <= held.keys(), "a sandbox without a reservation"
    assert len(alive) <= limit


def _check_turn(session: str, waiting: dict[str, str], held: list[str], served: list[str]) -> None:
    """It is the first of its server that waits, and no other server's turn."""
    mine = waiting[session]
    assert next(one for one, server in waiting.items() if server == mine) == session, "not first come, first served"
    for server in set(waiting.values()) - {mine}:
        assert held.count(mine) <= held.count(server), "a server with fewer sandboxes was passed over"
        if held.count(mine) == held.count(server) and mine in served:
            assert server in served, "a server that never had a sandbox was passed over"
            assert served[::-1].index(mine) > served[::-1].index(server), (
                "a server that was served longer ago was passed over"
            )


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


_ACTS = (
    e.PromptQueued,
    e.PromptEdited,
    e.PromptRemoved,
    e.StopAsked,
    e.AnswerGiven,
    e.CutResolved,
    e.CloseAsked,
)
"""What people do in a session."""


class Roles:
    """P6, read from the whole log: who is what at each position, and what each did there."""

    def __init__(self) -> None:
        self.roles: dict[str, str] = {}
        self.starters: dict[str, str] = {}
        self.shared: set[str] = set()
        self.removed: list[tuple[str, list[str]]] = []
        """Who was removed, and which sessions of theirs were open then."""

    def check(self, log: Iterable[Recorded]) -> None:
        events: list[e.Event] = []
        for one in log:
            events.append(one.event)
            self._check(one, events[one.cause - 1] if one.cause else None)

    def _check(self, one: Recorded, cause: e.Event | None) -> None:
        match one.event:
            case e.OwnerConfirmed(person=person):
                self.roles[person] = "owner"
            case e.RoleGiven(person=person, role=role, by=by):
                assert self.roles.get(by) == "owner" or one.actor == "test", "let in by somebody who may not"
                self.roles[person] = role
            case e.RoleTaken() as taken:
                self._take(taken)
            case e.AccessDecided(by=by, person=person) if by:
                assert self.roles.get(by) == "owner" or (by == person and by in self.roles)
            case e.Requested(by=by):
                assert by in self.roles, "a stranger's session"
                self.starters[one.stream] = by
            case e.Closed():
                self.starters.pop(one.stream, None)
            case e.Shared() | e.Unshared():
                self._share(one.stream, one.event)
            case act if isinstance(act, _ACTS) and act.by and not isinstance(cause, e.Dismissed):
                self._check_act(one.stream, act)
            case _:
                pass
        if self.roles:
            assert "owner" in self.roles.values(), "nobody is left who can let people in"

    def _decides(self, stream: str, by: str) -> bool:
        """Whether somebody may do anything there."""
        return self.roles.get(by) == "owner" or (by in self.roles and by == self.starters[stream])

    def _share(self, stream: str, event: e.Shared | e.Unshared) -> None:
        assert self._decides(stream, event.by), "shared by a guest"
        change = self.shared.add if isinstance(event, e.Shared) else self.shared.discard
        change(stream)

    def _check_act(self, stream: str, act: Any) -> None:
        if isinstance(act, e.CloseAsked) and act.why == "deleted":
            return  # the thread, which Discord let them
        guest = act.by in self.roles and stream in self.shared and not isinstance(act, e.CloseAsked)
        assert self._decides(stream, act.by) or guest, f"{act} by somebody who may not"

    def _take(self, taken: e.RoleTaken) -> None:
        assert self.roles.get(taken.by) == "owner"
        if taken.role == "owner":
            self.roles[taken.person] = "user"
            return
        del self.roles[taken.person]
        mine = [stream for stream, starter in self.starters.items() if starter == taken.person]
        self.removed.append((taken.person, mine))
