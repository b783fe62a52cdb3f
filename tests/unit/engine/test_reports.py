"""What effects find out, what it means that they fail, and that what comes too late changes nothing."""

import pytest

from engine.cards import NoteCard
from engine.commands import Context, Grant, NoteEgress, Policy, Reason, Reject
from engine.decide import decide
from engine.retry import LONGEST, delay
from schema import events as e
from schema import facts as f
from schema.sealed import Sealed
from tests.unit.engine.given import (
    ASKING,
    CLOSED,
    CLOSING,
    LOST,
    OPENED,
    READY,
    REQUESTED,
    RESERVED,
    SECOND,
    SENT,
    STARTER,
    WORKING,
    R,
    after,
    failed,
    given,
    queued,
    read,
    wanted,
    when,
)

History = tuple[e.SessionEvent, ...]
GRANTED = e.SandboxReserved(reservation=R)
READY_NOW = e.SandboxReady(reservation=R)
PROBED = e.SandboxProbed(reservation=R, checks=(e.Check(wall="api", found="open"),))
PLACED = e.SandboxPlaced(reservation=R, addresses=("10.0.0.1",))
GONE = e.SandboxGone(reservation=R)
LOST_NOW = e.SandboxLost(reservation=R, why="gone")
SHOWN = e.MessageShown(part="head", index=0, message="m1", rev=1)


@pytest.mark.parametrize(
    ("history", "report"),
    [
        ((REQUESTED,), e.StarterPosted(message="m")),
        (OPENED[:2], e.ThreadOpened(thread="t")),
        (OPENED, e.SlotAsked(place=1)),
        (OPENED, GRANTED),
        ((*OPENED, e.SlotAsked(place=1)), e.SlotLeft()),
        (RESERVED, PROBED),
        (RESERVED, PLACED),
        (READY, PLACED),
        (RESERVED, READY_NOW),
        (READY, LOST_NOW),
        (LOST, GONE),
        (SENT, e.Delivered(item="prompt:p1", life=1)),
        (CLOSING, e.HandedOver(how="posted", files=1)),
        (OPENED, SHOWN),
        (OPENED, e.PartCleared(part="head")),
        (RESERVED, e.RepoCloned(reservation=R, repo=Sealed(b"where"))),
        (RESERVED, e.RepoFailed(reservation=R, why="auth")),
        (OPENED, e.ThreadChanged(what="locked")),
        (OPENED, e.ThreadChanged(what="deleted")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, e.SessionEvent) else "",
)
def test_what_the_session_has_use_for_is_recorded(history: History, report: e.SessionEvent) -> None:
    assert report in when(given(*history), report)


@pytest.mark.parametrize(
    ("history", "report"),
    [
        (OPENED, e.StarterPosted(message="m2")),
        (OPENED, e.ThreadOpened(thread="t2")),
        (RESERVED, e.SlotAsked(place=1)),
        (READY, e.SandboxReserved(reservation="s-2")),
        (OPENED, e.SlotLeft()),
        (READY, READY_NOW),
        (READY, PROBED),
        (READY, e.RepoCloned(reservation=R, repo=Sealed(b"where"))),
        (LOST, e.RepoFailed(reservation=R, why="auth")),
        ((*RESERVED, PLACED), PLACED),
        (LOST, PLACED),
        (RESERVED, e.SandboxPlaced(reservation="s-0", addresses=("10.0.0.1",))),
        (LOST, READY_NOW),
        ((*RESERVED, e.CloseAsked(by=STARTER, why="asked")), READY_NOW),
        (RESERVED, e.SandboxReady(reservation="s-0")),
        (READY, e.SandboxLost(reservation="s-0", why="gone")),
        (LOST, LOST_NOW),
        (LOST, e.SandboxGone(reservation="s-0")),
        (SENT, e.Delivered(item="prompt:p0", life=1)),
        (SENT, e.Delivered(item="prompt:p1", life=0)),
        ((*SENT, e.Delivered(item="prompt:p1", life=1)), e.Delivered(item="prompt:p1", life=1)),
        (READY, e.HandedOver(how="posted")),
        ((*CLOSING, e.HandedOver(how="posted")), e.HandedOver(how="posted")),
        (READY, e.Replied(to=7)),
        (OPENED, e.MessageShown(part="turn:1", index=0, message="m", rev=1)),
        (OPENED, failed("attach")),
        (READY, failed("prompt:p1")),
        (READY, e.Closed()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, e.SessionEvent) else "",
)
def test_a_straggler_changes_nothing(history: History, report: e.SessionEvent) -> None:
    assert when(given(*history), report) == []


def test_a_host_that_was_refused_is_told_unless_nobody_reads_it_any_more() -> None:
    host = "a.example:443"
    (noted,) = when(given(*WORKING), NoteEgress(host=host))
    assert noted == e.EgressNoted(host=host)
    card = after(given(*WORKING), noted).cards[-1]
    assert isinstance(card, NoteCard)
    assert (card.what, card.reason, card.mention) == ("egress-refused", host, "")
    (told,) = when(given(*CLOSED), NoteEgress(host=host))
    assert isinstance(told, e.Noted)


# --- slots -----------------------------------------------------------------------------------------------------------


def test_a_grant_is_recorded() -> None:
    assert when(given(*OPENED, e.SlotAsked(place=1)), Grant(reservation=R)) == [GRANTED]


@pytest.mark.parametrize("history", [CLOSED, (*CLOSED, e.SlotAsked(place=1))], ids=["closed", "closed in the line"])
def test_a_grant_that_comes_too_late_goes_back_the_normal_way(history: History) -> None:
    session = given(*history)
    assert when(session, Grant(reservation=R)) == [GRANTED]
    assert wanted(after(session, GRANTED))[0] == "delete"


def test_a_grant_that_is_known_is_noted_and_nobody_is_told() -> None:
    context = Context(at=0, cause=9)
    noted = decide(given(*RESERVED), Grant(reservation=R), context)
    assert noted == [e.Noted(by="", locale="en-US", what="grant")]
    assert after(given(*RESERVED), *noted, cause=9).replies == ()


# --- the sandbox goes ------------------------------------------------------------------------------------------------


def test_a_lost_sandbox_cuts_the_turn_first() -> None:
    assert when(given(*WORKING), LOST_NOW) == [e.TurnCut(turn=1, why="sandbox"), LOST_NOW]


def test_a_lost_sandbox_cuts_the_prompt_that_may_have_begun() -> None:
    begun = e.TurnStarted(turn=1, prompt="p1", by=STARTER)
    assert when(given(*SENT), LOST_NOW) == [begun, e.TurnCut(turn=1, why="sandbox"), LOST_NOW]


def test_a_lost_sandbox_without_a_cli_cuts_nothing() -> None:
    assert when(given(*SENT, read(20, f.CliExited(code=1))), LOST_NOW) == [LOST_NOW]


def test_nobody_is_asked_how_to_go_on_in_a_session_that_closes() -> None:
    closing = given(*WORKING, e.CloseAsked(by=STARTER, why="asked"))
    assert when(closing, LOST_NOW) == [LOST_NOW]


def test_a_turn_ends_with_the_sandbox_of_a_session_that_closes() -> None:
    closing = given(*WORKING, e.CloseAsked(by=STARTER, why="asked"))
    ended = e.TurnEnded(turn=1, outcome="stopped", reason="closed")
    assert when(closing, GONE) == [ended, GONE, e.Closed()]


# --- failures --------------------------------------------------------------------------------------------------------


def test_the_time_between_tries_doubles_up_to_half_a_minute() -> None:
    assert [delay(attempt) // 100_000 for attempt in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert delay(10_000) == LONGEST


def test_a_failure_is_remembered_with_its_next_time() -> None:
    assert when(given(*READY), failed("attach")) == [failed("attach")]


@pytest.mark.parametrize("history", [(REQUESTED,), OPENED[:2]], ids=["starter", "thread"])
def test_without_a_thread_there_is_no_session(history: History) -> None:
    what = wanted(given(*history))[0]
    given_up = failed(what, None)
    assert when(given(*history), given_up) == [given_up, e.CloseAsked(by="", why="failed"), e.Closed()]


def test_a_sandbox_that_does_not_start_in_time_is_lost() -> None:
    policy = Policy(start_limit=60 * SECOND)
    session = given(*RESERVED, failed("attach"), at=0)
    late = failed("attach", attempt=2)
    assert when(session, late, at=60 * SECOND, policy=policy) == [late]
    lost = e.SandboxLost(reservation=R, why="start", detail="no")
    assert when(session, late, at=60 * SECOND + 1, policy=policy) == [late, lost]


def test_a_sandbox_that_is_ready_may_be_out_of_reach_for_long() -> None:
    session = given(*READY, failed("attach"), at=0)
    assert when(session, failed("attach", attempt=9), at=9_000 * SECOND) == [failed("attach", attempt=9)]


@pytest.mark.parametrize(
    ("history", "what"),
    [
        (RESERVED, "attach"),
        (READY, "attach"),
        ((*READY, read(20, f.CliExited(code=1))), "restart"),
        ((*ASKING, e.AnswerGiven(request="q", by=STARTER, choice="allow")), "answer:q"),
        ((*WORKING, e.StopAsked(turn=1, by=STARTER)), "stop:1"),
    ],
)
def test_a_sandbox_in_which_there_is_no_way_to_go_on_is_lost(history: History, what: str) -> None:
    why = "gone" if given(*history).ready else "refused"
    assert when(given(*history), failed(what, None))[-1] == e.SandboxLost(reservation=R, why=why, detail="no")


def test_a_prompt_that_cannot_be_sent_is_cut_and_the_sandbox_stays() -> None:
    events = when(given(*SENT), failed("prompt:p1", None))
    begun = e.TurnStarted(turn=1, prompt="p1", by=STARTER)
    assert events == [failed("prompt:p1", None), begun, e.TurnCut(turn=1, why="send")]


def test_a_thread_in_which_nothing_can_be_shown_is_forbidden() -> None:
    assert when(given(*OPENED), failed("show", None)) == [failed("show", None), e.ThreadChanged(what="forbidden")]


def test_who_cannot_be_told_is_not() -> None:
    session = after(given(*READY), *decide(given(), Reject(reason=Reason.MALFORMED), Context(at=0, by="1")), cause=7)
    assert when(session, failed("reply:7", None)) == [failed("reply:7", None), e.Replied(to=7, late=True)]


def test_a_hand_over_that_cannot_succeed_does_not_keep_the_sandbox() -> None:
    assert when(given(*CLOSING), failed("handover", None))[-1] == e.HandedOver(how="lost")


def test_a_hand_over_is_tried_for_a_limited_time() -> None:
    policy = Policy(handover_limit=60 * SECOND)
    session = given(*CLOSING, failed("handover"), at=0)
    again = failed("handover", attempt=2)
    assert when(session, again, at=60 * SECOND, policy=policy) == [again]
    events = when(session, again, at=60 * SECOND + 1, policy=policy)
    assert events == [failed("handover", None, attempt=2), e.HandedOver(how="lost")]


@pytest.mark.parametrize(
    ("history", "what"),
    [
        (OPENED, "slot"),
        ((*OPENED, e.SlotAsked(place=1), e.CloseAsked(by=STARTER, why="asked")), "leave"),
        (LOST, "delete"),
    ],
)
def test_what_holds_a_slot_or_a_place_is_never_given_up(history: History, what: str) -> None:
    assert when(given(*history), failed(what, None), at=SECOND) == [failed(what, SECOND + LONGEST)]


# --- how long failures are remembered --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "what", "progress"),
    [
        ((REQUESTED,), "starter", e.StarterPosted(message="m")),
        (OPENED, "slot", e.SlotAsked(place=1)),
        (RESERVED, "attach", READY_NOW),
        (READY, "attach", read(20, f.StateChanged(state="idle"))),
        (OPENED, "show", SHOWN),
        (OPENED, "show", e.PartCleared(part="x")),
        (SENT, "prompt:p1", e.Delivered(item="prompt:p1", life=1)),
        ((*READY, read(20, f.CliExited(code=1))), "restart", read(30, f.CliStarted())),
        (CLOSING, "handover", e.HandedOver(how="posted")),
        (LOST, "delete", GONE),
        (SENT, "prompt:p1", e.CloseAsked(by=STARTER, why="asked")),
    ],
)
def test_a_failure_is_forgotten_with_progress_or_when_nobody_wants_it(
    history: History, what: str, progress: e.SessionEvent
) -> None:
    session = given(*history, failed(what))
    assert what in session.failures
    assert what not in after(session, progress).failures


def test_the_first_failure_of_a_series_is_remembered() -> None:
    session = after(given(*RESERVED, failed("attach"), at=5), failed("attach", attempt=2), at=9)
    assert session.failures["attach"].since == 5


# --- nothing spins ---------------------------------------------------------------------------------------------------


def test_after_three_sandboxes_lost_in_a_row_none_is_asked_for_until_somebody_wants_something() -> None:
    session = given(*OPENED, queued("p1"))
    for number in range(3):
        assert wanted(session)[0] == "slot"
        name = f"s-{number}"
        reserved, lost = e.SandboxReserved(reservation=name), e.SandboxLost(reservation=name, why="start")
        session = after(session, reserved, lost, e.SandboxGone(reservation=name))
    assert "slot" not in wanted(session)
    assert wanted(after(session, queued("p2")))[0] == "slot"


def test_a_sandbox_in_which_a_turn_began_was_of_use() -> None:
    assert given(*LOST).losses == 1
    assert given(*LOST, e.TurnStarted(turn=1, prompt="", by=STARTER)).losses == 0


def test_a_thread_that_is_found_deleted_closes_the_session_once() -> None:
    gone = e.ThreadChanged(what="deleted")
    events = when(given(*READY), gone, by="")
    assert events == [gone, e.CloseAsked(by="", why="deleted")]
    assert not when(given(*READY, *events), gone, by="")
