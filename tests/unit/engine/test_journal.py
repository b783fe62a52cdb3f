"""What the journal of Claude Code means for a session."""

import pytest

from engine import journal
from engine.session import CRASH_LIMIT, Session
from schema import events as e
from schema import facts as f
from schema.sealed import Sealed
from tests.unit.engine.given import (
    ASKING,
    CLOSED,
    CUT,
    LOST,
    POLICY,
    QUESTION,
    READY,
    RESERVED,
    SENT,
    STARTER,
    WORKING,
    after,
    given,
    queued,
    read,
    wanted,
    when,
)

SAID = f.Said(text=Sealed(b"hello"))
STARTED, CUT_CLI = e.TurnStarted(turn=1, prompt="p1", by=STARTER), e.TurnCut(turn=1, why="cli")


def finished(*prompts: str, error: bool = False, reason: str = "completed") -> f.TurnFinished:
    return f.TurnFinished(prompts=prompts, error=error, reason=reason)


def follows(session: Session, piece: e.JournalRead) -> list[e.SessionEvent]:
    """What follows from a piece of the journal, it left out."""
    events = when(session, piece)
    assert events.count(piece) == 1
    return [event for event in events if event != piece]


# --- P3: once, and in order ------------------------------------------------------------------------------------------


def test_the_next_piece_is_recorded() -> None:
    assert when(given(*READY), read(20, f.StateChanged(state="idle"))) == [read(20, f.StateChanged(state="idle"))]


@pytest.mark.parametrize(
    "piece",
    [read(10, SAID), read(30, SAID), read(10, SAID, epoch=0), read(20, SAID, epoch=2)],
    ids=["known", "too far", "of an older journal", "of a newer one, not its beginning"],
)
def test_any_other_piece_is_not(piece: e.JournalRead) -> None:
    assert when(given(*READY), piece) == []


@pytest.mark.parametrize("history", [RESERVED, LOST, CLOSED], ids=["starting", "lost", "closed"])
def test_the_journal_of_a_sandbox_that_is_not_ready_is_not(history: tuple[e.SessionEvent, ...]) -> None:
    assert when(given(*history), read(10, SAID)) == []


def test_a_piece_ends_with_the_first_fact_that_something_follows_from() -> None:
    assert journal.ends_report(finished())
    assert not journal.ends_report(SAID)


# --- turns -----------------------------------------------------------------------------------------------------------


def test_a_turn_begins_when_claude_takes_up_the_prompt() -> None:
    assert follows(given(*SENT), read(20, f.PromptStarted(prompt="p1"))) == [STARTED]


def test_a_prompt_that_is_not_on_its_way_begins_nothing() -> None:
    assert follows(given(*SENT), read(20, f.PromptStarted(prompt="p7"))) == []


@pytest.mark.parametrize(
    "fact", [SAID, QUESTION, f.ToolReturned(tool="t", failed=False)], ids=["said", "asked", "tool"]
)
def test_claude_may_begin_by_itself_and_the_prompt_stays_on_its_way(fact: f.Fact) -> None:
    events = when(given(*SENT), read(20, fact))
    assert events[:2] == [e.TurnStarted(turn=1, prompt="", by=STARTER), read(20, fact)]
    session = given(*SENT, *events)
    assert session.sent
    assert "prompt:p1" in wanted(session)


def test_a_prompt_taken_up_in_the_middle_of_a_turn_begins_its_own() -> None:
    busy = given(*SENT, e.TurnStarted(turn=1, prompt="", by=STARTER))
    joined = e.TurnEnded(turn=1, outcome="completed", reason="joined")
    begun = e.TurnStarted(turn=2, prompt="p1", by=STARTER)
    assert follows(busy, read(20, f.PromptStarted(prompt="p1"))) == [joined, begun]


def test_text_and_a_prompt_in_one_piece_are_two_turns() -> None:
    events = when(given(*SENT), read(20, SAID, f.PromptStarted(prompt="p1")))
    assert [event.turn for event in events if isinstance(event, e.TurnStarted)] == [1, 2]


@pytest.mark.parametrize(
    ("fact", "outcome"),
    [
        (finished("p1"), "completed"),
        (finished("p1", error=True, reason="api_error"), "failed"),
        (finished("p1", reason="aborted_streaming"), "stopped"),
    ],
)
def test_a_turn_ends_with_its_result(fact: f.TurnFinished, outcome: str) -> None:
    assert follows(given(*WORKING), read(30, fact)) == [e.TurnEnded(turn=1, outcome=outcome, reason=fact.reason)]


def test_the_next_prompt_is_sent_when_the_turn_is_over() -> None:
    events = when(given(*WORKING, queued("p2")), read(30, finished("p1")))
    assert events[-1] == e.PromptSent(prompt="p2")


def test_a_result_without_a_turn_means_nothing() -> None:
    assert follows(given(*READY), read(20, finished())) == []


def test_a_result_that_names_the_prompt_on_its_way_is_its_turn() -> None:
    ended = e.TurnEnded(turn=1, outcome="completed", reason="completed")
    assert follows(given(*SENT), read(20, finished("p1"))) == [STARTED, ended]


@pytest.mark.parametrize(
    ("cancelled", "over"),
    [(True, e.TurnEnded(turn=1, outcome="stopped", reason="cancelled")), (False, e.TurnCut(turn=1, why="answer"))],
)
def test_a_prompt_that_is_over_before_it_began(cancelled: bool, over: e.SessionEvent) -> None:  # noqa: FBT001 - a case
    assert follows(given(*SENT), read(20, f.PromptOver(prompt="p1", cancelled=cancelled))) == [STARTED, over]


def test_a_prompt_that_is_over_after_it_began_says_nothing_new() -> None:
    assert follows(given(*WORKING), read(30, f.PromptOver(prompt="p1"))) == []


# --- cuts: outcome unknown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", [f.CliExited(code=1), f.CliStarted()], ids=["exited", "started anew"])
def test_a_turn_dies_with_its_cli(fact: f.Fact) -> None:
    assert follows(given(*WORKING), read(30, fact)) == [CUT_CLI]


def test_while_people_have_not_chosen_nothing_is_sent() -> None:
    assert follows(given(*CUT, queued("p2")), read(40, f.CliStarted())) == []


def test_a_prompt_the_cli_had_not_begun_goes_to_the_next_one_under_its_id() -> None:
    delivered = (*SENT, e.Delivered(item="prompt:p1", life=1))
    assert "prompt:p1" not in wanted(given(*delivered))
    assert follows(given(*delivered), read(20, f.CliExited(code=1))) == []
    assert "prompt:p1" in wanted(given(*delivered, read(20, f.CliExited(code=1)), read(30, f.CliStarted())))


def test_a_prompt_that_kills_every_cli_is_cut_in_the_end() -> None:
    session = given(*SENT)
    for life in range(1, CRASH_LIMIT + 1):
        exited = read(20 * life, f.CliExited(code=1))
        if life == CRASH_LIMIT:
            assert follows(session, exited) == [STARTED, CUT_CLI]
        session = after(session, exited, read(20 * life + 10, f.CliStarted()))


def test_a_journal_that_broke_off_cuts_the_turn() -> None:
    events = when(given(*WORKING), read(10, f.CliStarted(), epoch=2))
    assert events == [e.TurnCut(turn=1, why="journal"), read(10, f.CliStarted(), epoch=2)]


def test_a_journal_that_broke_off_cuts_the_prompt_on_its_way_which_may_have_begun() -> None:
    events = when(given(*SENT), read(10, f.CliStarted(), epoch=2))
    assert events[:2] == [STARTED, e.TurnCut(turn=1, why="journal")]


def test_a_journal_that_was_completed_cuts_nothing() -> None:
    whole = given(*SENT, read(20, f.CliExited(code=1)))
    assert follows(whole, read(10, f.CliStarted(), epoch=2)) == []


def test_both_are_cut_when_claude_worked_by_itself_and_the_prompt_is_what_people_are_asked_about() -> None:
    busy = given(*SENT, e.TurnStarted(turn=1, prompt="", by=STARTER))
    events = when(busy, e.SandboxLost(reservation="s-1", why="gone"))
    assert [event.turn for event in events if isinstance(event, e.TurnCut)] == [1, 2]
    session = after(busy, *events)
    assert session.cut
    assert session.cut.prompt
    assert [card.part for card in session.cards if card.part.startswith("cut:") and not card.gone] == ["cut:2"]


def test_a_cut_that_people_have_not_chosen_about_is_not_forgotten_for_one_without_a_prompt() -> None:
    again = (e.TurnStarted(turn=2, prompt="", by=STARTER), e.TurnCut(turn=2, why="cli"))
    session = given(*CUT, *again)
    assert session.cut
    assert session.cut.turn == 1


# --- questions -------------------------------------------------------------------------------------------------------


def test_a_question_is_asked_until_it_expires() -> None:
    asked = e.AnswerAsked(
        request="q", turn=1, tool="Bash", question=Sealed(b"?"), always=True, expires=POLICY.permission_ttl
    )
    assert follows(given(*WORKING), read(30, QUESTION)) == [asked]


def test_a_question_is_asked_once() -> None:
    assert follows(given(*ASKING), read(40, QUESTION)) == []


@pytest.mark.parametrize(
    "fact", [f.PermissionWithdrawn(request="q"), f.PermissionTaken(request="q"), f.CliExited(code=1), f.CliStarted()]
)
def test_a_question_is_over_when_the_cli_does_not_wait_for_it_any_more(fact: f.Fact) -> None:
    assert given(*ASKING, read(40, fact)).asks == ()
