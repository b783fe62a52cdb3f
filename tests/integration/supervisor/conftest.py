"""A host, as the supervisor sees one: it sends, follows from where it was, and starts what was killed.

Stand-ins for the CLI are tiny programs, used only for what the real CLI cannot be made to do.
"""

import importlib.util
import json
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import psutil
import pytest
from aiohttp import web

from adapters.claude import invocation, supervisor
from adapters.claude.channel import JournalLine, SupervisorChannel
from adapters.local.model.server import Model
from adapters.local.sandbox import LocalSandbox
from engine.ports import Fenced, Sandbox, SandboxSpec, TryAgain

RESERVATION = "r-1"
SECONDS = 40


async def wait_until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(SECONDS):
        while not condition():  # noqa: ASYNC110 - see below
            await anyio.sleep(0.01)  # files and processes of others: nothing wakes us


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Reader:
    """Follows a journal as an actor does: again and again, from the last line it has folded."""

    def __init__(self, channel: SupervisorChannel) -> None:
        self.lines: list[JournalLine] = []
        self.links = 0
        self.fenced = False
        self.news = anyio.Event()  # set at the next line; take it before looking at the lines
        self._channel = channel
        self.scope = anyio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            try:
                await self._follow()
            except Fenced:
                self.fenced = True
                self._tell()

    async def _follow(self) -> None:
        while True:
            last = self.lines[-1] if self.lines else JournalLine(0, 0, None)
            self.links += 1
            with suppress(TryAgain):
                async for line in self._channel.follow(last.epoch, last.end):
                    self.lines.append(line)
                    self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = anyio.Event()

    def objects(self, since: int = 0) -> list[dict[str, Any]]:
        """The lines that are JSON."""
        found: list[dict[str, Any]] = []
        for line in self.lines[since:]:
            with suppress(ValueError):
                found.append(json.loads(line.line or b""))
        return found

    async def wait(self, since: int = 0, **fields: object) -> dict[str, Any]:
        """The first line from number `since` on that has these fields."""
        with anyio.fail_after(SECONDS):
            while True:
                news = self.news
                for item in self.objects(since):
                    if all(item.get(name) == value for name, value in fields.items()):
                        return item
                await news.wait()


class Host:
    """One sandbox, its owner's channel and its reader."""

    def __init__(self, local: LocalSandbox, directory: Path, tasks: anyio.abc.TaskGroup) -> None:
        self.local = local
        self.directory = directory / RESERVATION
        self.channel = SupervisorChannel(local, RESERVATION, 1)
        self.reader = Reader(self.channel)
        self.config = b""
        self._tasks = tasks

    async def start(self, config: bytes | None = None, *, through: Sandbox | None = None) -> None:
        """Start, or start again, and claim; the first time, begin to follow (over `through`, if given)."""
        first = not self.config
        self.config = config or self.config
        await self.local.start(SandboxSpec(reservation=RESERVATION, session="1", config=self.config))
        await self.channel.claim()
        if first:
            if through:
                self.channel = SupervisorChannel(through, RESERVATION, 1)
                self.reader = Reader(self.channel)
            self._tasks.start_soon(self.reader.run)

    async def say(self, text: str, item: str = "") -> str:
        """Send a prompt; its id."""
        item = item or str(uuid.uuid4())
        await self.channel.send(item, prompt(text, item))
        return item

    @staticmethod
    def running(command: str) -> str:
        """A prompt that makes Claude run this command, and then say so."""
        steps = [{"tool": "Bash", "input": {"command": command, "description": "a test"}}, {"text": "done"}]
        return f"SCRIPT: {json.dumps(steps)} END"

    @staticmethod
    def telling(text: str) -> str:
        """A prompt that makes Claude say this, slowly."""
        return f"SCRIPT: {json.dumps([{'text': text, 'chunk': 40, 'tick': 0.05}])} END"

    async def kill_supervisor(self) -> None:
        pid = (await self.channel.status()).supervisor
        psutil.Process(pid).kill()
        await wait_until(lambda: not is_running(pid))

    async def reader_caught_up(self) -> None:
        """Until the reader has every line there is, each once and in order."""
        await wait_until(lambda: self.reader.lines == self.journals())

    def journals(self) -> list[JournalLine]:
        """Every whole line of every journal, from the files themselves."""
        found: list[JournalLine] = []
        for path in sorted((self.directory / "state/journal").iterdir()):
            end = 0
            for line in path.read_bytes().splitlines(keepends=True):
                end += len(line)
                if line.endswith(b"\n"):
                    found.append(JournalLine(int(path.stem), end, line[:-1]))
        return found

    def marked(self) -> list[psutil.Process]:
        """The processes of this sandbox that still run."""
        wanted = str(self.directory / "state")
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if (
                    process.environ().get(supervisor.DIR_VARIABLE) == wanted
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found


def prompt(text: str, item: str) -> bytes:
    return json.dumps({"type": "user", "message": {"role": "user", "content": text}, "uuid": item}).encode()


@pytest.fixture(name="prompt")
def prompt_fixture() -> Callable[[str, str], bytes]:
    return prompt


@pytest.fixture(name="is_running")
def is_running_fixture() -> Callable[[int], bool]:
    return is_running


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[[Callable[[], bool]], Any]:
    return wait_until


@pytest.fixture
def make_host(tmp_path: Path) -> Callable[..., Any]:
    """Makes hosts; whatever a test did, nothing of its sandbox runs on."""

    @asynccontextmanager
    async def make(*, directory: Path = tmp_path, contact_timeout: float | None = None) -> AsyncGenerator[Host]:
        local = LocalSandbox(directory, Path(supervisor.__file__), contact_timeout=contact_timeout)
        async with anyio.create_task_group() as tasks:
            host = Host(local, directory, tasks)
            try:
                yield host
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await local.delete(RESERVATION)
                    assert host.marked() == []

    return make


@pytest.fixture
async def host(make_host: Callable[..., Any]) -> AsyncGenerator[Host]:
    async with make_host() as made:
        yield made


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., bytes]:
    """The configuration of a supervisor whose CLI is this Python program."""

    def make(program: str, **settings: object) -> bytes:
        path = tmp_path / f"{uuid.uuid4().hex}.py"
        path.write_text("import json, os, signal, subprocess, sys, time\n" + program)
        config = {"argv": [sys.executable, "-u", str(path)], "env": {"PATH": os.defpath}, "session": str(uuid.uuid4())}
        return json.dumps({**config, "stop_seconds": 2, **settings}).encode()

    return make


class Requests:
    """What the scripted model was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.tokens: set[str] = set()

    def recording(self) -> Any:
        @web.middleware
        async def record(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.path == "/v1/messages":
                self.bodies.append(await request.json())
                self.tokens.add(request.headers.get("Authorization", ""))
            return await handler(request)

        return record


@pytest.fixture
async def requests(tmp_path: Path) -> AsyncGenerator[Requests]:
    requests = Requests()
    app = Model(tmp_path / "model", key=None).app()
    app.middlewares.append(requests.recording())
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    requests.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield requests
    await runner.cleanup()


@pytest.fixture
def real_cli(requests: Requests) -> bytes:
    """The configuration of a supervisor whose CLI is Claude Code, with the scripted model."""
    wheel = importlib.util.find_spec("claude_agent_sdk")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel that bundles the CLI is not installed")
    binary = Path(wheel.origin).with_name("_bundled") / "claude"
    settings = invocation.CliSettings(cli=str(binary), base_url=requests.url, isolated=False, stop_seconds=6)
    return invocation.config(settings, session="1", token="a-token")
