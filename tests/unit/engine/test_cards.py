"""What the thread should show, and whom to tell what."""

import msgspec
import pytest

from engine.cards import AskCard, Card, CutCard, NoteCard, QueuedCard, TurnCard
from engine.commands import Tick
from engine.evolve import LONG_TURN, REPLY_LIFE
from engine.session import Session
from schema import events as e
from schema import facts as f
from schema.sealed import Sealed
from tests.unit.engine.given import (
    ASKING,
    CLOSING,
    CUT,
    LOST,
    OPENED,
    PROBED,
    READY,
    REFUSED,
    REQUESTED,
    RESERVED,
    SENT,
    STARTER,
    UNWALLED,
    WORKING,
    after,
    given,
    queued,
    read,
    when,
)

SAID = f.Said(text=Sealed(b"hello"))
ENDED = e.TurnEnded(turn=1, outcome="completed")


def shown(card: Card, index: int = 0, *, message: str = "m", rev: int | None = None) -> e.MessageShown:
    return e.MessageShown(part=card.part, index=index, message=message, rev=card.rev if rev is None else rev)


def card(session: Session, part: str) -> Card:
    found = session.card(part)
    assert found, part
    return found


def notes(session: Session) -> list[str]:
    return [one.what for one in session.cards if isinstance(one, NoteCard)]


# --- a card's life ---------------------------------------------------------------------------------------------------


def test_a_card_is_stale_until_its_newest_revision_is_shown() -> None:
    session = given(*OPENED)
    assert card(session, "head").stale
    session = after(session, shown(card(session, "head")))
    assert not card(session, "head").stale
    assert card(after(session, e.SlotAsked(place=2)), "head").stale


def test_an_older_revision_shown_late_does_not_count() -> None:
    session = given(*OPENED, e.SlotAsked(place=2))
    session = after(session, shown(card(session, "head")), shown(card(session, "head"), rev=1))
    assert not card(session, "head").stale


def test_a_closed_card_is_forgotten_when_it_is_shown() -> None:
    session = given(*WORKING, ENDED)
    assert after(session, shown(card(session, "turn:1"), rev=1)).card("turn:1")
    assert after(session, shown(card(session, "turn:1"))).card("turn:1") is None


def test_what_is_shown_of_a_card_that_was_forgotten_changes_no_other() -> None:
    session = given(*WORKING, ENDED)
    last = shown(card(session, "turn:1"))
    session = after(session, last)
    assert after(session, last).cards == session.cards


def test_a_card_that_is_gone_is_forgotten_when_it_is_deleted() -> None:
    session = given(*WORKING, queued("p2"), e.PromptRemoved(prompt="p2", by=STARTER))
    assert card(session, "queued:p2").gone
    assert after(session, e.PartCleared(part="queued:p2")).card("queued:p2") is None


def test_messages_of_a_card_are_known_in_order() -> None:
    session = given(*OPENED)
    head = card(session, "head")
    session = after(session, shown(head, 0, message="a", rev=0), shown(head, 1, message="b"), at=5)
    assert [one.message for one in card(session, "head").posted] == ["a", "b"]


def test_an_edit_keeps_the_age_of_a_message_and_another_in_its_place_does_not() -> None:
    session = given(*OPENED)
    head = card(session, "head")
    session = after(session, shown(head, message="a"), at=5)
    assert card(after(session, shown(head, message="a"), at=9), "head").posted[0].at == 5
    [other] = card(after(session, shown(head, message="b"), at=9), "head").posted
    assert (other.message, other.at) == ("b", 9)


# --- which cards -----------------------------------------------------------------------------------------------------


def test_a_prompt_that_waits_is_shown_once_there_is_a_thread() -> None:
    assert isinstance(card(given(REQUESTED, queued("p1"), *OPENED[1:]), "queued:p1"), QueuedCard)
    assert isinstance(card(given(*WORKING, queued("p2")), "queued:p2"), QueuedCard)


def test_a_turn_says_what_it_answers_where_people_could_not_tell() -> None:
    def turn(*events: e.SessionEvent, number: int = 1) -> TurnCard:
        found = card(given(*events), f"turn:{number}")
        assert isinstance(found, TurnCard)
        return found

    assert not turn(*WORKING).answers
    assert turn(*SENT, queued("p2"), e.TurnStarted(turn=1, prompt="p1", by=STARTER)).answers == "p1"
    after_it = (ENDED, e.PromptSent(prompt="p2"), e.TurnStarted(turn=2, prompt="p2", by=STARTER))
    assert turn(*WORKING, queued("p2"), *after_it, number=2).answers == "p2"
    assert not turn(*WORKING, ENDED, queued("p2"), *after_it[1:], number=2).answers


def test_a_prompt_that_changed_is_shown_so() -> None:
    edited = e.PromptEdited(prompt="p2", by=STARTER, text=Sealed(b"else"), size=4)
    session = given(*WORKING, queued("p2"), edited)
    waiting = card(session, "queued:p2")
    assert isinstance(waiting, QueuedCard)
    assert waiting.text == b"else"


def test_what_claude_says_and_does_is_shown_in_its_turn() -> None:
    session = given(*WORKING, read(30, SAID, f.StateChanged(state="running"), f.TasksChanged(running=2)))
    turn = card(session, "turn:1")
    assert isinstance(turn, TurnCard)
    assert turn.facts == (SAID,)
    assert session.tasks == 2


def test_an_error_is_shown_in_its_turn() -> None:
    failed = f.TurnFinished(prompts=("p1",), error=True, reason="api_error", message=Sealed(b"no"))
    turn = card(given(*WORKING, read(30, failed)), "turn:1")
    assert isinstance(turn, TurnCard)
    assert turn.facts == (f.Noticed(what="error", text=Sealed(b"no")),)


@pytest.mark.parametrize(
    ("fact", "what"),
    [
        (f.DiskFilled(percent=80), ["disk-filled"]),
        (f.DiskFilled(percent=95, stopped=True), ["disk-stopped"]),
        (f.MemoryFilled(percent=91), ["memory-filled"]),
        (f.Noticed(what="compacted"), ["notice-compacted"]),
        (f.Skipped(what="broken"), []),
    ],
)
def test_what_happens_outside_of_a_turn_is_a_note_if_it_concerns_people(fact: f.Fact, what: list[str]) -> None:
    assert notes(given(*READY, read(20, fact))) == what


def test_an_open_question_and_its_answer_are_shown() -> None:
    session = given(*ASKING)
    turn, ask = card(session, "turn:1"), card(session, "ask:q")
    assert isinstance(turn, TurnCard)
    assert turn.asking
    session = after(session, e.AnswerGiven(request="q", by=STARTER, choice="deny"))
    turn, ask = card(session, "turn:1"), card(session, "ask:q")
    assert isinstance(turn, TurnCard)
    assert not turn.asking
    assert isinstance(ask, AskCard)
    assert (ask.choice, ask.by, ask.closed) == ("deny", STARTER, True)


def test_a_question_can_outlive_its_turn() -> None:
    ask = card(given(*ASKING, ENDED, e.AnswerExpired(request="q")), "ask:q")
    assert isinstance(ask, AskCard)
    assert ask.choice == "expired"


@pytest.mark.parametrize(
    ("lasted", "outcome", "what"),
    [
        (LONG_TURN, "completed", []),
        (LONG_TURN + 1, "completed", ["turn-completed"]),
        (LONG_TURN + 1, "stopped", []),
        (0, "failed", ["turn-failed"]),
    ],
)
def test_the_end_of_a_long_turn_and_any_failure_notify(lasted: int, outcome: str, what: list[str]) -> None:
    assert notes(after(given(*WORKING), e.TurnEnded(turn=1, outcome=outcome), at=lasted)) == what


def test_a_cut_turn_asks_how_to_go_on_until_somebody_said() -> None:
    cut = card(given(*CUT), "cut:1")
    assert isinstance(cut, CutCard)
    assert cut.text == b"do it"
    resolved = e.CutResolved(turn=1, by=STARTER, choice="retry", prompt="p2")
    cut = card(given(*CUT, queued("p2"), resolved), "cut:1")
    assert isinstance(cut, CutCard)
    assert (cut.choice, cut.chosen_by, cut.closed) == ("retry", STARTER, True)


def test_a_lost_sandbox_is_said() -> None:
    assert notes(given(*LOST)) == ["sandbox-lost"]


def test_why_a_sandbox_cannot_be_made_or_was_lost_is_told_as_it_was_said() -> None:
    (refused,) = [one for one in given(*REFUSED).cards if isinstance(one, NoteCard)]
    assert (refused.what, refused.reason, refused.mention) == (
        "sandbox-refused",
        "the namespace does not allow it",
        STARTER,
    )
    (lost,) = [
        one
        for one in given(*READY, e.SandboxLost(reservation="s-1", why="evicted", detail="Full.")).cards
        if isinstance(one, NoteCard)
    ]
    assert (lost.what, lost.detail, lost.reason) == ("sandbox-lost", "evicted", "Full.")


def test_a_sandbox_that_was_not_walled_off_is_told_with_what_it_reaches() -> None:
    session = given(*UNWALLED)
    told = [(one.what, one.detail, one.mention) for one in session.cards if isinstance(one, NoteCard)]
    assert told == [("sandbox-unwalled", "api kubelet", STARTER)]
    assert given(*RESERVED, PROBED).open_walls == ("api", "kubelet")
    assert after(session, e.SandboxGone(reservation="s-1"), e.SandboxReserved(reservation="s-2")).open_walls == ()


CLONED = e.RepoCloned(reservation="s-1", repo=Sealed(b"where"))


@pytest.mark.parametrize(
    ("code", "trusted", "told"),
    [
        ((), False, ("repo-cloned", "")),
        (("settings", "mcp"), False, ("repo-untrusted", "settings mcp")),
        (("prompts",), True, ("repo-trusted", "prompts")),
    ],
)
def test_a_repository_is_told_with_what_it_brings(
    code: tuple[str, ...],
    trusted: bool,  # noqa: FBT001 - a case
    told: tuple[str, str],
) -> None:
    cloned = msgspec.structs.replace(CLONED, code=code, trusted=trusted)
    (note,) = [one for one in given(*RESERVED, cloned).cards if isinstance(one, NoteCard)]
    assert ((note.what, note.detail), note.text, note.mention) == (told, Sealed(b"where"), "")


def test_a_repository_that_could_not_be_cloned_is_told_once_and_tried_again_when_somebody_asks() -> None:
    failed = e.RepoFailed(reservation="s-1", why="auth", said=Sealed(b"401"))
    session = given(*RESERVED, queued("p1"), failed, e.SandboxLost(reservation="s-1", why="repo"))
    (note,) = [one for one in session.cards if isinstance(one, NoteCard)]
    assert (note.what, note.detail, note.text, note.mention) == ("repo-failed", "auth", Sealed(b"401"), STARTER)
    gone = after(session, e.SandboxGone(reservation="s-1"))
    assert not gone.wants_sandbox
    again = after(gone, queued("p2"))
    assert again.wants_sandbox
    assert [one.prompt for one in again.queue] == ["p1", "p2"]


@pytest.mark.parametrize(("how", "what"), [("posted", []), ("empty", []), ("kept", ["handover-kept"])])
def test_a_hand_over_that_did_not_work_is_said(how: str, what: list[str]) -> None:
    assert notes(given(*CLOSING, e.HandedOver(how=how))) == what


def test_a_closed_session_closes_its_cards_and_forgets_what_waited() -> None:
    session = given(*CUT, queued("p2"), e.CloseAsked(by=STARTER, why="asked"), e.Closed())
    assert all(one.closed or one.gone for one in session.cards)
    assert (session.queue, session.cut, session.turn, session.asks) == ((), None, None, ())


def test_a_thread_that_was_opened_too_late_shows_that_it_is_closed() -> None:
    closed = given(*OPENED[:2], e.CloseAsked(by="", why="failed"), e.Closed(), OPENED[2])
    assert card(closed, "head").closed


# --- replies ---------------------------------------------------------------------------------------------------------


def told(*events: e.SessionEvent, cause: int = 7) -> list[str]:
    return [one.what for one in given(*events, cause=cause).replies]


def test_a_refusal_and_a_note_are_told() -> None:
    assert told(e.Refused(by="1", locale="ja", reason="empty")) == ["refused-empty"]
    assert told(e.Noted(by="1", locale="ja", what="status")) == ["status"]


def test_nobody_is_told_what_nobody_did() -> None:
    assert told(e.Noted(by="1", locale="ja", what="status"), cause=0) == []
    assert told(e.Noted(by="", locale="ja", what="grant")) == []


def test_the_starter_is_told_where_the_thread_is_or_that_there_is_none() -> None:
    assert told(*OPENED) == ["started"]
    assert told(REQUESTED, e.CloseAsked(by="", why="failed")) == ["start-failed"]


def test_a_reply_is_told_once() -> None:
    session = given(e.Noted(by="1", locale="ja", what="status"), cause=7)
    assert after(session, e.Replied(to=8)).replies
    assert after(session, e.Replied(to=7)).replies == ()


def test_a_reply_that_is_too_late_is_not_told() -> None:
    session = given(e.Noted(by="1", locale="ja", what="status"), cause=7)
    assert when(session, Tick(), at=REPLY_LIFE - 1) == []
    assert when(session, Tick(), at=REPLY_LIFE) == [e.Replied(to=7, late=True)]


# --- what stays small ------------------------------------------------------------------------------------------------


def test_only_lines_that_still_matter_are_remembered_as_delivered() -> None:
    session = given(*ASKING, e.AnswerGiven(request="q", by=STARTER, choice="allow"))
    session = after(session, e.Delivered(item="answer:q", life=1), e.Delivered(item="prompt:p1", life=1))
    assert session.delivered == {"answer:q"}
    session = after(session, read(40, f.PermissionTaken(request="q")), e.StopAsked(turn=1, by=STARTER))
    assert after(session, e.Delivered(item="stop:1", life=1)).delivered == {"stop:1"}


def test_the_model_is_known() -> None:
    assert given(*READY, read(20, f.CliReady(model="m", mode="default"))).model == "m"


def test_another_sandbox_begins_with_its_first_cli() -> None:
    again = given(*LOST, e.SandboxGone(reservation="s-1"), e.SandboxReserved(reservation="s-2"))
    assert (again.cli, again.cli_lives, again.journal_epoch, again.journal_offset) == (0, 0, 0, 0)


def test_clis_are_counted_in_each_journal() -> None:
    session = given(*READY, read(20, f.CliExited(code=1)), read(30, f.CliStarted()))
    assert (session.journal_epoch, session.cli, session.cli_lives) == (1, 2, 2)
    session = after(session, read(10, f.CliStarted(), epoch=2))
    assert (session.journal_epoch, session.cli, session.cli_lives) == (2, 1, 3)
