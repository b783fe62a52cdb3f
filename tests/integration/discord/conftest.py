"""The unmodified bot against the local Discord, with the log in memory; and, where a test wants one, a whole engine.

Only Claude is not there: an `Actor`'s agent plays what the test tells it to.
"""

import json
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from adapters.discord.bot import Connection, open_discord
from adapters.discord.options import Options
from adapters.local.discord.people import Person, buttons, open_people
from adapters.local.event_log import MemoryEventLog, MemoryStore
from adapters.parsers import Secret
from adapters.sealing import Cipher, new_key, open_text, seal_text
from engine.commands import Policy
from engine.effects import Performer
from engine.guild import Guild, fold
from engine.guild_actor import install_owners
from engine.ports import EffectContext, File, TryAgain, Usage
from engine.session import Session
from engine.supervisor import Supervisor, World
from schema import events as e
from schema import facts as f
from schema.envelope import Append, Draft, Recorded, Write
from schema.sealed import Sealed, key_id
from tests.integration.local_discord.conftest import Process

Json = dict[str, Any]
People = dict[str, Person]


def now() -> int:
    return time.time_ns() // 1000


async def until(holds: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Look again until `holds()` gives something, where nothing tells of a change."""
    with anyio.move_on_after(seconds):
        while not (found := holds()):  # noqa: ASYNC110 - a file and other processes set no event
            await anyio.sleep(0.01)
        return found
    raise TimeoutError(f"{what} did not happen in {seconds} s")


class Keyring:
    """Real boxes; the keys live as long as the test."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._ciphers: list[Cipher] = []

    async def prepare(self, scope: str, person: str) -> int:
        if (scope, person) not in self._ids:
            self._ids[scope, person] = len(self._ciphers)
            self._ciphers.append(Cipher(new_key()))
        return self._ids[scope, person]

    def seal(self, key: int, text: str) -> Sealed:
        return seal_text(self._ciphers[key], key, text)

    async def open(self, box: Sealed) -> str | None:
        return open_text(self._ciphers[key_id(box)], box)


class Tokens:
    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def put(self, interaction: str, token: str) -> None:
        self.kept[interaction] = token

    async def get(self, interaction: str) -> str | None:
        return self.kept.get(interaction)


class Log(MemoryEventLog):
    """The log in memory, which a test can take away (`away`), or hold up (`held`)."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.away = False
        self.held: anyio.Event | None = None
        self.holds: Callable[[Append], bool] = lambda _: True
        self.reached = anyio.Event()
        self.changed = anyio.Event()
        self.events: list[Recorded] = []

    async def append(self, append: Append) -> Sequence[Recorded]:
        if self.held and self.holds(append):
            self.reached.set()
            await self.held.wait()
        if self.away:
            raise TryAgain("the database is away")
        recorded = await super().append(append)
        self.events += recorded
        self.changed.set()
        self.changed = anyio.Event()
        return recorded

    def of(self, kind: type[e.Event], what: str = "") -> list[Any]:
        """Events of a kind, in order; of inbox events those of one sort."""
        found = [one.event for one in self.events if isinstance(one.event, kind)]
        return [one for one in found if not what or getattr(one, "what", what) == what]

    async def wait(self, holds: Callable[[], Any], seconds: float = 20) -> Any:
        with anyio.fail_after(seconds):
            while not (found := holds()):
                await self.changed.wait()
        return found


class Keeper:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def keep(self, session: Session, files: Sequence[File]) -> int:
        self.kept |= {file.name: file.data for file in files}
        return len(files)


class Agent:
    """`play` says what happens in the sandbox, once it is there."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.play: Callable[[Claude], Awaitable[None]] | None = None
        self.files: list[File] = []
        self.delivered: list[str] = []
        self.used: Usage | None = None

    async def attach(self, reservation: str, context: EffectContext) -> None:
        if self.play:
            await context.report(e.SandboxReady(reservation=reservation))
            claude = Claude(context, self.keyring)
            await claude.read(f.CliStarted())
            await self.play(claude)
        await anyio.sleep_forever()

    async def restart(self, reservation: str, context: EffectContext) -> None:
        pass

    async def deliver(self, reservation: str, item: str, context: EffectContext) -> None:
        self.delivered.append(item)

    async def usage(self, reservation: str) -> Usage | None:
        return self.used

    async def collect(self, reservation: str, context: EffectContext) -> Sequence[File]:
        return self.files

    async def delete(self, reservation: str) -> None:
        pass


class Claude:
    """Writes the journal of one sandbox, in the words of its facts."""

    def __init__(self, context: EffectContext, keyring: Keyring) -> None:
        self.context = context
        self._keyring = keyring
        self._at = 0

    async def box(self, text: str) -> Sealed:
        session = self.context.session
        return self._keyring.seal(await self._keyring.prepare(f"session:{session.id}", session.starter), text)

    async def read(self, *facts: f.Fact) -> None:
        read = e.JournalRead(epoch=1, start=self._at, end=self._at + 10, facts=facts)
        self._at += 10
        await self.context.report(read)

    async def next_prompt(self) -> None:
        """Take up the next prompt."""
        while not self.context.session.sent:
            await self.context.changed()
        await self.read(f.PromptStarted(prompt=self.context.session.sent.prompt))

    async def say(self, text: str) -> None:
        await self.read(f.Said(text=await self.box(text)))

    async def ask(self, command: str) -> str:
        """Wait for a permission; returns what was decided."""
        question = await self.box(json.dumps({"tool": "Bash", "shown": command}))
        asked = f.PermissionAsked(request="r1", tool="t", name="Bash", question=question, always=True)
        await self.read(asked)
        while not (choice := next((ask.choice for ask in self.context.session.asks), "")):
            await self.context.changed()
        await self.read(f.PermissionTaken(request="r1"))
        return choice

    async def end(self) -> None:
        """The turn is over."""
        await self.read(f.TurnFinished(prompts=(), error=False, reason="completed"), f.StateChanged(state="idle"))


class Bot:
    """One life of the bot."""

    def __init__(self, connection: Connection, engine: Supervisor | None, log: Log, agent: Agent) -> None:
        self.connection = connection
        self.engine = engine
        self.log = log
        self.agent = agent


class Installation:
    """What outlives a bot: the log, the keys, the tokens, what happens in sandboxes."""

    def __init__(self, discord: Process) -> None:
        self.discord = discord
        self.store = MemoryStore()
        self.keyring = Keyring()
        self.tokens = Tokens()
        self.agent = Agent(self.keyring)
        self.keeper = Keeper()
        self.failures: list[tuple[str, str, Exception]] = []
        self.owner_channels: tuple[str, ...] = ()
        self.limit = 100
        self.policy = Policy()
        self.ahead = 0
        """How far (µs) the clock of the next bot is ahead of ours."""

    @asynccontextmanager
    async def bot(
        self, *, engine: bool = False, log: Log | None = None, owners: tuple[str, ...] = ("alice",)
    ) -> AsyncGenerator[Bot]:
        info = self.discord.info
        named = tuple(info["people"][name] for name in owners)
        log = log or Log(self.store)
        options = Options(
            token=Secret(info["token"]),
            guilds=frozenset({info["guild_id"]}),
            incarnation=uuid.uuid4().hex,
            now=lambda: now() + self.ahead,
            owners=named,
            owner_channels=self.owner_channels,
            api_url=info["rest_url"],
        )
        members = f"guild:{info['guild_id']}"
        if named and not await log.read_stream(members):  # bob is a user, carol a stranger
            await install_owners(log, info["guild_id"], named, at=now())
            if "bob" not in owners:
                bob = e.RoleGiven(person=info["people"]["bob"], role="user", by=named[0])
                await self.append(log, members, bob)
        async with open_discord(options, log, self.keyring, self.tokens) as connection:
            await connection.listen()
            if not engine:
                yield Bot(connection, None, log, self.agent)
            else:
                async with self._engine(connection, log).run() as running:
                    yield Bot(connection, running, log, self.agent)
        log.close()

    def _engine(self, connection: Connection, log: Log) -> Supervisor:
        def failed(target: str, what: str, error: Exception) -> None:
            self.failures.append((target, what, error))
            connection.failed(target, what, error)

        world = World(
            log=log,
            translator=connection.translator,
            performer=Performer(connection.chat, self.agent, self.keeper),
            now=lambda: now() + self.ahead,
            failed=failed,
        )
        return Supervisor(world, policy=self.policy, limit=self.limit)

    async def append(self, log: Log, stream: str, event: e.Event) -> None:
        """As another process would."""
        draft = Draft(event=event, at=now(), actor="test")
        other = MemoryEventLog(self.store)
        log.events += await other.append(Append(writes=(Write(stream=stream, expected=None, drafts=(draft,)),)))
        other.close()

    def requests(self, method: str, path: str) -> list[Json]:
        """The bot's requests to paths that contain `path`, in order."""
        return [one for one in self.discord.requests() if one["method"] == method and path in one["path"]]


@pytest.fixture
def installation(discord: Process) -> Installation:
    return Installation(discord)


@pytest.fixture
async def people(discord: Process) -> AsyncGenerator[dict[str, Person]]:
    async with open_people(discord.info) as everybody:
        yield everybody


@pytest.fixture
def general(discord: Process) -> str:
    return str(discord.info["channel_id"])


# --- what tests ask -----------------------------------------------------------------------------------------------------


async def sees(person: Person, channel: str, *words: str) -> Json:
    return await person.wait_message(
        channel, lambda one: all(word in one["content"] for word in words), " … ".join(words)
    )


def labels(message: Json) -> list[str]:
    return [one["label"] for one in buttons(message)]


def person_id(installation: Installation, name: str) -> str:
    return str(installation.discord.info["people"][name])


def guild(installation: Installation) -> Guild:
    return fold(installation.store.streams[f"guild:{installation.discord.info['guild_id']}"], Guild())
