"""A place for the bot to live in, on real parts: the local Discord, a process of its own, and a database."""

import base64
import os
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from adapters.local.discord import shapes
from adapters.local.discord.people import Json, Person, open_people
from adapters.local.discord.store import Store
from adapters.local.services import Service
from adapters.sealing import MasterKey
from tests.load.figures import Bench


class Installation:
    """`environment`: what a bot is told. `alice`: a person in `channel`. Threads of that channel are there from the start."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.folder = folder
        self.key_file = folder / "key"
        self.sandboxes = folder / "sandboxes"
        self.environment: dict[str, str] = {}
        self.alice: Person
        self.channel = ""

    def prepare(self) -> None:
        """The keys, and a folder for sandboxes."""
        self.sandboxes.mkdir()
        MasterKey.create(self.key_file)
        (self.folder / "secret").write_bytes(base64.b64encode(os.urandom(32)))

    def open_threads(self, count: int) -> Sequence[str]:
        """Before Discord starts: threads in its one channel, opened by the bot; their ids."""
        store = Store(self.folder / "discord")
        world = store.world
        threads = [shapes.snowflake() for _ in range(count)]
        for thread in threads:
            made = shapes.thread(thread, world["guild"], world["general"], world["application"], {})
            store.put("channel", thread, made)
        store.close()
        return threads

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Installation"]:
        """Discord runs, and Alice is there."""
        arguments = ["-m", "adapters.local.discord", "--state", str(self.folder / "discord")]
        service = Service("discord", self.folder / "discord", arguments, {})
        info = await service.start()
        try:
            async with open_people(info) as people:
                self.alice, self.channel = people["alice"], str(info["channel_id"])
                self.environment = _environment(self, info)
                yield self
        finally:
            await service.end()

    @asynccontextmanager
    async def bot(self, script: str, environment: dict[str, str]) -> AsyncGenerator[None]:
        """A bot in a process of its own: a script of this folder that runs it."""
        script = str(Path(__file__).with_name(script))
        service = Service("bot", self.folder / "bot", [script], self.environment | environment)
        await service.start()
        try:
            yield
        finally:
            await service.end()


@asynccontextmanager
async def installation(bench: Bench) -> AsyncGenerator[Installation]:
    """One of its own, with a fresh log."""
    dsn = await bench.server.create()
    try:
        with tempfile.TemporaryDirectory(prefix="discord-claude-bench-") as folder:
            made = Installation(dsn, Path(folder))
            made.prepare()
            yield made
    finally:
        await bench.server.drop(dsn)


def _environment(made: Installation, info: Json) -> dict[str, str]:
    parts = urlsplit(made.dsn)
    query = dict(parse_qsl(parts.query))
    return {
        "DISCORD_TOKEN": info["token"],
        "DISCORD_API_URL": info["rest_url"],
        "DISCORD_GUILD_ID": info["guild_id"],
        "OWNER_IDS": info["people"]["alice"],
        "DB_HOST": query.get("host", parts.hostname or "localhost"),
        "DB_PORT": query.get("port", str(parts.port or 5432)),
        "DB_USER": parts.username or "postgres",
        "DB_PASSWORD": parts.password or "",
        "DB_NAME": parts.path.removeprefix("/"),
        "LOG_KEY_FILE": str(made.key_file),
        "GATEWAY_URL": "http://127.0.0.1:1",
        "GATEWAY_SECRET_FILE": str(made.folder / "secret"),
        "SANDBOX_DIR": str(made.sandboxes),
        "LOG_LEVEL": "error",
    }
