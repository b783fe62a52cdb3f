"""What people do and see, over HTTP: for the page, for tests and for scripts. Guarded by the token in the page's address."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from aiohttp import WSMsgType, web

from adapters.local.discord.rest import Rest, read_body
from adapters.local.discord.server import DiscordError, Server
from adapters.local.discord.shapes import Json

_PAGE = {"": "page.html", "page.css": "page.css", "page.js": "page.js"}
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}

Action = Callable[[str, Json, list[Json]], Awaitable[Json]]


class PeopleApi:
    """The routes. `about`: what is real here, line by line."""

    def __init__(self, server: Server, rest: Rest, about: list[str]) -> None:
        self._server = server
        self._rest = rest
        self._about = about
        self._actions: dict[str, Action] = {
            "say": self._say,
            "edit": self._edit,
            "delete": self._delete,
            "slash": self._slash,
            "press": self._press,
            "thread": self._thread,
            "delete_channel": self._delete_channel,
        }

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/people/v1/stream", self._stream),
            web.post("/people/v1/{person}/{action}", self._act),
            web.post("/faults/v1/{fault}", self._fault),
            web.get("/attachments/{id}/{name}", self._file),
            web.get("/{name:(?:page\\.(?:css|js))?}", self._page),
        ]

    def _refuse(self, request: web.Request) -> web.Response | None:
        """Only who knows the page's address, and no other site in the same browser."""
        host = request.host.rpartition(":")[0] or request.host
        origin = request.headers.get("Origin")
        foreign = origin is not None and origin.partition("://")[2] != request.host
        given = request.query.get("token", "") or request.headers.get("X-Page-Token", "")
        known = hmac.compare_digest(given, self._server.store.world["page_token"])
        if host not in _LOOPBACK or foreign or not known:
            return web.Response(status=403, text="open the address that the playground printed\n")
        return None

    async def _page(self, request: web.Request) -> web.Response:
        name = _PAGE[request.match_info["name"]]
        body = files("adapters.local.discord").joinpath("page", name).read_text(encoding="utf-8")
        headers = {
            "Content-Security-Policy": _CSP,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return web.Response(text=body, content_type=_TYPES[name.rpartition(".")[2]], headers=headers)

    async def _file(self, request: web.Request) -> web.Response:
        found = self._server.store.file(request.match_info["id"])
        if found is None:
            return web.Response(status=404)
        name, kind, data = found
        quoted = name.replace('"', "_").encode("ascii", "replace").decode()
        headers = {
            "Content-Disposition": f'attachment; filename="{quoted}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
        }
        return web.Response(body=data, content_type=kind.partition(";")[0], headers=headers)

    async def _act(self, request: web.Request) -> web.Response:
        if refusal := self._refuse(request):
            return refusal
        person, action = request.match_info["person"], self._actions.get(request.match_info["action"])
        if action is None or person not in self._server.store.world["people"]:
            return web.json_response({"message": "nobody can do that"}, status=404)
        asked, attached = await read_body(self._server, request)
        try:
            return web.json_response(await action(person, asked, attached))
        except DiscordError as error:
            return web.json_response(error.body, status=error.status)

    # --- what people do ----------------------------------------------------------------------------------------------

    async def _say(self, person: str, asked: Json, attached: list[Json]) -> Json:
        return await self._server.post(asked["channel"], self._server.store.person(person), asked, attached)

    async def _edit(self, person: str, asked: Json, _: list[Json]) -> Json:
        author = self._server.store.person(person)["id"]
        return await self._server.edit(asked["channel"], asked["message"], author, {"content": asked["content"]}, [])

    async def _delete(self, person: str, asked: Json, _: list[Json]) -> Json:
        message = self._server.message(asked["channel"], asked["message"])
        if message["author"]["id"] != self._server.store.person(person)["id"]:
            raise DiscordError(403, 50013, "Missing Permissions")
        await self._server.remove(asked["channel"], asked["message"])
        return {}

    async def _slash(self, person: str, asked: Json, _: list[Json]) -> Json:
        kept = self._server.store.get("commands", self._server.store.world["guild"]) or {"list": []}
        command = next((one for one in kept["list"] if one["name"] == asked["name"]), None)
        if command is None:
            raise DiscordError(404, 10063, "Unknown application command")
        options: list[Json] = asked.get("options") or []
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": options}
        return {"interaction": await self._server.interact(2, asked["channel"], person, data)}

    async def _press(self, person: str, asked: Json, _: list[Json]) -> Json:
        message = self._server.message(asked["channel"], asked["message"])
        data = {"custom_id": asked["custom_id"], "component_type": 2, "id": 2}
        return {"interaction": await self._server.interact(3, asked["channel"], person, data, message)}

    async def _thread(self, _person: str, asked: Json, _: list[Json]) -> Json:
        return await self._server.change_channel(asked["channel"], asked["change"])

    async def _delete_channel(self, _person: str, asked: Json, _: list[Json]) -> Json:
        return await self._server.drop_channel(asked["channel"])

    # --- what people see ---------------------------------------------------------------------------------------------

    def _snapshot(self, person: str) -> Json:
        store = self._server.store
        commands = store.get("commands", store.world["guild"])
        return {
            "me": store.person(person) | {"locale": store.world["people"][person]["locale"]},
            "people": [store.person(name) for name in store.world["people"]],
            "bot": store.bot(),
            "channels": store.all("channel"),
            "messages": [*store.all("message"), *(one for one in store.all("private") if one["person"] == person)],
            "commands": commands["list"] if commands else [],
            "about": self._about,
        }

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        person = request.query.get("person", "")
        if refusal := self._refuse(request):
            return refusal
        if person not in self._server.store.world["people"]:
            return web.Response(status=404)
        ws = web.WebSocketResponse(heartbeat=20)
        await ws.prepare(request)
        queue: asyncio.Queue[Json] = asyncio.Queue()

        async def watch(whom: str, event: Json) -> None:
            if whom in {"", person}:
                queue.put_nowait(event)

        self._server.watchers.add(watch)
        queue.put_nowait({"t": "SNAPSHOT", "d": self._snapshot(person)})
        sending = asyncio.ensure_future(_send(ws, queue))
        try:
            async for received in ws:
                if received.type is WSMsgType.ERROR:
                    break
        finally:
            self._server.watchers.discard(watch)
            sending.cancel()
        return ws

    # --- faults ------------------------------------------------------------------------------------------------------

    async def _fault(self, request: web.Request) -> web.Response:
        if refusal := self._refuse(request):
            return refusal
        match request.match_info["fault"]:
            case "drop":
                await self._server.gateway.drop()
            case "invalidate":
                await self._server.gateway.invalidate()
            case "fail":
                self._rest.faults.append(await request.json())
            case _:
                return web.Response(status=404)
        return web.json_response({})


async def _send(ws: web.WebSocketResponse, queue: asyncio.Queue[Json]) -> None:
    while True:
        event: Any = await queue.get()
        await ws.send_str(json.dumps(event))
