"""A sandbox that others wait for: it is passed on when nobody uses it, and people are asked about it when it is idle."""

from engine.cards import IdleCard, NoteCard
from engine.commands import Keep, Need, Tick
from engine.session import HOLD, IDLE, Phase, Session
from engine.todo import deadlines
from schema import events as e
from schema import facts as f
from tests.unit.engine.given import (
    CUT,
    OPENED,
    OTHER,
    OWNER,
    READY,
    STARTER,
    WORKING,
    R,
    after,
    given,
    queued,
    read,
    refused,
    wanted,
    when,
)

WAITED = (*OPENED, e.SlotAsked(place=1), e.SandboxReserved(reservation=R))
UP = (e.SandboxReady(reservation=R), read(10, f.CliStarted()))
NEEDED = e.SlotNeeded(needed=True)
PASSED = e.SandboxLost(reservation=R, why="passed")


def questions(session: Session) -> list[tuple[str, str]]:
    return [(one.choice, one.by) for one in session.cards if isinstance(one, IdleCard)]


def test_whether_others_wait_is_known() -> None:
    assert when(given(*READY), Need(needed=True), by="") == [NEEDED]
    assert when(given(*READY, NEEDED), Need(needed=False), by="") == [e.SlotNeeded(needed=False)]
    unchanged = [e.Noted(by="", locale="ja", what="needed")]
    assert when(given(*READY, NEEDED), Need(needed=True), by="") == unchanged
    assert when(given(*OPENED), Need(needed=True), by="") == unchanged
    assert not given(*READY, NEEDED, PASSED, e.SandboxGone(reservation=R), e.SandboxReserved(reservation="s-2")).needed


# --- called, and nothing to do ---------------------------------------------------------------------------------------


def test_a_place_that_nobody_uses_is_passed_on_while_others_wait() -> None:
    held = given(*WAITED, *UP, NEEDED)
    assert HOLD in deadlines(held)
    assert when(held, Tick(), at=HOLD - 1) == []
    assert when(held, Tick(), at=HOLD) == [PASSED]
    passed = after(held, PASSED)
    assert (passed.phase, wanted(passed)[0], passed.losses) == (Phase.LOST, "delete", 0)
    assert [one.what for one in passed.cards if isinstance(one, NoteCard)] == ["slot-passed"]
    over = after(passed, e.SandboxGone(reservation=R))
    assert "slot" not in wanted(over)
    assert "slot" in wanted(after(over, queued("p1")))


def test_it_is_passed_on_before_it_is_up_too() -> None:
    assert when(given(*WAITED, NEEDED), Tick(), at=HOLD) == [PASSED]


def test_it_stays_while_nobody_waits_or_once_it_is_used() -> None:
    for used in ((), (NEEDED, queued("p1")), (NEEDED, e.TurnStarted(turn=1, prompt="", by=STARTER))):
        assert when(given(*WAITED, *UP, *used), Tick(), at=HOLD) == []
    prompted = (*OPENED, queued("p1"), e.SlotAsked(place=1), e.SandboxReserved(reservation=R))
    assert when(given(*prompted, *UP, NEEDED), Tick(), at=HOLD) == []
    assert when(given(*WAITED, *UP, NEEDED, e.CloseAsked(by=STARTER, why="asked")), Tick(), at=HOLD) == []
    assert when(given(*READY, NEEDED), Tick(), at=HOLD) == []  # it never waited


# --- idle ------------------------------------------------------------------------------------------------------------


def test_people_are_asked_once_about_a_sandbox_in_which_nothing_happens() -> None:
    idle = given(*READY, NEEDED)
    assert IDLE in deadlines(idle)
    assert when(idle, Tick(), at=IDLE - 1) == []
    assert when(idle, Tick(), at=IDLE) == [e.IdleAsked()]
    asked = given(*READY, NEEDED, e.IdleAsked())
    assert questions(asked) == [("", "")]
    assert when(asked, Tick(), at=9 * IDLE) == []


def test_a_cut_turn_that_nobody_goes_on_with_is_idle_too() -> None:
    assert when(given(*CUT, e.TurnCut(turn=1, why="cli"), NEEDED, queued("p2")), Tick(), at=IDLE) == [e.IdleAsked()]


def test_nobody_is_asked_while_something_happens_or_nobody_waits() -> None:
    assert when(given(*READY), Tick(), at=IDLE) == []
    assert when(given(*WORKING, NEEDED), Tick(), at=IDLE) == []
    assert when(given(*READY, NEEDED, read(20, f.TasksChanged(running=1))), Tick(), at=9 * IDLE) == []


def test_who_keeps_it_is_asked_again_later() -> None:
    asked = given(*READY, NEEDED, e.IdleAsked())
    kept = e.Kept(by=STARTER)
    assert when(asked, Keep(question=1)) == [kept]
    assert when(asked, Keep(question=2)) == refused("expired")
    assert when(asked, Keep(question=1), by=OTHER) == refused("not_yours", by=OTHER)
    assert when(given(*READY), Keep(question=0)) == refused("expired")
    keeping = after(asked, kept, at=IDLE)
    assert questions(keeping) == [("kept", STARTER)]
    assert when(keeping, Keep(question=1), by=OWNER) == refused("expired", by=OWNER)
    assert when(keeping, Tick(), at=2 * IDLE - 1) == []
    assert when(keeping, Tick(), at=2 * IDLE) == [e.IdleAsked()]


def test_the_question_is_over_when_it_is_of_no_more_use() -> None:
    asked = (*READY, NEEDED, e.IdleAsked())
    for over in (queued("p1"), e.TurnStarted(turn=1, prompt="", by=STARTER), e.SlotNeeded(needed=False), PASSED):
        assert questions(given(*asked, over)) == [("over", "")]
    (card,) = [one for one in given(*asked, e.Closed()).cards if isinstance(one, IdleCard)]
    assert card.closed
