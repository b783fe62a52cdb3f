"""The way out of a sandbox, with an ordinary HTTP client and a real server behind."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from adapters.claude.gateway import tokens, tunnel
from adapters.claude.gateway.egress import Entry
from adapters.claude.gateway.tunnel import Tunnels
from engine.ports import TryAgain

SECRET = b"made-up secret"
TOKEN = tokens.make(SECRET, "1", "r-1")
SECONDS = 30


class Books:
    """Which reservation is open. `away`: nobody can tell."""

    def __init__(self) -> None:
        self.open = True
        self.away = False

    async def is_open(self, session: str, reservation: str, address: str) -> bool:
        if self.away:
            raise TryAgain("the log is away")
        return self.open and (session, reservation) == ("1", "r-1")


@asynccontextmanager
async def echo() -> AsyncGenerator[int]:
    """A server that says everything back, and that it is done when it was told so."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            try:
                async for piece in stream:
                    await stream.send(piece)
                await stream.send(b"done")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield int(listener.extra(SocketAttribute.local_port))
        tasks.cancel_scope.cancel()


class Out:
    """A sandbox's way out."""

    def __init__(self, proxy: int, target: int, books: Books) -> None:
        self.proxy, self.target, self.books = proxy, target, books

    @asynccontextmanager
    async def connect(self, host: str = "localhost", token: str = TOKEN) -> AsyncGenerator[SocketStream]:
        """A tunnel, or the refusal as RuntimeError."""
        async with await anyio.connect_tcp("127.0.0.1", self.proxy) as stream:
            credentials = aiohttp.encode_basic_auth("dc1", token)
            head = f"CONNECT {host}:{self.target} HTTP/1.1\r\nProxy-Authorization: {credentials}\r\n\r\n"
            await stream.send(head.encode())
            with anyio.fail_after(SECONDS):
                answer = await stream.receive()
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(answer.decode())
            yield stream


@pytest.fixture
async def out() -> AsyncGenerator[Out]:
    books = Books()
    async with echo() as target:
        allowed = [Entry("localhost", target), Entry("nobody.invalid", target)]
        tunnels = Tunnels(SECRET, allowed, books, at_once=2, may_reach=lambda _, address: address == "127.0.0.1")
        async with tunnels.serve(0) as proxy:
            yield Out(proxy, target, books)


async def test_bytes_pass_both_ways_and_so_does_the_end(out: Out) -> None:
    sent = bytes(range(256)) * 4000
    got = b""
    async with out.connect() as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, sent)
        with anyio.fail_after(SECONDS):
            while len(got) < len(sent):
                got += await stream.receive()
            await stream.send_eof()
            assert await stream.receive() == b"done"
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
    assert got == sent


@pytest.mark.parametrize(
    ("host", "token", "said"),
    [
        ("evil.example", TOKEN, "403 Forbidden.*evil.example:[0-9]+ is not on the list of this installation"),
        ("localhost", tokens.make(b"other", "1", "r-1"), "403 Forbidden.*not .any more. good"),
        ("localhost", tokens.make(SECRET, "1", "r-0"), "403 Forbidden.*not .any more. good"),
        ("nobody.invalid", TOKEN, "502 Bad Gateway.*cannot be reached"),
    ],
)
async def test_who_gets_no_tunnel_is_told_why(out: Out, host: str, token: str, said: str) -> None:
    with pytest.raises(RuntimeError, match=f"(?s){said}"):
        async with out.connect(host, token):
            pass
    async with out.connect():  # and others go on
        pass


async def test_a_name_that_leads_to_a_private_address_leads_nowhere(out: Out) -> None:
    async with Tunnels(SECRET, [Entry("localhost", out.target)], out.books).serve(0) as proxy:
        with pytest.raises(RuntimeError, match=r"(?s)403 Forbidden.*has no public address"):
            async with Out(proxy, out.target, out.books).connect():
                pass


async def test_a_session_has_so_many_at_once(out: Out) -> None:
    async with out.connect(), out.connect():
        with pytest.raises(RuntimeError, match="429 Too Many"):
            async with out.connect():
                pass


async def test_a_tunnel_ends_with_its_reservation_and_not_with_the_log(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_LOOK_SECONDS", 0.05)
    out.books.away = False
    async with out.connect() as stream:
        out.books.away = True
        for _ in range(3):
            await stream.send(b"?")
            assert await stream.receive() == b"?"
        out.books.away, out.books.open = False, False
        with anyio.fail_after(SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
    out.books.away = True
    with pytest.raises(RuntimeError, match="503 Service Unavailable"):
        async with out.connect():
            pass


@pytest.mark.parametrize("head", [b"x" * 10_000, b"GET http://localhost/ HTTP/1.1\r\n\r\n"])
async def test_noise_is_answered(out: Out, head: bytes) -> None:
    async with await anyio.connect_tcp("127.0.0.1", out.proxy) as stream:
        await stream.send(head)
        with anyio.fail_after(SECONDS):
            assert (await stream.receive()).startswith(b"HTTP/1.1 4")


async def test_an_ordinary_client_gets_through_and_hears_refusals(out: Out) -> None:
    proxy = f"http://dc1:{TOKEN}@127.0.0.1:{out.proxy}"
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientHttpProxyError, match="Forbidden"):
            await http.get("https://evil.example/", proxy=proxy)
