"""What every `engine.ports.EventLog` promises. `new_process` opens the log under test as another process would.

One file, because it is one contract: whoever implements the port reads it from top to bottom.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from itertools import pairwise
from typing import TypeVar, cast

import anyio
import pytest

from engine.ports import Committed, Duplicate, EventLog, Fenced, GiveUp, Settled, TryAgain, VersionConflict, Work
from schema import codec, hashing
from schema.envelope import Append, Draft, Recorded, Write
from schema.events import Asked, JournalRead, Noted, PromptQueued, SlotAsked, ThreadOpened
from schema.facts import Said
from schema.sealed import FORMAT, Sealed

T = TypeVar("T")
OpenLog = Callable[[], AbstractAsyncContextManager[EventLog]]
SECONDS = 20
SESSION = "session:1"
OTHER = "session:2"


def draft(place: int = 1, **rest: object) -> Draft:
    return Draft(event=SlotAsked(place=place), at=1_000 + place, actor="bot", **rest)  # pyright: ignore[reportArgumentType] - fields of a Draft


def sealed_under(key: int) -> Sealed:
    return Sealed(bytes([FORMAT]) + key.to_bytes(8, "big") + bytes(28))


def to(stream: str, expected: int | None = None, *drafts: Draft) -> Write:
    return Write(stream=stream, expected=expected, drafts=drafts or (draft(),))


def events(*writes: Write) -> Append:
    return Append(writes=writes)


def closing(items: AsyncIterator[T]) -> AbstractAsyncContextManager[AsyncGenerator[T]]:
    """For leaving a loop early without leaving its generator to the garbage collector."""
    assert isinstance(items, AsyncGenerator)
    return aclosing(cast("AsyncGenerator[T]", items))


async def everything(log: EventLog) -> list[Recorded]:
    return [event async for page in log.replay() for event in page]


async def test_positions_and_versions_count_from_one(event_log: EventLog) -> None:
    first = await event_log.append(events(to(SESSION, 0, draft(1), draft(2)), to(OTHER, 0)))
    second = await event_log.append(events(to(SESSION, 2)))
    recorded = [*first, *second]
    assert [(e.position, e.stream, e.version) for e in recorded] == [
        (1, SESSION, 1),
        (2, SESSION, 2),
        (3, OTHER, 1),
        (4, SESSION, 3),
    ]
    assert await everything(event_log) == recorded
    assert await event_log.head() == 4


async def test_what_was_drafted_is_what_is_read(event_log: EventLog) -> None:
    event = Noted(by="7", locale="ja", what='日本語 "quoted" \0 \u202e')
    wanted = Draft(event=event, at=-5, actor="person:7", cause=3, key="k", to=OTHER)
    (recorded,) = await event_log.append(events(to(SESSION, 0, wanted)))
    assert (recorded.event, recorded.at, recorded.actor, recorded.cause, recorded.key) == (
        event,
        -5,
        "person:7",
        3,
        "k",
    )
    assert await event_log.read_stream(SESSION) == [recorded]
    assert await event_log.read([1]) == [recorded]


async def test_each_hash_covers_the_event_and_the_hash_before_it(event_log: EventLog) -> None:
    queued = PromptQueued(prompt="1", by="7", text=sealed_under(9), size=1)
    await event_log.append(events(to(SESSION, 0, Draft(event=queued, at=1, actor="bot", key="k")), to(OTHER, 0)))
    await event_log.append(events(to(SESSION, 1, draft(2), draft(3))))
    recorded = await event_log.read_stream(SESSION)
    previous = hashing.FIRST
    for e in recorded:
        kind, payload, key_id = codec.encode(e.event)
        columns = (kind, payload, key_id, e.at, e.actor, e.cause, e.key)
        previous = hashing.event_hash(previous, SESSION, e.version, *columns)
        assert e.hash == previous
    assert len({e.hash for e in await everything(event_log)}) == 4


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_wrong_version_is_a_conflict_and_nothing_is_recorded(event_log: EventLog, expected: int) -> None:
    await event_log.append(events(to(SESSION, 0, draft(1), draft(2))))
    with pytest.raises(VersionConflict) as caught:
        await event_log.append(events(to(OTHER, 0), to(SESSION, expected)))
    assert caught.value.stream == SESSION
    assert await event_log.read_stream(OTHER) == []
    await event_log.append(events(to(OTHER, 0), to(SESSION, 2)))


async def test_no_expectation_appends_at_the_end(event_log: EventLog) -> None:
    await event_log.append(events(to(SESSION), to(SESSION, 1), to(SESSION)))
    assert [e.version for e in await event_log.append(events(to(SESSION, None, draft(), draft())))] == [4, 5]


@pytest.mark.parametrize(("stream", "version", "holds"), [(SESSION, 1, True), (SESSION, 0, False), (SESSION, 2, False)])
async def test_a_decision_rests_on_the_version_of_another_stream(
    event_log: EventLog, stream: str, version: int, *, holds: bool
) -> None:
    await event_log.append(events(to(SESSION)))
    append = Append(writes=(to(OTHER, 0),), versions=((stream, version), ("never-written", 0)))
    if holds:
        await event_log.append(append)
    else:
        with pytest.raises(VersionConflict) as caught:
            await event_log.append(append)
        assert caught.value.stream == SESSION
        assert await event_log.head() == 1


async def test_an_idempotency_key_is_recorded_once(event_log: EventLog) -> None:
    await event_log.append(events(to(SESSION), to(OTHER, 0, draft(key="once"))))
    with pytest.raises(Duplicate) as caught:
        await event_log.append(events(to("inbox:2", None, draft(key="new"), draft(key="once"))))
    assert (caught.value.key, caught.value.position) == ("once", 2)
    assert await event_log.head() == 2
    await event_log.append(events(to("inbox:2", None, draft(key="new"))))


async def test_work_is_opened_settled_and_settled_only_once(event_log: EventLog) -> None:
    (received,) = await event_log.append(events(to("inbox:1", None, draft(5, to=SESSION))))
    assert await event_log.work(SESSION) == [Work(target=SESSION, position=1, due=1_005)]
    outcome = Append(writes=(to(SESSION),), settles=((SESSION, received.position),))
    await event_log.append(outcome)
    assert await event_log.work(SESSION) == []
    with pytest.raises(Settled) as caught:
        await event_log.append(outcome)
    assert (caught.value.target, caught.value.position) == (SESSION, 1)
    with pytest.raises(Settled):
        await event_log.append(Append(writes=(to(SESSION),), settles=((OTHER, 1),)))
    assert await event_log.head() == 2


async def test_an_append_that_settles_the_same_work_twice_is_refused(event_log: EventLog) -> None:
    await event_log.append(events(to("inbox:1", None, draft(to=SESSION))))
    with pytest.raises(Settled):
        await event_log.append(Append(writes=(to(SESSION),), settles=((SESSION, 1), (SESSION, 1))))
    assert len(await event_log.work(SESSION)) == 1


async def test_an_agenda_holds_one_date(event_log: EventLog) -> None:
    assert await event_log.next_due() is None
    await event_log.append(Append(writes=(to(SESSION),), agenda=((SESSION, 50), (OTHER, 40))))
    await event_log.append(Append(agenda=((SESSION, 30),)))
    assert await event_log.work(SESSION) == [Work(target=SESSION, position=0, due=30)]
    assert await event_log.next_due() == 30
    assert await event_log.due(29) == []
    assert await event_log.due(40) == [SESSION, OTHER]
    assert await event_log.due(40, limit=1) == [SESSION]
    await event_log.append(Append(agenda=((SESSION, None), ("never-seen", None))))
    assert await event_log.work(SESSION) == []
    assert await event_log.next_due() == 40


async def test_a_target_is_due_once_by_its_first_work(event_log: EventLog) -> None:
    await event_log.append(
        Append(writes=(to("inbox:1", None, draft(9, to=SESSION)),), agenda=((SESSION, 5), (OTHER, 7)))
    )
    assert await event_log.due(10_000) == [SESSION, OTHER]
    assert [work.position for work in await event_log.work(SESSION)] == [0, 1]


async def test_threads_lead_to_their_sessions(event_log: EventLog) -> None:
    opened = Draft(event=ThreadOpened(thread="99"), at=1, actor="bot")
    await event_log.append(events(to("session:7", 0, draft(), opened)))
    assert await event_log.lookup("threads", "99") == "7"
    assert await event_log.lookup("threads", "98") is None
    await event_log.append(events(to("session:8", 0, opened)))
    assert await event_log.rows("threads") == {"99": "8"}


async def test_rows_come_in_the_order_in_which_they_were_last_set(event_log: EventLog) -> None:
    for session in ("1", "2", "3", "1"):
        asked = Draft(event=Asked(session=session), at=1, actor="bot")
        await event_log.append(events(to("slots", None, asked)))
    assert list(await event_log.rows("quota")) == ["2", "3", "1"]


async def test_a_stream_is_read_from_any_version_on(event_log: EventLog) -> None:
    await event_log.append(events(to(SESSION, 0, *(draft(i) for i in range(5))), to(OTHER)))
    assert [e.version for e in await event_log.read_stream(SESSION, after=3)] == [4, 5]
    assert await event_log.read_stream(SESSION, after=9) == []
    assert await event_log.read_stream("never-written") == []


async def test_positions_are_read_in_the_order_asked_for(event_log: EventLog) -> None:
    await event_log.append(events(to(SESSION, 0, *(draft(i) for i in range(5)))))
    assert [e.position for e in await event_log.read([4, 2, 4])] == [4, 2, 4]
    with pytest.raises(GiveUp, match="7"):
        await event_log.read([1, 7])


async def test_a_replay_gives_every_position_in_its_range(event_log: EventLog) -> None:
    for start in range(0, 1_200, 400):
        await event_log.append(events(to(SESSION, None, *(draft(i) for i in range(start, start + 400)))))
    assert [e.position for e in await everything(event_log)] == list(range(1, 1_201))
    for after, until in [(0, 0), (0, 1), (499, 501), (500, 1_000), (1_199, 1_300), (1_300, 1_200)]:
        got = [e.position async for page in event_log.replay(after=after, until=until) for e in page]
        assert got == list(range(after + 1, min(until, 1_200) + 1))


async def test_a_replay_may_be_left_in_the_middle(event_log: EventLog) -> None:
    await event_log.append(events(to(SESSION, None, *(draft(i) for i in range(1_200)))))
    async with closing(event_log.replay()) as pages:
        async for page in pages:
            assert page[0].position == 1
            break
    assert await event_log.head() == 1_200


async def take(pages: AsyncIterator[Sequence[Recorded]], count: int) -> list[Recorded]:
    got: list[Recorded] = []
    with anyio.fail_after(SECONDS):
        async for page in pages:
            got += page
            if len(got) >= count:
                break
    return got


async def test_a_follower_gets_what_is_there_and_what_comes(event_log: EventLog, new_process: OpenLog) -> None:
    await event_log.append(events(to(SESSION, None, *(draft(i) for i in range(700)))))
    pages = event_log.follow(after=100)
    got = await take(pages, 600)
    async with new_process() as other, anyio.create_task_group() as tasks:
        tasks.start_soon(other.append, events(to(OTHER)))
        got += await take(pages, 1)
        tasks.start_soon(event_log.append, events(to(OTHER)))
        got += await take(pages, 1)
    assert [e.position for e in got] == list(range(101, 703))


async def test_an_append_may_only_ask_whether_a_lease_is_held(event_log: EventLog) -> None:
    asked = Append(leases=((SESSION, await event_log.lease(SESSION)),))
    await event_log.append(events(to(SESSION)))
    pages = event_log.follow(after=0)
    got = await take(pages, 1)
    assert not await event_log.append(asked)
    await event_log.append(events(to(SESSION)))
    got += await take(pages, 1)
    assert [e.position for e in got] == [1, 2]
    await event_log.lease(SESSION)
    with pytest.raises(Fenced):
        await event_log.append(asked)


async def test_a_follower_that_has_seen_more_than_there_is_stops_loudly(event_log: EventLog) -> None:
    await event_log.append(events(to(SESSION)))
    with pytest.raises(GiveUp, match="1, before 5"):
        await take(event_log.follow(after=5), 1)


async def test_subscribers_get_each_commit_of_their_process(event_log: EventLog, new_process: OpenLog) -> None:
    got: list[Committed] = []
    end = event_log.subscribe(got.append)
    recorded = list(
        await event_log.append(events(to(SESSION), to("inbox:1", None, draft(to=SESSION), draft(to=OTHER))))
    )
    async with new_process() as other:
        await other.append(events(to(OTHER)))
    assert [(list(c.recorded), list(c.targets)) for c in got] == [(recorded, [SESSION, OTHER])]
    end()
    await event_log.append(events(to(SESSION)))
    assert len(got) == 1


async def test_other_processes_wake_us(event_log: EventLog, new_process: OpenLog) -> None:
    async with new_process() as other, closing(event_log.wakeups()) as wakeups:
        with anyio.fail_after(SECONDS):
            await other.append(events(to(SESSION)))
            async for _ in wakeups:
                break


async def test_epochs_of_a_lease_count_up_and_only_the_last_may_append(event_log: EventLog) -> None:
    def under(epoch: int) -> Append:
        return Append(writes=(to(SESSION),), leases=((SESSION, epoch),))

    with pytest.raises(Fenced):
        await event_log.append(under(1))
    assert await event_log.lease(SESSION) == 1
    await event_log.append(under(1))
    assert await event_log.lease(SESSION) == 2
    for epoch in (1, 3):
        with pytest.raises(Fenced):
            await event_log.append(under(epoch))
    await event_log.append(under(2))
    assert await event_log.head() == 2


async def test_a_lease_is_held_while_its_process_lives(event_log: EventLog, new_process: OpenLog) -> None:
    async with new_process() as other:
        assert await other.lease(SESSION) == 1
        with pytest.raises(TryAgain, match=SESSION):
            await event_log.lease(SESSION)
    assert await event_log.lease(SESSION) == 2


async def test_work_and_views_are_for_all_processes(event_log: EventLog, new_process: OpenLog) -> None:
    await event_log.append(Append(writes=(to("inbox:1", None, draft(to=SESSION)),), agenda=((OTHER, 3),)))
    async with new_process() as other:
        assert await other.due(10_000) == [OTHER, SESSION]
        await other.append(Append(writes=(to(SESSION),), settles=((SESSION, 1),), agenda=((OTHER, None),)))
    assert await event_log.next_due() is None


async def test_what_another_process_wrote_is_known(event_log: EventLog, new_process: OpenLog) -> None:
    await event_log.append(events(to(SESSION)))
    async with new_process() as other:
        await other.append(events(to(SESSION, 1)))
        with pytest.raises(VersionConflict):
            await event_log.append(events(to(SESSION, 1)))
        await event_log.append(events(to(SESSION, 2)))
        await other.append(events(to(SESSION)))
    assert [e.version for e in await event_log.append(events(to(SESSION)))] == [5]
    assert all(b.version == a.version + 1 for a, b in pairwise(await event_log.read_stream(SESSION)))


async def test_of_appends_made_at_once_each_fails_alone(event_log: EventLog) -> None:
    await event_log.lease(SESSION)
    await event_log.append(events(to("inbox:1", None, draft(key="once", to=SESSION))))
    appends = {
        "fine": events(to("a", 0)),
        "conflict": events(to("a", 5), to("b", 0)),
        "guard": Append(writes=(to("b", 0),), versions=(("inbox:1", 0),)),
        "duplicate": events(to("b", 0, draft(key="once"))),
        "settles": Append(writes=(to("c", 0),), settles=((SESSION, 1),)),
        "settles again": Append(writes=(to("b", 0),), settles=((SESSION, 1),)),
        "fenced": Append(writes=(to("b", 0),), leases=((SESSION, 9),)),
        "chained": events(to("a", 1)),
        "at the end": events(to("a")),
        "key": events(to("b", 0, draft(key="twice"))),
        "key again": events(to("d", 0, draft(key="twice"))),
        "leased": Append(writes=(to("d", 0),), leases=((SESSION, 1),)),
        "guards what is written beside it": Append(writes=(to("e", 0),), versions=(("d", 1),)),
    }
    outcome: dict[str, object] = {}

    async def run(name: str) -> None:
        try:
            outcome[name] = [(e.stream, e.version) for e in await event_log.append(appends[name])]
        except Exception as error:  # noqa: BLE001 - compared below
            outcome[name] = type(error)

    async with anyio.create_task_group() as tasks:
        for name in appends:
            tasks.start_soon(run, name)
    assert outcome == {
        "fine": [("a", 1)],
        "conflict": VersionConflict,
        "guard": VersionConflict,
        "duplicate": Duplicate,
        "settles": [("c", 1)],
        "settles again": Settled,
        "fenced": Fenced,
        "chained": [("a", 2)],
        "at the end": [("a", 3)],
        "key": [("b", 1)],
        "key again": Duplicate,
        "leased": [("d", 1)],
        "guards what is written beside it": [("e", 1)],
    }
    assert [e.position for e in await everything(event_log)] == list(range(1, 9))


async def test_of_several_reasons_the_first_of_a_fixed_order_is_given(event_log: EventLog) -> None:
    await event_log.lease(SESSION)
    await event_log.append(events(to(SESSION, 0, draft(key="once"))))
    versions, settles = ((SESSION, 0),), ((SESSION, 9),)
    duplicate, plain = (to(SESSION, 0, draft(key="once")),), (to(SESSION, 0),)
    fenced = ((SESSION, 7),)
    for append, error in [
        (Append(writes=duplicate, settles=settles, versions=versions, leases=fenced), Fenced),
        (Append(writes=duplicate, settles=settles, versions=versions), Duplicate),
        (Append(writes=plain, settles=settles, versions=versions), Settled),
        (Append(writes=plain, versions=versions), VersionConflict),
    ]:
        with pytest.raises(error):
            await event_log.append(append)


async def test_a_cancelled_caller_disturbs_nobody(event_log: EventLog) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(event_log.append, events(to(f"kept:{number}", 0)))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await event_log.append(events(to("cancelled", 0)))
    recorded = await everything(event_log)
    assert {e.stream for e in recorded} - {"cancelled"} == {f"kept:{number}" for number in range(10)}
    assert [e.position for e in recorded] == list(range(1, len(recorded) + 1))


@pytest.mark.parametrize(
    "append",
    [
        events(to("a\0b")),
        events(to("")),
        events(to("\ud800")),
        events(Write(stream=SESSION, expected=0, drafts=())),
        events(to(SESSION, 0, Draft(event=SlotAsked(place=1), at=1, actor="\0"))),
        events(to(SESSION, 0, draft(key=""))),
        events(to(SESSION, 0, draft(to="a\0"))),
        events(to(SESSION, 0, draft(key="k"), draft(key="k"))),
        events(to(SESSION, 0, Draft(event=ThreadOpened(thread="\udfff"), at=1, actor="bot"))),
        Append(settles=((SESSION, 1),)),
    ],
)
async def test_what_cannot_be_stored_is_refused_before_it_is_tried(event_log: EventLog, append: Append) -> None:
    with pytest.raises(ValueError, match=r"."):
        await event_log.append(append)
    assert await event_log.head() == 0


async def test_texts_under_two_keys_in_one_event_are_refused(event_log: EventLog) -> None:
    read = JournalRead(epoch=1, start=0, end=1, facts=tuple(Said(text=sealed_under(key)) for key in (1, 2)))
    with pytest.raises(ValueError, match="keys 1 and 2"):
        await event_log.append(events(to(SESSION, 0, Draft(event=read, at=1, actor="bot"))))
