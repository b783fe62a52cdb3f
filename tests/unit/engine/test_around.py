"""What becomes of a session by what happens around it: the line moves, and people are removed."""

import msgspec
import pytest

from engine.cards import NoteCard
from engine.commands import Answer, Dismiss, Leave, Move
from schema import events as e
from tests.unit.engine.given import (
    ASKING,
    CLOSED,
    CLOSING,
    OPENED,
    OTHER,
    OWNER,
    READY,
    REQUESTED,
    STARTER,
    WORKING,
    R,
    given,
    queued,
    refused,
    wanted,
    when,
)

# --- the line --------------------------------------------------------------------------------------------------------

WAITING = (*OPENED, e.SlotAsked(place=3))
LEFT = e.LineLeft(by=STARTER)


def test_a_place_in_the_line_is_kept_up_with() -> None:
    assert when(given(*WAITING), Move(place=2), by="") == [e.SlotAsked(place=2)]
    unchanged = [e.Noted(by="", locale="ja", what="place")]
    assert when(given(*WAITING), Move(place=3), by="") == unchanged
    assert when(given(*READY), Move(place=1), by="") == unchanged


def test_who_waits_may_leave_the_line_and_stands_in_it_again_with_the_next_prompt() -> None:
    assert when(given(*WAITING), Leave()) == [LEFT]
    assert when(given(*WAITING), Leave(), by=OTHER) == refused("not_yours", by=OTHER)
    leaving = given(*WAITING, LEFT)
    assert "leave" in wanted(leaving)
    assert when(leaving, Leave()) == refused("not_waiting")
    assert "leave" not in wanted(given(*WAITING, LEFT, queued("p1")))
    left = (*WAITING, LEFT, e.SlotLeft())
    assert not {"slot", "leave"} & set(wanted(given(*left)))
    assert "slot" in wanted(given(*left, queued("p1")))
    assert when(given(*left), Leave()) == refused("not_waiting")


def test_whoever_has_enough_is_told_and_may_ask_again() -> None:
    crowded = e.LineLeft(by="")
    assert when(given(*OPENED), crowded) == [crowded]
    resting = given(*OPENED, crowded)
    assert when(resting, crowded) == []
    assert [one.what for one in resting.cards if isinstance(one, NoteCard)] == ["crowded"]
    assert "slot" not in wanted(resting)
    assert "slot" in wanted(given(*OPENED, crowded, queued("p1")))


def test_a_slot_that_comes_while_somebody_leaves_is_taken() -> None:
    served = given(*WAITING, LEFT, e.SandboxReserved(reservation=R))
    assert not served.resting
    assert "attach" in wanted(served)


# --- somebody is removed ---------------------------------------------------------------------------------------------

REMOVED = Dismiss(person=STARTER, by=OWNER)
UNCHANGED = [e.Noted(by="", locale="ja", what="dismissed")]


def test_the_session_of_whoever_is_removed_ends_with_a_hand_over() -> None:
    ended = [e.CloseAsked(by=OWNER, why="removed")]
    assert when(given(*ASKING), REMOVED, by="") == ended
    after = given(*ASKING, *ended)
    assert wanted(after)[0] == "handover"
    assert [(one.what, one.mention, one.detail) for one in after.cards if isinstance(one, NoteCard)] == [
        ("removed", STARTER, OWNER)
    ]
    assert not after.replies
    assert when(after, Answer(request="q", choice="allow"), by=OWNER) == refused("closed", by=OWNER)


def test_whoever_is_removed_before_there_is_a_thread_is_told() -> None:
    ended = given(REQUESTED, e.CloseAsked(by=OWNER, why="removed"), e.Closed(), cause=7)
    assert [reply.what for reply in ended.replies] == ["refused-stranger"]
    assert not ended.cards


def test_in_a_session_of_somebody_else_what_they_asked_for_ends() -> None:
    theirs = Dismiss(person=OWNER, by=OTHER)
    mine = msgspec.structs.replace(queued("p2"), by=OWNER)
    taken_back = e.PromptRemoved(prompt="p2", by=OTHER)
    assert when(given(*WORKING, mine, queued("p3")), theirs, by="") == [taken_back]
    stopped = e.StopAsked(turn=1, by=OTHER)
    turn = e.TurnStarted(turn=1, prompt="", by=OWNER)
    assert when(given(*READY, turn, mine), theirs, by="") == [taken_back, stopped]
    assert when(given(*READY, turn, e.StopAsked(turn=1, by=STARTER)), theirs, by="") == UNCHANGED
    sent = (*READY, mine, e.PromptSent(prompt="p2"))
    assert when(given(*sent), theirs, by="") == [stopped]
    assert when(given(*sent, stopped), theirs, by="") == UNCHANGED


@pytest.mark.parametrize("history", [CLOSING, CLOSED], ids=["closing", "closed"])
def test_what_ends_already_ends_once(history: tuple[e.SessionEvent, ...]) -> None:
    assert when(given(*history), REMOVED, by="") == UNCHANGED


def test_a_removal_changes_nothing_where_they_have_nothing() -> None:
    assert when(given(*WORKING), Dismiss(person=OTHER, by=OWNER), by="") == UNCHANGED
