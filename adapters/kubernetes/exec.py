"""One command executed in a container, over one WebSocket: `engine.ports.Process`.

The protocol (v4, v5 of `channel.k8s.io`): each frame begins with the number of a stream: 0 stdin, 1 stdout, 2 stderr,
3 how it ended (JSON). Version 5 adds `255 0`: the end of stdin. A command whose connection was lost may live on or not
(notes of both are in the supervisor's README: nothing depends on it), and never counts as one that ended.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import anyio
import msgspec

from adapters.kubernetes.api import Api, printable
from engine.ports import TryAgain

_STDIN, _STDOUT, _STDERR, _STATUS = b"\0", 1, 2, 3
_END_OF_STDIN = bytes([255, 0])
_CHUNK = 64 << 10
_WRITE_SECONDS = 30
_CLOSE_SECONDS = 5  # from the status to the end of the connection: nothing more is expected
_STDERR_BYTES = 4096
_STATUS_BYTES = 64 << 10
_PENDING_BYTES = 8 << 20  # of stdout kept while somebody waits for the exit status


class _Cause(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct):
    causes: list[_Cause] = []


class _Status(msgspec.Struct):
    status: str = ""
    reason: str = ""
    message: str = ""
    details: _Details | None = None


def exit_code(raw: bytes) -> int:
    """The exit status in what the server says at the end. Raises TryAgain when the command was not executed."""
    try:
        status = msgspec.json.decode(raw, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TryAgain("how the command in the sandbox ended cannot be read") from None
    if status.status == "Success":
        return 0
    for cause in status.details.causes if status.details else ():
        if status.reason == "NonZeroExitCode" and cause.reason == "ExitCode" and cause.message.isdecimal():
            return int(cause.message[:9])
    raise TryAgain(f"the command could not be executed in the sandbox: {printable(status.message)}")


class PodProcess:
    """`engine.ports.Process`. The connection is read only while somebody asks for output or the exit status."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._half_closes = socket.protocol == "v5.channel.k8s.io"
        self._pending = deque[bytes]()
        self._pending_bytes = 0
        self._stderr = b""
        self._status = b""
        self._over = False

    @property
    def ended(self) -> bool:
        """Whether it is known how it ended."""
        return bool(self._status)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            await self._send(b"".join((_STDIN, view[:_CHUNK])))
            view = view[_CHUNK:]

    async def close_stdin(self) -> None:
        """Version 4 has no word for it: there, a command must not wait for the end of its input."""
        if self._half_closes and not self._over:
            await self._send(_END_OF_STDIN)

    async def _send(self, frame: bytes) -> None:
        if self._over:
            raise TryAgain("the process in the sandbox has ended")
        try:
            with anyio.fail_after(_WRITE_SECONDS):
                await self._socket.send_bytes(frame)
        except (ConnectionResetError, aiohttp.ClientError):
            raise TryAgain("the process in the sandbox does not read its input any more") from None
        except TimeoutError:
            raise TryAgain(f"the process in the sandbox took no input for {_WRITE_SECONDS} s") from None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._pending:
            chunk = self._pending.popleft()
            self._pending_bytes -= len(chunk)
            yield chunk
        while not self._over:
            chunk = await self._receive()
            if chunk:
                yield chunk

    async def exit_status(self) -> tuple[int, bytes]:
        while not self._over:
            chunk = await self._receive()
            self._pending.append(chunk)
            self._pending_bytes += len(chunk)
            if self._pending_bytes > _PENDING_BYTES:
                raise TryAgain("the process in the sandbox prints more than anybody reads")
        return exit_code(self._status), self._stderr

    async def _receive(self) -> bytes:
        """Take one frame; the stdout in it. The status may overtake stdout: only the connection's end is the end."""
        try:
            with anyio.fail_after(_CLOSE_SECONDS if self._status else None):
                message = await self._socket.receive()
        except TimeoutError:
            self._over = True
            return b""
        if message.type is not aiohttp.WSMsgType.BINARY:
            self._over = True
            if not self._status:
                raise TryAgain("the link to the sandbox broke")
            return b""
        frame: bytes = message.data
        match frame[:1]:
            case b"\1":
                return frame[1:]
            case b"\2":
                self._stderr = (self._stderr + frame[1:])[-_STDERR_BYTES:]
            case b"\3":
                self._status = (self._status + frame[1:])[:_STATUS_BYTES]
            case _:
                pass
        return b""


@asynccontextmanager
async def execute(
    api: Api, pod: str, container: str, argv: Sequence[str], protocols: Sequence[str] = ()
) -> AsyncGenerator[PodProcess]:
    """Execute `argv` in a container of `pod` (its path). Leaving closes the connection: what the process does then is its
    own affair. Raises ApiError when it cannot be begun.
    """
    query = [("container", container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    query += [("command", word) for word in argv]
    more = {"protocols": protocols} if protocols else {}
    socket = await api.websocket(f"{pod}/exec", "execute a command in the sandbox", query, **more)
    try:
        yield PodProcess(socket)
    finally:
        with anyio.CancelScope(shield=True):
            await socket.close()
