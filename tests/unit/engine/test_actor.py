"""An actor: one thing decided after the other, effects kept going, and every surprise answered.

One file, because all of it is about one actor and its small world.
"""

from collections.abc import Sequence

import anyio
import pytest

from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine import actor
from engine.actor import AGAIN_DELAY, DEFECT_DELAY
from engine.ports import EffectContext, Fenced, GiveUp, SandboxGone, TryAgain, Work
from engine.retry import FIRST
from engine.session_actor import SessionActor
from engine.todo import AskSlot
from schema import events as e
from schema import facts as f
from schema.envelope import Append, Draft, Recorded, Write
from tests.unit.engine.process import Process, box, rest, until

TARGET = "session:s"
QUESTION = f.PermissionAsked(request="q", tool="t", name="Bash", question=box("?"))


# --- what is decided -------------------------------------------------------------------------------------------------


async def test_what_somebody_said_gets_its_outcome_and_is_work_no_more() -> None:
    async with Process().run() as process:
        await process.say("start")
        await until(lambda: process.events(e.Requested))
        assert await process.log.work(TARGET) == [Work(target=TARGET, position=0, due=0)]


async def test_what_is_said_is_decided_in_its_order() -> None:
    async with Process().run() as process:
        await process.say("start")
        for prompt in ("p1", "p2", "p3"):
            await process.say(prompt)
        await until(lambda: len(process.events(e.PromptQueued)) == 3)
        assert [one.prompt for one in process.events(e.PromptQueued) if isinstance(one, e.PromptQueued)] == [
            "p1",
            "p2",
            "p3",
        ]


async def test_nothing_is_done_before_it_is_recorded_that_it_is_wanted() -> None:
    async with Process().run() as process:
        process.ports.plan("starter", anyio.Event())
        await process.say("start")
        await until(lambda: process.ports.calls)
        assert process.events(e.Requested)


async def test_what_needs_nothing_has_no_task_and_is_forgotten() -> None:
    async with Process().run() as process:
        await process.say("start")
        await process.say("close")
        await until(lambda: process.events(e.Closed))
        await until(lambda: not process.supervisor.actors)
        assert await process.log.work(TARGET) == []


async def test_a_session_that_somebody_else_wrote_to_is_read_again() -> None:
    async with Process().run() as process:
        await process.ready()
        draft = Draft(event=e.Noted(by="", locale="ja", what="x"), at=0, actor="test")
        await process.log.append(Append(writes=(Write(stream=TARGET, expected=None, drafts=(draft,)),)))
        await process.say("p1")
        await until(lambda: process.events(e.Delivered))
        assert not process.errors


async def test_what_has_its_outcome_already_is_not_decided_again() -> None:
    class Late(MemoryEventLog):
        """Tells of work that is done."""

        late = True

        async def work(self, target: str) -> Sequence[Work]:
            found = await super().work(target)
            if self.late and not any(row.position == 2 for row in found):
                self.late = False
                return [Work(target=target, position=2, due=0), *found]
            return found

    async with Process(log=Late(store := MemoryStore()), store=store).run() as process:
        await process.say("start")
        await until(lambda: process.events(e.ThreadOpened))
        await process.say("p1")
        await until(lambda: process.events(e.PromptQueued))
        assert len(process.events(e.Requested)) == 1
        assert not process.errors


# --- the log is away -------------------------------------------------------------------------------------------------


class Flaky(MemoryEventLog):
    """Is away as often as `away` says, for appends, reads or leases."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.away = {"append": 0, "read": 0, "lease": 0, "due": 0}

    def _miss(self, what: str) -> None:
        if self.away[what]:
            self.away[what] -= 1
            raise TryAgain(what)

    async def append(self, append: Append) -> Sequence[Recorded]:
        if append.leases:
            self._miss("append")
        return await super().append(append)

    async def read_stream(self, stream: str, *, after: int = 0) -> Sequence[Recorded]:
        self._miss("read")
        return await super().read_stream(stream, after=after)

    async def lease(self, target: str) -> int:
        self._miss("lease")
        return await super().lease(target)

    async def due(self, now: int, *, limit: int = 1000) -> Sequence[str]:
        self._miss("due")
        return await super().due(now, limit=limit)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setattr(actor, "RELOAD_SECONDS", 0)
    store = MemoryStore()
    return Process(log=Flaky(store), store=store)


@pytest.mark.parametrize("what", ["append", "read"])
async def test_a_log_that_was_away_is_asked_again(flaky: Process, what: str) -> None:
    assert isinstance(flaky.log, Flaky)
    async with flaky.run() as process:
        flaky.log.away[what] = 3
        await process.say("start")
        await until(lambda: process.events(e.ThreadOpened))
        assert [told for _, told, _ in process.errors] == ["log"] * 3
        assert len(process.events(e.Requested)) == 1


async def test_who_does_not_get_the_lease_leaves_it_to_whoever_looks_for_work_next(flaky: Process) -> None:
    assert isinstance(flaky.log, Flaky)
    flaky.log.away["lease"] = 1
    async with flaky.run() as process:
        await process.say("start")
        await until(lambda: not process.log.away["lease"] if isinstance(process.log, Flaky) else False)
        await until(lambda: not process.supervisor.actors)
        assert not process.errors
        process.tick(0)
        await until(lambda: process.events(e.ThreadOpened))


async def test_operators_are_told_when_nobody_can_look_for_work(flaky: Process) -> None:
    assert isinstance(flaky.log, Flaky)
    flaky.log.away["due"] = 1
    async with flaky.run() as process:
        await until(lambda: process.errors)
        assert process.errors[0][:2] == ("", "work")


# --- another process acts --------------------------------------------------------------------------------------------


async def test_who_was_deposed_ends_its_effects_and_acts_no_more() -> None:
    async with Process().run() as process:
        await process.ready()
        deposed = process.supervisor.actors[TARGET]
        process.log.close()
        await MemoryEventLog(process.store).lease(TARGET)
        before = len(process.store.streams[TARGET])
        await process.say("p1")
        await until(lambda: not process.supervisor.actors)
        await rest()
        assert len(process.store.streams[TARGET]) == before
        assert [told for _, told, _ in process.errors] == ["fenced"]
        with pytest.raises(Fenced):
            await deposed.report(e.SlotLeft())
        deposed.poke()
        assert deposed.forgettable


async def test_an_effect_that_is_told_it_was_deposed_ends_its_actor() -> None:
    async with Process().run() as process:
        process.ports.plan("attach", Fenced("newer"))
        await process.say("start")
        await until(lambda: process.errors)
        assert process.errors[0][1] == "fenced"
        await until(lambda: not process.supervisor.actors)


async def test_an_effect_that_fails_after_its_actor_was_deposed_harms_nobody() -> None:
    async with Process().run() as process:
        await process.ready()
        hanging = process.ports.contexts["attach"]
        process.supervisor.actors[TARGET].stop()
        with pytest.raises(Fenced):
            await hanging.report(e.SlotLeft())
        await process.say("start", "other")
        await until(lambda: process.events(e.ThreadOpened, "other"))


async def test_a_report_that_waits_when_its_actor_is_deposed_is_not_taken_for_recorded() -> None:
    async with Process().run() as process:
        await process.ready()
        held = process.supervisor.actors[TARGET]
        raised: list[Exception] = []

        async def report() -> None:
            try:
                await held.report(e.SandboxLost(reservation="s-2", why="gone"))
            except Fenced as error:
                raised.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(report)
            await until(lambda: not held.idle)
            held.stop()
        assert raised


async def test_an_actor_that_is_deposed_while_it_decides_starts_nothing_any_more() -> None:
    class Slow(MemoryEventLog):
        """Answers when it is told to."""

        asked = anyio.Event()
        answer = anyio.Event()

        async def append(self, append: Append) -> Sequence[Recorded]:
            recorded = await super().append(append)
            if append.leases:
                self.asked.set()
                await self.answer.wait()
            return recorded

    log = Slow(store := MemoryStore())
    async with Process(log=log, store=store).run() as process:
        await process.say("start")
        await log.asked.wait()
        process.supervisor.actors[TARGET].stop()
        log.answer.set()
        await rest()
        assert process.ports.calls == []
        assert process.errors == []


# --- defects ---------------------------------------------------------------------------------------------------------


async def test_a_defect_is_told_and_its_session_rests_before_it_is_tried_again() -> None:
    process = Process()
    process.plans = [KeyError("a defect")]
    async with process.run():
        await process.say("start")
        await until(lambda: process.errors)
        assert process.errors[0][:2] == (TARGET, "defect")
        process.tick(DEFECT_DELAY - 1)
        await process.say("p1")
        await rest()
        assert not process.events(e.Requested)
        process.tick(1)
        await until(lambda: process.events(e.PromptQueued))


async def test_a_defect_in_one_session_does_not_touch_another() -> None:
    process = Process()
    process.plans = [KeyError("a defect")]
    async with process.run():
        await process.say("start")
        await until(lambda: process.errors)
        await process.say("start", "other")
        await until(lambda: process.events(e.ThreadOpened, "other"))


async def test_a_defect_in_an_effect_is_told_and_tried_again_like_any_failure() -> None:
    async with Process().run() as process:
        process.ports.plan("starter", KeyError("secret"))
        await process.say("start")
        await until(lambda: process.events(e.EffectFailed))
        assert process.errors[0][:2] == (TARGET, "starter")
        failed = e.EffectFailed(what="starter", attempt=1, why="KeyError", retry=process.now + FIRST)
        assert process.events(e.EffectFailed) == [failed]
        process.tick(FIRST)
        await until(lambda: process.events(e.ThreadOpened))


# --- effects ---------------------------------------------------------------------------------------------------------


async def test_what_failed_is_tried_again_when_its_time_has_come() -> None:
    async with Process().run() as process:
        process.ports.plan("starter", TryAgain("no"), TryAgain("no"))
        await process.say("start")
        await until(lambda: process.events(e.EffectFailed))
        process.tick(FIRST - 1)
        await rest()
        assert process.ports.calls.count("starter") == 1
        process.tick(1)
        await until(lambda: len(process.events(e.EffectFailed)) == 2)
        process.tick(2 * FIRST)
        await until(lambda: process.events(e.ThreadOpened))


async def test_what_can_never_succeed_is_not_tried_again() -> None:
    async with Process().run() as process:
        process.ports.plan("starter", GiveUp("never"))
        await process.say("start")
        await until(lambda: process.events(e.Closed))
        assert process.ports.calls.count("starter") == 1


async def test_an_effect_that_is_not_wanted_any_more_ends_and_its_failure_is_not_told() -> None:
    async with Process().run() as process:
        process.ports.plan("show", anyio.Event())
        await process.ready()
        await process.say("close")
        await until(lambda: process.events(e.Closed))
        assert not process.events(e.EffectFailed)


async def test_a_link_that_breaks_because_it_is_hung_up_is_no_failure() -> None:
    process = Process()
    linked = anyio.Event()

    async def attach(reservation: str, context: EffectContext) -> None:
        await context.report(e.SandboxReady(reservation=reservation))
        linked.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            raise TryAgain("the link broke") from None

    process.ports.attach = attach  # type: ignore[method-assign] - as some clients do
    async with process.run():
        await process.say("start")
        await linked.wait()
        await process.say("close")
        await until(lambda: process.events(e.Closed))
        assert not process.events(e.EffectFailed)


async def test_an_effect_that_ends_without_having_helped_is_tried_again_later() -> None:
    async with Process().run() as process:
        process.ports.journal["s-2"] = [f.CliStarted(), f.CliExited(code=1)]
        await process.say("start")
        await until(lambda: "restart" in process.ports.calls)
        await rest()
        tries = process.ports.calls.count("restart")
        await rest()
        assert process.ports.calls.count("restart") == tries
        process.tick(AGAIN_DELAY)
        await until(lambda: process.ports.calls.count("restart") > tries)


async def test_lines_go_to_the_cli_one_after_the_other() -> None:
    async with Process().run() as process:
        await process.ready()
        first = anyio.Event()
        process.ports.plan("deliver prompt:p1", first)
        await process.say("p1")
        await until(lambda: "deliver prompt:p1" in process.ports.calls)
        process.ports.journal["s-2"] += [f.Said(text=box("?")), QUESTION]
        await until(lambda: process.events(e.AnswerAsked))
        process.tick(process.policy.permission_ttl)
        await until(lambda: process.events(e.AnswerExpired))
        await rest()
        assert "deliver answer:q" not in process.ports.calls
        first.set()
        await until(lambda: "deliver answer:q" in process.ports.calls)


async def test_a_sandbox_is_deleted_when_nothing_is_on_its_way_to_it() -> None:
    process = Process()
    created = anyio.Event()
    attach = process.ports.attach

    async def create(reservation: str, context: EffectContext) -> None:
        with anyio.CancelScope(shield=True):
            process.ports.calls.append("create")
            await created.wait()
            process.ports.calls.append("created")
        await attach(reservation, context)

    process.ports.attach = create  # type: ignore[method-assign] - a request that is not taken back by hanging up
    async with process.run():
        await process.say("start")
        await until(lambda: "create" in process.ports.calls)
        await process.say("close")
        await until(lambda: process.events(e.CloseAsked))
        await rest()
        assert "delete" not in process.ports.calls
        created.set()
        await until(lambda: process.events(e.Closed))
        assert process.ports.calls.index("created") < process.ports.calls.index("delete")


async def test_a_question_expires_by_itself() -> None:
    async with Process().run() as process:
        process.ports.journal["s-2"] = [f.CliStarted(), QUESTION]
        await process.say("start")
        await until(lambda: process.events(e.AnswerAsked))
        process.tick(process.policy.permission_ttl - 1)
        await rest()
        assert not process.events(e.AnswerExpired)
        process.tick(1)
        await until(lambda: process.events(e.AnswerExpired))


async def test_an_effect_sees_what_is_being_said_and_waits_for_changes() -> None:
    async with Process().run() as process:
        await process.ready()
        context = process.ports.contexts["attach"]
        context.say("hello")
        assert context.live == "hello"
        assert context.epoch == 1
        await context.changed()
        heard: list[str] = []

        async def listen() -> None:
            await context.changed()
            heard.append(context.live)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            context.say("hello")
            await rest()
            assert not heard
            context.say("hello, you")
        assert heard == ["hello, you"]


# --- with the slots --------------------------------------------------------------------------------------------------


async def test_two_sessions_never_have_the_one_sandbox_and_who_waits_is_served() -> None:
    async with Process().run() as process:
        await process.say("start", "a")
        await process.say("start", "b")
        await until(lambda: process.events(e.SandboxReady, "a") or process.events(e.SandboxReady, "b"))
        await until(lambda: process.events(e.SlotAsked, "b") or process.events(e.SlotAsked, "a"))
        first, second = ("a", "b") if process.events(e.SandboxReady, "a") else ("b", "a")
        await rest()
        assert not process.events(e.SandboxReserved, second)
        await process.say("close", first)
        await until(lambda: process.events(e.SandboxReady, second))


async def test_slots_that_another_process_wrote_to_are_read_again() -> None:
    class Overtaken(MemoryEventLog):
        """Somebody else asks for a slot just before us."""

        asked = False

        async def append(self, append: Append) -> Sequence[Recorded]:
            if not self.asked and any(write.stream == "slots" for write in append.writes):
                self.asked = True
                draft = Draft(event=e.Asked(session="other"), at=0, actor="test")
                await super().append(Append(writes=(Write(stream="slots", expected=None, drafts=(draft,)),)))
            return await super().append(append)

    async with Process(log=Overtaken(store := MemoryStore()), store=store).run() as process:
        await process.say("start")
        await until(lambda: process.events(e.SlotAsked))
        assert process.events(e.SlotAsked) == [e.SlotAsked(place=1)]


async def test_a_session_that_conflicts_while_it_decides_with_the_slots_is_read_again() -> None:
    class Overtaken(MemoryEventLog):
        """Somebody else writes to the session just before us."""

        wrote = False

        async def append(self, append: Append) -> Sequence[Recorded]:
            if not self.wrote and any(write.stream == "slots" for write in append.writes):
                self.wrote = True
                draft = Draft(event=e.Noted(by="", locale="ja", what="x"), at=0, actor="test")
                await super().append(Append(writes=(Write(stream=TARGET, expected=None, drafts=(draft,)),)))
            return await super().append(append)

    async with Process(log=Overtaken(store := MemoryStore()), store=store).run() as process:
        await process.ready()
        assert len(process.events(e.SandboxReserved)) == 1


async def test_what_is_decided_with_the_slots_must_still_be_wanted() -> None:
    async with Process().run() as process:
        await process.ready()
        before = len(process.store.streams["slots"])
        one = process.supervisor.actors[TARGET]
        assert isinstance(one, SessionActor)
        await one.decide_with_slots(AskSlot())
        assert len(process.store.streams["slots"]) == before


async def test_who_leaves_the_line_when_it_was_served_waits_for_its_grant() -> None:
    async with Process().run() as process:
        await process.say("start", "a")
        await until(lambda: process.events(e.SandboxReady, "a"))
        await process.say("start", "b")
        await until(lambda: process.events(e.SlotAsked, "b"))
        draft = Draft(event=e.Granted(session="b", reservation="b-9"), at=0, actor="test")
        await process.log.append(Append(writes=(Write(stream="slots", expected=None, drafts=(draft,)),)))
        await process.say("close", "b")
        await until(lambda: process.events(e.CloseAsked, "b"))
        await rest()
        assert not process.events(e.SlotLeft, "b")
        granted = Draft(event=e.Granted(session="b", reservation="b-9"), at=0, actor="test", to="session:b")
        await process.log.append(Append(writes=(Write(stream="copy", expected=None, drafts=(granted,)),)))
        await until(lambda: process.events(e.Closed, "b"))
        assert process.events(e.SandboxGone, "b") == [e.SandboxGone(reservation="b-9")]


async def test_a_sandbox_that_is_gone_is_not_attached_to_again() -> None:
    async with Process().run() as process:
        process.ports.plan("attach", SandboxGone("gone"))
        await process.say("start")
        await until(lambda: process.events(e.SandboxGone))
        await rest()
        assert process.ports.calls.count("attach") == 1
