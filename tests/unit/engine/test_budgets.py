"""Budgets: what somebody may use in a day, decided before a turn begins."""

import msgspec
import pytest

from engine.cards import NoteCard
from engine.commands import Command, Policy, Reason, Resolve, Start, Submit
from engine.evolve import evolve
from engine.session import DAY
from schema import events as e
from tests.unit.engine.given import CUT, OTHER, OWNER, READY, STARTER, given, refused, text, when
from tests.unit.engine.process import Process, until

DOLLAR = 1_000_000
POLICY = Policy(budget_user=5 * DOLLAR)
SUBMIT = Submit(prompt="p1", text=text())
BEGIN: list[tuple[tuple[e.SessionEvent, ...], Command]] = [
    ((), Start(guild="g", channel="c", prompt="p1", text=text())),
    (READY, SUBMIT),
    (CUT, Resolve(turn=1, choice="continue", prompt="p1", text=text())),
]


@pytest.mark.parametrize(("history", "command"), BEGIN, ids=["start", "submit", "resolve"])
def test_who_has_used_their_budget_begins_nothing(history: tuple[e.SessionEvent, ...], command: Command) -> None:
    session = given(*history)
    assert when(session, command, policy=POLICY, spent=5 * DOLLAR) == refused(Reason.BUDGET, detail="5.00")
    begun = when(session, command, policy=POLICY, spent=3 * DOLLAR)
    assert any(isinstance(event, e.PromptQueued) for event in begun)
    assert not any(isinstance(event, e.BudgetNeared) for event in begun)


@pytest.mark.parametrize(("history", "command"), BEGIN, ids=["start", "submit", "resolve"])
def test_who_has_used_most_of_it_is_told(history: tuple[e.SessionEvent, ...], command: Command) -> None:
    begun = when(given(*history), command, policy=POLICY, spent=4 * DOLLAR)
    assert e.BudgetNeared(by=STARTER, spent=4 * DOLLAR, budget=5 * DOLLAR) in begun


def test_they_are_told_once_a_day() -> None:
    session = given(*READY)
    neared = e.BudgetNeared(by=STARTER, spent=4 * DOLLAR, budget=5 * DOLLAR)
    session = evolve(session, neared, stream="session:s", at=DAY + 5, cause=0)
    (note,) = [card for card in session.cards if isinstance(card, NoteCard)]
    assert (note.what, note.mention, note.detail) == ("budget-neared", STARTER, "80")
    assert neared not in when(session, SUBMIT, policy=POLICY, spent=4 * DOLLAR, at=2 * DAY - 1)
    assert neared in when(session, SUBMIT, policy=POLICY, spent=4 * DOLLAR, at=2 * DAY)


def test_each_role_has_its_own() -> None:
    policy = msgspec.structs.replace(POLICY, budget_owner=7 * DOLLAR)
    assert when(given(*READY), SUBMIT, by=OWNER, policy=policy, spent=7 * DOLLAR)[0] == e.Refused(
        by=OWNER, locale="ja", reason="budget", detail="7.00"
    )
    assert isinstance(when(given(*READY), SUBMIT, by=OWNER, policy=policy, spent=5 * DOLLAR)[0], e.PromptQueued)
    assert isinstance(when(given(*READY), SUBMIT, by=OWNER, policy=POLICY, spent=9 * DOLLAR)[0], e.PromptQueued)


def test_what_else_is_wrong_is_said_first() -> None:
    assert when(given(*READY), SUBMIT, by=OTHER, policy=POLICY, spent=9 * DOLLAR) == refused(Reason.NOT_YOURS, by=OTHER)


def test_a_session_without_a_prompt_costs_nothing() -> None:
    started = when(given(), Start(guild="g", channel="c"), policy=POLICY, spent=9 * DOLLAR)
    assert [type(event) for event in started] == [e.Requested]


async def test_an_actor_asks_what_was_used() -> None:
    process = Process()
    process.supervisor.policy = Policy(budget_owner=5 * DOLLAR)
    async with process.run():
        await process.ready()
        process.spent = 4 * DOLLAR
        await process.say("p1")
        await until(lambda: process.events(e.BudgetNeared))
        process.spent = 5 * DOLLAR
        await process.say("p2")
        await until(lambda: process.events(e.Refused))
    assert process.events(e.Refused) == [e.Refused(by=STARTER, locale="en-US", reason="budget", detail="5.00")]
    assert [event.prompt for event in process.events(e.PromptQueued) if isinstance(event, e.PromptQueued)] == ["p1"]
