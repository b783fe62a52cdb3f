"""A network between a program and one server that ends connections in each of the ways in which networks do."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal

Cut = Literal["fin", "rst", "silence"]
"""Both sides are told of an end; of an error; of nothing, for ever."""


class Link:
    """Forwards bytes between whoever connects and the server; `cut` ends all that is open, and what comes later passes."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._silent: list[asyncio.StreamWriter] = []

    def cut(self, how: Cut) -> int:
        """Returns how many connections were open."""
        cut, self._open = self._open, {}
        for task, ends in cut.items():
            task.cancel()
            for end in ends:
                match how:
                    case "fin":
                        end.close()
                    case "rst":
                        reset(end)
                    case "silence":
                        self._silent.append(end)
        return len(cut)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends or is cut."""
        try:
            replies, server = await asyncio.open_connection(*self._server)
        except OSError:  # it is away: so it looks to whoever connects, too
            reset(writer)
            return
        task = asyncio.ensure_future(_both_ways(reader, server, replies, writer))
        self._open[task] = server, writer
        with suppress(asyncio.CancelledError):
            await task
        if self._open.pop(task, None):
            server.close()
            writer.close()

    def end(self) -> None:
        """Whoever still waits in silence is let go."""
        self.cut("rst")
        for end in self._silent:
            reset(end)


def reset(end: asyncio.StreamWriter) -> None:
    """End a connection without the courtesy of an end."""
    connection: socket.socket = end.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


async def _both_ways(
    reader: asyncio.StreamReader,
    server: asyncio.StreamWriter,
    replies: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Until either side has ended."""
    ways = {asyncio.ensure_future(_pump(reader, server)), asyncio.ensure_future(_pump(replies, writer))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()


@asynccontextmanager
async def open_link(host: str, port: int, *, at: str) -> AsyncGenerator[tuple[Link, int]]:
    """A link to a server, at a free port of the address `at`."""
    link = Link(host, port)
    server = await asyncio.start_server(link.serve, at, 0)
    try:
        yield link, int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        link.end()
