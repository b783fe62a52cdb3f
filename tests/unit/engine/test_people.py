"""What people want, and what becomes of it.

It is one file because each test is one thing that somebody does, against the same few states.
"""

import msgspec
import pytest

from engine.cards import NoteCard
from engine.commands import (
    Answer,
    ChangeThread,
    Close,
    Command,
    Context,
    Edit,
    Policy,
    Reason,
    Reject,
    Remove,
    Repo,
    Resolve,
    Role,
    Share,
    ShowStatus,
    Start,
    Stop,
    Submit,
    TellStory,
    Tick,
)
from engine.decide import decide
from schema import events as e
from schema.sealed import Sealed
from tests.unit.engine.given import (
    ASKING,
    CLOSED,
    CLOSING,
    CUT,
    LOST,
    OPENED,
    OTHER,
    OWNER,
    POLICY,
    READY,
    REQUESTED,
    SECOND,
    SENT,
    STARTER,
    STRANGER,
    WORKING,
    given,
    queued,
    refused,
    text,
    wanted,
    when,
)

SHARED = e.Shared(by=STARTER)
COMMANDS: list[Command] = [
    Submit(prompt="p9", text=text()),
    Edit(prompt="p1", text=text()),
    Remove(prompt="p1"),
    Stop(),
    Answer(request="q", choice="allow"),
    Resolve(turn=1, choice="retry", prompt="p9", text=text()),
    Close(),
    Share(shared=True),
]


def name(command: Command) -> str:
    return type(command).__name__


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_another_user_decides_nothing_in_it(command: Command) -> None:
    assert when(given(*ASKING), command, by=OTHER) == refused("not_yours", by=OTHER)


@pytest.mark.parametrize("command", [*COMMANDS, Share(shared=False)], ids=name)
def test_in_a_shared_one_other_users_act_but_neither_end_nor_share_it(command: Command) -> None:
    shared = (*ASKING, queued("p1"), SHARED)
    if isinstance(command, Close | Share | Remove):
        assert when(given(*shared), command, by=OTHER) == refused("starter_only", by=OTHER)
    else:
        kinds = [type(one) for one in when(given(*shared), command, by=STARTER)]
        assert [type(one) for one in when(given(*shared), command, by=OTHER)] == kinds
    alone = given(*shared, e.Unshared(by=OWNER))
    assert when(alone, command, by=OTHER) == refused("not_yours", by=OTHER)


def test_a_guest_takes_back_what_they_wrote() -> None:
    mine = msgspec.structs.replace(queued("p2"), by=OTHER)
    taken_back = e.PromptRemoved(prompt="p2", by=OTHER)
    assert when(given(*WORKING, SHARED, mine), Remove(prompt="p2"), by=OTHER) == [taken_back]
    assert when(given(*WORKING, SHARED, mine), Remove(prompt="p2"), by="")[0] == msgspec.structs.replace(
        taken_back, by=""
    )


def test_a_session_is_shared_and_its_thread_told_so() -> None:
    told = e.Noted(by=STARTER, locale="ja", what="shared")
    assert when(given(*READY), Share(shared=True)) == [SHARED, told]
    assert when(given(*READY, SHARED), Share(shared=True)) == [told]
    ended = msgspec.structs.replace(told, what="unshared")
    assert when(given(*READY, SHARED), Share(shared=False)) == [e.Unshared(by=STARTER), ended]
    assert when(given(*READY), Share(shared=False)) == [ended]
    both = given(*READY, SHARED, e.Unshared(by=OWNER))
    assert [one.what for one in both.cards if isinstance(one, NoteCard)] == ["shared", "unshared"]
    assert not given(REQUESTED, SHARED).cards


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_whoever_is_nobody_here_decides_nothing_in_it(command: Command) -> None:
    assert when(given(*ASKING), command, by=STRANGER) == refused("stranger", by=STRANGER)


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_owners_may_do_what_whoever_started_it_may(command: Command) -> None:
    asked = when(given(*ASKING), command, by=STARTER)
    assert [type(one) for one in when(given(*ASKING), command, by=OWNER)] == [type(one) for one in asked]


@pytest.mark.parametrize("command", [*COMMANDS, ShowStatus(), ChangeThread(what="archived")], ids=name)
def test_nothing_can_be_done_where_no_session_is(command: Command) -> None:
    assert when(given(), command) == refused("no_session")


@pytest.mark.parametrize("history", [CLOSING, CLOSED], ids=["closing", "closed"])
@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_what_ends_or_has_ended_takes_no_orders(command: Command, history: tuple[e.SessionEvent, ...]) -> None:
    assert when(given(*history), command) == refused("closed")


def test_anybody_may_ask_how_it_stands() -> None:
    assert when(given(*READY), ShowStatus(), by=STRANGER) == [e.Noted(by=STRANGER, locale="ja", what="status")]


def test_what_could_not_be_understood_is_refused_with_its_reason() -> None:
    assert when(given(), Reject(reason=Reason.MALFORMED, detail="x")) == refused("malformed", "x")


# --- start -----------------------------------------------------------------------------------------------------------

START = Start(guild="g", channel="c", prompt="p1", text=text())


def test_a_session_begins_with_its_first_prompt() -> None:
    assert when(given(), START) == [REQUESTED, queued("p1")]


def test_a_session_begins_without_a_prompt() -> None:
    assert when(given(), Start(guild="g", channel="c")) == [REQUESTED]


@pytest.mark.parametrize(("most", "running", "begins"), [(0, 9, True), (2, 1, True), (2, 2, False), (1, 5, False)])
def test_nobody_begins_more_than_one_person_may_have(most: int, running: int, begins: bool) -> None:  # noqa: FBT001 - a case
    policy = msgspec.structs.replace(POLICY, sandboxes_per_person=most)
    context = Context(at=0, by=STARTER, role=Role.USER, running=running, locale="ja", policy=policy)
    asked = decide(given(), START, context)
    assert asked == ([REQUESTED, queued("p1")] if begins else refused("too_many", str(running)))


def test_a_stranger_does_not_begin_one_but_asks_to_be_let_in() -> None:
    asked = e.AccessAsked(by=STRANGER, locale="ja", guild="g", channel="c")
    assert when(given(), START, by=STRANGER) == [asked]
    assert given(asked) == msgspec.structs.replace(given(), id="s", version=1)
    assert when(given(asked), START) == [REQUESTED, queued("p1")]


def test_a_session_begins_once() -> None:
    assert when(given(REQUESTED), START) == refused("in_session")


@pytest.mark.parametrize(("size", "reason"), [(0, "empty"), (101, "too_long")])
def test_a_session_does_not_begin_with_a_prompt_nobody_could_send(size: int, reason: str) -> None:
    start = Start(guild="g", channel="c", prompt="p1", text=text(size=size))
    assert when(given(), start) == refused(reason)


CLONES = msgspec.structs.replace(POLICY, repo_hosts=("github.com:443", "*.example.com:8443"))
REPO = Repo(sealed=Sealed(b"address"), host="github.com")


def test_a_session_begins_with_a_repository() -> None:
    asked = e.RepoAsked(by=STARTER, repo=REPO.sealed)
    with_prompt = msgspec.structs.replace(START, repo=REPO)
    assert when(given(), with_prompt, policy=CLONES) == [REQUESTED, asked, queued("p1")]
    assert when(given(), Start(guild="g", channel="c", repo=REPO), policy=CLONES) == [REQUESTED, asked]
    assert given(REQUESTED, asked).repo == REPO.sealed
    let_in = e.AccessAsked(by=STRANGER, locale="ja", guild="g", channel="c")
    assert when(given(), with_prompt, by=STRANGER, policy=CLONES) == [let_in]


@pytest.mark.parametrize(
    ("policy", "host", "reason", "detail"),
    [
        (POLICY, "github.com", "repo_off", ""),
        (CLONES, "", "repo_invalid", ""),
        (CLONES, "git.example", "repo_host", "github.com, *.example.com:8443"),
    ],
)
def test_a_repository_that_may_not_be_cloned_is_refused_before_anything_begins(
    policy: Policy, host: str, reason: str, detail: str
) -> None:
    start = msgspec.structs.replace(START, repo=Repo(sealed=REPO.sealed, host=host))
    assert when(given(), start, policy=policy) == refused(reason, detail)


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_an_idle_claude_gets_a_prompt_at_once() -> None:
    assert when(given(*READY), Submit(prompt="p1", text=text())) == [queued("p1"), e.PromptSent(prompt="p1")]


@pytest.mark.parametrize("history", [OPENED, SENT, WORKING, LOST], ids=["waiting", "sent", "working", "lost"])
def test_else_a_prompt_waits(history: tuple[e.SessionEvent, ...]) -> None:
    assert when(given(*history), Submit(prompt="p2", text=text())) == [queued("p2")]


@pytest.mark.parametrize(("size", "reason"), [(0, "empty"), (101, "too_long")])
def test_a_prompt_that_cannot_be_sent_is_refused(size: int, reason: str) -> None:
    assert when(given(*READY), Submit(prompt="p1", text=text(size=size))) == refused(reason)


def test_the_queue_has_an_end() -> None:
    full = given(*WORKING, queued("p2"), queued("p3"))
    assert when(full, Submit(prompt="p4", text=text())) == refused("queue_full", "2")


def test_a_waiting_prompt_can_be_changed() -> None:
    edited = e.PromptEdited(prompt="p2", by=STARTER, text=Sealed(b"else"), size=4)
    waiting = given(*WORKING, queued("p2"))
    assert when(waiting, Edit(prompt="p2", text=text("else", 4))) == [edited]
    assert given(*WORKING, queued("p2"), queued("p3"), edited).queue[0].text == b"else"


def test_a_change_that_cannot_be_sent_is_refused() -> None:
    assert when(given(*WORKING, queued("p2")), Edit(prompt="p2", text=text(size=0))) == refused("empty")


def test_a_waiting_prompt_can_be_taken_back() -> None:
    assert when(given(*WORKING, queued("p2")), Remove(prompt="p2")) == [e.PromptRemoved(prompt="p2", by=STARTER)]


@pytest.mark.parametrize("command", [Edit(prompt="p1", text=text()), Remove(prompt="p1")], ids=name)
def test_a_prompt_that_was_sent_is_fixed(command: Command) -> None:
    assert when(given(*SENT), command) == refused("not_queued")


# --- stop ------------------------------------------------------------------------------------------------------------


STOPPED = [e.StopAsked(turn=1, by=STARTER), e.Noted(by=STARTER, locale="ja", what="stop-asked")]


@pytest.mark.parametrize("turn", [None, 1])
def test_the_running_turn_is_stopped(turn: int | None) -> None:
    assert when(given(*WORKING), Stop(turn=turn)) == STOPPED


def test_the_button_of_another_turn_stops_nothing() -> None:
    assert when(given(*WORKING), Stop(turn=0)) == refused("not_running")


def test_nothing_runs_nothing_is_stopped() -> None:
    assert when(given(*READY), Stop()) == refused("not_running")


def test_a_prompt_on_its_way_is_stopped_when_its_turn_begins() -> None:
    assert when(given(*SENT), Stop()) == STOPPED
    begun = given(*SENT, e.StopAsked(turn=1, by=STARTER), e.TurnStarted(turn=1, prompt="p1", by=STARTER))
    assert "stop:1" in wanted(begun)


def test_a_turn_that_began_by_itself_meanwhile_is_not_stopped_for_it() -> None:
    stopped = (*SENT, e.StopAsked(turn=1, by=STARTER), e.TurnStarted(turn=1, prompt="", by=STARTER))
    assert "stop:1" not in wanted(given(*stopped))
    assert "stop:2" in wanted(given(*stopped, e.TurnStarted(turn=2, prompt="p1", by=STARTER)))


@pytest.mark.parametrize("history", [SENT, WORKING], ids=["sent", "working"])
def test_a_second_stop_comes_to_the_same(history: tuple[e.SessionEvent, ...]) -> None:
    stopping = given(*history, e.StopAsked(turn=1, by=STARTER))
    assert when(stopping, Stop()) == [e.Noted(by=STARTER, locale="ja", what="stopping")]


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["allow", "always", "deny"])
def test_an_open_question_is_answered(choice: str) -> None:
    answered = e.AnswerGiven(request="q", by=STARTER, choice=choice)
    assert when(given(*ASKING), Answer(request="q", choice=choice)) == [answered]
    assert "answer:q" in wanted(given(*ASKING, answered))


@pytest.mark.parametrize(
    "over",
    [e.AnswerGiven(request="q", by=STARTER, choice="deny"), e.AnswerExpired(request="q")],
    ids=["answered", "expired"],
)
def test_a_question_is_answered_once(over: e.SessionEvent) -> None:
    assert when(given(*ASKING, over), Answer(request="q", choice="allow")) == refused("expired")


def test_a_question_nobody_asked_is_not_answered() -> None:
    assert when(given(*WORKING), Answer(request="q", choice="allow")) == refused("expired")


def test_a_question_expires_when_its_time_has_come() -> None:
    assert when(given(*ASKING), Tick(), at=90 * SECOND - 1) == []
    assert when(given(*ASKING), Tick(), at=90 * SECOND) == [e.AnswerExpired(request="q")]
    assert "answer:q" in wanted(given(*ASKING, e.AnswerExpired(request="q")))


# --- after a cut -----------------------------------------------------------------------------------------------------


def test_retry_runs_the_same_text_under_a_new_id_before_what_waits() -> None:
    cut = given(*CUT, queued("p2", "later"))
    events = when(cut, Resolve(turn=1, choice="retry", prompt="p9", text=text("unused")))
    resolved = e.CutResolved(turn=1, by=STARTER, choice="retry", prompt="p9")
    assert events == [queued("p9", "do it"), resolved]
    assert [one.prompt for one in given(*CUT, queued("p2"), *events).queue] == ["p9", "p2"]


def test_continue_runs_its_own_text_before_what_waits() -> None:
    events = when(given(*CUT, queued("p2")), Resolve(turn=1, choice="continue", prompt="p9", text=text("go on")))
    assert events[0] == queued("p9", "go on")
    assert [one.prompt for one in given(*CUT, queued("p2"), *events).queue] == ["p9", "p2"]


def test_just_another_prompt_goes_on_too_behind_what_waits() -> None:
    events = when(given(*CUT, queued("p2")), Submit(prompt="p9", text=text()))
    assert events == [queued("p9"), e.CutResolved(turn=1, by=STARTER, choice="prompt", prompt="p9")]
    assert [one.prompt for one in given(*CUT, queued("p2"), *events).queue] == ["p2", "p9"]


def test_a_turn_without_a_prompt_can_only_go_on() -> None:
    cut = given(*READY, e.TurnStarted(turn=1, prompt="", by=STARTER), e.TurnCut(turn=1, why="cli"))
    assert when(cut, Resolve(turn=1, choice="retry", prompt="p9", text=text("go on")))[0] == queued("p9", "go on")


@pytest.mark.parametrize(
    "history", [WORKING, (*CUT, e.TurnStarted(turn=2, prompt="", by=STARTER))], ids=["uncut", "other"]
)
def test_the_button_of_a_turn_that_is_not_cut_does_nothing(history: tuple[e.SessionEvent, ...]) -> None:
    assert when(given(*history), Resolve(turn=2, choice="retry", prompt="p9", text=text())) == refused("not_cut")


# --- the story -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [READY, CLOSED], ids=["open", "over"])
def test_an_owner_is_told_the_story(history: tuple[e.SessionEvent, ...]) -> None:
    assert when(given(*history), TellStory(), by=OWNER) == [e.Noted(by=OWNER, locale="ja", what="audit")]
    assert when(given(*history), TellStory(), by=STARTER) == refused(Reason.OWNERS_ONLY)


def test_where_there_is_no_session_there_is_no_story() -> None:
    assert when(given(), TellStory(), by=OWNER) == refused(Reason.NO_SESSION, by=OWNER)


# --- close, and the thread -------------------------------------------------------------------------------------------


TOLD = e.Noted(by=STARTER, locale="ja", what="closing")


def test_a_session_with_a_sandbox_hands_over_first() -> None:
    assert when(given(*READY), Close()) == [e.CloseAsked(by=STARTER, why="asked"), TOLD]
    assert wanted(given(*CLOSING))[0] == "handover"


def test_a_session_that_holds_nothing_is_closed_at_once() -> None:
    assert when(given(*OPENED), Close()) == [e.CloseAsked(by=STARTER, why="asked"), TOLD, e.Closed()]


def test_a_deleted_thread_closes_the_session() -> None:
    events = when(given(*READY), ChangeThread(what="deleted"), by="")
    assert events == [e.ThreadChanged(what="deleted"), e.CloseAsked(by="", why="deleted")]


def test_a_session_that_closes_already_is_not_closed_again() -> None:
    assert when(given(*CLOSING), ChangeThread(what="deleted"), by="") == [e.ThreadChanged(what="deleted")]


@pytest.mark.parametrize("what", ["archived", "locked", "forbidden"])
def test_what_happens_to_the_thread_is_known(what: str) -> None:
    assert when(given(*READY), ChangeThread(what=what)) == [e.ThreadChanged(what=what, by=STARTER)]


@pytest.mark.parametrize(
    ("history", "what"),
    [(READY, "unarchived"), ((*READY, e.ThreadChanged(what="locked")), "locked"), (CLOSED, "archived")],
    ids=["is open", "is locked", "is closed"],
)
def test_what_changes_nothing_about_the_thread_is_noted(history: tuple[e.SessionEvent, ...], what: str) -> None:
    assert when(given(*history), ChangeThread(what=what)) == [e.Noted(by=STARTER, locale="ja", what="thread")]
