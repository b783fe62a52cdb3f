"""Who has a sandbox and who waits for one (P4), and the decisions that concern a session and the slots at once."""

import pytest

from engine import line, slots
from engine.evolve import follow
from engine.session import Session
from engine.slots import Slots
from engine.todo import AskSlot, DeleteSandbox, LeaveLine
from schema import events as e


def state(*events: e.SlotsEvent) -> Slots:
    found = Slots()
    for event in events:
        found = slots.evolve(found, event)
    return found


def asked(session: str, guild: str = "") -> e.Asked:
    return e.Asked(session=session, guild=guild)


def granted(session: str, number: int) -> e.Granted:
    return e.Granted(session=session, reservation=f"{session}-{number}")


def needed(session: str, *, waits: bool = True) -> e.Needed:
    return e.Needed(session=session, needed=waits)


A_HOLDS = (asked("a"), granted("a", 2))
B_WAITS = (*A_HOLDS, asked("b"))


def test_a_free_slot_is_granted_at_once() -> None:
    assert slots.ask(state(), "a", "", limit=1) == list(A_HOLDS)


def test_else_a_session_joins_the_end_of_the_line() -> None:
    assert slots.ask(state(*B_WAITS), "c", "", limit=1) == [asked("c")]
    assert state(*B_WAITS, asked("c")).place("c") == 2


def test_nobody_overtakes_even_when_a_slot_is_free() -> None:
    waiting = state(asked("a"), asked("b"))
    assert slots.ask(waiting, "c", "", limit=1) == [
        asked("c"),
        granted("a", 4),
        e.Moved(session="b", place=1),
        needed("a"),
    ]


@pytest.mark.parametrize("session", ["a", "b"], ids=["holds", "waits"])
def test_who_has_or_awaits_a_slot_gets_no_other(session: str) -> None:
    assert slots.ask(state(*B_WAITS), session, "", limit=9) == []


def test_a_slot_that_is_free_goes_to_the_next() -> None:
    released = e.Released(reservation="a-2")
    assert slots.release(state(*B_WAITS), "a-2", limit=1) == [released, granted("b", 5)]
    assert slots.release(state(*A_HOLDS), "a-2", limit=1) == [released]


def test_who_waits_is_told_of_a_new_place_and_nobody_else() -> None:
    released = e.Released(reservation="a-2")
    three = state(*B_WAITS, asked("c"), asked("d"))
    up = [e.Moved(session="c", place=1), e.Moved(session="d", place=2)]
    assert slots.release(three, "a-2", limit=1) == [released, granted("b", 7), *up, needed("b")]
    assert slots.leave(three, "c") == [e.Left(session="c"), e.Moved(session="d", place=2)]
    assert slots.leave(three, "d") == [e.Left(session="d")]
    assert slots.evolve(three, up[0]).line == three.line


def test_who_holds_a_slot_is_told_whether_others_wait() -> None:
    assert slots.ask(state(*A_HOLDS), "b", "", limit=1) == [asked("b"), needed("a")]
    assert slots.ask(state(*B_WAITS), "c", "", limit=1) == [asked("c")]
    assert slots.leave(state(*B_WAITS), "b") == [e.Left(session="b"), needed("a", waits=False)]
    released = e.Released(reservation="a-2")
    new = needed("b")
    three = state(*B_WAITS, asked("c"))
    assert slots.release(three, "a-2", limit=1)[-1] == new
    assert new not in slots.release(state(*B_WAITS), "a-2", limit=1)
    assert slots.release(state(*B_WAITS), "a-2", limit=2) == [released, granted("b", 5)]


def test_a_slot_is_released_once() -> None:
    assert slots.release(state(*A_HOLDS, e.Released(reservation="a-2")), "a-2", limit=1) == []


def test_a_smaller_limit_takes_no_slot_away_and_grants_none() -> None:
    held = state(asked("a"), granted("a", 2), asked("b"), granted("b", 4), asked("c"))
    assert slots.release(held, "a-2", limit=1) == [e.Released(reservation="a-2")]


def test_who_waits_may_leave() -> None:
    assert slots.leave(state(*B_WAITS), "b") == [e.Left(session="b"), needed("a", waits=False)]
    assert state(*B_WAITS, e.Left(session="b")).line == ()


@pytest.mark.parametrize("session", ["a", "c"], ids=["holds", "unknown"])
def test_who_does_not_wait_leaves_nothing(session: str) -> None:
    assert slots.leave(state(*B_WAITS), session) == []


def test_a_reservation_is_never_named_twice() -> None:
    first = state(*A_HOLDS, e.Released(reservation="a-2"))
    assert slots.ask(first, "a", "", limit=1)[1] == granted("a", 5)


def test_the_slots_remember_only_who_is_there() -> None:
    over = state(*A_HOLDS, e.Released(reservation="a-2"))
    assert (over.held, over.line) == ({}, ())


def test_events_of_others_only_count() -> None:
    assert slots.evolve(state(), e.UsageCounted(reservation="r", model="m", input=1, output=1)).version == 1


# --- several servers -------------------------------------------------------------------------------------------------


def sharing(*asks: str, limit: int) -> Slots:
    """Sessions ask one after the other; the letter is the server's."""
    found = state()
    for session in asks:
        for event in slots.ask(found, session, session[0], limit=limit):
            found = slots.evolve(found, event)
    return found


def test_a_server_that_fills_the_line_keeps_no_other_one_waiting_behind_it() -> None:
    full = sharing(*(f"a{number}" for number in range(20)), "b1", "b2", limit=1)
    assert (full.next, full.place("b1"), full.place("b2"), full.place("a19")) == ("b1", 1, 2, 19)
    served: list[str] = []
    for _ in range(5):
        (reservation,) = full.held.values()
        for event in slots.release(full, reservation, limit=1):
            full = slots.evolve(full, event)
        served += full.held
    assert served == ["b1", "a1", "b2", "a2", "a3"]


def test_the_server_with_the_fewest_sandboxes_is_next() -> None:
    full = sharing("a1", "a2", "b1", "b2", "a3", limit=3)
    assert slots.release(full, full.held["b1"], limit=3)[1] == granted("b2", full.version + 2)
    assert slots.release(full, full.held["a1"], limit=3)[1] == granted("a3", full.version + 2)  # one each: b was last


def test_whoever_comes_changes_no_place_in_another_server() -> None:
    full = sharing("a1", "a2", "a3", limit=1)
    assert [one for one in slots.ask(full, "b1", "b", limit=1) if isinstance(one, e.Moved)] == []
    assert [one for one in slots.leave(full, "a2") if isinstance(one, e.Moved)] == [e.Moved(session="a3", place=1)]


# --- with a session --------------------------------------------------------------------------------------------------

B = follow(Session(id="b"), [e.Requested(by="1", locale="ja", guild="g", channel="c")], at=0, cause=0)


def test_a_session_that_asks_is_told_its_reservation() -> None:
    events, told = line.decide(state(), AskSlot(), B, limit=1)
    assert events == [asked("b", "g"), granted("b", 2)]
    assert told == e.SandboxReserved(reservation="b-2")


def test_a_session_that_asks_is_told_its_place() -> None:
    assert line.decide(state(*A_HOLDS), AskSlot(), B, limit=1) == ([asked("b", "g"), needed("a")], e.SlotAsked(place=1))


def test_a_session_does_not_join_the_line_for_somebody_who_has_enough() -> None:
    assert line.decide(state(*A_HOLDS), AskSlot(), B, limit=9, crowded=True) == ([], e.LineLeft(by=""))


def test_a_session_leaves_the_line() -> None:
    assert line.decide(state(*B_WAITS), LeaveLine(), B, limit=1) == (
        [e.Left(session="b"), needed("a", waits=False)],
        e.SlotLeft(),
    )


def test_a_session_that_was_served_meanwhile_learns_it_from_its_grant() -> None:
    assert line.decide(state(asked("b"), granted("b", 2)), LeaveLine(), B, limit=1) == ([], None)


@pytest.mark.parametrize(("held", "events"), [(True, [e.Released(reservation="b-2")]), (False, [])])
def test_a_sandbox_is_gone_when_its_slot_is_given_back(held: bool, events: list[e.SlotsEvent]) -> None:  # noqa: FBT001 - a case
    line_now = state(asked("b"), granted("b", 2)) if held else state()
    decided = line.decide(line_now, DeleteSandbox(reservation="b-2"), B, limit=1)
    assert decided == (events, e.SandboxGone(reservation="b-2"))
