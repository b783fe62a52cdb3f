"""Who is let in: the holder of the page's address, from this machine, on the page itself. And the page's own files.

A local server is reached by every program here and, through the browser, by every site that somebody has open: so a token is
asked for, the Host must be ours (a foreign name that points here is not), and the Origin must be the page.
"""

import hmac
import socket
from importlib.resources import files

from aiohttp import web

from adapters.parsers import ip

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Door:
    """`host`: what the server is bound to. `panel`: the port of the log panel, if there is one; the page may talk to it.

    `page`: the port of the page, where that is another server's.
    """

    def __init__(self, token: str, host: str, *, panel: int = 0, page: int = 0) -> None:
        self._token = token
        self._host = host
        self._panel = panel
        self._page = page
        self._files = _page_files()

    def refuse(self, request: web.Request) -> web.Response | None:
        """An answer for whoever may not; None for whoever may."""
        given = request.query.get("token", "") or request.headers.get("X-Page-Token", "")
        known = hmac.compare_digest(given.encode(), self._token.encode())
        return None if self.is_ours(request) and known else _refusal()

    def is_ours(self, request: web.Request) -> bool:
        """Whether the browser asks for us by our own name, and from the page."""
        origin = request.headers.get("Origin")
        name, given = _name_of(request.host), request.host
        page = f"{given.removesuffix(_port_of(given))}:{self._page}" if self._page else given
        return self._is_own_name(name) and origin in {None, f"http://{page}", f"https://{page}"}

    def _is_own_name(self, name: str) -> bool:
        if name in _LOOPBACK:
            return True
        if self._host in _LOOPBACK:
            return False
        # no name of another's can be made to point here if it is no name
        return name in {self._host, socket.gethostname()} or ip(name) is not None

    def _policy(self, host: str) -> str:
        beside = f"{host.removesuffix(_port_of(host))}:{self._panel}"
        panel = f" ws://{beside} wss://{beside}" if self._panel else ""
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
            f"connect-src 'self'{panel}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )

    def page(self, request: web.Request) -> web.Response:
        """A file of the page."""
        body = self._files.get(request.match_info["name"] or "page.html")
        if body is None:
            return web.Response(status=404)
        if not self._is_own_name(_name_of(request.host)):
            return _refusal()
        headers = {
            "Content-Security-Policy": self._policy(request.host),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }
        kind = _TYPES[(request.match_info["name"] or "page.html").rpartition(".")[2]]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)


def _port_of(host: str) -> str:
    """With its colon; nothing where none is told."""
    rest = host.rpartition("]")[2]
    return f":{rest.rpartition(':')[2]}" if ":" in rest else ""


def _page_files() -> dict[str, bytes]:
    folder = files("adapters.local.discord").joinpath("page")
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _TYPES}


def _name_of(host: str) -> str:
    """Without its port; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.removesuffix(_port_of(host))


def _refusal() -> web.Response:
    return web.Response(status=403, text="open the address that the playground printed\n")
