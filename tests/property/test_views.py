"""P7, the pure half: a view folded in pages of any size, its rows stored and read again, is the view folded at once.

And exact views say what the deciders' own states say.
"""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from adapters.local.event_log import MemoryEventLog
from engine import guild, slots
from engine.commands import Role
from engine.guild import Guild
from engine.slots import Slots
from projections import exact
from projections.followed import FOLLOWED
from projections.keyed import Keyed, stored
from schema.envelope import Append, Draft, Recorded, Write
from schema.events import Event, OwnerConfirmed, RoleGiven, RoleTaken, UsageCounted
from tests.property.profile import PROFILE
from tests.property.strategies import SESSION_EVENTS, VIEW_EVENTS
from tests.unit.projections.history import recorded

_TIMES = st.integers(1, 5 * 86_400_000_000)


@st.composite
def histories(draw: st.DrawFn) -> list[Recorded]:
    """Any events of three sessions, whatever a decider would say to them; time may stand, or go back."""
    one = st.tuples(st.sampled_from("123"), st.one_of(SESSION_EVENTS, VIEW_EVENTS), _TIMES)
    return [
        recorded(f"{_family(event)}:{session}", event, position=position, at=at)
        for position, (session, event, at) in enumerate(draw(st.lists(one, max_size=60)), start=1)
    ]


def _family(event: Event) -> str:
    return "usage" if isinstance(event, UsageCounted) else "session"


@pytest.mark.parametrize("view", FOLLOWED.values(), ids=FOLLOWED.keys())
@PROFILE
@given(history=histories(), cuts=st.lists(st.tuples(st.integers(1, 7), st.booleans()), min_size=1, max_size=20))
def test_pages_and_restarts_change_nothing(view: Keyed, history: list[Recorded], cuts: list[tuple[int, bool]]) -> None:
    at_once: dict[str, Any] = {}
    view.fold(at_once, history)
    table: dict[str, str] = {}
    rows: dict[str, Any] = {}
    after = 0
    for size, forget in [*cuts, (len(history), True)]:
        page = history[after : after + size]
        after += size
        if forget:
            rows = {}
        for key in view.concerns(page) - rows.keys():
            if key in table:
                rows[key] = view.load(table[key])
        table |= {key: stored(rows[key]) for key in view.fold(rows, page)}
    assert table == {key: stored(row) for key, row in at_once.items()}


# --- exact views -----------------------------------------------------------------------------------------------------

_PEOPLE = st.sampled_from("1234")
_ROLES = st.sampled_from(list(Role)[1:])
_ROLE_EVENTS = st.one_of(
    st.builds(OwnerConfirmed, person=_PEOPLE, how=st.just("discord")),
    st.builds(RoleGiven, person=_PEOPLE, role=_ROLES, by=_PEOPLE),
    st.builds(RoleTaken, person=_PEOPLE, role=_ROLES, by=_PEOPLE),
)


async def _kept(stream: str, events: Sequence[Event], view: exact.ExactView) -> dict[str, str]:
    """The rows of a view that a log kept, which are those that its fold gives."""
    log = MemoryEventLog()
    for event in events:
        await log.append(
            Append(writes=(Write(stream=stream, expected=None, drafts=(Draft(event=event, at=1, actor="bot"),)),))
        )
    rows: dict[str, exact.Row] = {}
    async for page in log.replay():
        exact.fold(view, rows, page)
    kept = await log.rows(view.name)
    assert list(kept.items()) == [(key, value) for key, (value, _) in rows.items()]
    assert [position for _, position in rows.values()] == sorted(position for _, position in rows.values())
    return kept


@PROFILE
@given(events=st.lists(_ROLE_EVENTS, max_size=40))
async def test_members_are_who_the_server_says(events: list[Event]) -> None:
    history = [recorded("guild:5", event, position=n) for n, event in enumerate(events, start=1)]
    roles = guild.fold(history, Guild()).roles
    assert await _kept("guild:5", events, exact.MEMBERS) == {f"5 {person}": str(role) for person, role in roles.items()}


@PROFILE
@given(
    steps=st.lists(st.tuples(st.sampled_from(["ask", "leave", "release"]), st.sampled_from("12345")), max_size=40),
    limit=st.integers(1, 3),
)
async def test_the_quota_is_what_the_slots_say(steps: list[tuple[str, str]], limit: int) -> None:
    line, events = Slots(), list[Event]()
    for what, session in steps:
        match what:
            case "ask":
                new = slots.ask(line, session, "b" if session > "2" else "a", limit=limit)
            case "leave":
                new = slots.leave(line, session)
            case _:
                new = slots.release(line, line.held.get(session, ""), limit=limit)
        for event in new:
            line = slots.evolve(line, event)
        events += new
    kept = await _kept(slots.STREAM, events, exact.QUOTA)
    assert {session: held for session, held in kept.items() if held != exact.WAITS} == line.held
    assert tuple(session for session, held in kept.items() if held == exact.WAITS) == line.line
