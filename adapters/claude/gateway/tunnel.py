"""The sandboxes' way out: an HTTP proxy that knows nothing but CONNECT to hosts on a list.

Network policies cannot name hosts, so a sandbox reaches nothing but the gateway, and the gateway this list. It promises that only
an open reservation has a way out, that a name leads to a public address or nowhere, that a tunnel ends with its reservation, and
that every refusal says what was refused and whose rule it is. It looks into no tunnel.
"""

import base64
import binascii
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
import structlog
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from adapters.claude.gateway import egress
from adapters.claude.gateway.reservations import NOT_GOOD, Policy, admit
from engine.ports import TryAgain

log_line = structlog.get_logger(__name__)

_HEAD_BYTES = 8192
_HEAD_SECONDS = 10
_CONNECT_SECONDS = 10
_SILENCE_SECONDS = 600
_LOOK_SECONDS = 15
_SHOWN = 260  # of a host and its port: no name is longer
_BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class Asked(msgspec.Struct, frozen=True):
    """What the head of a request asks for."""

    host: str
    port: int
    token: str


class Refused(Exception):
    """Raised when a request gets no tunnel; says why."""

    def __init__(self, status: HTTPStatus, said: str) -> None:
        super().__init__(said)
        self.status = status


class Tunnels:
    """One proxy. `secret` checks session tokens. `at_once`: tunnels of one session. `may_reach`: the rule for addresses.

    `refused` is told, without being waited for, of what a session and reservation got no tunnel to: `name:port`.
    """

    def __init__(
        self,
        secret: bytes,
        allowed: Sequence[egress.Entry],
        policy: Policy,
        *,
        refused: Callable[[str, str, str], Coroutine[Any, Any, None]] | None = None,
        at_once: int = 32,
        may_reach: Callable[[egress.Entry, str], bool] = egress.may_reach,
    ) -> None:
        self._secret = secret
        self._allowed = allowed
        self._policy = policy
        self._refused = refused
        self._at_once = at_once
        self._may_reach = may_reach
        self._open: Counter[str] = Counter()
        self._tasks: TaskGroup

    @asynccontextmanager
    async def serve(self, port: int, host: str = "127.0.0.1") -> AsyncGenerator[int]:
        """Serve at the port it yields (0: any free one) for as long as the context is open; leaving ends every tunnel."""
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
        async with listener, anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(listener.serve, self._serve_one)
            yield int(listener.extra(SocketAttribute.local_port))  # noqa: S610 - no Django here
            tasks.cancel_scope.cancel()

    async def _serve_one(self, client: SocketStream) -> None:
        async with client:
            with suppress(*_BROKEN):
                try:
                    asked, early = await _read_head(client)
                    address = str(client.extra(SocketAttribute.remote_address)[0])  # noqa: S610 - no Django here
                    session, reservation = await self._admit(asked, address)
                    async with self._counted(session), await self._reach(session, reservation, asked) as server:
                        await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        await server.send(early)
                        await self._join(client, server, partial(self._policy.is_open, session, reservation, address))
                except Refused as refusal:
                    await client.send(_answer(refusal))

    async def _admit(self, asked: Asked, address: str) -> tuple[str, str]:
        try:
            known = await admit(self._secret, asked.token, self._policy, address)
        except TryAgain as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"try again: {error}") from None
        if known is None:
            raise Refused(HTTPStatus.FORBIDDEN, NOT_GOOD)
        return known

    @asynccontextmanager
    async def _counted(self, session: str) -> AsyncGenerator[None]:
        if self._open[session] >= self._at_once:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, f"more than {self._at_once} connections at once")
        self._open[session] += 1
        try:
            yield
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]

    async def _reach(self, session: str, reservation: str, asked: Asked) -> SocketStream:
        """A connection to the host that was asked for, at an address that its entry may have."""
        where = f"{asked.host}:{asked.port}"
        entry = egress.find(self._allowed, asked.host, asked.port)
        if entry is None:
            log_line.info("egress refused", session=session, host=where)
            if self._refused:
                self._tasks.start_soon(self._refused, session, reservation, where[:_SHOWN])
            raise Refused(HTTPStatus.FORBIDDEN, f"{where} is not on the list of this installation (EGRESS_ALLOW)")
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                found = await anyio.getaddrinfo(asked.host, asked.port, type=socket.SOCK_STREAM)
                addresses = [str(one[4][0]) for one in found if self._may_reach(entry, str(one[4][0]))]
                if not addresses:
                    log_line.warning("egress to a private address refused", session=session, host=where)
                    raise Refused(HTTPStatus.FORBIDDEN, f"{where} has no public address")
                return await anyio.connect_tcp(addresses[0], asked.port)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise Refused(HTTPStatus.BAD_GATEWAY, f"{where} cannot be reached ({type(error).__name__})") from None

    async def _join(self, client: SocketStream, server: SocketStream, is_open: Callable[[], Awaitable[bool]]) -> None:
        """Pass bytes on, both ways, until both are done, nothing came for long, or the reservation is over."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, is_open, tasks.cancel_scope)
            async with anyio.create_task_group() as ways:
                ways.start_soon(_pass_on, client, server, ways.cancel_scope)
                ways.start_soon(_pass_on, server, client, ways.cancel_scope)
            tasks.cancel_scope.cancel()


async def _watch(is_open: Callable[[], Awaitable[bool]], scope: anyio.CancelScope) -> None:
    while True:
        await anyio.sleep(_LOOK_SECONDS)
        with suppress(TryAgain):  # who cannot be asked about has not ended
            if not await is_open():
                scope.cancel()


async def _read_head(client: SocketStream) -> tuple[Asked, bytes]:
    """What is asked for, and what was sent after the head already."""
    head = b""
    with anyio.move_on_after(_HEAD_SECONDS):
        while b"\r\n\r\n" not in head:
            if len(head) > _HEAD_BYTES:
                raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {_HEAD_BYTES} bytes of header")
            head += await client.receive()
    head, ended, early = head.partition(b"\r\n\r\n")
    if not ended:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, f"no whole request in {_HEAD_SECONDS} s")
    return read_head(head), early


def read_head(head: bytes) -> Asked:
    """Raises Refused for anything but CONNECT with a token. Pure."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if method != "CONNECT":
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "this proxy knows CONNECT (https) only")
    host, _, port = target.rpartition(":")
    if not version.startswith("HTTP/1.") or not host or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise Refused(HTTPStatus.BAD_REQUEST, "the request is not CONNECT host:port HTTP/1.1")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    kind, _, credentials = headers.get("proxy-authorization", "").partition(" ")
    if kind.lower() != "basic":
        raise Refused(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, "the session token is missing")
    try:
        token = base64.b64decode(credentials, validate=True).decode("ascii").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(HTTPStatus.BAD_REQUEST, "the credentials are not Basic ones") from None
    return Asked(host, int(port), token)


def _answer(refusal: Refused) -> bytes:
    body = f"{refusal}\n".encode()
    asks = (
        "Proxy-Authenticate: Basic realm=discord-claude\r\n"
        if refusal.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        else ""
    )
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n{asks}Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def _pass_on(source: SocketStream, sink: SocketStream, ways: anyio.CancelScope) -> None:
    """Until the source says that it is done; then so is the sink told. A broken end, or long silence, ends both ways."""
    try:
        while True:
            with anyio.fail_after(_SILENCE_SECONDS):
                piece = await source.receive()
                await sink.send(piece)
    except anyio.EndOfStream:
        with suppress(*_BROKEN):
            await sink.send_eof()
    except (TimeoutError, *_BROKEN):
        ways.cancel()
