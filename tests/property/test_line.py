"""P4 with several servers: their lines are each first come, first served, and none is kept waiting by another."""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given

from engine import slots
from engine.slots import Slots
from schema import events as e
from tests.property.profile import PROFILE
from tests.property.promises import check_slots

SESSIONS = [f"{server}{number}" for server in "abc" for number in range(5)]
STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "ask", "release", "release", "leave"]), st.sampled_from(SESSIONS)),
    max_size=80,
)


@PROFILE
@given(steps=STEPS, limits=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_a_server_without_a_sandbox_is_overtaken_by_each_other_once_at_most(
    steps: list[tuple[str, str]], limits: list[int]
) -> None:
    """Also while MAX_SANDBOXES is another for every third step."""
    line, events = Slots(), list[e.Event]()
    for number, (what, session) in enumerate(steps):
        limit = limits[number // 3 % len(limits)]
        match what:
            case "ask":
                new = slots.ask(line, session, session[0], limit=limit)
            case "leave":
                new = slots.leave(line, session)
            case _:
                held = list(line.held.values())
                new = slots.release(line, held[SESSIONS.index(session) % len(held)] if held else "", limit=limit)
        for event in new:
            line = slots.evolve(line, event)
        events += new
        assert not line.line or len(line.held) >= limit or not new, "a slot is free, and somebody waits"
    check_slots(events, set(), max(limits))
    _check_overtaken(events)


def _check_overtaken(events: list[e.Event]) -> None:
    waiting, held = Counter[str](), Counter[str]()
    overtaken: dict[str, Counter[str]] = {server: Counter() for server in "abc"}
    for event in events:
        match event:
            case e.Asked(guild=server):
                waiting[server] += 1
            case e.Left(session=session):
                waiting[session[0]] -= 1
            case e.Granted(session=session):
                waiting[session[0]] -= 1
                held[session[0]] += 1
                for server, by in overtaken.items():
                    by[session[0]] += server != session[0]
            case e.Released(reservation=reservation):
                held[reservation[0]] -= 1
            case _:
                pass
        for server, by in overtaken.items():
            if held[server] or not waiting[server]:
                by.clear()
            assert all(count <= 1 for count in by.values()), f"{server} waits, and others are served again and again"
