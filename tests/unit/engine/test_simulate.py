"""Decisions taken again under other terms: the ones that real actors took, in a log in memory."""

from typing import Any

import msgspec
import pytest

from engine.commands import Context, DecideAccess, DeleteMember, Policy, Role, Start
from engine.simulate import Simulation, Terms, Told, Verdict
from schema import events as e
from schema.envelope import Recorded
from tests.golden.samples import sample
from tests.unit.engine.given import STARTER
from tests.unit.engine.process import Process, until
from tests.unit.projections.history import recorded

NOW = Terms(policy=Policy(), limit=1)


async def verdict(process: Process, changed: Terms, *, erased: int = 0, spent: int = 0, now: Terms = NOW) -> Verdict:
    told: dict[int, Told] = {}
    for one in process.store.events:
        if isinstance(one.event, e.Received) and one.position != erased:
            told[one.position] = await process.translate(one)
    simulation = Simulation(now, changed, told=lambda one: told[one.position], spent=lambda _person, _at: spent)
    for one in process.store.events:
        simulation.take(one)
    return simulation.verdict()


def terms(*, limit: int = 1, roles: dict[str, Role] | None = None, **policy: Any) -> Terms:
    return Terms(policy=Policy(**policy), limit=limit, roles=roles or {})


def told(divergences: Any) -> list[tuple[str, str, str, int]]:
    return [(one.stream, ", ".join(one.was), ", ".join(one.would), one.after) for one in divergences]


@pytest.fixture
async def process() -> Process:
    """Two sessions, one of which waits; prompts; and a look at the members."""
    process = Process()
    async with process.run():
        await process.ready()
        for prompt in ("p1", "p2", "p3", "p4"):
            await process.say(prompt)
            await until(lambda prompt=prompt: any(prompt in str(one) for one in process.events(e.PromptQueued)))
        await process.say("start", "w")
        await until(lambda: process.events(e.SlotAsked, "w"))
        await process.say("members", to="guild:g")
        await until(lambda: any(isinstance(one.event, e.GuildNoted) for one in process.store.events))
        await process.say("close")
        await until(lambda: process.events(e.SandboxReserved, "w"))
    return process


async def test_under_the_same_terms_every_decision_is_the_same(process: Process) -> None:
    found = await verdict(process, NOW)
    assert (found.divergences, found.other, found.unread) == ([], 0, 0)
    # start, four prompts, start, members, close; two who asked for a slot, one that was given back
    assert found.decisions == 11


async def test_a_shorter_queue_refuses_and_what_comes_after_it_says_so(process: Process) -> None:
    found = await verdict(process, terms(queue_limit=2))
    queued, refused = "session.prompt_queued", "session.refused:queue_full"
    (one,) = found.divergences
    assert told([one]) == [("session:s", queued, refused, 0)]
    first = (await verdict(process, terms(queue_limit=1))).divergences
    assert told(first) == [("session:s", queued, refused, 0), ("session:s", queued, refused, first[0].position)]
    assert (one.by, one.at) == (STARTER, process.now)


async def test_another_limit_serves_sooner(process: Process) -> None:
    found = await verdict(process, terms(limit=2))
    assert told(found.divergences)[0] == ("slots", "slots.asked", "slots.asked, slots.granted:w", 0)
    later = [one for one in found.divergences if one.after]
    assert all(one.stream == "slots" for one in found.divergences)
    assert all(one.after == found.divergences[0].position for one in later)


async def test_other_roles_are_nobodys_right(process: Process) -> None:
    found = await verdict(process, terms(roles={STARTER: Role.STRANGER}))
    kinds = {(one.stream, one.would[0]) for one in found.divergences}
    assert {
        ("session:s", "session.access_asked"),
        ("session:s", "session.refused:stranger"),
        ("guild:g", "guild.refused:stranger"),
    } <= kinds


async def test_one_person_would_not_have_had_so_many(process: Process) -> None:
    found = await verdict(process, terms(sandboxes_per_person=1))
    first, second = found.divergences
    assert told([first]) == [("session:w", "session.requested", "session.refused:too_many", 0)]
    assert told([second]) == [("slots", "slots.asked", "", 0)]
    assert (await verdict(process, terms(sandboxes_per_person=2))).divergences == []


async def test_a_budget_would_have_refused(process: Process) -> None:
    found = await verdict(process, terms(budget_owner=5_000_000), spent=5_000_000)
    assert {one.would[0] for one in found.divergences} == {"session.refused:budget"}
    assert len(found.divergences) == 4


async def test_what_was_erased_is_not_judged(process: Process) -> None:
    (first, *_) = [one.position for one in process.store.events if isinstance(one.event, e.Received)]
    found = await verdict(process, terms(queue_limit=1), erased=first)
    assert (found.unread, found.decisions) == (1, 10)


async def test_what_other_settings_decided_is_counted_apart(process: Process) -> None:
    found = await verdict(process, terms(queue_limit=1), now=terms(queue_limit=1))
    assert (found.divergences, found.other) == ([], 2)
    found = await verdict(process, NOW, now=terms(queue_limit=1))  # as they were then
    assert (found.divergences, found.other) == ([], 2)


# --- what no process above does --------------------------------------------------------------------------------------


def at(position: int, stream: str, event: e.Event, *, cause: int = 0) -> Recorded:
    return msgspec.structs.replace(recorded(stream, event, position=position, at=position), cause=cause)


def simulated(*history: Recorded, changed: Terms, commands: dict[int, Told] | None = None, now: Terms = NOW) -> Verdict:
    simulation = Simulation(now, changed, told=lambda one: (commands or {})[one.position])
    for one in history:
        simulation.take(one)
    return simulation.verdict()


STRANGER = "5"
RECEIVED = msgspec.structs.replace(sample(e.Received, full=True), by=STRANGER, session="s")
WANTED = {"by": STRANGER, "locale": "ja", "guild": "g", "channel": "c"}
LET_IN: dict[int, Told] = {
    2: (Start(guild="g", channel="c"), Context(at=2, by=STRANGER, locale="ja", cause=2)),
    5: (DecideAccess(request="s", choice="approved"), Context(at=5, by=STARTER, locale="ja", cause=5)),
}
OWNED = at(1, "guild:g", e.OwnerConfirmed(person=STARTER, how="settings"))
ASKED = e.AccessRequested(request="s", by=STRANGER, locale="ja", channel="c", received=2, expires=9)
STORY = [
    OWNED,
    at(2, "inbox:1", RECEIVED),
    at(3, "session:s", e.AccessAsked(**WANTED), cause=2),
    at(4, "guild:g", ASKED, cause=3),
    at(5, "inbox:1", RECEIVED),
    at(6, "guild:g", e.RoleGiven(person=STRANGER, role="user", by=STARTER), cause=5),
    at(7, "guild:g", e.AccessDecided(request="s", person=STRANGER, by=STARTER, choice="approved", received=2), cause=5),
    at(8, "session:s", e.Requested(**WANTED), cause=7),
]


def test_who_is_let_in_is_decided_on_again() -> None:
    same = simulated(*STORY, changed=NOW, commands=LET_IN)
    assert (same.divergences, same.other, same.decisions) == ([], 0, 4)
    found = simulated(*STORY, changed=terms(roles={STRANGER: Role.USER}), commands=LET_IN).divergences
    assert told(found) == [
        ("session:s", "session.access_asked", "session.requested", 0),
        ("guild:g", "guild.access_requested", "guild.access_decided", 0),
    ]


@pytest.mark.parametrize(("reason", "ends"), [("left", True), ("unsure", False)])
def test_who_had_left_had_left_then_too(reason: str, *, ends: bool) -> None:
    refused = e.GuildRefused(by=STARTER, locale="ja", reason=reason, detail=STRANGER)
    over = e.AccessDecided(request="s", person=STRANGER, by=STARTER, choice="left", received=2)
    history = [*STORY[:5], at(6, "guild:g", refused, cause=5), *([at(7, "guild:g", over, cause=5)] if ends else [])]
    same = simulated(*history, changed=NOW, commands=LET_IN)
    assert (same.divergences, same.other, same.decisions) == ([], 0, 3)


def test_a_request_whose_command_was_erased_is_not_run_again() -> None:
    found = simulated(*STORY, changed=NOW, commands={5: LET_IN[5]})
    assert (found.unread, found.decisions) == (1, 2)


def test_what_a_removal_leads_to_is_no_part_of_it() -> None:
    removed: dict[int, Told] = {3: (DeleteMember(person="5", role=Role.USER), Context(at=3, by=STARTER, cause=3))}
    history = [
        OWNED,
        at(2, "guild:g", e.RoleGiven(person="5", role="user", by=STARTER)),
        at(3, "inbox:1", RECEIVED),
        at(4, "guild:g", e.RoleTaken(person="5", role="user", by=STARTER), cause=3),
        at(5, "guild:g", e.GuildNoted(by=STARTER, locale="ja", what="taken-user", detail="5"), cause=3),
        at(6, "guild:g", e.Dismissed(session="s", person="5", by=STARTER), cause=3),
        at(7, "guild:g", e.Cleared(person="5"), cause=3),
    ]
    found = simulated(*history, changed=NOW, commands=removed)
    assert (found.decisions, found.other, found.divergences) == (1, 0, [])


def test_what_a_server_was_told_is_not_decided_by_a_session() -> None:
    asked: dict[int, Told] = {2: (DecideAccess(request="x", choice="denied"), Context(at=2, by=STARTER, cause=2))}
    history = [OWNED, at(2, "inbox:1", RECEIVED), at(3, "session:s", e.CloseAsked(by=STARTER, why="asked"), cause=2)]
    assert simulated(*history, changed=NOW, commands=asked).decisions == 0


def test_where_others_stand_in_the_line_is_no_decision() -> None:
    history = [
        at(1, "slots", e.Asked(session="a")),
        at(2, "slots", e.Granted(session="a", reservation="a-2")),
        at(3, "slots", e.Asked(session="b")),
        at(4, "slots", e.Asked(session="c")),
        at(5, "slots", e.Left(session="b")),
        at(6, "slots", e.Moved(session="c", place=1)),
        at(7, "slots", e.Released(reservation="a-2")),
        at(8, "slots", e.Granted(session="c", reservation="c-8")),
    ]
    found = simulated(*history, changed=NOW)
    assert (found.decisions, found.other, found.divergences) == (5, 0, [])


def test_who_did_not_get_into_the_line_would_have_under_another_limit() -> None:
    """The first two are one person's; the third comes when the first is closed."""

    def asks(session: str) -> e.Requested:
        return e.Requested(**(WANTED | {"by": STRANGER if session != "o" else STARTER}))

    history = [
        at(1, "session:a", asks("a")),
        at(2, "session:b", asks("b")),
        at(3, "slots", e.Asked(session="a")),
        at(4, "slots", e.Granted(session="a", reservation="a-2")),
        at(5, "session:b", e.LineLeft(by="")),
        at(6, "session:o", asks("o")),
        at(7, "slots", e.Asked(session="o")),
        at(8, "session:o", e.LineLeft(by=STARTER)),
        at(9, "session:a", e.Closed()),
        at(10, "slots", e.Asked(session="b")),
    ]
    found = simulated(*history, now=terms(sandboxes_per_person=1), changed=terms(sandboxes_per_person=2))
    assert (found.decisions, found.other) == (4, 0)
    assert told(found.divergences) == [("slots", "", "slots.asked", 0)]


def test_a_line_that_is_left_and_what_is_strange_in_it() -> None:
    history = [
        at(1, "slots", e.Granted(session="x", reservation="x-1")),
        at(2, "slots", e.Asked(session="a")),
        at(3, "slots", e.Left(session="a")),
        at(4, "slots", e.LeakRemoved(reservation="z-9")),
        at(5, "usage:a", e.UsageCounted(reservation="x-1", model="m", input=1, output=1)),
    ]
    found = simulated(*history, changed=terms(limit=2))
    assert found.decisions == 2
    assert told(found.divergences) == [("slots", "slots.asked", "slots.asked, slots.granted:a", 0)]
