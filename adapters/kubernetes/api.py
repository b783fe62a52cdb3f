"""The Kubernetes API server: requests, watches and WebSockets, and the one place where its refusals become sentences.

It promises a deadline on everything but a stream that is read, limits on what an answer may take, and that what went wrong
is an `ApiError` whose text a person can act on. How to reach the server and who we are is read by `kubernetes_asyncio`: the
service account in a pod, a kubeconfig elsewhere; read again when the server does not know us any more.
"""

import importlib
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec

from engine.ports import GiveUp, TryAgain

_JSON = "application/json"
_SECONDS = 15.0
_SILENT_SECONDS = 150.0  # the server sends a bookmark every minute: a watch that is silent for longer is dead
_HEARTBEAT_SECONDS = 15.0
_WS_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)  # pyright: ignore[reportCallIssue] - its fields are not typed
_ANSWER_BYTES = 32 << 20
_LINE_BYTES = 4 << 20  # an object is at most 1.5 MiB in etcd
_FRAME_BYTES = 1 << 20  # the server sends at most 32 KiB
_SAID = 300  # letters of what the server said that are shown
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")

Query = Sequence[tuple[str, str]]


class ApiError(TryAgain):
    """Raised when the API server refused, or did not answer (`status` 0). `permanent`: the same request cannot succeed."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", permanent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.permanent = permanent


class _Status(msgspec.Struct):
    """What the server answers instead of what was asked for."""

    message: str = ""
    reason: str = ""


def refusal(status: int, body: bytes, doing: str) -> ApiError:
    """What an answer other than 2xx means. `doing` is what could not be done, as in "create the pod"."""
    try:
        said = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = _Status()
    what, permanent = _meaning(status, said)
    detail = printable(said.message)
    message = f"could not {doing}: {what}" + (f" ({detail})" if detail else "")
    return ApiError(message, status=status, reason=said.reason, permanent=permanent)


# What refusals mean, by words that they hold or by their status: half a sentence, and whether trying again is of no use.
# What an operator can change may be tried again.
_BY_WORDS = {
    "admission webhook": ("a rule of the cluster forbids it", True),
    "ValidatingAdmissionPolicy": ("a rule of the cluster forbids it", True),
    "failed calling webhook": ("a webhook of the cluster does not answer", False),
    "is forbidden: maximum": ("the namespace's limits do not allow it", True),
    "is forbidden: minimum": ("the namespace's limits do not allow it", True),
    "violates PodSecurity": ("the namespace does not allow such pods", True),
    "exceeded quota": ("the namespace's quota is used up", False),
    "status unknown for quota": ("the namespace is being set up", False),
    "error looking up service account": ("the namespace is being set up", False),
}
_BY_STATUS = {
    400: ("the cluster calls it invalid", True),
    401: ("the cluster does not know us any more: the bot's credentials need to be renewed", False),
    403: ("the bot's role in the cluster does not allow it", False),
    404: ("it is not there", False),
    409: ("something else happened to it at the same time", False),
    422: ("the cluster calls it invalid", True),
    429: ("the cluster is busy", False),
}


def _meaning(status: int, said: _Status) -> tuple[str, bool]:
    for words, meaning in _BY_WORDS.items():
        if words in said.message:
            return meaning
    return _BY_STATUS.get(status, (f"the cluster failed with status {status}", False))


def printable(text: str) -> str:
    """What the server said, in one short line."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * _SAID]).strip()
    return line if len(line) <= _SAID else f"{line[:_SAID]}…"


class Api:
    """Speaks to one API server. Made by `connect`."""

    def __init__(self, access: "_Access") -> None:
        self._access = access

    @property
    def server(self) -> tuple[str, int]:
        """The server's host and port."""
        parts = urlsplit(self._access.url(""))
        return parts.hostname or "", parts.port or 443

    def own_address(self) -> str:
        """The address of this machine, or pod, on the way to the server. Raises OSError."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # asks the routing table; nothing is sent
            probe.connect(self.server)
            return str(probe.getsockname()[0])

    async def request(
        self, method: str, path: str, doing: str, *, body: object = None, query: Query = (), kind: str = _JSON
    ) -> Any:
        """The JSON of the answer. `doing` is what cannot be done when it fails, as in "create the pod". Raises ApiError."""
        status, answer = await self._exchange(method, path, doing, body, query, kind)
        if status == 401:
            await self._access.renew()
            status, answer = await self._exchange(method, path, doing, body, query, kind)
        if status >= 300:
            raise refusal(status, answer, doing)
        try:
            return msgspec.json.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ApiError(f"could not {doing}: the answer of the cluster cannot be read", status=status) from None

    async def _exchange(
        self, method: str, path: str, doing: str, body: object, query: Query, kind: str
    ) -> tuple[int, bytes]:
        data = None if body is None else msgspec.json.encode(body)
        headers = {**await self._access.headers(), "Content-Type": kind}
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with self._access.session.request(
                method, self._access.url(path), params=list(query), data=data, headers=headers, timeout=timeout
            ) as response:
                return response.status, await _limited(response, doing)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error, doing) from None

    async def watch(self, path: str, doing: str, query: Query) -> AsyncGenerator[Any, None]:
        """The events of a watch, until the server ends it. Raises ApiError."""
        headers = await self._access.headers()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS, sock_read=_SILENT_SECONDS)
        query = [*query, ("watch", "1"), ("allowWatchBookmarks", "true")]
        try:
            async with self._access.session.get(
                self._access.url(path), params=query, headers=headers, timeout=timeout
            ) as response:
                if response.status == 401:
                    await self._access.renew()
                if response.status >= 300:
                    raise refusal(response.status, await _limited(response, doing), doing)
                while line := await response.content.readline():
                    yield msgspec.json.decode(line)
        except (msgspec.DecodeError, ValueError):  # a line that is none, or too long
            raise ApiError(f"could not {doing}: the answer of the cluster cannot be read") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error, doing) from None

    async def websocket(
        self, path: str, doing: str, query: Query, protocols: Sequence[str] = _PROTOCOLS
    ) -> "aiohttp.ClientWebSocketResponse":
        """An open WebSocket; its `protocol` is what the server chose. Raises ApiError."""
        for attempt in (1, 2):
            try:
                with anyio.fail_after(_SECONDS):
                    return await self._access.session.ws_connect(
                        self._access.url(path),
                        params=list(query),
                        headers=await self._access.headers(),
                        protocols=protocols,
                        heartbeat=_HEARTBEAT_SECONDS,
                        max_msg_size=_FRAME_BYTES,
                        timeout=_WS_TIMEOUT,
                    )
            except aiohttp.WSServerHandshakeError as error:
                if error.status != 401 or attempt == 2:
                    raise refusal(error.status, b"", doing) from None
                await self._access.renew()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _unanswered(error, doing) from None
        raise AssertionError


async def _limited(response: aiohttp.ClientResponse, doing: str) -> bytes:
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > _ANSWER_BYTES:
            raise ApiError(f"could not {doing}: the answer of the cluster is too long")
    return bytes(answer)


def _unanswered(error: Exception, doing: str) -> ApiError:
    if isinstance(error, TimeoutError):
        return ApiError(f"could not {doing}: the cluster does not answer")
    return ApiError(f"could not {doing}: the cluster cannot be reached ({type(error).__name__})")


class _Access:
    """Where the server is and who we are there, as `kubernetes_asyncio` finds it."""

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        # imported here because it takes half a second, which nobody without a cluster should wait for
        self._library: Any = importlib.import_module("kubernetes_asyncio")
        self._configuration: Any = None
        self.session: aiohttp.ClientSession

    async def load(self) -> None:
        """Raises GiveUp when there is nothing to connect to."""
        configuration: Any = self._library.client.Configuration()
        try:
            if self._kubeconfig:
                await self._library.config.load_kube_config(
                    config_file=str(self._kubeconfig), client_configuration=configuration
                )
            else:
                self._library.config.load_incluster_config(client_configuration=configuration)
        except (self._library.config.ConfigException, OSError, ValueError, KeyError) as error:
            raise GiveUp(f"no way to the cluster was found: {printable(str(error))}") from None
        self._configuration = configuration

    async def renew(self) -> None:
        """Read the credentials again."""
        await self.load()

    def url(self, path: str) -> str:
        return f"{self._configuration.host.rstrip('/')}{path}"

    async def headers(self) -> dict[str, str]:
        found: Mapping[str, Mapping[str, str]] = await self._configuration.auth_settings()
        return {one["key"]: one["value"] for one in found.values()}

    def connector(self) -> aiohttp.TCPConnector:
        """Any number of connections: each exec has one of its own, for as long as it lasts."""
        config = self._configuration
        context = ssl.create_default_context(cafile=config.ssl_ca_cert)
        if config.cert_file:
            context.load_cert_chain(config.cert_file, keyfile=config.key_file)
        if not config.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return aiohttp.TCPConnector(limit=0, ssl=context)

    @property
    def proxy(self) -> str | None:
        return self._configuration.proxy


@asynccontextmanager
async def connect(kubeconfig: Path | None) -> AsyncGenerator[Api]:
    """The API of the cluster that `kubeconfig` names; None: of the cluster that this process is a pod of. Raises GiveUp."""
    access = _Access(kubeconfig)
    await access.load()
    async with aiohttp.ClientSession(
        connector=access.connector(), proxy=access.proxy, trust_env=True, read_bufsize=_LINE_BYTES
    ) as access.session:
        yield Api(access)
