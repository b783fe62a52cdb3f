"""P6 with real actors: people come, act, are let in, made owners and removed, all at once, and processes die in between."""

from collections import Counter
from collections.abc import Callable
from random import Random

import anyio
import hypothesis.strategies as st
import msgspec
from hypothesis import given, settings

from engine import slots
from engine.commands import (
    AddMember,
    Close,
    Confirm,
    DecideAccess,
    DeleteMember,
    GuildCommand,
    ListMembers,
    Role,
)
from schema import events as e
from tests.property.boxes import unbox
from tests.property.people import OWNER, STARTER, STRANGER
from tests.property.play import Play
from tests.property.profile import PROFILE
from tests.property.promises import Roles
from tests.property.stage import POLICY, Stage, Theatre

EVERYBODY = [STARTER, STARTER, STRANGER, OWNER, OWNER, "4"]


class _Play(Play):
    """One interleaving."""

    WAITS = (1, 100, 100_000)

    async def begin(self) -> None:
        await self.stage.found()
        await self.theatre.start()
        for _ in range(2):  # at once, so that both may find that they are the only one
            await self.stage.say(self.process, *self.people.start())

    async def step(self) -> None:
        doers = [self._say, self._rule, self.go_on, self.claude, self.wait, self.crash]
        await self.random.choices(doers, [4, 2, 20, 5, 0.2, 0.1])[0]()
        for _ in range(self.random.randint(0, 8)):
            await anyio.lowlevel.checkpoint()

    async def _say(self) -> None:
        session, command, _ = self.people.say(self.random)
        await self.stage.say(self.process, session, command, self.random.choice(EVERYBODY))

    async def _rule(self) -> None:
        """Somebody changes who may do what, or tries to."""
        person = self.random.choice(EVERYBODY)
        role = self.random.choices([Role.USER, Role.OWNER], [4, 1])[0]
        requests = [event.request for event in self._of(e.AccessRequested)] or ["?"]
        choice = self.random.choice(["approved", "denied"])
        commands: list[Callable[[], GuildCommand]] = [
            lambda: AddMember(person=person, role=role),
            lambda: DeleteMember(person=person, role=role),
            lambda: DecideAccess(request=self.random.choice(requests), choice=choice),
            Confirm,
            ListMembers,
        ]
        command = self.random.choices(commands, [4, 5, 4, 0.3, 0.3])[0]()
        await self.stage.say(self.process, "", command, self.random.choice(EVERYBODY))

    def _of(self, kind: type[e.AccessRequested]) -> list[e.AccessRequested]:
        return [one.event for one in self.stage.store.events if isinstance(one.event, kind)]


async def _play(seed: int, steps: int) -> None:
    random = Random(seed)
    stage = Stage(limit=random.randint(1, 3))
    stage.policy = msgspec.structs.replace(POLICY, sandboxes_per_person=random.choice([0, 1, 1, 2]))
    stage.gone = set(random.choice([(), (), (STRANGER,), ("4",)]))
    stage.hesitates = lambda: random.choice([0, 0, 20, 60])
    async with anyio.create_task_group() as tasks:
        theatre = Theatre(stage, tasks)
        play = _Play(random, theatre)
        await play.begin()
        for _ in range(steps):
            await play.step()
        stage.check()
        await theatre.settle()
        stage.check()
        _check(stage)
        for session in stage.sessions:
            await stage.say(stage.processes[-1], session, Close(), stage.server.owners[0])
        await theatre.settle()
        assert not any(sandbox.alive for sandbox in stage.sandboxes.values())
        await theatre.end()


def _check(stage: Stage) -> None:
    assert not stage.unanswered, "something wants an outcome and has none"
    assert not stage.server.leaving
    roles = Roles()
    roles.check(stage.store.events)
    _check_share(stage)
    _check_gone(stage)
    for person, sessions in roles.removed:
        for stream in sessions:
            state = stage.state(stream.removeprefix("session:"))
            assert state.closing or state.closed, f"{person} was removed, and {stream} goes on"


def _check_gone(stage: Stage) -> None:
    """Whoever is not in the server is not let in by a press of a button."""
    for one in stage.store.events:
        match one.event:
            case e.AccessDecided(choice="approved", person=person, by=by) if by != person:
                (said,) = [said for said in stage.store.events if said.position == one.cause]
                assert isinstance(said.event, e.Received)
                command, _ = stage.commands[int(unbox(said.event.raw))]
                assert not (isinstance(command, DecideAccess) and person in stage.gone)
            case _:
                pass


def _check_share(stage: Stage) -> None:
    """Nobody ever has, or waits for, more slots than one person may."""
    most = stage.policy.sandboxes_per_person or 100
    line = slots.Slots()
    for one in stage.store.streams.get(slots.STREAM, []):
        line = slots.evolve(line, one.event)
        starters = Counter(stage.state(session).starter for session in {*line.held, *line.line})
        assert all(count <= most for count in starters.values()), starters


@settings(PROFILE)
@given(seed=st.integers(0, 1 << 32), steps=st.integers(50, 500))
def test_nobody_acts_beyond_their_role_and_removal_ends_what_runs(seed: int, steps: int) -> None:
    anyio.run(_play, seed, steps)
