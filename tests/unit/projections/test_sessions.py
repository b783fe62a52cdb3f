from typing import Any

import pytest

from projections.sessions import SESSIONS, Row
from schema import events as e
from schema.events import Event
from schema.sealed import Sealed
from tests.unit.projections.history import recorded

BOX = Sealed(b"sealed")


def row(*events: Event) -> Row:
    rows: dict[str, Any] = {}
    SESSIONS.fold(
        rows, [recorded("session:7", event, position=n, at=n * 10) for n, event in enumerate(events, start=1)]
    )
    return rows["7"]


BEGIN = (e.Requested(by="1", locale="ja", guild="5", channel="6"), e.ThreadOpened(thread="99"))
READY = (e.SandboxReserved(reservation="r"), e.SandboxReady(reservation="r"))
TURN = (e.PromptQueued(prompt="p", by="1", text=BOX, size=1), e.TurnStarted(turn=1, prompt="p", by="1"))


def test_who_where_and_when() -> None:
    assert row(*BEGIN) == Row(guild="5", channel="6", thread="99", starter="1", began=10, last=20, state="waiting")


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (e.TurnEnded(turn=1, outcome="completed"), "ready"),
        (e.TurnCut(turn=1, why="died"), "ready"),
        (e.SandboxLost(reservation="r", why="gone"), "lost"),
        (e.AnswerGiven(request="q", by="1", choice="allow"), "working"),
        (e.CloseAsked(by="1", why="asked"), "closing"),
        (e.Closed(), "closed"),
    ],
)
def test_a_state_follows_from_the_last_event_that_says_so(event: Event, state: str) -> None:
    assert row(*BEGIN).state == "waiting"
    assert row(*BEGIN, READY[0]).state == "starting"
    assert row(*BEGIN, *READY).state == "ready"
    assert row(*BEGIN, *READY, *TURN).state == "working"
    assert row(*BEGIN, *READY, *TURN, event).state == state


def test_what_closes_stays_closing_until_it_is_closed() -> None:
    closing = (*BEGIN, *READY, *TURN, e.CloseAsked(by="1", why="asked"), e.TurnEnded(turn=1, outcome="stopped"))
    assert row(*closing).state == "closing"
    closed = row(*closing, e.Closed(), e.TurnCut(turn=1, why="late"))
    assert (closed.state, closed.closed, closed.last) == ("closed", 90, 100)


def test_what_is_counted() -> None:
    ends = (
        e.TurnEnded(turn=1, outcome="failed"),
        e.TurnCut(turn=2, why="x"),
        e.AnswerGiven(request="q", by="1", choice="deny"),
    )
    counted = row(*BEGIN, *READY, *TURN, *ends)
    assert (counted.sandboxes, counted.prompts, counted.turns) == (1, 1, 1)
    assert (counted.failed, counted.cut, counted.answers) == (1, 1, 1)


def test_other_events_change_nothing() -> None:
    rows: dict[str, Any] = {}
    assert SESSIONS.fold(rows, [recorded("session:7", e.SlotAsked(place=1))]) == set()
    assert rows == {}


def test_who_started_it_is_erased_with_their_texts() -> None:
    assert (row(*BEGIN, e.Erased(person="2")).starter, row(*BEGIN, e.Erased(person="1")).starter) == ("1", "")
    assert row(*BEGIN, e.Erased(person="2"), e.Erased(person="1")).erased == 2
