"""Both deciders over thousands of interleavings: people, effects, failures, crashes and a Claude Code that does as it likes."""

from collections.abc import Callable
from functools import partial
from random import Random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.commands import (
    Answer,
    ChangeThread,
    Close,
    Command,
    Edit,
    Reason,
    Reject,
    Remove,
    Resolve,
    ShowStatus,
    Start,
    Stop,
    Submit,
    Text,
)
from engine.ports import GiveUp, TryAgain
from engine.session import CRASH_LIMIT, LOSS_LIMIT, Phase
from engine.todo import Attach
from schema import events as e
from schema.sealed import Sealed
from tests.property.profile import PROFILE
from tests.property.world import World

STARTER, STRANGER = "1", "2"
SESSIONS = 3
SIZES = [5, 5, 5, 5, 5, 5, 0, 500]


class Deciders(RuleBasedStateMachine):
    """Any number of steps of anybody; after it, everything settles; after that, everything closes."""

    world: World

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self.world = World(limit)
        self.names = 0
        self.world.say("s1", Start(guild="g", channel="c", prompt=self._name(), text=self._text(5)), STARTER)

    # --- people ------------------------------------------------------------------------------------------------------

    def _name(self) -> str:
        self.names += 1
        return f"p{self.names}"

    def _text(self, size: int) -> Text:
        return Text(sealed=Sealed(f"text {self._name()}".encode()), size=size)

    def people(self, random: Random) -> None:
        world = self.world
        size = random.choice(SIZES)
        if len(world.sessions) < SESSIONS and random.random() < 0.3:
            text = None if random.random() < 0.3 else self._text(size)
            start = Start(guild="g", channel="c", prompt=self._name(), text=text)
            world.say(f"s{len(world.sessions) + 1}", start, STARTER)
        elif world.sessions:
            session = random.choice(list(world.sessions))
            commands, weights = zip(*self._commands(), strict=True)
            command = random.choices(commands, weights)[0](session, random.randrange(30), size)
            world.say(session, command, STRANGER if random.random() < 0.05 else STARTER)

    def _commands(self) -> list[tuple[Callable[[str, int, int], Command], float]]:
        return [
            (self._submit, 20),
            (self._answer, 8),
            (self._resolve, 8),
            (self._edit, 2),
            (self._remove, 2),
            (self._stop, 6),
            (self._rare, 0.7),
            (self._close, 0.3),
        ]

    def _any(self, kind: type[e.Event], session: str, item: int) -> e.Event | None:
        """Any event of that kind in the session's past: buttons stay in the thread for ever."""
        past = [one.event for one in self.world.log.get(f"session:{session}", []) if isinstance(one.event, kind)]
        return past[-1 - item % min(len(past), 3)] if past else None

    def _submit(self, _session: str, _item: int, size: int) -> Command:
        return Submit(prompt=self._name(), text=self._text(size))

    def _edit(self, session: str, item: int, size: int) -> Command:
        queued = self._any(e.PromptQueued, session, item)
        return Edit(prompt=queued.prompt if isinstance(queued, e.PromptQueued) else "?", text=self._text(size))

    def _remove(self, session: str, item: int, _size: int) -> Command:
        queued = self._any(e.PromptQueued, session, item)
        return Remove(prompt=queued.prompt if isinstance(queued, e.PromptQueued) else "?")

    def _answer(self, session: str, item: int, _size: int) -> Command:
        asked = self._any(e.AnswerAsked, session, item)
        choice = ("allow", "always", "deny")[item % 3]
        return Answer(request=asked.request if isinstance(asked, e.AnswerAsked) else "?", choice=choice)

    def _resolve(self, session: str, item: int, _size: int) -> Command:
        cut = self._any(e.TurnCut, session, item)
        turn = cut.turn if isinstance(cut, e.TurnCut) else 1
        return Resolve(turn=turn, choice=("retry", "continue")[item % 2], prompt=self._name(), text=self._text(5))

    def _stop(self, session: str, item: int, _size: int) -> Command:
        return Stop(turn=None if item % 2 else max(0, self.world.sessions[session].turns - item // 2 % 2))

    def _rare(self, _session: str, item: int, size: int) -> Command:
        whats = ("archived", "unarchived", "locked", "unlocked", "forbidden", "deleted")
        rare: tuple[Callable[[], Command], ...] = (
            ShowStatus,
            partial(Reject, reason=Reason.MALFORMED),
            partial(Start, guild="g", channel="c", prompt=self._name(), text=self._text(size)),
            *[partial(ChangeThread, what=what) for what in whats],
            partial(ChangeThread, what="unarchived"),
            partial(ChangeThread, what="unarchived"),
        )
        return rare[item % len(rare)]()

    def _close(self, _session: str, _item: int, _size: int) -> Command:
        return Close()

    # --- the process and its world -----------------------------------------------------------------------------------

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
        doers = [self.people, self.handle, self.effect, self.claude, self.wait]
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

    def _check_settled(self, session: str) -> None:
        """Only people can make a difference, or Claude, who waits for them; and every prompt has its fate."""
        state, world = self.world.sessions[session], self.world
        for running in world.running.values():
            assert running.waits or isinstance(running.effect, Attach), running
        assert not state.replies
        if state.turn and not state.closed:
            assert any(not ask.choice for ask in state.asks), "a turn that nobody ends"
        fates = self._fates(session)
        exhausted = state.crashes >= CRASH_LIMIT or state.losses >= LOSS_LIMIT
        held = state.closed or state.cut or exhausted or state.asks or state.place
        for prompt, fate in fates.items():
            assert held or fate in {"removed", "started"}, f"{prompt} is {fate} for ever"
            assert fate != "removed" or not world.executed[prompt], f"{prompt} was taken back, and executed"
            assert fate == "started" or state.closed or not world.executed[prompt], f"nobody knows that {prompt} ran"

    def _fates(self, session: str) -> dict[str, str]:
        """What became of each prompt, as the log tells it."""
        fates: dict[str, str] = {}
        for recorded in self.world.log.get(f"session:{session}", []):
            match recorded.event:
                case e.PromptQueued(prompt=prompt):
                    fates[prompt] = "queued"
                case e.PromptRemoved(prompt=prompt):
                    fates[prompt] = "removed"
                case e.PromptSent(prompt=prompt):
                    fates[prompt] = "sent"
                case e.TurnStarted(prompt=prompt) if prompt:
                    assert fates[prompt] == "sent"
                    fates[prompt] = "started"
                case _:
                    pass
        return fates

    def _check_over(self, session: str) -> None:
        state, thread = self.world.sessions[session], self.world.threads[session]
        assert not state.replies
        if state.thread_state in {"open", "archived"}:
            assert not state.cards, state.cards
        assert all(isinstance(self.world.outcomes[position], e.SessionEvent) for position in thread.told)
        assert self.world.agenda(session) is None


Deciders.TestCase.settings = settings(PROFILE, stateful_step_count=20)
TestDeciders = Deciders.TestCase
