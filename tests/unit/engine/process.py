"""A process with real actors over the log in memory; only Discord, sandboxes and the clock do as a test says."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine.commands import (
    Close,
    Command,
    Context,
    DecideAccess,
    GuildCommand,
    ListMembers,
    Policy,
    Start,
    Submit,
    Text,
)
from engine.effects import Performer
from engine.guild import Guild, Notice
from engine.guild_actor import install_owners
from engine.ports import EffectContext, File, Usage
from engine.session import Reply, Session
from engine.supervisor import Supervisor, Urgent, World
from schema import events as e
from schema import facts as f
from schema.envelope import Append, Draft, Recorded, Write
from schema.sealed import FORMAT, HEADER, Sealed
from tests.unit.engine.given import STARTER

Plan = Exception | anyio.Event | None


def box(content: str) -> Sealed:
    return Sealed(bytes([FORMAT]).ljust(HEADER, b"\0") + content.encode())


async def until(condition: Callable[[], object]) -> None:
    """Wait for what other tasks do."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def rest() -> None:
    """Let other tasks do what they can do now, for what must *not* happen."""
    for _ in range(100):
        await anyio.lowlevel.checkpoint()


class Ports:
    """Discord and sandboxes: every call is counted, and does what is planned for it: fail, hang until an event, or work."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.plans: dict[str, list[Plan]] = {}
        self.journal: dict[str, list[f.Fact]] = {}
        self.contexts: dict[str, EffectContext] = {}
        self.files: Sequence[File] = ()
        self.how = "posted"
        self.room = 9
        self.gone: set[str] = set()
        """Who is not in the server."""

    def plan(self, call: str, *plans: Plan) -> None:
        """What the next calls do, in order; later ones work."""
        self.plans.setdefault(call, []).extend(plans)

    async def _call(self, name: str, context: EffectContext | None = None) -> None:
        self.calls.append(name)
        if context:
            self.contexts[name] = context
        await anyio.lowlevel.checkpoint()
        planned = self.plans.get(name)
        plan = planned.pop(0) if planned else None
        if isinstance(plan, Exception):
            raise plan
        if plan is not None:
            await plan.wait()

    # --- engine.ports.Chat -------------------------------------------------------------------------------------------

    async def post_starter(self, session: Session) -> str:
        await self._call("starter")
        return f"m-{session.id}"

    async def open_thread(self, session: Session) -> str:
        await self._call("thread")
        return f"t-{session.id}"

    async def answer(self, guild: Guild, reply: Reply) -> bool:
        await self._call(f"answer {reply.what}")
        return True

    async def notify(self, guild: Guild, notice: Notice) -> str:
        await self._call(f"notify {notice.part}")
        return f"m-{notice.part}"

    async def is_here(self, guild: str, person: str) -> bool:
        await self._call(f"find {person}")
        return person not in self.gone

    async def show(self, context: EffectContext) -> None:
        await self._call("show", context)
        while True:
            card = next((one for one in context.session.cards if one.stale or one.gone), None)
            if card and card.gone:
                await context.report(e.PartCleared(part=card.part))
            elif card:
                await context.report(e.MessageShown(part=card.part, index=0, message="m", rev=card.rev))
            elif context.session.turn:
                await context.changed()
            else:
                return

    async def tell(self, session: Session, reply: Reply, usage: Usage | None = None) -> bool:
        await self._call(f"tell {reply.what}" + (f" with disk {usage.disk}" if usage else ""))
        return True

    async def hand_over(self, session: Session, files: Sequence[File]) -> str:
        await self._call("post files")
        return self.how

    # --- engine.ports.Keeper -----------------------------------------------------------------------------------------

    async def keep(self, session: Session, files: Sequence[File]) -> int:
        await self._call(f"keep {len(files)}")
        return min(self.room, len(files))

    # --- engine.ports.Agent ------------------------------------------------------------------------------------------

    async def attach(self, reservation: str, context: EffectContext) -> None:
        await self._call("attach", context)
        if not context.session.ready:
            await context.report(e.SandboxReady(reservation=reservation))
        facts = self.journal.setdefault(reservation, [f.CliStarted()])
        while True:
            start = context.session.journal_offset
            if start < len(facts):
                piece = e.JournalRead(epoch=1, start=start, end=start + 1, facts=(facts[start],))
                await context.report(piece)
            else:
                await anyio.lowlevel.checkpoint()

    async def restart(self, reservation: str, context: EffectContext) -> None:
        await self._call("restart", context)

    async def deliver(self, reservation: str, item: str, context: EffectContext) -> None:
        await self._call(f"deliver {item}", context)

    async def usage(self, reservation: str) -> Usage | None:
        return Usage(disk=7)

    async def collect(self, reservation: str, context: EffectContext) -> Sequence[File]:
        await self._call("collect", context)
        return self.files

    async def delete(self, reservation: str) -> None:
        await self._call("delete")


class Process:
    """`now` is its clock, `errors` what operators were told, `commands` what people said, by number."""

    def __init__(
        self, store: MemoryStore | None = None, log: MemoryEventLog | None = None, urgent: Urgent | None = None
    ) -> None:
        self.store = store or MemoryStore()
        self.log = log or MemoryEventLog(self.store)
        self.ports = Ports()
        self.now = 1_000_000
        self.errors: list[tuple[str, str, Exception]] = []
        self.policy = Policy()
        self.plans: list[Exception] = []
        self.spent = 0
        world = World(
            log=self.log,
            translator=self,
            performer=Performer(self.ports, self.ports, self.ports),
            now=lambda: self.now,
            failed=lambda target, what, error: self.errors.append((target, what, error)),
            urgent=urgent,
            spent=self._spent,
        )
        self.supervisor = Supervisor(world, policy=self.policy, limit=1)

    async def _spent(self, person: str, now: int) -> int:
        assert (person, now) == (STARTER, self.now)
        await anyio.lowlevel.checkpoint()
        return self.spent

    @asynccontextmanager
    async def run(self) -> AsyncGenerator["Process"]:
        await install_owners(self.log, "g", (STARTER,), at=self.now)
        async with self.supervisor.run():
            yield self
        self.log.close()

    async def translate(self, received: Recorded) -> tuple[Command | GuildCommand, Context]:
        """`engine.ports.Translator`. What was said stands in the raw payload."""
        await anyio.lowlevel.checkpoint()
        if self.plans:
            raise self.plans.pop(0)
        assert isinstance(received.event, e.Received)
        said = received.event.raw[HEADER:].decode()
        context = Context(at=self.now, by=STARTER, cause=received.position)
        match said.split():
            case ["start"]:
                return Start(guild="g", channel="c"), context
            case ["close"]:
                return Close(), context
            case ["members"]:
                return ListMembers(), context
            case ["approve", request]:
                return DecideAccess(request=request, choice="approved"), context
            case _:
                return Submit(prompt=said, text=Text(sealed=box(said), size=len(said))), context

    async def say(self, said: str, session: str = "s", *, to: str = "") -> None:
        """`start`, `close`, `members`, `approve REQUEST` or the id of a prompt; to another target than the session."""
        received = e.Received(
            what="command",
            discord_id=said,
            session=session,
            by=STARTER,
            locale="ja",
            guild="g",
            channel="c",
            raw=box(said),
        )
        draft = Draft(event=received, at=self.now, actor=f"person:{STARTER}", to=to or f"session:{session}")
        await self.log.append(Append(writes=(Write(stream="inbox:1", expected=None, drafts=(draft,)),)))

    def events(self, kind: type[e.Event], session: str = "s") -> list[e.Event]:
        """The events of that kind in a session's stream."""
        recorded = self.store.streams.get(f"session:{session}", [])
        return [one.event for one in recorded if isinstance(one.event, kind)]

    def tick(self, microseconds: int) -> None:
        """Time passes."""
        self.now += microseconds
        self.supervisor._woken.set()  # pyright: ignore[reportPrivateUsage] - its clock is ours

    async def ready(self) -> None:
        """A session whose Claude waits for prompts."""
        await self.say("start")
        await until(lambda: self.events(e.JournalRead))
