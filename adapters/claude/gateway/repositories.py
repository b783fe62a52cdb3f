"""Repositories for sandboxes: git over HTTP, read only, from the hosts of `EGRESS_ALLOW`.

    GET  /git/HOST[:PORT]/PATH/info/refs?service=git-upload-pack
    POST /git/HOST[:PORT]/PATH/git-upload-pack

A tunnel (CONNECT) cannot add a credential to what is encrypted in it, so the gateway itself is the client that speaks https. It
promises that a credential goes to the host and path it is for and nowhere else, never to a sandbox; that a token opens the one
repository it was made for; that nothing can be written; and that a name leads to a public address or nowhere, as in `tunnel.py`.
"""

import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote

import aiohttp
import anyio
import msgspec
import structlog
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.claude.gateway import egress
from adapters.claude.gateway.limits import Busy, Limits
from adapters.claude.gateway.reservations import NOT_GOOD, Policy, admit
from adapters.claude.gateway.rules import Rules
from engine import repos
from engine.ports import TryAgain
from engine.repos import Repository

log_line = structlog.get_logger(__name__)

_CONNECT_SECONDS = 15
_SILENCE_SECONDS = 120
_BODY_SECONDS = 60
_MOVES = 3
_SENT = ("git-protocol", "accept", "content-type")
_KEPT = ("content-type", "cache-control")
_USER_AGENT = "git/2.39 (discord-claude)"
"""Some hosts speak git only to who looks like it."""

ROUTE = "/git/{host}/{path:.+}"


class Credential(msgspec.Struct, frozen=True):
    """What a host wants to see for repositories below `place` (`Repository.name`, or what stands before a `/` in it)."""

    place: str
    header: str

    def __repr__(self) -> str:
        return "Credential(…)"


def read_credentials(text: str) -> tuple[Credential, ...]:
    """A file as git's own `store` has it: `https://user:token@host/owner[/name]`, a line each. Raises ValueError, with no value."""
    found: list[Credential] = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        scheme, _, rest = line.partition("://")
        login, at, place = rest.rpartition("@")
        user, colon, token = login.partition(":")
        known = repos.place(place)
        if scheme != "https" or not (at and colon and user and token) or known is None:
            raise ValueError(f"has a line ({number}) that is not https://user:token@host/owner")
        header = "Basic " + b64encode(f"{unquote(user)}:{unquote(token)}".encode()).decode()
        found.append(Credential(known, header))
    return tuple(found)


def credential_for(credentials: Sequence[Credential], repository: Repository) -> str | None:
    """The header of the credential that is most precisely for this repository."""
    fitting = [one for one in credentials if repos.is_within((one.place,), repository)]
    return max(fitting, key=lambda one: len(one.place)).header if fitting else None


class Refused(Exception):
    """Raised when a repository is not passed on. `why`, as in `RepoFailed`; "" when it may work another time."""

    def __init__(self, status: int, why: str, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.why = why


class Repositories:
    """The routes. `secret` checks tokens. `tls`: whom to trust. `may_reach`: the rule for addresses."""

    def __init__(
        self,
        secret: bytes,
        allowed: Sequence[egress.Entry],
        policy: Policy,
        *,
        credentials: Sequence[Credential] = (),
        tls: ssl.SSLContext | None = None,
        may_reach: Callable[[egress.Entry, str], bool] = egress.may_reach,
    ) -> None:
        self._secret = secret
        self._allowed = allowed
        self._policy = policy
        self._credentials = credentials
        self._tls = tls or ssl.create_default_context()
        self._may_reach = may_reach
        self._limits = Limits(Rules())
        self._upstream: aiohttp.ClientSession

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Hold what is needed to pass requests on."""
        resolver = _Checked(self._allowed, self._may_reach)
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=resolver, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
        ) as self._upstream:
            yield

    def add_to(self, app: web.Application) -> None:
        """Serve them there."""
        app.router.add_get(f"{ROUTE}/info/refs", self._serve, allow_head=False)
        app.router.add_post(f"{ROUTE}/git-upload-pack", self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            repository, session = await self._admit(request)
            with self._limits.admit(session):
                await self._pass_on(request, response, repository)
        except Refused as refused:
            return _refuse(refused.status, refused.why, str(refused))
        except Busy as busy:
            return _refuse(429, "", str(busy))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if response.prepared:  # what was cut must not look like a whole answer
                if request.transport:
                    request.transport.abort()
                return response
            return _refuse(502, "", f"the repository's host cannot be reached ({type(error).__name__})")
        return response

    async def _admit(self, request: web.Request) -> tuple[Repository, str]:
        host, path = request.match_info["host"], request.match_info["path"]
        repository = repos.read(f"https://{host}/{path}")
        if repository is None or repository.name != f"{host}/{path}":
            raise Refused(403, "host", "that is no address of a repository")
        token = request.headers.get("authorization", "").partition("Bearer ")[2]
        try:
            known = await admit(self._secret, token, self._policy, request.remote or "", repository.name)
        except TryAgain as error:
            raise Refused(503, "", str(error)) from None
        if known is None:
            raise Refused(403, "", NOT_GOOD)
        if request.method == "GET" and request.query_string != "service=git-upload-pack":
            raise Refused(403, "host", "repositories can be read here, and not be written to")
        if _entry(self._allowed, repository.host) is None:
            raise Refused(403, "host", "its host is not on the list of this installation (EGRESS_ALLOW)")
        return repository, known[0]

    async def _pass_on(self, request: web.Request, response: web.StreamResponse, repository: Repository) -> None:
        what = "info/refs?service=git-upload-pack" if request.method == "GET" else "git-upload-pack"
        with anyio.fail_after(_BODY_SECONDS):
            body = await request.read()
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        headers |= {"user-agent": _USER_AGENT, "accept-encoding": "identity"}
        async with self._ask(request.method, repository, what, headers, body) as answer:
            _look_at(answer)
            response.set_status(answer.status)
            response.headers.update({name: answer.headers[name] for name in _KEPT if name in answer.headers})
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                with anyio.fail_after(_SILENCE_SECONDS):
                    await response.write(piece)
            await response.write_eof()

    @asynccontextmanager
    async def _ask(
        self, method: str, repository: Repository, what: str, headers: dict[str, str], body: bytes
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The host's answer; from where the repository has moved to, if that is on the same host."""
        for _ in range(_MOVES):
            credential = credential_for(self._credentials, repository)
            login = {"authorization": credential} if credential else {}
            async with self._upstream.request(
                method,
                f"{repository.address}/{what}",
                headers=headers | login,
                data=body if method == "POST" else None,
                allow_redirects=False,
            ) as answer:
                if answer.status not in (301, 302, 307, 308):
                    yield answer
                    return
                repository = _moved(answer.headers.get("location", ""), repository, what)
        raise Refused(404, "moved", "it has moved, again and again")


def _moved(location: str, before: Repository, what: str) -> Repository:
    """Where it is now. Raises Refused for another host: that may not be on the list, and no credential of this one is for it."""
    end, address = f"/{what.partition('?')[0]}", location.partition("?")[0]
    if address.startswith("/"):
        address = f"https://{before.host}{address}"
    after = repos.read(address.removesuffix(end)) if address.endswith(end) else None
    if after is None or after.host != before.host:
        raise Refused(404, "moved", "it has moved elsewhere: look in a browser where it is now")
    return after


def _look_at(answer: aiohttp.ClientResponse) -> None:
    """Raises Refused for what is no repository."""
    if answer.status in (401, 403):
        raise Refused(403, "auth", f"its host answers {answer.status}")
    if answer.status == 429 or answer.status >= 500:
        raise Refused(502, "", f"the repository's host answers {answer.status}")
    if answer.status != 200:
        raise Refused(404, "not_found", f"its host answers {answer.status}")
    if not answer.content_type.startswith("application/x-git-upload-pack-"):
        raise Refused(404, "not_found", "what is there is no git repository")


def _entry(allowed: Sequence[egress.Entry], host: str) -> egress.Entry | None:
    name, _, port = host.partition(":")
    return egress.find(allowed, name, int(port or 443))


def _refuse(status: int, why: str, said: str) -> web.Response:
    """As text, which git shows."""
    return web.Response(status=status, text=f"{said}\n", headers={"x-refused": why} if why else None)


async def _look_up(host: str, port: int, family: socket.AddressFamily) -> dict[str, socket.AddressFamily]:
    """The addresses of a name, and their kinds. Raises OSError."""
    found = await anyio.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return {str(one[4][0]): one[0] for one in found}


class _Checked(AbstractResolver):
    """Names, as far as they lead to an address that they may have."""

    def __init__(self, allowed: Sequence[egress.Entry], may_reach: Callable[[egress.Entry, str], bool]) -> None:
        self._allowed = allowed
        self._may_reach = may_reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        entry = egress.find(self._allowed, host, port)
        found = await _look_up(host, port, family)
        good = {address: kind for address, kind in found.items() if entry and self._may_reach(entry, address)}
        if not good:
            log_line.warning("a repository at a private address was refused", host=host)
            raise Refused(403, "host", "its host has no public address")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for address, kind in good.items()
        ]

    async def close(self) -> None:
        pass
