"""Both deciders over thousands of interleavings: people, effects, failures, crashes and a Claude Code that does as it likes."""

from random import Random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.commands import Close
from engine.phases import WAYS
from engine.ports import GiveUp, TryAgain
from engine.session import CRASH_LIMIT, LOSS_LIMIT, Phase
from engine.todo import Attach
from schema import events as e
from tests.property.people import STARTER, People
from tests.property.profile import PROFILE
from tests.property.promises import fates
from tests.property.world import World


class Deciders(RuleBasedStateMachine):
    """Any number of steps of anybody; after it, everything settles; after that, everything closes."""

    world: World

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self.world = World(limit)
        self.people = People(self.world, servers=("g", "h"))
        self.world.say(*self.people.start())

    # --- steps -------------------------------------------------------------------------------------------------------

    def say(self, random: Random) -> None:
        self.world.say(*self.people.say(random))

    def handle(self, random: Random) -> None:
        waiting = [session for session, mail in self.world.mail.items() if mail]
        if waiting:
            self.world.handle(random.choice(waiting))

    def effect(self, random: Random) -> None:
        runnable = self.world.runnable()
        if runnable:
            fault = random.choices([None, TryAgain("test"), GiveUp("test")], [30, 2, 0.5])[0]
            self.world.advance(random.choice(runnable), fault)

    def claude(self, random: Random) -> None:
        alive = list(self.world.sandboxes_alive())
        if alive:
            random.choice(alive).act(random)

    def wait(self, random: Random) -> None:
        self.world.now += random.choice([1, 10, 100, 4000]) * 1_000_000
        for session in self.world.sessions:
            self.world.tend(session)

    @rule(seed=st.integers(0, 1 << 20), count=st.integers(1, 300))
    def steps(self, seed: int, count: int) -> None:
        """As many steps, each of somebody: repeatable, and cheaper for Hypothesis than a choice each."""
        random = Random(seed)
        doers = [self.say, self.handle, self.effect, self.claude, self.wait]
        for _ in range(count):
            random.choices(doers, [2, 10, 12, 6, 0.1])[0](random)

    @rule(ghosts=st.integers(0, 255))
    def crash(self, ghosts: int) -> None:
        self.world.crash(ghosts)

    @rule()
    def settle(self) -> None:
        """Everything that can be done is done: deep states are reached from here."""
        self.world.settle()

    # --- promises ----------------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.settle()
        world.check()
        for session in world.sessions:
            self._check_settled(session)
        for session in list(world.sessions):
            world.say(session, Close(), world.sessions[session].starter or STARTER)
        world.settle()
        world.check()
        for session, state in world.sessions.items():
            self._check_over(session)
            assert state.phase in {Phase.CLOSED, Phase.NEW}
        assert not world.slots.held
        assert not world.slots.line
        assert not any(world.sandboxes_alive())
        assert world.transitions <= WAYS.keys()

    def _check_settled(self, session: str) -> None:
        """Only people can make a difference, or Claude, who waits for them; and every prompt has its fate."""
        state, world = self.world.sessions[session], self.world
        for running in world.running.values():
            assert running.waits or isinstance(running.effect, Attach), running
        assert not state.replies
        assert state.place == world.slots.place(session), "somebody does not know their place"
        if state.reservation:
            assert state.needed == bool(world.slots.line), "somebody does not know whether others wait"
        if state.turn and not state.closed:
            assert any(not ask.choice for ask in state.asks), "a turn that nobody ends"
        exhausted = state.crashes >= CRASH_LIMIT or state.losses >= LOSS_LIMIT
        held = state.closed or state.cut or exhausted or state.asks or state.place or state.resting
        for prompt, fate in fates(world.events(session)).items():
            assert held or fate in {"removed", "started"}, f"{prompt} is {fate} for ever"
            assert fate != "removed" or not world.executed[prompt], f"{prompt} was taken back, and executed"
            assert fate == "started" or state.closed or not world.executed[prompt], f"nobody knows that {prompt} ran"

    def _check_over(self, session: str) -> None:
        state, thread = self.world.sessions[session], self.world.threads[session]
        assert not state.replies
        if state.thread_state in {"open", "archived"}:
            assert not state.cards, state.cards
        assert all(isinstance(self.world.outcomes[position], e.SessionEvent) for position in thread.told)
        assert self.world.agenda(session) is None


Deciders.TestCase.settings = settings(PROFILE, stateful_step_count=20)
TestDeciders = Deciders.TestCase
