"""A model of a sandbox: a supervisor with its journals, and Claude Code as far as the engine can tell."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from engine.ports import TryAgain
from engine.session import Session
from schema import events as e
from schema import facts as f
from tests.property.boxes import box

LINE = 10
"""The length of every journal line, in bytes."""


class Surroundings(Protocol):
    """What a sandbox sees of the world, and keeps the books of."""

    executed: Counter[str]
    """How often each prompt was begun."""
    texts: Counter[bytes]
    """How often each text was begun."""
    wrongly_stopped: list[str]

    def grown(self, reservation: str) -> None:
        """A journal has grown, or its sandbox is gone."""
        ...

    def events(self, session: str) -> list[e.Event]:
        """What the log tells of a session."""
        ...

    def state(self, session: str) -> Session:
        """The session as the log tells it."""
        ...


@dataclass(frozen=True)
class Line:
    """A line of a journal, as facts."""

    epoch: int
    end: int
    facts: tuple[f.Fact, ...]


@dataclass
class Turn:
    """What Claude works on now."""

    prompts: list[str]
    said: int = 0
    asks: list[str] = field(default_factory=list[str])


class Sandbox:
    """The supervisor starts the CLI by itself once; later starts are ours."""

    def __init__(self, reservation: str, session: str, world: Surroundings) -> None:
        self.reservation = reservation
        self.session = session
        self.claimed = 0
        self._world = world
        self._alive = True
        self._journals: list[list[Line]] = [[]]
        self._lost: set[int] = set()
        self._taken: set[str] = set()
        self._stdin: list[tuple[str, bytes]] = []
        self._known: set[str] = set()
        self._turn: Turn | None = None
        self._tasks = 0
        self._printed = 0
        self._runs = False
        self._cli = 0
        self._start()

    @property
    def alive(self) -> bool:
        return self._alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self._alive = alive
        self._world.grown(self.reservation)

    def next_line(self, epoch: int, start: int) -> Line | None:
        """The line behind (epoch, start): of the next journal, when this one is complete or lost."""
        epoch = max(epoch, 1)
        if epoch not in self._lost:
            for line in self._journals[epoch - 1]:
                if line.end > start:
                    return line
        return self.next_line(epoch + 1, 0) if epoch < len(self._journals) else None

    def restart(self) -> None:
        if not self._runs:
            self._start()

    def take(self, cli: tuple[int, int], identity: str, item: str, text: bytes) -> None:
        """What the supervisor does with a line of ours, which is meant for number `cli[1]` of journal `cli[0]`."""
        if not self._runs or cli != (len(self._journals), self._cli):
            raise TryAgain("no such CLI runs")
        if identity in self._taken:
            return
        self._taken.add(identity)
        kind, _, name = item.partition(":")
        if kind == "prompt":
            self._stdin.append((name, text))
        elif kind == "stop":
            self._interrupt(int(name))
        elif self._turn and name in self._turn.asks:
            self._turn.asks.remove(name)
            self._print(f.PermissionTaken(request=name))

    # --- what Claude Code does ---------------------------------------------------------------------------------------

    def act(self, random: Random) -> None:
        """One of the things that the CLI, or fate, may do now."""
        acts: dict[Callable[[], object], float] = {
            self._begin: 10,
            self._speak: 6,
            self._ask: 6,
            self._withdraw: 1,
            self._finish: 2,
            self._fail: 1,
            self._begin_by_itself: 6,
            self._start_task: 6,
            self._die: 1,
            self._die_before_reading: 0.5,
            self._lose_supervisor: 0.5,
            self._lose_journal: 0.5,
            self._vanish: 0.5,
        }
        random.choices(list(acts), list(acts.values()))[0]()

    def work_on(self) -> bool:
        """Go on with what there is to do; False when there is nothing, or people are waited for."""
        if not self._runs:
            return False
        if self._turn is None:
            return self._take_up()
        if self._turn.asks:
            return False
        if self._turn.said < 2:
            self._speak()
        else:
            self._finish()
        return True

    def _start(self) -> None:
        self._runs = True
        self._cli += 1
        self._taken, self._stdin, self._turn, self._tasks = set(), [], None, 0
        self._print(f.CliStarted(resumed=bool(self._known)))

    def _print(self, *facts: f.Fact) -> None:
        journal = self._journals[-1]
        end = journal[-1].end if journal else 0
        journal.append(Line(len(self._journals), end + LINE, facts))
        self._world.grown(self.reservation)

    def _unique(self) -> str:
        self._printed += 1
        return f"{self.reservation}-{self._printed}"

    def _take_up(self) -> bool:
        if not self._stdin:
            return False
        prompt, text = self._stdin.pop(0)
        if prompt in self._known:
            self._print(f.PromptOver(prompt=prompt))
            return True
        self._known.add(prompt)
        self._world.executed[prompt] += 1
        self._world.texts[text] += 1
        self._print(f.PromptStarted(prompt=prompt))
        if self._turn is None:
            self._turn = Turn([prompt])
            self._print(f.CliReady(model="model", mode="default"), f.StateChanged(state="running"))
        else:
            self._turn.prompts.append(prompt)
        return True

    def _begin(self) -> None:
        if self._runs and not self._turn:
            self._take_up()

    def _speak(self) -> None:
        if not self._turn or not self._runs:
            return
        self._turn.said += 1
        text = box(self._unique())
        if self._turn.said % 2:
            self._print(f.Said(text=text))
        else:
            self._print(f.ToolCalled(tool=self._unique(), name="Bash", summary=text))
            self._take_up()  # folded into the running turn, after a round of tools

    def _ask(self) -> None:
        if self._turn and self._runs:
            request = self._unique()
            self._turn.asks.append(request)
            self._print(f.PermissionAsked(request=request, tool="t", name="Bash", question=box("?"), always=True))

    def _withdraw(self) -> None:
        if self._turn and self._turn.asks:
            self._print(f.PermissionWithdrawn(request=self._turn.asks.pop()))

    def _finish(self, *, error: bool = False, reason: str = "completed") -> None:
        turn, self._turn = self._turn, None
        if turn is None or not self._runs:
            return
        for request in turn.asks:
            self._print(f.PermissionWithdrawn(request=request))
        message = box("!") if error else None
        self._print(f.TurnFinished(prompts=tuple(turn.prompts), error=error, reason=reason, message=message))
        for prompt in turn.prompts:
            self._print(f.PromptOver(prompt=prompt))
        self._print(f.StateChanged(state="idle"))

    def _fail(self) -> None:
        self._finish(error=True, reason="api_error")

    def _interrupt(self, turn: int) -> None:
        if self._turn and self._turn.prompts and not self._is(turn, self._turn.prompts):
            self._world.wrongly_stopped.append(f"{self._turn.prompts} by the stop of turn {turn}")
        self._finish(reason="aborted_streaming")

    def _is(self, turn: int, prompts: list[str]) -> bool:
        """Whether it is the turn that was meant, or the prompt was on its way, or given up, when that was."""
        sent = self._world.state(self.session).sent
        if sent and sent.prompt in prompts:
            return True
        started = [one for one in self._world.events(self.session) if isinstance(one, e.TurnStarted)]
        return any(one.turn <= turn and one.prompt in prompts for one in started)

    def _start_task(self) -> None:
        if self._turn:
            self._tasks += 1
            self._print(f.TasksChanged(running=self._tasks))

    def _begin_by_itself(self) -> None:
        if self._tasks and not self._turn and self._runs:
            self._tasks -= 1
            self._print(f.TasksChanged(running=self._tasks), f.StateChanged(state="running"))
            self._turn = Turn([])
            self._speak()

    # --- what happens to it ------------------------------------------------------------------------------------------

    def _die(self) -> None:
        if self._runs:
            self._runs = False
            if self._turn:  # killed in the middle of a text: the CLI would run the same prompt again
                self._known -= set(self._turn.prompts)
            self._turn = None
            self._print(f.CliExited(code=-9))

    def _die_before_reading(self) -> None:
        self._stdin = []
        self._die()

    def _lose_supervisor(self) -> None:
        """It completes its journal and begins another one, in its next life."""
        self._die()
        self._journals.append([])
        self._cli = 0
        self._start()

    def _lose_journal(self) -> None:
        """What nobody has read of the journal is lost, and so is the mark of the end."""
        self._lost.add(len(self._journals))
        self._lose_supervisor()

    def _vanish(self) -> None:
        self.alive = False
