"""A model of the world around the deciders: Discord, sandboxes with Claude Code in them, a log and a process that may die.

Everything is one step of somebody at a time, so that Hypothesis decides who goes next. An effect is a generator: it stops
before and after each thing it does to the world, and there it can be made to fail, be cancelled, or die with its process.

One file, because the parts of the world share its state.
"""

from collections import Counter, deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from engine import line, slots
from engine.commands import Command, Context, GuildCommand, Policy, Report, Role, Tick
from engine.decide import decide
from engine.evolve import evolve, fold
from engine.mail import command as asked_by
from engine.ports import Fenced, GiveUp, SandboxGone, TryAgain
from engine.retry import delay
from engine.session import Phase, Session
from engine.slots import Slots
from engine.todo import (
    AskSlot,
    Attach,
    DeleteSandbox,
    Deliver,
    Effect,
    HandOver,
    LeaveLine,
    OpenThread,
    PostStarter,
    RestartCli,
    Show,
    TellOutcome,
    deadlines,
    next_due,
    todo,
)
from schema import events as e
from schema.envelope import Recorded
from tests.property.claude import Sandbox
from tests.property.people import ROLES
from tests.property.promises import check_journal, check_slots

POLICY = Policy(permission_ttl=3_600_000_000, start_limit=20_000_000, queue_limit=4, prompt_limit=100)

STEP = "step"
"""An effect stops here: before or after it touched the world."""
WAIT = "wait"
"""An effect stops here until its session changes or its journal grows."""

Steps = Generator[str | e.SessionEvent | line.Joint, None, None]


@dataclass
class Running:
    """An effect on its way. `waits`: until something changes; `asked`: until its report is decided."""

    session: str
    effect: Effect
    steps: Steps
    version: int
    waits: bool = False
    asked: bool = False


@dataclass
class Input:
    """Something for one session's decider: work of the log, or what an effect reports."""

    command: Command | None = None
    context: Context | None = None
    joint: line.Joint | None = None
    position: int = 0
    of: Running | None = None


@dataclass
class Thread:
    """What Discord shows of one session."""

    starter: str = ""
    thread: str = ""
    messages: dict[str, int] = field(default_factory=dict[str, int])
    told: Counter[int] = field(default_factory=Counter[int])
    handed_over: int = 0


class World:
    """Everything outside of the deciders, and the process that drives them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 1_000_000
        self.position = 0
        self.log: dict[str, list[Recorded]] = {}
        self.work: dict[str, dict[int, tuple[Command, Context]]] = {}
        self.threads: dict[str, Thread] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.executed: Counter[str] = Counter()
        self.texts: Counter[bytes] = Counter()
        self.retried: Counter[bytes] = Counter()
        self.outcomes: dict[int, e.SessionEvent] = {}
        self.wrongly_stopped: list[str] = []
        self.transitions: set[tuple[Phase, Phase]] = set()
        self.epoch = 1
        self.sessions: dict[str, Session] = {}
        self.slots = Slots()
        self.mail: dict[str, deque[Input]] = {}
        self.running: dict[tuple[str, str], Running] = {}
        self.done: dict[tuple[str, str], int] = {}

    # --- people ------------------------------------------------------------------------------------------------------

    def say(self, session: str, command: Command, by: str) -> int:
        """Somebody's command is in the log, and wants an outcome."""
        self.position += 1
        self._give_work(session, self.position, command, by)
        return self.position

    def _give_work(self, session: str, position: int, command: Command | GuildCommand, by: str) -> None:
        assert isinstance(command, Command)
        context = Context(at=self.now, by=by, role=ROLES.get(by, Role.STRANGER), cause=position, policy=POLICY)
        self.work.setdefault(session, {})[position] = (command, context)
        self.sessions.setdefault(session, Session())
        self.threads.setdefault(session, Thread())
        self.mail.setdefault(session, deque()).append(Input(command=command, context=context, position=position))

    # --- the process -------------------------------------------------------------------------------------------------

    def handle(self, session: str) -> None:
        """Decide on the next input of a session, and see what is wanted when there is none left."""
        mail = self.mail[session]
        if mail:
            self._decide(session, mail.popleft())
        if not mail:
            self.tend(session)

    def _decide(self, session: str, one: Input) -> None:
        state = self.sessions[session]
        context = one.context or Context(at=self.now, policy=POLICY)
        given: list[e.SlotsEvent] = []
        if one.joint:
            told: list[e.SessionEvent] = []
            if any(wanted.effect == one.joint for wanted in todo(state)):
                given, event = line.decide(self.slots, one.joint, state, limit=self.limit)
                told = decide(state, Report(event=event), context) if event else []
        else:
            assert one.command
            told = decide(state, one.command, context)
        if one.position:
            assert told, f"{one.command} has no outcome"
            assert one.position not in self.outcomes
            self.outcomes[one.position] = told[0]
            del self.work[session][one.position]
        self._append(session, told, context)
        for event in given:
            self._append_slots(session, event)
        if one.of:
            one.of.asked = False

    def _append(self, session: str, events: list[e.SessionEvent], context: Context) -> None:
        for event in events:
            before = self.sessions[session]
            self._record(f"session:{session}", event, context.at, context.cause)
            after = evolve(before, event, stream=f"session:{session}", at=context.at, cause=context.cause)
            self.sessions[session] = after
            if before.phase != after.phase:
                self.transitions.add((before.phase, after.phase))
            self._note_retry(before, event)
        for running in self.running.values():
            if running.session == session and events:
                running.waits = False

    def _note_retry(self, before: Session, event: e.SessionEvent) -> None:
        if isinstance(event, e.CutResolved) and event.choice == "retry" and before.cut and before.cut.prompt:
            self.retried[before.cut.prompt.text] += 1

    def _append_slots(self, session: str, event: e.SlotsEvent) -> None:
        recorded = self._record(slots.STREAM, event, self.now, 0)
        self.slots = slots.evolve(self.slots, event)
        asked = asked_by(recorded)
        if asked and isinstance(event, e.Granted | e.Moved) and event.session != session:
            self._give_work(event.session, recorded.position, asked[0], "")

    def _record(self, stream: str, event: e.Event, at: int, cause: int) -> Recorded:
        self.position += 1
        events = self.log.setdefault(stream, [])
        recorded = Recorded(
            position=self.position,
            stream=stream,
            version=len(events) + 1,
            at=at,
            actor="test",
            cause=cause,
            key=None,
            hash=b"",
            event=event,
        )
        events.append(recorded)
        return recorded

    def tend(self, session: str) -> None:
        """As the actor does: stop what is not wanted any more, start what is."""
        state = self.sessions[session]
        wanted = {one.effect.key: one for one in todo(state)}
        for (owner, key), running in list(self.running.items()):
            if owner == session and (key not in wanted or wanted[key].effect != running.effect):
                self.end(running)
        mine = [one.effect for one in self._of(session)]
        for key, one in wanted.items():
            if (session, key) in self.running or one.since > self.now or self.done.get((session, key)) == state.version:
                continue
            if isinstance(one.effect, Deliver) and any(isinstance(other, Deliver) for other in mine):
                continue
            steps = self._perform(session, one.effect)
            self.running[session, key] = Running(session, one.effect, steps, state.version)
            mine.append(one.effect)
        due = [ask.expires for ask in state.asks if not ask.choice] + [reply.until for reply in state.replies]
        if due and min(due) <= self.now:
            self.mail[session].append(Input(command=Tick()))

    def _of(self, session: str) -> list[Running]:
        return [running for running in self.running.values() if running.session == session]

    def end(self, running: Running) -> None:
        """The effect is over; what it reported is in the mail all the same."""
        running.steps.close()
        key = (running.session, running.effect.key)
        del self.running[key]
        self.done[key] = running.version

    def advance(self, running: Running, fault: Exception | None = None) -> None:
        """One step of an effect; `fault` happens to it instead."""
        session = running.session
        try:
            said = running.steps.throw(fault) if fault else next(running.steps)
        except StopIteration:
            self.end(running)
            self.tend(session)
        except (TryAgain, GiveUp) as error:
            self._fail(running, error)
        else:
            if said == WAIT:
                running.waits = True
            elif isinstance(said, AskSlot | LeaveLine | DeleteSandbox):
                running.asked = True
                self.mail[session].append(Input(joint=said, of=running))
            elif not isinstance(said, str):
                running.asked = True
                self.mail[session].append(Input(command=Report(event=said), of=running))

    def _fail(self, running: Running, error: Exception) -> None:
        self.end(running)
        key = running.effect.key
        failure = self.sessions[running.session].failures.get(key)
        attempt = failure.attempt + 1 if failure else 1
        retry = None if isinstance(error, GiveUp) else self.now + delay(attempt)
        failed = e.EffectFailed(what=key, attempt=attempt, why="test", retry=retry)
        self.mail[running.session].append(Input(command=Report(event=failed)))

    def crash(self, ghosts: int) -> None:
        """The process dies and another folds the log. A bit of `ghosts` lets a request that was under way arrive."""
        for index, running in enumerate(list(self.running.values())):
            if ghosts >> index & 1 and not running.asked:
                with suppress(TryAgain, GiveUp, Fenced, StopIteration):
                    next(running.steps)
            running.steps.close()
        self.running.clear()
        self.done.clear()
        self.epoch += 1
        for session in self.sessions:
            self.sessions[session] = self.folded(session)
            mail = self.mail[session]
            mail.clear()
            for position, (command, context) in sorted(self.work.get(session, {}).items()):
                mail.append(Input(command=command, context=context, position=position))
        self.slots = slots.fold(self.log.get(slots.STREAM, []), Slots())

    def state(self, session: str) -> Session:
        return self.sessions.get(session, Session())

    def folded(self, session: str) -> Session:
        """The state as the log tells it."""
        return fold(self.log.get(f"session:{session}", []), Session())

    # --- effects -----------------------------------------------------------------------------------------------------

    def _perform(self, session: str, effect: Effect) -> Steps:  # noqa: C901, PLR0911 - one case per effect
        match effect:
            case PostStarter():
                return self._post_starter(session)
            case OpenThread():
                return self._open_thread(session)
            case AskSlot() | LeaveLine():
                return self._joint(effect)
            case Attach():
                return self._attach(session, effect, self.epoch)
            case RestartCli():
                return self._restart(effect, self.epoch)
            case Deliver():
                return self._deliver(session, effect, self.epoch)
            case Show():
                return self._show(session)
            case TellOutcome():
                return self._tell(session, effect)
            case HandOver():
                return self._hand_over(session, effect)
            case DeleteSandbox():
                return self._delete(effect)

    def _post_starter(self, session: str) -> Steps:
        yield STEP
        thread = self.threads[session]
        thread.starter = thread.starter or f"starter-{session}"
        yield STEP
        yield e.StarterPosted(message=thread.starter)

    def _open_thread(self, session: str) -> Steps:
        yield STEP
        thread = self.threads[session]
        thread.thread = thread.thread or f"thread-{session}"
        yield STEP
        yield e.ThreadOpened(thread=thread.thread)

    @staticmethod
    def _joint(effect: line.Joint) -> Steps:
        yield STEP
        yield effect

    def _sandbox(self, reservation: str, epoch: int | None = None) -> Sandbox:
        sandbox = self.sandboxes.get(reservation)
        if sandbox is None or not sandbox.alive:
            raise SandboxGone("gone")
        if epoch is not None and epoch < sandbox.claimed:
            raise Fenced(reservation)
        if epoch is not None and epoch > sandbox.claimed:
            raise TryAgain("claim first")
        return sandbox

    def _attach(self, session: str, effect: Attach, epoch: int) -> Steps:
        yield STEP
        if effect.reservation not in self.sandboxes:
            self.sandboxes[effect.reservation] = Sandbox(effect.reservation, session, self)
        yield STEP
        try:
            sandbox = self._sandbox(effect.reservation)
            sandbox.claimed = max(epoch, sandbox.claimed)
            yield STEP
            if not self.sessions[session].ready:
                yield e.SandboxReady(reservation=effect.reservation)
            state = self.sessions[session]
            at, start = state.journal_epoch, state.journal_offset
            while True:
                found = self._sandbox(effect.reservation, epoch).next_line(at, start)
                if found is None:
                    yield WAIT
                    continue
                if found.epoch != at:
                    at, start = found.epoch, 0
                yield e.JournalRead(epoch=at, start=start, end=found.end, facts=found.facts)
                start = found.end
        except SandboxGone:
            yield e.SandboxLost(reservation=effect.reservation, why="gone")

    def _restart(self, effect: RestartCli, epoch: int) -> Steps:
        yield STEP
        self._sandbox(effect.reservation, epoch).restart()
        yield STEP

    def _deliver(self, session: str, effect: Deliver, epoch: int) -> Steps:
        yield STEP
        state = self.sessions[session]
        kind, _, name = effect.item.partition(":")
        sandbox = self._sandbox(effect.reservation, epoch)
        sent = state.sent.text if kind == "prompt" and state.sent and state.sent.prompt == name else b""
        if sent or kind == "stop" or state.ask(name):
            cli = (state.journal_epoch, state.cli)
            sandbox.take(cli, f"{effect.item}-{effect.life}", effect.item, sent)
        yield STEP
        yield e.Delivered(item=effect.item, life=effect.life)

    def _show(self, session: str) -> Steps:
        thread = self.threads[session]
        while True:
            state = self.sessions[session]
            card = next((card for card in state.cards if card.stale or card.gone), None)
            if card is None:
                if state.turn is None:
                    return
                yield WAIT
                continue
            if card.gone:
                yield STEP
                for key in [key for key in thread.messages if key.startswith(f"{card.part}/")]:
                    del thread.messages[key]
                yield STEP
                yield e.PartCleared(part=card.part)
                continue
            pages = 1 + len(getattr(card, "facts", ())) // 4
            for index in range(pages):
                last = index == pages - 1
                yield STEP
                thread.messages[f"{card.part}/{index}"] = card.rev
                yield STEP
                yield e.MessageShown(
                    part=card.part, index=index, message=f"{card.part}/{index}", rev=card.rev if last else 0
                )

    def _tell(self, session: str, effect: TellOutcome) -> Steps:
        yield STEP
        self.threads[session].told[effect.to] += 1
        yield STEP
        yield e.Replied(to=effect.to)

    def _hand_over(self, session: str, effect: HandOver) -> Steps:
        yield STEP
        try:
            self._sandbox(effect.reservation)
        except SandboxGone:
            yield e.HandedOver(how="lost")
            return
        self.threads[session].handed_over += 1
        yield STEP
        yield e.HandedOver(how="posted", files=1)

    def _delete(self, effect: DeleteSandbox) -> Steps:
        yield STEP
        if effect.reservation in self.sandboxes:
            self.sandboxes[effect.reservation].alive = False
        yield STEP
        yield effect

    # --- letting it run ----------------------------------------------------------------------------------------------

    def runnable(self) -> list[Running]:
        """Effects that can go a step further now."""
        return [running for running in self.running.values() if not running.asked and not running.waits]

    def sandboxes_alive(self) -> Iterator[Sandbox]:
        return (sandbox for sandbox in self.sandboxes.values() if sandbox.alive)

    def grown(self, reservation: str) -> None:
        """A journal has grown, or its sandbox is gone: whoever follows it sees that."""
        for running in self.running.values():
            if isinstance(running.effect, Attach) and running.effect.reservation == reservation:
                running.waits = False

    def settle(self, *, limit: int = 4000) -> None:
        """Let everybody do what is to do, without new faults, until only people can make a difference."""
        for _ in range(limit):
            if self.settle_once():
                continue
            due = self._next_retry()
            if due is None:
                return
            self.now = max(self.now, due)
            for session in self.sessions:
                self.tend(session)
        raise AssertionError(f"still busy: {[(r.session, r.effect) for r in self.runnable()]}")

    def settle_once(self) -> bool:
        for session, mail in self.mail.items():
            if mail:
                self.handle(session)
                return True
        for session in self.sessions:
            self.tend(session)
        if runnable := self.runnable():
            self.advance(runnable[0])
            return True
        return any(sandbox.work_on() for sandbox in self.sandboxes_alive())

    def _next_retry(self) -> int | None:
        """When something is tried again. What waits for people (questions) does not count."""
        times = [
            wanted.since
            for session, state in self.sessions.items()
            for wanted in todo(state)
            if wanted.since > self.now and (session, wanted.effect.key) not in self.running
        ]
        return min(times, default=None)

    def agenda(self, session: str) -> int | None:
        state = self.sessions[session]
        return next_due(todo(state), deadlines(state))

    # --- what must always hold ---------------------------------------------------------------------------------------

    def check(self) -> None:
        for session, state in self.sessions.items():
            assert self.folded(session) == state
            check_journal(self.events(session))
            assert todo(state) == todo(self.folded(session))
        alive = {sandbox.reservation for sandbox in self.sandboxes_alive()}
        assert alive <= set(self.slots.held.values())
        check_slots([recorded.event for recorded in self.log.get(slots.STREAM, [])], alive, self.limit)
        assert all(count == 1 for count in self.executed.values()), self.executed
        assert all(count <= 1 + self.retried[text] for text, count in self.texts.items())
        assert not self.wrongly_stopped

    def events(self, session: str) -> list[e.Event]:
        """What the log tells of a session."""
        return [recorded.event for recorded in self.log.get(f"session:{session}", [])]
