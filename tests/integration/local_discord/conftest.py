"""A local Discord in its own process, one in this process with a clock of the test's, and a bot that is only hikari."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import hikari
import pytest
from aiohttp import web
from hikari.impl import config

from adapters.local.discord.limits import Limits
from adapters.local.discord.rest import PREFIX, Rest
from adapters.local.discord.server import Server
from adapters.local.discord.store import Store

Json = dict[str, Any]


class Process:
    """`python -m adapters.local.discord`, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info: Json = {}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Json:
        port = str(self.info.get("port", 0))
        arguments = ["-m", "adapters.local.discord", "--state", str(self.folder), "--port", port, "--bodies"]
        self._process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.info = json.loads(self._process.stdout.readline())
        return self.info

    def kill(self) -> None:
        """SIGKILL: it gets no chance to tidy up."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def requests(self) -> list[Json]:
        return self._lines("requests.jsonl")

    def calls(self) -> list[Json]:
        """The same with what was sent and answered, but for requests that failed on purpose."""
        return self._lines("bodies.jsonl")

    def _lines(self, name: str) -> list[Json]:
        file = self.folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Time:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Local:
    """The REST side in this process. `call` is the bot's request: status, headers and JSON."""

    def __init__(self, server: Server, base: str, http: aiohttp.ClientSession, time: Time) -> None:
        self.server = server
        self.time = time
        self.general: str = server.store.world["general"]
        self._base = base
        self._http = http

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Json, Any]:
        headers = {"Authorization": f"Bot {self.server.store.world['token']}"}
        async with self._http.request(method, self._base + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, dict(answer.headers), json.loads(text) if text else None


@pytest.fixture
async def local(tmp_path: Path) -> AsyncGenerator[Local]:
    time = Time()
    store = Store(tmp_path / "in-process")
    server = Server(store, time)
    rest = Rest(server, None, Limits(time))
    app = web.Application(middlewares=[rest.middleware])
    app.add_routes(rest.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        yield Local(server, f"http://127.0.0.1:{runner.addresses[0][1]}{PREFIX}", http, time)
    await runner.cleanup()
    server.close()


NewBot = Callable[[Json], AbstractAsyncContextManager[hikari.GatewayBot]]


@pytest.fixture
def new_bot() -> NewBot:
    """`async with new_bot(info) as bot`: hikari as it is installed, started and stopped."""

    @asynccontextmanager
    async def run(info: Json) -> AsyncGenerator[hikari.GatewayBot]:
        bot = hikari.GatewayBot(
            token=info["token"],
            banner=None,
            suppress_optimization_warning=True,
            rest_url=info["rest_url"],
            logs=None,
            intents=hikari.Intents.GUILDS | hikari.Intents.GUILD_MESSAGES | hikari.Intents.MESSAGE_CONTENT,
            http_settings=config.HTTPSettings(force_close_transports=False),
        )
        await bot.start(check_for_updates=False)
        try:
            yield bot
        finally:
            await bot.close()

    return run
