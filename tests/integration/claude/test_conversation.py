"""The lines we write and the facts we read, with the real CLI behind the gateway; the model is scripted."""

import json
import subprocess
import sysconfig
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
import pytest
from aiohttp import web
from anyio.streams.buffered import BufferedByteReceiveStream

from adapters.claude import invocation, wire
from adapters.claude.gateway import tokens
from adapters.claude.gateway.app import Config, Gateway
from adapters.claude.live import Live
from adapters.claude.parse import parse
from adapters.local.model.server import Model
from adapters.parsers import Secret
from schema import facts as f
from schema.events import UsageCounted
from schema.sealed import Sealed

KEY, SECRET = "made-up-key", b"made-up secret"
SECONDS = 60
MOST = 1 << 24

T = TypeVar("T", bound=f.Fact)

pytestmark = pytest.mark.cli


class Conversation:
    """The CLI's ends. Lines become facts as the agent makes them, and what is live at each moment is kept."""

    def __init__(self, process: anyio.abc.Process, work: Path) -> None:
        assert process.stdin
        assert process.stdout
        self.facts: list[f.Fact] = []
        self.work = work
        self.moments: list[str] = []
        self._stdin = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._live = Live()
        self._said = ""

    def made(self) -> list[Path]:
        """What is in the workspace."""
        return list(self.work.iterdir())

    async def write(self, line: bytes) -> None:
        await self._stdin.send(line)

    async def wait(self, kind: type[T]) -> T:
        """The next fact of this kind."""
        with anyio.fail_after(SECONDS):
            async for found in self._read():
                if isinstance(found, kind):
                    return found
        raise AssertionError(kind)

    async def wait_live(self, text: str) -> None:
        """Until this is being said."""
        with anyio.fail_after(SECONDS):
            while text not in self._live.text:
                await self._next()

    async def _read(self) -> AsyncIterator[f.Fact]:
        while True:
            for found in await self._next():
                yield found

    async def _next(self) -> list[f.Fact]:
        line = await self._lines.receive_until(b"\n", MOST)
        self._live.feed(line)
        made = parse(line, lambda text: Sealed(text.encode()), self._live.workspace)
        self.facts += made
        self._said += "".join(found.text.decode() for found in made if isinstance(found, f.Said))
        self.moments.append(self._said + self._live.text)
        return made


@pytest.fixture
def binary() -> Path:
    path = Path(sysconfig.get_path("purelib"), "claude_agent_sdk", "_bundled", "claude")
    if not path.is_file():
        pytest.skip("the wheel that bundles the CLI is not installed")
    return path


class Books:
    """What was used. Every reservation is open."""

    def __init__(self) -> None:
        self.used: list[UsageCounted] = []

    async def is_open(self, session: str, reservation: str, address: str) -> bool:
        return (session, reservation) == ("1", "r-1")

    async def record(self, _session: str, _request: str, event: UsageCounted) -> None:
        self.used.append(event)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """The log of the scripted model."""
    log = tmp_path / "model" / "requests.jsonl"
    return lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
async def url(tmp_path: Path, books: Books) -> AsyncGenerator[str]:
    """The gateway's."""
    runner = web.AppRunner(Model(tmp_path / "model", KEY).app(), handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = Config(upstream=f"http://127.0.0.1:{runner.addresses[0][1]}", key=Secret(KEY), secret=SECRET)
    async with Gateway(config, books, books.record).serve(0) as port:
        yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture
def model() -> str:
    return ""


@pytest.fixture
async def conversation(tmp_path: Path, binary: Path, url: str, model: str) -> AsyncGenerator[Conversation]:
    settings = invocation.CliSettings(cli=str(binary), base_url=url, isolated=False, stream_hold_ms=20, model=model)
    token = tokens.make(SECRET, "1", "r-1")
    environment = invocation.environment(settings, token) | {"HOME": str(tmp_path / "home")}
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    process = await anyio.open_process(
        invocation.argv(settings), cwd=tmp_path / "work", env=environment, stderr=subprocess.DEVNULL
    )
    async with process:
        yield Conversation(process, tmp_path / "work")
        process.kill()


def script(*steps: dict[str, Any]) -> str:
    return f"SCRIPT: {json.dumps(steps)} END"


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "a test"}}


async def test_a_turn_is_told_from_its_start_to_its_end(conversation: Conversation) -> None:
    write = {"tool": "Write", "input": {"file_path": str(conversation.work / "a.txt"), "content": "b"}}
    await conversation.write(wire.user_message("p-1", script({"blocks": [{"text": "now:"}, write]}, {"text": "done"})))
    asked = await conversation.wait(f.PermissionAsked)
    question = msgspec.json.decode(asked.question, type=wire.PermissionQuestion)
    assert (question.shown, Path(question.path).name) == ("b", "a.txt")
    await conversation.write(wire.allow(asked.request))
    await conversation.wait(f.PromptOver)
    told = [found for found in conversation.facts if not isinstance(found, f.StateChanged | f.TasksChanged)]
    assert [type(found) for found in told] == [
        *(f.PromptStarted, f.CliReady, f.Said, f.ToolCalled, f.PermissionAsked, f.PermissionTaken),
        *(f.ToolReturned, f.Said, f.TurnFinished, f.PromptOver),
    ]
    started, _, _, called, *_, finished, over = told
    assert started == f.PromptStarted(prompt="p-1")
    assert over == f.PromptOver(prompt="p-1")
    assert isinstance(called, f.ToolCalled)
    assert called.summary == b"a.txt"
    assert isinstance(finished, f.TurnFinished)
    assert (finished.prompts, finished.error) == (("p-1",), False)


async def test_what_is_said_is_seen_once_while_it_is_said(conversation: Conversation) -> None:
    texts = ["one two three 🎉 " * 20, "四五六。" * 20]
    blocks = [{"text": texts[0]}, {"thinking": "hmm"}, {"text": texts[1]}]
    await conversation.write(wire.user_message("p-1", script({"blocks": blocks, "chunk": 7, "tick": 0.01})))
    await conversation.wait(f.TurnFinished)
    assert conversation.moments[-1] == "".join(texts)
    assert all("".join(texts).startswith(moment) for moment in conversation.moments)
    assert conversation.moments == sorted(conversation.moments, key=len)
    assert len(set(conversation.moments)) > 5


async def test_always_holds_for_the_session_and_is_written_nowhere(conversation: Conversation) -> None:
    await conversation.write(wire.user_message("p-1", script(bash("touch a"), bash("touch a"), {"text": "done"})))
    asked = await conversation.wait(f.PermissionAsked)
    assert asked.always
    question = msgspec.json.decode(asked.question, type=wire.PermissionQuestion)
    assert {suggestion["destination"] for suggestion in question.suggestions} >= {"localSettings"}
    await conversation.write(wire.allow_always(asked.request, question))
    await conversation.wait(f.TurnFinished)
    assert sum(isinstance(found, f.PermissionAsked) for found in conversation.facts) == 1
    assert sum(isinstance(found, f.ToolReturned) and not found.failed for found in conversation.facts) == 2
    assert [path.name for path in conversation.made()] == ["a"]


async def test_a_refusal_is_what_the_model_reads(conversation: Conversation) -> None:
    await conversation.write(wire.user_message("p-1", script(bash("touch a"), {"text": "done"})))
    asked = await conversation.wait(f.PermissionAsked)
    await conversation.write(wire.deny(asked.request, "not today"))
    returned = await conversation.wait(f.ToolReturned)
    assert returned.failed
    assert b"not today" in (returned.output or b"")
    assert not (await conversation.wait(f.TurnFinished)).error


async def test_an_interrupt_withdraws_what_was_asked_and_ends_the_turn(conversation: Conversation) -> None:
    await conversation.write(wire.user_message("p-1", script(bash("touch a"), {"text": "done"})))
    asked = await conversation.wait(f.PermissionAsked)
    await conversation.write(wire.interrupt("stop-1"))
    finished = await conversation.wait(f.TurnFinished)
    assert finished.reason.startswith("aborted")
    assert f.PermissionWithdrawn(request=asked.request) in conversation.facts
    await conversation.write(wire.user_message("p-2", "hello"))
    assert (await conversation.wait(f.TurnFinished)).prompts == ("p-2",)


async def test_strange_prompts_are_prompts(conversation: Conversation) -> None:
    strange = [
        "\0\0nul\0",
        "half \ud83d an emoji",
        "\u202eright to left",
        "@everyone",
        "x" * 100_000,
        '{"type":"user"}\n{',
        " ",
    ]
    for number, text in enumerate(strange):
        await conversation.write(wire.user_message(f"p-{number}", text))
        finished = await conversation.wait(f.TurnFinished)
        assert (finished.prompts, finished.error) == ((f"p-{number}",), False)
    assert not any(isinstance(found, f.Skipped) for found in conversation.facts)


async def test_a_busy_model_is_told_and_then_answers(conversation: Conversation) -> None:
    failing = {"err": 529, "times": 1, "then": {"text": "at last"}}
    await conversation.write(wire.user_message("p-1", script(failing)))
    assert (await conversation.wait(f.Retrying)).status == 529
    assert not (await conversation.wait(f.TurnFinished)).error
    assert conversation.moments[-1] == "at last"


async def test_a_failure_of_the_model_is_told_once_by_the_end_of_the_turn(conversation: Conversation) -> None:
    await conversation.write(wire.user_message("p-1", script({"err": 400, "message": "no such thing"})))
    finished = await conversation.wait(f.TurnFinished)
    assert (finished.error, finished.status) == (True, 400)
    assert b"no such thing" in (finished.message or b"")
    assert not any(isinstance(found, f.Said) for found in conversation.facts)


# --- through the gateway ---------------------------------------------------------------------------------------------


async def test_a_stop_in_the_middle_of_an_answer_ends_it_at_the_model_and_is_charged_by_estimate(
    conversation: Conversation,
    books: Books,
    asked: Callable[[], list[dict[str, Any]]],
    wait_until: Callable[[Callable[[], bool]], Awaitable[None]],
) -> None:
    await conversation.write(wire.user_message("p-1", script({"text": "long " * 200, "hang": 600, "at": 20})))
    await conversation.wait_live("long")
    await conversation.write(wire.interrupt("stop-1"))
    assert (await conversation.wait(f.TurnFinished)).reason.startswith("aborted")
    await wait_until(lambda: bool(books.used) and len(asked()) == 2)
    assert asked()[1] == {"n": 1, "whole": False}
    (used,) = books.used
    assert used.estimated
    assert used.output > 20


async def test_the_key_stays_out_of_the_sandbox(conversation: Conversation, tmp_path: Path) -> None:
    await conversation.write(wire.user_message("p-1", script(bash("env; cat /proc/$PPID/environ"), {"text": "done"})))
    await conversation.write(wire.allow((await conversation.wait(f.PermissionAsked)).request))
    output = (await conversation.wait(f.ToolReturned)).output or b""
    await conversation.wait(f.TurnFinished)
    files = [path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert b"ANTHROPIC_BASE_URL" in output
    assert any(b"ANTHROPIC_BASE_URL" in file for file in files)
    assert KEY.encode() not in b"".join([output, *files])


async def test_every_request_of_a_turn_is_counted(
    conversation: Conversation,
    books: Books,
    asked: Callable[[], list[dict[str, Any]]],
    wait_until: Callable[[Callable[[], bool]], Awaitable[None]],
) -> None:
    look = {"tool": "Bash", "input": {"command": "ls", "description": "look"}}
    await conversation.write(wire.user_message("p-1", script(look, look, {"text": "done"})))
    assert not (await conversation.wait(f.TurnFinished)).error
    await wait_until(lambda: len(books.used) == 3)
    assert not any(used.estimated for used in books.used)
    assert [entry["whole"] for entry in asked() if "whole" in entry] == [True] * 3


@pytest.mark.parametrize("model", ["other-model"])
async def test_a_refusal_of_the_gateway_is_read_in_the_thread_and_not_tried_again(
    conversation: Conversation, model: str, asked: Callable[[], list[dict[str, Any]]]
) -> None:
    await conversation.write(wire.user_message("p-1", "hello"))
    finished = await conversation.wait(f.TurnFinished)
    assert (finished.error, finished.status) == (True, 403)
    assert f"the model '{model}' is not allowed" in (finished.message or b"").decode()
    assert not any(isinstance(found, f.Retrying) for found in conversation.facts)
    assert asked() == []
