"""The scripted Messages API over HTTP.

Every request is written to `requests.jsonl` before it is answered: its number, prompt, step, and the tool uses handed out,
so that what happened can be held against what was asked for. Counters of `times` are read from there at the start: being
killed changes nothing. No credential is ever written.
"""

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.local.model import stream
from adapters.local.model.scenario import Step, next_step

_LARGEST_REQUEST = 64 << 20


class Model:
    """`key`: what requests must carry; None takes any."""

    def __init__(self, folder: Path, key: str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "requests.jsonl"
        self._key = key
        self._count = 0
        self._failures: dict[str, int] = {}
        self._read_log()

    def _read_log(self) -> None:
        if not self._log.exists():
            return
        for line in self._log.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # the last line, torn by a kill
                continue
            self._count = max(self._count, entry["n"])
            if "failure" in entry:
                self._failures[entry["failure"]] = self._failures.get(entry["failure"], 0) + 1

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count_tokens)
        app.router.add_get("/healthz", _healthy)
        return app

    async def _count_tokens(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        return web.json_response({"input_tokens": len(await request.read()) // 4 + 1})

    def _refusal(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("x-api-key", "")
        if self._key is None or hmac.compare_digest(given, self._key):
            return None
        return _error(401, "this is not the key of the scripted model")

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        body = await request.read()
        try:
            asked: dict[str, Any] = json.loads(body)
            prompt, answered, step = next_step(asked["messages"])
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f"not a request of the Messages API: {error}")
        self._count += 1
        number = self._count
        step, failure = self._pick(step, prompt)
        blocks = stream.content(step, f"toolu_local_{number}")
        self._write(number, prompt, answered, step, blocks, failure)
        if "delay" in step:
            await asyncio.sleep(step["delay"])
        if "err" in step:
            return _error(step["err"], step.get("message", "scripted"))
        answer = stream.message(str(asked.get("model", "")), f"msg_local_{number}", blocks, len(body))
        if not asked.get("stream"):
            return web.json_response(answer)
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        response.headers["request-id"] = f"req_{answer['id']}"
        with suppress(ConnectionError):  # whoever asked went away: an abort is no error
            await response.prepare(request)
            await self._stream(request, response, step, answer)
        return response

    def _pick(self, step: Step, prompt: str) -> tuple[Step, str | None]:
        """The step, or what comes `then`, once it has failed as often as it should."""
        failure = None
        while "times" in step or "err" in step:
            key = hashlib.sha256(f"{prompt}\0{json.dumps(step, sort_keys=True)}".encode()).hexdigest()[:16]
            seen = self._failures.get(key, 0)
            if "times" in step and seen >= step["times"]:
                step = step.get("then", {"text": "…"})
                continue
            self._failures[key] = seen + 1
            failure = key
            break
        return step, failure

    def _write(
        self, number: int, prompt: str, answered: int, step: Step, blocks: list[dict[str, Any]], failure: str | None
    ) -> None:
        entry: dict[str, Any] = {
            "n": number,
            "t": round(time.time(), 3),
            "prompt": hashlib.sha256(prompt.encode()).hexdigest()[:16],
            "begins": prompt[:60],
            "step": answered,
            "id": step.get("id"),
            "tools": [block["id"] for block in blocks if block["type"] == "tool_use"],
        }
        if failure:
            entry["failure"] = failure
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")

    @staticmethod
    async def _stream(request: web.Request, response: web.StreamResponse, step: Step, answer: stream.Event) -> None:
        if "sse_err" in step:
            error = {"type": step["sse_err"], "message": "scripted"}
            await _send(response, {"type": "error", "error": error})
            return
        for number, event in enumerate(stream.events(answer, step.get("chunk", 40))):
            if number == step.get("cut"):
                assert request.transport
                request.transport.abort()
                return
            if number == step.get("at", 3) and "hang" in step:
                await asyncio.sleep(step["hang"])
            if "tick" in step and event["type"] == "content_block_delta":
                await asyncio.sleep(step["tick"])
            await _send(response, event)
        await response.write_eof()


async def _send(response: web.StreamResponse, event: stream.Event) -> None:
    body = json.dumps(event, ensure_ascii=False)
    await response.write(f"event: {event['type']}\ndata: {body}\n\n".encode())


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _error(status: int, message: str) -> web.Response:
    kind = stream.ERRORS.get(status, "api_error")
    return web.json_response({"type": "error", "error": {"type": kind, "message": message}}, status=status)
