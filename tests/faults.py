"""A proxy before a PostgreSQL server that loses connections at the worst moments."""

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
        late = b""
        async with await anyio.connect_unix(self._server) as server:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._replies, server, client)
                with suppress(*BROKEN):
                    late = await self._requests(client, server)
                tasks.cancel_scope.cancel()
            await client.aclose()
            if late:
                with suppress(*BROKEN):
                    await self._deliver.wait()
                    await server.send(late)
                    while True:
                        await server.receive()

    async def _replies(self, server: ByteStream, client: ByteStream) -> None:
        with suppress(*BROKEN):
            while True:
                await client.send(await server.receive())
        await client.aclose()

    async def _requests(self, client: ByteStream, server: ByteStream) -> bytes:
        """Forward until the fault; returns what is to be delivered late."""
        while True:
            request = await client.receive()
            if self.fault == "none" or self.marker not in request:
                await server.send(request)
                continue
            fault, self.fault = self.fault, "none"
            await client.aclose()  # first, so that no reply gets through
            if fault == "lose reply":
                await server.send(request)
            self.happened.set()
            return request if fault == "delay request" else b""


@asynccontextmanager
async def faulty_network(dsn: str) -> AsyncGenerator[tuple[FaultyNetwork, str]]:
    """The network, and the DSN of the same database through it."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    server = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    network = FaultyNetwork(server)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, network.serve)
        yield network, f"postgresql://postgres@127.0.0.1:{port}{parts.path}?sslmode=disable"
        tasks.cancel_scope.cancel()
