"""The gateway before the scripted model: the key stays inside, nothing is held back, everything is counted once."""

import io
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from adapters.claude.gateway import tokens
from adapters.claude.gateway.app import Config, Gateway
from adapters.claude.gateway.rules import Rules
from adapters.local.model.server import Model
from adapters.parsers import Secret
from engine.ports import TryAgain
from schema.events import UsageCounted

KEY, SECRET = "made-up-key", b"made-up secret"
TOKEN = tokens.make(SECRET, "1", "r-1")
SECONDS = 30
RULES = Rules(most_bytes=4_000_000, at_once=2, per_minute=10_000)

WaitUntil = Callable[[Callable[[], bool]], Awaitable[None]]


class Books:
    """Which reservation is open, and what was used. `silent`, `full`: how often either is asked in vain before it works."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, UsageCounted]] = []
        self.silent = self.full = 0
        self.failed = anyio.Event()
        self._news = anyio.Event()

    async def is_open(self, session: str, reservation: str, address: str) -> bool:
        if self.silent > 0:
            self.silent -= 1
            raise TryAgain("the log is away")
        return (session, reservation) == ("1", "r-1")

    async def record(self, session: str, request: str, event: UsageCounted) -> None:
        if self.full > 0:
            self.full -= 1
            self.failed.set()
            raise TryAgain("the log is away")
        self.entries.append((session, request, event))
        self._news.set()

    async def entry(self) -> tuple[str, str, UsageCounted]:
        """The only entry, once there is one."""
        with anyio.fail_after(SECONDS):
            await self._news.wait()
        (only,) = self.entries
        return only


class Sandbox:
    """Asks the gateway as the CLI in a sandbox does."""

    def __init__(self, port: int, http: aiohttp.ClientSession) -> None:
        self._url, self._http = f"http://127.0.0.1:{port}", http

    def ask(self, *steps: dict[str, Any], token: str = TOKEN, **fields: Any) -> Any:
        prompt = f"SCRIPT: {json.dumps(steps)}" if steps else "hello"
        body = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": prompt}], **fields}
        return self.post(io.BytesIO(json.dumps(body).encode()), token)

    def post(self, body: Any, token: str = TOKEN, path: str = "/v1/messages", method: str = "POST", **more: str) -> Any:
        headers = {"authorization": f"Bearer {token}", **more}
        return self._http.request(method, self._url + path, data=body, headers=headers)


@asynccontextmanager
async def listening(app: web.Application) -> AsyncGenerator[int]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sandbox_before(upstream: int, books: Books, rules: Rules = RULES) -> AsyncGenerator[Sandbox]:
    config = Config(upstream=f"http://127.0.0.1:{upstream}", key=Secret(KEY), secret=SECRET, rules=rules)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http,
        Gateway(config, books, books.record).serve(0) as port,
    ):
        yield Sandbox(port, http)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
async def sandbox(tmp_path: Path, books: Books) -> AsyncGenerator[Sandbox]:
    async with listening(Model(tmp_path, KEY).app()) as model, sandbox_before(model, books) as sandbox:
        yield sandbox


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """The scripted model's own log."""
    return lambda: [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]


# --- the key, and who may use it -------------------------------------------------------------------------------------


async def test_the_key_is_used_and_never_seen(sandbox: Sandbox) -> None:
    async with sandbox.ask({"text": "hello"}) as answer:
        assert answer.status == 200  # the model takes nothing but its key
        seen = str(answer.headers) + await answer.text()
    assert "hello" in seen
    assert KEY not in seen


async def test_a_token_may_come_as_a_key_and_goes_no_further(books: Books) -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    async def upstream(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read()))
        return web.json_response({}, headers={"set-cookie": "a=b", "x-internal": "c"})

    app = web.Application()
    app.router.add_post("/v1/messages", upstream)
    body = '{"model": "other", "model": "claude-x", "metadata": {"a": 1, "a": 2}}'
    async with (
        listening(app) as port,
        sandbox_before(port, books) as sandbox,
        sandbox.post(
            body, "", **{"x-api-key": TOKEN, "cookie": "a=b", "anthropic-beta": "context-1m-2025-08-07"}
        ) as answer,
    ):
        assert answer.status == 200
        assert not {"set-cookie", "x-internal"} & {name.lower() for name in answer.headers}
    ((headers, forwarded),) = seen
    given = {name.lower(): value for name, value in headers.items()}
    assert TOKEN not in str(given)
    assert (given["x-api-key"], given["anthropic-beta"]) == (KEY, "context-1m-2025-08-07")
    assert not {"cookie", "authorization"} & set(given)
    assert forwarded == b'{"model":"claude-x","metadata":{"a":2}}'  # what was checked, and nothing else


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"token": ""}, "token"),
    ({"token": "ключ"}, "token"),
    ({"token": tokens.make(b"another secret", "1", "r-1")}, "token"),
    ({"token": tokens.make(SECRET, "1", "r-0")}, "token"),
    ({"body": "["}, "JSON object"),
    ({"body": "[]"}, "JSON object"),
    ({"body": b"\xff"}, "JSON object"),
    ({"body": '{"x":' + "[" * 9000}, "JSON object"),
    ({"body": "{}"}, "model"),
    ({"path": "/v1/files"}, "POST /v1/files"),
    ({"path": "/v1/messages/batches"}, "/v1/messages/batches"),
    ({"path": "/v1/messages/"}, "/v1/messages/"),
    ({"path": "/"}, "POST /"),
    ({"path": "/v1/messages?beta=true&x=1"}, "query"),
    ({"method": "GET"}, "GET /v1/messages"),
    ({"method": "DELETE"}, "DELETE /v1/messages"),
]


@pytest.mark.parametrize(("asked", "why"), REFUSED)
async def test_a_refusal_is_one_that_the_cli_shows_and_does_not_repeat(
    asked: dict[str, Any], why: str, sandbox: Sandbox, books: Books, tmp_path: Path
) -> None:
    async with sandbox.post(**{"body": "{}", **asked}) as answer:
        assert answer.status == 403
        refused = await answer.json()
    assert (refused["type"], refused["error"]["type"]) == ("error", "permission_error")
    assert refused["error"]["message"].startswith("gateway: ")
    assert why in refused["error"]["message"]
    assert not (tmp_path / "requests.jsonl").exists()
    assert books.entries == []


async def test_what_is_too_large_is_said_to_be(sandbox: Sandbox) -> None:
    async with sandbox.post(io.BytesIO(b" " * (RULES.most_bytes + 1))) as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (413, "request_too_large")


async def test_what_is_large_passes(sandbox: Sandbox) -> None:
    async with sandbox.ask({"text": "x" * (RULES.most_bytes // 2)}) as answer:
        assert answer.status == 200
        assert len((await answer.json())["content"][0]["text"]) == RULES.most_bytes // 2


async def test_who_may_is_not_known_while_the_log_is_away_so_the_cli_tries_again(
    sandbox: Sandbox, books: Books
) -> None:
    books.silent = 1
    async with sandbox.ask() as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (529, "overloaded_error")
    async with sandbox.ask() as answer:
        assert answer.status == 200


async def test_a_session_has_so_many_requests_at_once_counted_from_their_first_byte(sandbox: Sandbox) -> None:
    rest = anyio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b"{"
        await rest.wait()
        yield b"}"

    statuses: list[int] = []

    async def upload() -> None:
        async with sandbox.post(slow()) as answer:
            statuses.append(answer.status)

    async with anyio.create_task_group() as tasks:
        async with sandbox.ask({"text": "a", "hang": 600}, stream=True) as held:
            await held.content.readline()
            tasks.start_soon(upload)
            with anyio.fail_after(SECONDS):
                while "at once" not in await refusal(sandbox):
                    pass
        rest.set()
    assert statuses == [403]  # the slow one, for its body; by then others are let in again


async def refusal(sandbox: Sandbox) -> str:
    async with sandbox.post("{}", path="/v1/messages/count_tokens") as answer:
        return str((await answer.json())["error"]["message"])


async def test_a_session_has_so_many_requests_a_minute(tmp_path: Path, books: Books) -> None:
    async with (
        listening(Model(tmp_path, KEY).app()) as model,
        sandbox_before(model, books, Rules(per_minute=2)) as sandbox,
    ):
        answers: list[tuple[int, str | None]] = []
        for _ in range(3):
            async with sandbox.ask() as answer:
                answers.append((answer.status, answer.headers.get("retry-after")))
        *allowed, (status, wait) = answers
        assert allowed == [(200, None)] * 2
        assert status == 429  # the CLI waits, and goes on
        assert 50 < int(wait or "") <= 60


# --- as it streams ---------------------------------------------------------------------------------------------------


async def test_the_beginning_arrives_before_the_end_is_sent_and_who_goes_away_ends_it(
    sandbox: Sandbox, books: Books, log: Callable[[], list[dict[str, Any]]], wait_until: WaitUntil
) -> None:
    async with sandbox.ask({"text": "hello " * 40, "hang": 600, "at": 5}, stream=True) as answer:
        first = await answer.content.readuntil(b"hello")
        assert b"message_start" in first
        assert len(log()) == 1
    await wait_until(lambda: len(log()) == 2)
    assert log()[1] == {"n": 1, "whole": False}
    session, request, usage = await books.entry()
    assert (session, request) == ("1", "req_msg_local_1")
    assert usage.estimated
    assert usage.input > 10
    assert usage.output > 10


@pytest.mark.parametrize("streams", [True, False])
async def test_every_answer_is_counted_once_by_its_request(*, streams: bool, sandbox: Sandbox, books: Books) -> None:
    async with sandbox.ask({"text": "hello"}, stream=streams) as answer:
        assert answer.headers["request-id"] == "req_msg_local_1"
        await answer.read()
    session, request, usage = await books.entry()
    assert (session, request) == ("1", "req_msg_local_1")
    assert (usage.reservation, usage.model, usage.status, usage.estimated) == ("r-1", "claude-x", 200, False)
    assert usage.input > 10
    assert usage.output > 1


async def test_errors_pass_and_cost_nothing(sandbox: Sandbox, books: Books) -> None:
    async with sandbox.ask({"err": 529}) as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (529, "overloaded_error")
    async with sandbox.post('{"model": "claude-x"}', path="/v1/messages/count_tokens?beta=true") as answer:
        assert (answer.status, set(await answer.json())) == (200, {"input_tokens"})
    async with sandbox.ask() as answer:
        assert answer.status == 200
    assert (await books.entry())[1] == "req_msg_local_2"


async def test_a_log_that_is_away_holds_no_stream_and_loses_no_count(sandbox: Sandbox, books: Books) -> None:
    books.full = 1
    async with sandbox.ask({"text": "a"}, stream=True) as answer:
        assert b"message_stop" in await answer.read()
    with anyio.fail_after(SECONDS):
        await books.failed.wait()
    assert books.entries == []
    assert (await books.entry())[1] == "req_msg_local_1"


async def test_a_gateway_that_is_told_to_end_counts_what_it_cuts_off(tmp_path: Path, books: Books) -> None:
    books.full = 1
    async with listening(Model(tmp_path, KEY).app()) as model:
        with anyio.CancelScope() as told:
            async with (
                sandbox_before(model, books) as sandbox,
                sandbox.ask({"text": "a", "hang": 600, "at": 2}, stream=True) as answer,
            ):
                await answer.content.readline()
                told.cancel()
                await anyio.sleep_forever()
        assert (await books.entry())[2].estimated


async def test_who_goes_away_before_the_answer_begins_has_asked(
    sandbox: Sandbox, books: Books, log: Callable[[], list[dict[str, Any]]], wait_until: WaitUntil, tmp_path: Path
) -> None:
    async def ask() -> None:
        async with sandbox.ask({"text": "hello", "delay": 600}, stream=True):
            raise AssertionError("it answered")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await wait_until((tmp_path / "requests.jsonl").exists)
        tasks.cancel_scope.cancel()
    _, _, usage = await books.entry()
    assert usage.estimated
    assert (usage.input > 10, usage.output) == (True, 1)
    await wait_until(lambda: log()[-1] == {"n": 1, "whole": False})


# --- a model that cannot be reached ----------------------------------------------------------------------------------


async def test_a_model_that_is_away_is_said_to_be(books: Books) -> None:
    async with listening(web.Application()) as port:
        pass
    async with sandbox_before(port, books) as sandbox, sandbox.ask() as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (502, "api_error")
    assert books.entries == []


async def test_an_answer_that_was_cut_does_not_look_like_one_that_ended(sandbox: Sandbox, books: Books) -> None:
    async with sandbox.ask({"text": "a", "cut": 3}, stream=True) as answer:
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    assert (await books.entry())[2].estimated


async def test_a_key_that_is_refused_is_not_tried_for_minutes(tmp_path: Path, books: Books) -> None:
    async with (
        listening(Model(tmp_path, "another key").app()) as model,
        sandbox_before(model, books) as sandbox,
        sandbox.ask() as answer,
    ):
        refused = await answer.json()
    assert (answer.status, refused["error"]["type"]) == (403, "permission_error")
    assert "key of this installation" in refused["error"]["message"]
    assert books.entries == []


async def test_what_is_compressed_all_the_same_can_be_read(books: Books) -> None:
    async def upstream(request: web.Request) -> web.Response:
        answer = web.json_response({"type": "message", "usage": {"input_tokens": 3, "output_tokens": 4}})
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    app = web.Application()
    app.router.add_post("/v1/messages", upstream)
    async with listening(app) as port, sandbox_before(port, books) as sandbox, sandbox.ask() as answer:
        assert (await answer.json())["type"] == "message"
    assert (await books.entry())[2].output == 4
