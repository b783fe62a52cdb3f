"""The scripted Messages API over HTTP.

Every request is written to `requests.jsonl` before it is answered: its number, prompt, step, and the tool uses handed out,
so that what happened can be held against what was asked for. Another line tells whether the answer was taken to its end.
Counters of `times` are read from there at the start: being killed changes nothing. No credential is ever written.
"""

import asyncio
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.local.model import stream
from adapters.local.model.scenario import Step, is_exact, next_step

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
        whole = self._log.read_bytes().rpartition(b"\n")[0]
        os.truncate(self._log, len(whole) + 1 if whole else 0)  # a line torn by a kill was never answered
        for entry in map(json.loads, whole.splitlines()):
            self._count = max(self._count, entry["n"])
            if entry.get("failure"):
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
        given = request.headers.get("x-api-key", "").encode(errors="replace")
        if self._key is None or hmac.compare_digest(given, self._key.encode()):
            return None
        return _error(401, "this is not the key of the scripted model")

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        body = await request.read()
        try:
            asked: dict[str, Any] = json.loads(body)
            prompt, answered, step = next_step(asked["messages"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _error(400, f"not a request of the Messages API: {error!r}")
        self._count += 1
        number = self._count
        # one said twice by a person fails twice; one of a script counts wherever it is said again
        place = "" if is_exact(prompt) else f"{asked.get('metadata')} {len(asked['messages'])}"
        step, failure = self._pick(step, f"{prompt}\0{place}")
        blocks = stream.content(step, f"toolu_local_{number}")
        self._note(
            n=number,
            t=round(time.time(), 3),
            model=str(asked.get("model"))[:80],
            prompt=_digest(prompt),
            step=answered,
            id=step.get("id"),
            tools=[block["id"] for block in blocks if block["type"] == "tool_use"],
            failure=failure,
        )
        whole = False
        try:
            response = await self._answer(request, asked, step, stream.message(asked, number, blocks, len(body)))
            whole = True
        except ConnectionError:  # an abort is no error
            response = web.Response()
        finally:
            self._note(n=number, whole=whole)
        return response

    async def _answer(
        self, request: web.Request, asked: dict[str, Any], step: Step, answer: stream.Event
    ) -> web.StreamResponse:
        await asyncio.sleep(step.get("delay", 0))
        if "err" in step:
            return _error(step["err"], step.get("message", "scripted"))
        headers = {"request-id": f"req_{answer['id']}"}
        if not asked.get("stream"):
            return web.json_response(answer, headers=headers)
        headers["content-type"] = "text/event-stream; charset=utf-8"
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await self._stream(request, response, step, answer)
        return response

    def _pick(self, step: Step, place: str) -> tuple[Step, str | None]:
        """The step, or what comes `then`, once it has failed as often as it should."""
        failure = None
        while "times" in step or "err" in step:
            key = _digest(f"{place}\0{json.dumps(step, sort_keys=True)}")
            seen = self._failures.get(key, 0)
            if "times" in step and seen >= step["times"]:
                step = step.get("then", {"text": "…"})
                continue
            self._failures[key] = seen + 1
            failure = key
            break
        return step, failure

    def _note(self, **entry: Any) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps(entry) + "\n")

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
                raise ConnectionAbortedError
            if number == step.get("at", 3) and "hang" in step:
                await asyncio.sleep(step["hang"])
            if "tick" in step and event["type"] == "content_block_delta":
                await asyncio.sleep(step["tick"])
            await _send(response, event)
        await response.write_eof()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


async def _send(response: web.StreamResponse, event: stream.Event) -> None:
    body = json.dumps(event, ensure_ascii=False)
    await response.write(f"event: {event['type']}\ndata: {body}\n\n".encode())


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _error(status: int, message: str) -> web.Response:
    kind = stream.ERRORS.get(status, "api_error")
    return web.json_response({"type": "error", "error": {"type": kind, "message": message}}, status=status)
