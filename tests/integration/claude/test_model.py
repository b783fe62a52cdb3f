"""The scripted model over HTTP: its failures, its log, and what a kill leaves."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from adapters.local.model.server import Model

KEY = "made-up-key"


class Client:
    """Asks the model as the gateway does."""

    def __init__(self, url: str, http: aiohttp.ClientSession, folder: Path) -> None:
        self.url = url
        self.http = http
        self._folder = folder

    def ask(self, prompt: str, *, key: str = KEY, **body: Any) -> Any:
        body = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": prompt}], **body}
        return self.http.post(f"{self.url}/v1/messages", json=body, headers={"x-api-key": key})

    async def status(self, prompt: str, **body: Any) -> int:
        async with self.ask(prompt, **body) as answer:
            return answer.status

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._folder / "requests.jsonl").read_text().splitlines()]


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[Client]:
    runner = web.AppRunner(Model(folder, KEY).app(), handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield Client(f"http://127.0.0.1:{runner.addresses[0][1]}", http, folder)
    await runner.cleanup()


@pytest.fixture
async def model(tmp_path: Path) -> AsyncGenerator[Client]:
    async with running(tmp_path) as client:
        yield client


def script(*steps: dict[str, Any]) -> str:
    return f"SCRIPT: {json.dumps(steps)} END"


async def test_without_its_key_it_says_nothing(model: Client) -> None:
    for key in ("", "other", "ключ", KEY + "x"):
        assert await model.status("hello", key=key) == 401
    assert await model.status("hello") == 200


async def test_what_is_no_request_is_refused(model: Client) -> None:
    for body in (
        b"",
        b"[]",
        b"7",
        b"{",
        b'{"messages":7}',
        b'{"messages":[7]}',
        b'{"messages":[{"role":"user","content":[7]}]}',
    ):
        headers = {"x-api-key": KEY}
        async with model.http.post(f"{model.url}/v1/messages", data=body, headers=headers) as answer:
            assert answer.status == 400, body


async def test_failures_are_counted_over_a_kill(tmp_path: Path) -> None:
    prompt = script({"err": 529, "times": 2, "then": {"text": "at last"}})
    async with running(tmp_path) as model:
        assert await model.status(prompt) == 529
    with (tmp_path / "requests.jsonl").open("a") as log:
        log.write('{"n": 2, "pro')  # killed in the middle of a line
    async with running(tmp_path) as model:
        assert [await model.status(prompt) for _ in range(3)] == [529, 200, 200]


async def test_a_person_who_says_it_again_sees_it_fail_again(model: Client) -> None:
    assert [await model.status("retry") for _ in range(2)] == [529, 200]
    longer = [
        {"role": "user", "content": "retry"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "retry"},
    ]
    assert [await model.status("", messages=longer) for _ in range(2)] == [529, 200]


async def test_no_tool_use_has_an_id_twice_even_over_a_kill(tmp_path: Path) -> None:
    prompt, ids, logged = script({"blocks": [{"tool": "Bash", "input": {}}] * 2}), list[str](), list[str]()
    for _ in range(3):
        async with running(tmp_path) as model:
            async with model.ask(prompt) as answer:
                ids += [block["id"] for block in (await answer.json())["content"]]
            logged = [tool for entry in model.log() for tool in entry.get("tools", [])]
            with (tmp_path / "requests.jsonl").open("a") as log:
                log.write('{"n"')
    assert len(set(ids)) == 6
    assert logged == ids


async def test_the_log_tells_who_took_the_whole_answer_and_holds_no_text_or_key(
    model: Client, wait_until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    async with model.ask(script({"text": "private words", "hang": 600, "id": "a"}), stream=True) as answer:
        await answer.content.readline()
    await wait_until(lambda: len(model.log()) == 2)
    async with model.ask(script({"text": "more words", "id": "b"}), stream=True) as answer:
        await answer.read()
    asked, aborted, again, over = model.log()
    assert (asked["id"], again["id"], asked["model"]) == ("a", "b", "claude-x")
    assert [aborted, over] == [{"n": 1, "whole": False}, {"n": 2, "whole": True}]
    assert "words" not in json.dumps(model.log())
    assert KEY not in json.dumps(model.log())


async def test_streams_break_where_they_are_told_to(model: Client) -> None:
    async with model.ask(script({"sse_err": "overloaded_error"}), stream=True) as answer:
        assert b"overloaded_error" in await answer.read()
    async with model.ask(script({"text": "a", "cut": 2}), stream=True) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_it_is_a_process_that_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    argv = [sys.executable, "-m", "adapters.local.model", "--state", str(tmp_path / "state"), "--key-file", str(key)]
    async with await anyio.open_process(argv, stderr=subprocess.STDOUT, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout
        with anyio.fail_after(60):
            port = json.loads(await process.stdout.receive())["port"]
            async with aiohttp.ClientSession() as http:
                client = Client(f"http://127.0.0.1:{port}", http, tmp_path / "state")
                async with client.ask("long story", stream=True) as answer:
                    await answer.content.readline()
                    process.terminate()  # in the middle of an answer
                    assert await process.wait() == 0
