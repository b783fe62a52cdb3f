"""What a session still wants done, and in which order."""

import pytest

from engine.cards import NoteCard
from engine.session import CRASH_LIMIT, Phase
from engine.todo import deadlines, next_due, todo
from schema import events as e
from schema import facts as f
from tests.unit.engine.given import (
    ASKING,
    CLOSED,
    CLOSING,
    CUT,
    LOST,
    OPENED,
    READY,
    REFUSED,
    REQUESTED,
    RESERVED,
    SECOND,
    SENT,
    STARTER,
    UNWALLED,
    WORKING,
    R,
    after,
    failed,
    given,
    queued,
    read,
    wanted,
)

CLOSE = e.CloseAsked(by=STARTER, why="asked")
ANSWERED = e.AnswerGiven(request="q", by=STARTER, choice="allow")


def done_with_people(*events: e.SessionEvent) -> list[str]:
    """What is wanted of all but Discord."""
    return [key for key in wanted(given(*events)) if key != "show" and not key.startswith("reply:")]


@pytest.mark.parametrize(
    ("history", "keys"),
    [
        ((), []),
        ((REQUESTED,), ["starter"]),
        (OPENED[:2], ["thread"]),
        ((REQUESTED, CLOSE), []),
        (OPENED, ["slot"]),
        ((*OPENED, e.SlotAsked(place=1)), []),
        ((*OPENED, e.SlotAsked(place=1), CLOSE), ["leave"]),
        (RESERVED, ["attach"]),
        ((*RESERVED, CLOSE), ["delete"]),
        (READY, ["attach"]),
        ((*READY, read(20, f.CliExited(code=1))), ["attach", "restart"]),
        (SENT, ["attach", "prompt:p1"]),
        ((*SENT, e.Delivered(item="prompt:p1", life=1)), ["attach"]),
        (WORKING, ["attach"]),
        (ASKING, ["attach"]),
        ((*ASKING, ANSWERED), ["attach", "answer:q"]),
        ((*WORKING, e.StopAsked(turn=1, by=STARTER)), ["attach", "stop:1"]),
        ((*CUT, queued("p2")), ["attach", "restart"]),
        (LOST, ["delete"]),
        ((*LOST, e.SandboxGone(reservation=R)), []),
        ((*LOST, e.SandboxGone(reservation=R), queued("p2")), ["slot"]),
        ((*REFUSED, e.SandboxGone(reservation=R)), []),
        ((*REFUSED, e.SandboxGone(reservation=R), queued("p2")), ["slot"]),
        ((*UNWALLED, e.SandboxGone(reservation=R)), []),
        ((*UNWALLED, e.SandboxGone(reservation=R), queued("p2")), ["slot"]),
        (CLOSING, ["handover"]),
        ((*CLOSING, e.HandedOver(how="posted")), ["delete"]),
        ((*CLOSING, e.SandboxLost(reservation=R, why="gone")), ["delete"]),
        (CLOSED, []),
    ],
)
def test_what_is_wanted_follows_from_the_state(history: tuple[e.SessionEvent, ...], keys: list[str]) -> None:
    assert done_with_people(*history) == keys


def test_a_stop_goes_before_answers_and_answers_before_the_next_prompt() -> None:
    busy = (*SENT, e.TurnStarted(turn=1, prompt="", by=STARTER), *ASKING[-2:], ANSWERED, e.StopAsked(turn=1, by="1"))
    assert done_with_people(*busy) == ["attach", "stop:1", "answer:q", "prompt:p1"]


def test_a_cli_that_ends_again_and_again_is_not_started_until_somebody_wants_something() -> None:
    lives = [
        piece
        for n in range(CRASH_LIMIT)
        for piece in (read(20 + 20 * n, f.CliExited(code=1)), read(30 + 20 * n, f.CliStarted()))
    ]
    session = given(*READY, *lives[:-1])
    assert "restart" not in wanted(session)
    assert [card.what for card in session.cards if isinstance(card, NoteCard)] == ["cli-broken"]
    assert session.gave_up
    again = after(session, queued("p1"))
    assert "restart" in wanted(again)
    head, before = again.card("head"), session.card("head")
    assert head
    assert before
    assert head.rev > before.rev


def test_a_cli_that_finished_a_turn_is_not_broken() -> None:
    finished = f.TurnFinished(prompts=("p1",), error=False, reason="completed")
    exits = [read(20, f.CliExited(code=1)), read(30, f.CliStarted()), read(40, finished), read(50, f.CliExited(code=1))]
    assert given(*READY, *exits).crashes == 1


@pytest.mark.parametrize("state", ["locked", "forbidden", "deleted"])
def test_nothing_is_shown_where_nothing_can_be(state: str) -> None:
    assert "show" in wanted(given(*OPENED))
    shut = given(*OPENED, e.ThreadChanged(what=state))
    assert "show" not in wanted(shut)
    assert "show" in wanted(after(shut, e.ThreadChanged(what="unlocked")))


def test_an_archived_thread_opens_by_itself_when_something_is_posted() -> None:
    assert "show" in wanted(given(*OPENED, e.ThreadChanged(what="archived")))


def test_the_thread_is_kept_up_to_date_while_a_turn_runs() -> None:
    shown = [e.MessageShown(part=card.part, index=0, message="m", rev=card.rev) for card in given(*WORKING).cards]
    assert "show" in wanted(given(*WORKING, *shown))


# --- when ------------------------------------------------------------------------------------------------------------


def test_what_failed_is_wanted_from_its_next_time_on() -> None:
    [attach] = [one for one in todo(given(*RESERVED, failed("attach", 9 * SECOND))) if one.effect.key == "attach"]
    assert attach.since == 9 * SECOND


def test_what_was_given_up_is_not_wanted() -> None:
    assert "attach" not in wanted(given(*RESERVED, failed("attach", None)))


def test_a_session_with_something_to_do_is_due_now() -> None:
    session = given(*READY)
    assert next_due(todo(session), deadlines(session)) == 0


@pytest.mark.parametrize("history", [(), CLOSED], ids=["new", "closed"])
def test_a_session_with_nothing_to_do_is_never_due(history: tuple[e.SessionEvent, ...]) -> None:
    session = given(*history)
    shown = [e.MessageShown(part=card.part, index=0, message="m", rev=card.rev) for card in session.cards]
    session = after(session, *shown)
    assert next_due(todo(session), deadlines(session)) is None


def test_a_session_is_due_when_a_question_expires_or_a_reply_is_too_late() -> None:
    session = given(*ASKING)
    assert next_due((), deadlines(session)) == 90 * SECOND
    told = after(session, e.Noted(by=STARTER, locale="ja", what="status"), at=0, cause=7)
    assert next_due((), deadlines(told)) == min(90 * SECOND, told.replies[0].until)
    assert next_due((), deadlines(after(session, ANSWERED))) is None


# --- phases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "phase"),
    [
        ((), Phase.NEW),
        ((e.Refused(by="1", locale="ja", reason="empty"),), Phase.NEW),
        ((REQUESTED,), Phase.REQUESTED),
        (OPENED, Phase.WAITING),
        (RESERVED, Phase.PROVISIONING),
        (READY, Phase.READY),
        (SENT, Phase.WORKING),
        (WORKING, Phase.WORKING),
        (ASKING, Phase.AWAITING),
        ((*ASKING, ANSWERED), Phase.WORKING),
        (CUT, Phase.READY),
        (LOST, Phase.LOST),
        (CLOSING, Phase.CLOSING),
        (CLOSED, Phase.CLOSED),
    ],
)
def test_how_a_session_stands(history: tuple[e.SessionEvent, ...], phase: Phase) -> None:
    assert given(*history).phase is phase
