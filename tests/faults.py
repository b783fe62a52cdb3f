"""A proxy before a PostgreSQL server that loses connections at the worst moments."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio.abc import ByteStream, SocketAttribute

Fault = Literal["none", "lose request", "lose reply", "delay request"]
BROKEN = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class FaultyNetwork:
    """Forwards bytes, until a request holds `marker`; then, once, `fault` happens, and the client's connection is lost.

    lose request: the server never sees it. lose reply: the server sees it and does it. delay request: the server sees it when
    `deliver` is called, long after the client's connection is gone.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._connections: set[anyio.CancelScope] = set()
        self._deliver = anyio.Event()
        self.fault: Fault = "none"
        self.marker = b""
        self.happened = anyio.Event()
        self.delivered = anyio.Event()
        self.accepting = True

    def deliver(self) -> None:
        self._deliver.set()

    def cut(self) -> None:
        """Everything is lost, and nobody gets through until `accepting` again."""
        self.accepting = False
        for connection in self._connections:
            connection.cancel()

    async def serve(self, client: ByteStream) -> None:
        async with client:
            if self.accepting:
                with anyio.CancelScope() as connection:
                    self._connections.add(connection)
                    await self._connect(client)
                self._connections.discard(connection)

    async def _connect(self, client: ByteStream) -> None:
        # asyncio's streams: anyio's UNIX sockets do not like to be cancelled while they receive
        replies, server = await asyncio.open_unix_connection(self._server)
        try:
            fault, request = "none", b""
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._replies, replies, client)
                with suppress(*BROKEN):
                    fault, request = await self._requests(client, server)
                tasks.cancel_scope.cancel()
            await client.aclose()
            if fault == "lose reply":
                server.write(request)
                await replies.read(1)
            if fault != "none":
                self.happened.set()
            if fault == "delay request":
                await self._deliver.wait()
                server.write(request)
                with suppress(*BROKEN):
                    await replies.read()
                self.delivered.set()
        finally:
            server.transport.abort()
            with anyio.CancelScope(shield=True), suppress(*BROKEN):
                await server.wait_closed()

    async def _replies(self, replies: asyncio.StreamReader, client: ByteStream) -> None:
        with suppress(*BROKEN):
            while reply := await replies.read(1 << 16):
                await client.send(reply)
        await client.aclose()

    async def _requests(self, client: ByteStream, server: asyncio.StreamWriter) -> tuple[Fault, bytes]:
        """Forward until the fault; returns it, and the request it happens to."""
        while True:
            request = await client.receive()
            if self.fault != "none" and self.marker in request:
                fault, self.fault = self.fault, "none"
                return fault, request
            server.write(request)
            await server.drain()


@asynccontextmanager
async def faulty_network(dsn: str) -> AsyncGenerator[tuple[FaultyNetwork, str]]:
    """The network, and the DSN of the same database through it."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    network = FaultyNetwork(f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, network.serve)
        yield network, f"postgresql://postgres@127.0.0.1:{port}{parts.path}?sslmode=disable"
        tasks.cancel_scope.cancel()
