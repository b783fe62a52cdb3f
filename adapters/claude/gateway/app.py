"""The gateway's HTTP side: a streaming reverse proxy for two paths.

It promises that the key goes to the upstream only, that a token is good only while its reservation is open, that what is
forwarded is what was checked, that nothing is held back while it streams, that a client that goes away ends the upstream
request, and that every answer is counted once, by its request id, even while it is told to end. It does not retry: that is
the CLI's business.
"""

import io
import math
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import aiohttp
import anyio
import msgspec
import structlog
from aiohttp import web

from adapters.claude.gateway.limits import Busy, Limits
from adapters.claude.gateway.recording import Record, Recording
from adapters.claude.gateway.repositories import Repositories
from adapters.claude.gateway.reservations import NOT_GOOD, Policy, admit
from adapters.claude.gateway.rules import FORWARDED_HEADERS, PATHS, QUERIES, Rules, refusal
from adapters.claude.gateway.usage import Meter, Refusal
from adapters.parsers import Secret
from engine.ports import TryAgain

log_line = structlog.get_logger(__name__)

_CONNECT_SECONDS = 15
_SILENCE_SECONDS = 600
_BODY_SECONDS = 120
_END_SECONDS = 1


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`upstream`: address of the real API. `key` goes there and nowhere else. `secret` makes and checks session tokens."""

    upstream: str
    key: Secret
    secret: bytes
    rules: Rules = Rules()

    def __repr__(self) -> str:
        return f"Config(upstream={self.upstream!r})"


class Gateway:
    """One proxy. `serve` holds what it needs while it serves. `repositories`: what else it serves; None for nothing else."""

    def __init__(
        self, config: Config, policy: Policy, record: Record, repositories: Repositories | None = None
    ) -> None:
        self._repositories = repositories
        self._config = config
        self._policy = policy
        self._recording = Recording(record)
        self._limits = Limits(config.rules)
        self._upstream: aiohttp.ClientSession

    @asynccontextmanager
    async def serve(self, port: int, host: str = "127.0.0.1") -> AsyncGenerator[int]:
        """Serve at the port it yields (0: any free one), for as long as the context is open."""
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # limits are per session: nobody waits for others
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=timeout,
            ) as self._upstream,
            self._recording.run(),
            self._repositories.open() if self._repositories else nullcontext(),
        ):
            # without handler_cancellation, who has gone away is noticed at the next piece only
            runner = web.AppRunner(
                self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=_END_SECONDS
            )
            await runner.setup()
            try:
                await web.TCPSite(runner, host, port).start()
                yield int(runner.addresses[0][1])
            finally:
                with anyio.CancelScope(shield=True):
                    await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=self._config.rules.most_bytes)
        for path in PATHS:
            app.router.add_post(path, self._forward)
        app.router.add_get("/healthz", _healthy)
        if self._repositories:
            self._repositories.add_to(app)
        app.router.add_route("*", "/{path:.*}", _nothing_else)
        return app

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        try:
            known = await admit(self._config.secret, _token(request), self._policy, request.remote or "")
        except TryAgain as error:  # a status that the CLI tries again
            return _error(529, "overloaded_error", str(error))
        if known is None:
            return _refuse(NOT_GOOD)
        session, reservation = known
        try:
            with self._limits.admit(session):
                return await self._check(request, session, reservation)
        except Busy as busy:  # the one refusal that the CLI shall try again
            again = {"retry-after": str(math.ceil(busy.seconds))}
            return _error(429, "rate_limit_error", str(busy), again)

    async def _check(self, request: web.Request, session: str, reservation: str) -> web.StreamResponse:
        if request.query_string not in QUERIES:
            return _refuse(f"the query {request.query_string[:40]!r} is not allowed")
        try:
            with anyio.fail_after(_BODY_SECONDS):
                asked = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except TimeoutError:
            return _error(408, "timeout_error", f"no whole request in {_BODY_SECONDS} seconds")
        except web.HTTPRequestEntityTooLarge:
            return _error(413, "request_too_large", f"more than {self._config.rules.most_bytes} bytes")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _refuse("the body is not a JSON object")
        if wrong := refusal(self._config.rules, asked, request.headers.get("anthropic-beta", "")):
            return _refuse(wrong)
        body = msgspec.json.encode(asked)  # a field that stands there twice may be read otherwise by others
        return await self._proxy(request, session, Meter(reservation, asked["model"], len(body)), body)

    async def _proxy(self, request: web.Request, session: str, meter: Meter, body: bytes) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in FORWARDED_HEADERS if name in request.headers}
        headers |= {"x-api-key": self._config.key.reveal(), "accept-encoding": "identity"}
        address = f"{self._config.upstream}{request.path_qs}"
        identity = f"gateway-{secrets.token_hex(12)}"
        status: int | None = None
        response = web.StreamResponse()
        try:
            async with self._upstream.post(
                address, data=io.BytesIO(body), headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
                identity = answer.headers.get("request-id", identity)
                if status == 401:  # the CLI would take it for its own token's, and try for minutes
                    log_line.error("the model refuses our key", status=status)
                    return _refuse("the model refuses the key of this installation: whoever runs it has to renew it")
                await _relay(request, answer, response, meter)
        except (aiohttp.ClientError, TimeoutError) as error:
            if response.prepared:  # an answer that was cut must not look like one that has ended
                return _cut(request, response)
            status = status or 0
            return _error(502, "api_error", f"the model cannot be reached ({type(error).__name__})")
        else:
            return response
        finally:
            # who went away before the answer began has asked all the same
            event = meter.counted(200 if status is None else status) if request.path == PATHS[0] else None
            if event:
                self._recording.add(session, identity, event)


async def _relay(
    request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse, meter: Meter
) -> None:
    """Pass the answer on, piece by piece as it comes."""
    kept = ("content-type", "request-id", "retry-after", "x-should-retry")
    response.set_status(answer.status)
    response.headers.update({name: answer.headers[name] for name in kept if name in answer.headers})
    await response.prepare(request)
    streams = answer.content_type == "text/event-stream"
    whole = bytearray()
    async for piece in answer.content.iter_any():
        if streams:
            meter.feed(piece)
        else:
            whole += piece
        with anyio.fail_after(_SILENCE_SECONDS):
            await response.write(piece)
    if not streams:
        meter.whole(bytes(whole))
    await response.write_eof()


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return response


def _token(request: web.Request) -> str:
    bearer = request.headers.get("authorization", "").partition("Bearer ")[2]
    return bearer or request.headers.get("x-api-key", "")


def _refuse(message: str) -> web.Response:
    return _error(403, "permission_error", message)


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(Refusal(message, kind).body(), status=status, headers=headers)


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _nothing_else(request: web.Request) -> web.Response:
    return _refuse(f"{request.method} {request.path[:80]} is not for sandboxes")
