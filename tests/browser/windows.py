"""Windows on the page in a real Chromium, and the two things that may stand behind it: a local Discord alone, or everything.

Nothing may go wrong in a window: an error in its scripts or a breach of its policy fails the test that opened it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import hikari
import psutil
from playwright.async_api import Browser, ConsoleMessage, Page, Playwright

Json = dict[str, Any]
WIDE, NARROW = (1280, 800), (360, 740)
SECONDS = 60_000.0
"""How long anything on the page may take, in ms: the machine may be busy."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
NO_CHROMIUM = "no Chromium on this machine: install one (Debian: apt-get install chromium), or name it in CHROMIUM"


def find_chromium() -> str | None:
    """The one that CHROMIUM names, the first on the path, or that of a Mac."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for one in (*_NAMES, *_APPLICATIONS) if (found := shutil.which(one))), None)


async def launch(playwright: Playwright, path: str, *more: str) -> Browser:
    """Headless; without the sandbox that a container does not allow (what it is shown is our own)."""
    return await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *more])


async def devtools(page: Page) -> Any:
    """Chromium's own protocol for this window: what no script of a page may do."""
    return await page.context.new_cdp_session(page)


class Windows:
    """Opens the page as somebody. `wrong`: what went wrong in any of them."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self.address = address
        self.wrong: list[str] = []

    async def open(
        self, person: str = "alice", size: tuple[int, int] = WIDE, scheme: Any = "dark", *, where: str = "", **more: Any
    ) -> Page:
        """A window of its own. `where`: what stands behind the # of the address."""
        context = await self._browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce", **more
        )
        context.set_default_timeout(SECONDS)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(f"{person}: {error}"))
        page.on("console", lambda message: self._hear(person, message))
        await page.goto(f"{self.address}&as={person}{where}")
        return page

    def _hear(self, person: str, message: ConsoleMessage) -> None:
        # a line that is cut, and a request that is refused, are what some tests are about
        expected = ("WebSocket", "Failed to load resource")
        if message.type == "error" and not any(words in message.text for words in expected):
            self.wrong.append(f"{person}: {message.text}")

    async def close(self) -> None:
        for context in list(self._browser.contexts):
            await context.close()


@asynccontextmanager
async def windows(browser: Browser, address: str) -> AsyncGenerator[Windows]:
    """Windows that are closed in the end. Fails when anything went wrong in one."""
    opened = Windows(browser, address)
    try:
        yield opened
        assert not opened.wrong
    finally:
        await opened.close()


# --- only the local Discord ------------------------------------------------------------------------------------------


class Discord:
    """The local Discord in a process of its own. `bot` calls it as a bot does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.info: Json = {}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        port = str(self.info.get("port", 0))
        command = [sys.executable, "-m", "adapters.local.discord", "--state", str(self._folder), "--port", port]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.info = json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """As a crash would."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    async def bot(self, method: str, path: str, body: Any = None) -> Any:
        """A request of the bot; what came back. Fails when it was refused."""
        headers = {"Authorization": f"Bot {self.info['token']}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, self.info["rest_url"] + path, json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json(content_type=None) if answer.status != 204 else None

    async def post(self, content: str = "", **body: Any) -> Json:
        """A message of the bot in the channel that opens first."""
        return dict(
            await self.bot("POST", f"/channels/{self.info['channel_id']}/messages", {"content": content} | body)
        )

    async def edit(self, message: Json, **body: Any) -> None:
        await self.bot("PATCH", f"/channels/{message['channel_id']}/messages/{message['id']}", body)

    async def register(self, *commands: Json) -> None:
        """The bot's slash commands."""
        path = f"/applications/{self.info['application_id']}/guilds/{self.info['guild_id']}/commands"
        await self.bot("PUT", path, list(commands))

    async def act(self, person: str, action: str, body: Json, **headers: str) -> tuple[int, Json]:
        """What a page asks for; its status and answer."""
        address = f"http://127.0.0.1:{self.info['port']}/people/v1/{person}/{action}"
        token = {"X-Page-Token": self.info["page"].partition("token=")[2]}
        async with aiohttp.ClientSession() as http, http.post(address, json=body, headers=token | headers) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status != 403 else {}


Answer = Callable[[Json], Awaitable[Json | None]]
"""What a bot answers to an interaction, as it stands in Discord's documentation; None: nothing."""


@asynccontextmanager
async def answering(discord: Discord, answer: Answer) -> AsyncGenerator[list[Json]]:
    """A bot that is only hikari, and answers. Yields the interactions that it got."""
    bot = hikari.GatewayBot(
        token=discord.info["token"],
        banner=None,
        suppress_optimization_warning=True,
        rest_url=discord.info["rest_url"],
        logs=None,
        intents=hikari.Intents.GUILDS,
    )
    got: list[Json] = []

    async def take(event: hikari.ShardPayloadEvent) -> None:
        if event.name == "INTERACTION_CREATE":
            asked = dict(event.payload)
            got.append(asked)
            if made := await answer(asked):
                await discord.bot("POST", f"/interactions/{asked['id']}/{asked['token']}/callback", made)

    bot.subscribe(hikari.ShardPayloadEvent, take)
    await bot.start(check_for_updates=False)
    try:
        yield got
    finally:
        await bot.close()


# --- the whole playground --------------------------------------------------------------------------------------------


class Everything:
    """A playground as somebody starts it at a terminal."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "adapters.cli", "playground", "--folder", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.page = ""
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.search(r"open (http\S+)", line):
                self.page = found[1]
            if "bot: process" in line:
                break
        assert self.page

    def kill(self, part: str) -> None:
        """End one of its processes as a crash would; it is started again."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if part in " ".join(child.cmdline()) and "watchdog" not in child.cmdline():
                child.kill()
                return
        raise LookupError(part)

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)
