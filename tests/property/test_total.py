"""Fold, decide and todo answer to anything: events in any order, commands in any state."""

from typing import Any

import hypothesis.strategies as st
import msgspec
from hypothesis import given, settings

from engine import slots
from engine.commands import Close, Command, Context, Report, Share, ShowStatus, Stop, TellStory, Tick
from engine.decide import decide
from engine.evolve import evolve, fold, follow
from engine.session import Phase, Session
from engine.slots import Slots
from engine.todo import deadlines, next_due, todo
from schema import events as e
from schema.envelope import Recorded
from tests.property.profile import PROFILE
from tests.property.strategies import COMMANDS, CONTEXTS, SESSION_EVENTS, SLOTS_EVENTS

MANY = settings(PROFILE, max_examples=PROFILE.max_examples * 5)
STREAM = "session:s"
SLASHED = (Stop(), ShowStatus(), TellStory(), Share(shared=True), Share(shared=False), Close())
"""The commands of people but `/claude start`, which is answered when its thread is there."""


def _record(events: list[Any]) -> list[Recorded]:
    return [
        Recorded(
            position=index,
            stream=STREAM,
            version=index,
            at=index,
            actor="test",
            cause=index % 3,
            key=None,
            hash=b"",
            event=event,
        )
        for index, event in enumerate(events, 1)
    ]


@MANY
@given(st.lists(SESSION_EVENTS, max_size=30), st.integers(0, 30))
def test_any_events_fold_and_it_does_not_matter_in_how_many_steps(events: list[e.SessionEvent], cut: int) -> None:
    recorded = _record(events)
    whole = fold(recorded, Session())
    assert fold(recorded[cut:], fold(recorded[:cut], Session())) == whole
    session = Session()
    for one in recorded:
        session = evolve(session, one.event, stream=one.stream, at=one.at, cause=one.cause)
    assert session == whole
    assert whole.phase in Phase
    assert whole.version == len(events)
    next_due(todo(whole), deadlines(whole))


@MANY
@given(st.lists(SESSION_EVENTS, max_size=30))
def test_a_state_that_was_given_out_never_changes(events: list[e.SessionEvent]) -> None:
    session = Session()
    for one in _record(events):
        before = session
        frozen = {name: getattr(before, name) for name in before.__struct_fields__}
        session = evolve(before, one.event, stream=STREAM, at=one.at, cause=one.cause)
        assert {name: getattr(before, name) for name in before.__struct_fields__} == frozen


@MANY
@given(st.lists(SESSION_EVENTS, max_size=30), COMMANDS, CONTEXTS)
def test_any_command_is_decided_in_any_state(events: list[e.SessionEvent], command: Command, context: Context) -> None:
    session = fold(_record(events), Session())
    decided = decide(session, command, context)
    after = follow(session, decided, at=context.at, cause=context.cause)
    assert after.version == session.version + len(decided)
    assert decided or isinstance(command, Report | Tick), "a person's command has an outcome"


@MANY
@given(st.lists(SESSION_EVENTS, max_size=30), st.sampled_from(SLASHED), CONTEXTS)
def test_whoever_types_a_command_in_a_thread_is_answered(
    events: list[e.SessionEvent], command: Command, context: Context
) -> None:
    """Discord shows that the bot thinks until it is."""
    session = fold(_record(events), Session())
    context = msgspec.structs.replace(context, by="1", cause=7)
    after = follow(session, decide(session, command, context), at=context.at, cause=context.cause)
    assert [reply.what for reply in after.replies if reply.to == 7]


def test_an_event_that_is_no_sessions_only_counts() -> None:
    session = evolve(Session(), e.Left(session="s"), stream=STREAM, at=0, cause=0)
    assert session == Session(id="s", version=1)


@MANY
@given(st.lists(SLOTS_EVENTS, max_size=30), st.integers(1, 3))
def test_any_slots_events_fold(events: list[e.SlotsEvent], limit: int) -> None:
    line = slots.fold(_record(events), Slots())
    assert line.version == len(events)
    for session in ("", "1", "2"):
        slots.ask(line, session, "g", limit=limit)
        slots.leave(line, session)
        slots.release(line, session, limit=limit)
