"""A host, as the supervisor sees one: it sends, follows from where it was, and starts what was killed.

Stand-ins for the CLI are tiny programs, used only for what the real CLI cannot be made to do.
"""

import importlib.util
import json
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
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
        self._channel = channel
        self._news = anyio.Event()
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
        self._news.set()
        self._news = anyio.Event()

    def objects(self, since: int = 0) -> list[dict[str, Any]]:
        """The lines that are JSON."""
        found: list[dict[str, Any]] = []
        for line in self.lines[since:]:
            with suppress(ValueError):
                found.append(json.loads(line.line or b""))
        return found

    async def news(self) -> None:
        """Returns at the next line."""
        await self._news.wait()

    async def wait(self, since: int = 0, **fields: object) -> dict[str, Any]:
        """The first line from number `since` on that has these fields."""
        with anyio.fail_after(SECONDS):
            while True:
                news = self._news
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

    async def kill_supervisor(self) -> None:
        pid = (await self.channel.status()).supervisor
        psutil.Process(pid).kill()
        await wait_until(lambda: not is_running(pid))

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
    async def make(*, readable: list[Path] | None = None, contact_timeout: float | None = None) -> AsyncGenerator[Host]:
        local = LocalSandbox(
            tmp_path,
            Path(supervisor.__file__),
            readable=readable or [],
            contact_timeout=contact_timeout,
        )
        async with anyio.create_task_group() as tasks:
            host = Host(local, tmp_path, tasks)
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


class Model:
    """A Messages API whose turns do what the prompt says: `RUN <command>` calls Bash, anything else is echoed, slowly."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.tokens: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.tokens.add(request.headers.get("Authorization", ""))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for event in _events(_prompt_of(body), is_second=_has_result(body)):
                await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                if event["type"] == "content_block_delta":
                    await anyio.sleep(0.01)
        return response


def _prompt_of(body: dict[str, Any]) -> str:
    """The last text that a person wrote."""
    for message in reversed(body["messages"]):
        content = message["content"]
        texts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        for text in reversed(texts):
            if message["role"] == "user" and text and not text.startswith("<"):
                return text
    return ""


def _has_result(body: dict[str, Any]) -> bool:
    content = body["messages"][-1]["content"]
    return not isinstance(content, str) and any(part["type"] == "tool_result" for part in content)


def _events(text: str, *, is_second: bool) -> Generator[dict[str, Any]]:
    message: dict[str, Any] = {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
    }
    usage = {"input_tokens": 1, "output_tokens": 1}
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}
    runs = text.startswith("RUN ") and not is_second
    if runs:
        tool: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": "Bash", "input": {}}
        arguments = json.dumps({"command": text.removeprefix("RUN "), "description": "a test"})
        yield {"type": "content_block_start", "index": 0, "content_block": tool}
        delta = {"type": "input_json_delta", "partial_json": arguments}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    else:
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        for word in ["done"] if is_second else f"ECHO {text}"[:2000].split(" "):
            delta = {"type": "text_delta", "text": f"{word} "}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": "tool_use" if runs else "end_turn"}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


@pytest.fixture
async def model() -> AsyncGenerator[Model]:
    model = Model()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/messages", model.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield model
    await runner.cleanup()


@pytest.fixture
def real_cli(model: Model) -> bytes:
    """The configuration of a supervisor whose CLI is Claude Code, with the scripted model."""
    wheel = importlib.util.find_spec("claude_agent_sdk")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel that bundles the CLI is not installed")
    binary = Path(wheel.origin).with_name("_bundled") / "claude"
    settings = invocation.CliSettings(cli=str(binary), base_url=model.url, isolated=False, stop_seconds=6)
    return invocation.config(settings, session="1", token="a-token")
