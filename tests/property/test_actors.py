"""Real actors and supervisors over one log: interleavings of calls, crashes, take-overs, and what must hold in all of them."""

from collections.abc import Sequence
from random import Random

import anyio
import hypothesis.strategies as st
from hypothesis import given, settings

from engine import slots
from engine.commands import Close
from engine.session import Phase
from schema import events as e
from tests.property.people import STARTER
from tests.property.play import Play
from tests.property.profile import PROFILE
from tests.property.promises import fates
from tests.property.stage import Stage, Theatre

SEEDS = st.integers(0, 1 << 32)


class _Play(Play):
    """One interleaving."""

    WAITS = (1, 10, 100, 4000)

    async def begin(self) -> None:
        await self.stage.found()
        await self.theatre.start()
        await self.stage.say(self.process, *self.people.start())

    async def step(self) -> None:
        random = self.random
        doers = [self._say, self.go_on, self.claude, self.wait, self.crash, self._take_over]
        await random.choices(doers, [3, 20, 8, 0.2, 0.1, 0.1])[0]()
        for _ in range(random.randint(0, 8)):
            await anyio.lowlevel.checkpoint()

    async def _say(self) -> None:
        await self.stage.say(self.process, *self.people.say(self.random))

    async def _take_over(self) -> None:
        """The process seems dead and is not: its leases are free, and it goes on as if nothing were."""
        self.process.log.close()
        await self.theatre.start()
        if len(self.stage.processes) > 2:
            await self.theatre.kill(self.stage.processes[0])


async def _play(seed: int, steps: int) -> Stage:
    random = Random(seed)
    stage = Stage(limit=random.randint(1, 3))
    async with anyio.create_task_group() as tasks:
        theatre = Theatre(stage, tasks)
        play = _Play(random, theatre)
        await play.begin()
        for _ in range(steps):
            await play.step()
            stage.check()
        await theatre.settle()
        stage.check()
        _check_settled(stage)
        await _close_all(stage, theatre)
        _check_over(stage)
        await theatre.end()
    return stage


async def _close_all(stage: Stage, theatre: Theatre) -> None:
    for session in stage.sessions:
        await stage.say(stage.processes[-1], session, Close(), stage.state(session).starter or STARTER)
    await theatre.settle()
    stage.check()


def _check_settled(stage: Stage) -> None:
    assert not stage.unanswered, "something wants an outcome and has none"
    line = slots.fold(stage.store.streams.get(slots.STREAM, []), slots.Slots())
    for session in stage.sessions:
        state = stage.state(session)
        assert not state.replies
        assert state.place == line.place(session), "somebody does not know their place"
        if state.reservation:
            assert state.needed == bool(line.line), "somebody does not know whether others wait"
        known: Sequence[str] = [prompt for prompt, fate in fates(stage.events(session)).items() if fate == "started"]
        if not state.closed:
            mine = set(fates(stage.events(session)))
            assert set(stage.executed) & mine <= set(known), "executed, and nobody knows"


def _check_over(stage: Stage) -> None:
    assert not stage.unanswered
    assert not any(sandbox.alive for sandbox in stage.sandboxes.values())
    line = slots.fold(stage.store.streams.get(slots.STREAM, []), slots.Slots())
    assert not line.held
    assert not line.line
    for session in stage.sessions:
        state = stage.state(session)
        assert state.phase in {Phase.CLOSED, Phase.NEW}
        if state.thread_state in {"open", "archived"}:
            assert not state.cards
            shown = [event.part for event in stage.events(session) if isinstance(event, e.MessageShown)]
            assert "head" in shown or not state.thread
    assert not any(process.supervisor.actors for process in stage.processes), "an idle actor is remembered"


@settings(PROFILE)
@given(seed=SEEDS, steps=st.integers(50, 600))
def test_nothing_is_lost_nothing_is_doubled_whoever_dies(seed: int, steps: int) -> None:
    anyio.run(_play, seed, steps)
