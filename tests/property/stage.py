"""The same world for real actors: processes over one log, whose calls to Discord and sandboxes stop where a seed decides.

Every call stops before and after it touches the world. A driver lets one of them go on at a time, fails it, or ends the
process: so each example is one interleaving, and the same seed is the same interleaving. It is one file because the processes and
what they act on share the places where they stop.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine import guild, slots
from engine.commands import Command, Context, GuildCommand, Policy, Role
from engine.effects import Performer
from engine.evolve import fold
from engine.guild import Guild, Notice
from engine.guild_actor import install_owners
from engine.ports import EffectContext, Fenced, File, SandboxGone, TryAgain, Usage
from engine.session import Reply, Session
from engine.supervisor import Supervisor, World
from engine.todo import todo
from schema import events as e
from schema.envelope import Append, Draft, Recorded, Write
from tests.property.boxes import box, unbox
from tests.property.claude import Sandbox
from tests.property.people import OWNER, STARTER
from tests.property.promises import check_journal, check_slots

POLICY = Policy(permission_ttl=3_600_000_000, start_limit=20_000_000, queue_limit=4, prompt_limit=100)


class Point:
    """Where a call has stopped."""

    def __init__(self) -> None:
        self.gone_on = anyio.Event()
        self.fault: Exception | None = None


class Stage:
    """The world that outlives every process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.policy = POLICY
        self.now = 1_000_000
        self.store = MemoryStore()
        self.commands: list[tuple[Command | GuildCommand, str]] = []
        self.sandboxes: dict[str, Sandbox] = {}
        self.grew: dict[str, anyio.Event] = {}
        self.executed: Counter[str] = Counter()
        self.texts: Counter[bytes] = Counter()
        self.wrongly_stopped: list[str] = []
        self.shown: dict[str, dict[str, int]] = {}
        self.processes: list[Process] = []
        self.defects: list[Exception] = []
        self.gone: set[str] = set()
        """Who left the server, and does not come back."""
        self.hesitates: Callable[[], int] = lambda: 0
        """How many turns of the event loop pass between a decision on a role and its append."""

    # --- what sandboxes see ------------------------------------------------------------------------------------------

    def grown(self, reservation: str) -> None:
        self.grew.setdefault(reservation, anyio.Event()).set()
        self.grew[reservation] = anyio.Event()

    def events(self, session: str) -> list[e.Event]:
        return [recorded.event for recorded in self.store.streams.get(f"session:{session}", [])]

    def state(self, session: str) -> Session:
        return fold(self.store.streams.get(f"session:{session}", []), Session())

    def sandbox(self, reservation: str, epoch: int) -> Sandbox:
        """Raises what a supervisor would."""
        sandbox = self.sandboxes.get(reservation)
        if sandbox is None or not sandbox.alive:
            raise SandboxGone("gone")
        if epoch < sandbox.claimed:
            raise Fenced(reservation)
        if epoch > sandbox.claimed:
            raise TryAgain("claim first")
        return sandbox

    async def found(self) -> None:
        """The server has its members."""
        log = MemoryEventLog(self.store)
        await install_owners(log, "g", (OWNER,), at=0)
        given = Draft(event=e.RoleGiven(person=STARTER, role=Role.USER, by=OWNER), at=0, actor="test")
        await log.append(Append(writes=(Write(stream=guild.stream("g"), expected=None, drafts=(given,)),)))
        log.close()

    # --- people ------------------------------------------------------------------------------------------------------

    async def say(self, process: "Process", session: str, command: Command | GuildCommand, by: str) -> None:
        """Somebody's command to a session, or with "" to the server, as the ingress records it."""
        self.commands.append((command, by))
        number = len(self.commands)
        target = f"session:{session}" if session else guild.stream("g")
        received = e.Received(
            what="command",
            discord_id=f"i{number}",
            session=session,
            by=by,
            locale="ja",
            guild="g",
            channel="c",
            raw=box(str(number - 1)),
        )
        draft = Draft(event=received, at=self.now, actor=f"person:{by}", key=f"i{number}", to=target)
        await process.log.append(Append(writes=(Write(stream="inbox:1", expected=None, drafts=(draft,)),)))

    # --- what must always hold ---------------------------------------------------------------------------------------

    def check(self) -> None:
        assert not self.defects, self.defects
        for process in self.processes:
            process.check()
        alive = {sandbox.reservation for sandbox in self.sandboxes.values() if sandbox.alive}
        check_slots([recorded.event for recorded in self.store.streams.get(slots.STREAM, [])], alive, self.limit)
        outcomes = Counter[int]()
        for stream in list(self.store.streams):
            if stream.startswith("session:"):
                check_journal(self.events(stream.removeprefix("session:")))
                outcomes.update({recorded.cause for recorded in self.store.streams[stream] if recorded.cause})
        assert all(count == 1 for count in outcomes.values())
        assert all(count == 1 for count in self.executed.values()), self.executed
        assert not self.wrongly_stopped

    @property
    def server(self) -> Guild:
        return guild.fold(self.store.streams.get(guild.stream("g"), []), Guild())

    @property
    def sessions(self) -> list[str]:
        return [stream.removeprefix("session:") for stream in self.store.streams if stream.startswith("session:")]

    @property
    def unanswered(self) -> int:
        return sum(position > 0 for _, position in self.store.facts.work)


class _Log(MemoryEventLog):
    """One whose appends may be overtaken by others' after they were decided."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.store)
        self._stage = stage

    async def append(self, append: Append) -> Sequence[Recorded]:
        for _ in range(self._stage.hesitates() if append.versions else 0):
            await anyio.lowlevel.checkpoint()
        return await super().append(append)


class Process:
    """One process: its log, its supervisor of actors, and the calls it has under way."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.log = _Log(stage)
        self.points: list[Point] = []
        self.acted: list[tuple[str, int]] = []
        world = World(
            log=self.log,
            translator=_Translator(stage),
            performer=Performer(_Chat(self), _Agent(self), _Keeper()),
            now=lambda: stage.now,
            failed=self._failed,
        )
        self.supervisor = Supervisor(world, policy=stage.policy, limit=stage.limit)
        self.alive = True

    def _failed(self, target: str, what: str, error: Exception) -> None:
        if not isinstance(error, TryAgain | Fenced):
            error.add_note(f"{target}: {what}")
            self.stage.defects.append(error)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator["Process"]:
        self.stage.processes.append(self)
        try:
            async with self.supervisor.run():
                yield self
        finally:
            self.alive = False
            self.log.close()
            self.stage.processes.remove(self)

    async def stop_here(self) -> None:
        """A call stops here until it is let go on, or made to fail."""
        point = Point()
        self.points.append(point)
        try:
            await point.gone_on.wait()
        finally:
            if point in self.points:
                self.points.remove(point)
        if point.fault:
            raise point.fault

    def go_on(self, point: Point, fault: Exception | None = None) -> None:
        self.points.remove(point)
        point.fault = fault
        point.gone_on.set()

    def look(self) -> None:
        """Time has passed, or something was appended elsewhere."""
        self.supervisor._woken.set()  # pyright: ignore[reportPrivateUsage] - its clock is ours

    @property
    def busy(self) -> bool:
        return any(not actor.idle for actor in self.supervisor.actors.values())

    def check(self) -> None:
        for target, actor in self.supervisor.actors.items():
            recorded = self.stage.store.streams.get(target, [])[: actor.state.version]
            folded = fold(recorded, Session()) if target.startswith("session:") else guild.fold(recorded, Guild())
            assert actor.state == folded


class _Translator:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def translate(self, received: Recorded) -> tuple[Command | GuildCommand, Context]:
        await anyio.lowlevel.checkpoint()
        event = received.event
        assert isinstance(event, e.Received)
        command, by = self._stage.commands[int(unbox(event.raw))]
        return command, Context(at=received.at, by=by, locale=event.locale, cause=received.position)


class _Keeper:
    """Nobody needs it here: Discord takes all files."""

    async def keep(self, session: Session, files: Sequence[File]) -> int:
        raise NotImplementedError


class _Chat:
    """Discord, with a nonce on every message."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._shown = process.stage.shown

    async def post_starter(self, session: Session) -> str:
        await self._process.stop_here()
        await self._process.stop_here()
        return f"starter-{session.id}"

    async def open_thread(self, session: Session) -> str:
        await self._process.stop_here()
        await self._process.stop_here()
        return f"thread-{session.id}"

    async def show(self, context: EffectContext) -> None:
        shown = self._shown.setdefault(context.session.id, {})
        while True:
            session = context.session
            card = next((card for card in session.cards if card.stale or card.gone), None)
            if card is None:
                if session.turn is None:
                    return
                await context.changed()
                continue
            await self._process.stop_here()
            if card.gone:
                for key in [key for key in shown if key.startswith(f"{card.part}/")]:
                    del shown[key]
                await self._process.stop_here()
                await context.report(e.PartCleared(part=card.part))
                continue
            pages = 1 + len(getattr(card, "facts", ())) // 4
            for index in range(pages):
                message = f"{card.part}/{index}"
                shown[message] = card.rev
                await self._process.stop_here()
                rev = card.rev if index == pages - 1 else 0
                await context.report(e.MessageShown(part=card.part, index=index, message=message, rev=rev))

    async def tell(self, session: Session, reply: Reply, usage: Usage | None = None) -> bool:
        await self._process.stop_here()
        return bool(reply.to % 5)

    async def answer(self, guild: Guild, reply: Reply) -> bool:
        await self._process.stop_here()
        return bool(reply.to % 5)

    async def is_here(self, guild: str, person: str) -> bool:
        await self._process.stop_here()
        return person not in self._process.stage.gone

    async def notify(self, guild: Guild, notice: Notice) -> str:
        await self._process.stop_here()
        await self._process.stop_here()
        return f"m-{notice.part}"

    async def hand_over(self, session: Session, files: Sequence[File]) -> str:
        await self._process.stop_here()
        return "posted"


class _Agent:
    """Sandboxes, and Claude Code in them."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._stage = process.stage

    async def attach(self, reservation: str, context: EffectContext) -> None:
        stage = self._stage
        await self._process.stop_here()
        with anyio.CancelScope(shield=True):  # a request to create a pod is not taken back by hanging up
            await self._process.stop_here()
            session = context.session.id
            if stage.store.facts.epochs[f"session:{session}"] != context.epoch:
                raise Fenced(reservation)  # what a deposed process creates is reaped (P5), which is not played here
            if reservation not in stage.sandboxes:
                stage.sandboxes[reservation] = Sandbox(reservation, session, stage)
        sandbox = stage.sandboxes[reservation]
        if not sandbox.alive:
            raise SandboxGone("gone")
        if context.epoch < sandbox.claimed:
            raise Fenced(reservation)
        sandbox.claimed = context.epoch
        await self._process.stop_here()
        if not context.session.ready:
            await context.report(e.SandboxReady(reservation=reservation))
        epoch, start = context.session.journal_epoch, context.session.journal_offset
        while True:
            grew = stage.grew.setdefault(reservation, anyio.Event())
            line = stage.sandbox(reservation, context.epoch).next_line(epoch, start)
            if line is None:
                await grew.wait()
                continue
            await self._process.stop_here()
            if line.epoch != epoch:
                epoch, start = line.epoch, 0
            await context.report(e.JournalRead(epoch=epoch, start=start, end=line.end, facts=line.facts))
            start = line.end

    async def restart(self, reservation: str, context: EffectContext) -> None:
        await self._process.stop_here()
        self._stage.sandbox(reservation, context.epoch).restart()
        await self._process.stop_here()

    async def deliver(self, reservation: str, item: str, context: EffectContext) -> None:
        await self._process.stop_here()
        session = context.session
        kind, _, name = item.partition(":")
        text = session.sent.text if kind == "prompt" and session.sent and session.sent.prompt == name else b""
        sandbox = self._stage.sandbox(reservation, context.epoch)
        if text or kind == "stop" or session.ask(name):
            cli = (session.journal_epoch, session.cli)
            sandbox.take(cli, f"{item}-{session.cli_lives}", item, text)
        await self._process.stop_here()

    async def usage(self, reservation: str) -> Usage | None:
        await self._process.stop_here()
        return None

    async def collect(self, reservation: str, context: EffectContext) -> Sequence[File]:
        await self._process.stop_here()
        self._stage.sandbox(reservation, context.epoch)
        return [File(name="patch", data=b"")]

    async def delete(self, reservation: str) -> None:
        await self._process.stop_here()
        if reservation in self._stage.sandboxes:
            self._stage.sandboxes[reservation].alive = False
        await self._process.stop_here()


class Theatre:
    """Runs processes on a stage: starts them, kills them, and lets everything come to rest."""

    def __init__(self, stage: Stage, tasks: TaskGroup) -> None:
        self.stage = stage
        self._tasks = tasks
        self._scopes: dict[Process, anyio.CancelScope] = {}

    async def start(self) -> Process:
        process = Process(self.stage)
        await self._tasks.start(self._run, process)
        return process

    async def _run(self, process: Process, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[process] = scope
            async with process.run():
                task_status.started()
                await anyio.sleep_forever()

    async def kill(self, process: Process) -> None:
        """What it had under way may still arrive, or never: what was shielded does."""
        self._scopes.pop(process).cancel()
        while process.alive:
            for point in list(process.points):
                process.go_on(point)
            await anyio.lowlevel.checkpoint()

    async def end(self) -> None:
        for process in list(self._scopes):
            await self.kill(process)

    async def rest(self) -> None:
        """A few turns of the event loop."""
        for _ in range(12):
            await anyio.lowlevel.checkpoint()

    async def settle(self, *, limit: int = 6000) -> None:
        """Everything that can be done is done, without new faults; what waits for people stays."""
        quiet = 0
        for _ in range(limit):
            await self.rest()
            if self._go_on_once():
                quiet = 0
            elif not any(process.busy for process in self.stage.processes):
                quiet += 1
                self.stage.now = max(self.stage.now + 1, self._next_retry() or 0)
                if quiet > 3:
                    return
                for process in self.stage.processes:
                    process.look()
        raise AssertionError("still busy")

    def _go_on_once(self) -> bool:
        for process in self.stage.processes:
            if process.points:
                process.go_on(process.points[0])
                return True
        return any(sandbox.work_on() for sandbox in self.stage.sandboxes.values() if sandbox.alive)

    def _next_retry(self) -> int | None:
        sessions = [wanted for session in self.stage.sessions for wanted in todo(self.stage.state(session))]
        wanted = [*sessions, *guild.todo(self.stage.server)]
        return min((one.since for one in wanted if one.since > self.stage.now), default=None)
