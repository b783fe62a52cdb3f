"""REST v10: the paths that a bot of this kind calls. Everything else is a loud 501, for it would be guessed."""

import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from adapters.local.discord import shapes
from adapters.local.discord.limits import Limits
from adapters.local.discord.server import DiscordError, Server
from adapters.local.discord.shapes import Json

PREFIX = "/api/v10"
_FREE = re.compile(r"/(interactions/\d+/|webhooks/\d+/)")
_TOKENS = re.compile(r"(/(?:interactions|webhooks)/\d+/)[^/]+")

log_line = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest:
    """The routes. `journal`: a line for each of the bot's requests, its tokens cut out; with `bodies` in a second one, for
    who wants to judge them.
    """

    def __init__(
        self, server: Server, journal: Path | None, limits: Limits | None = None, *, bodies: Path | None = None
    ) -> None:
        self._server = server
        self._journal = journal
        self._bodies = bodies
        self._limits = limits or Limits()
        self.faults: list[Json] = []
        """Injected failures: `method`, `path` (pattern), `times`, `after` (fail when it is done), `status` (0: cut off), `code`."""

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        message = "/channels/{channel}/messages/{message}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/gateway/bot", self._gateway),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", "/applications/@me", self._application),
            ("GET", "/users/@me", self._me),
            ("PUT", "/applications/{app}/commands", self._put_commands),
            ("GET", "/applications/{app}/commands", self._get_commands),
            ("PUT", "/applications/{app}/guilds/{guild}/commands", self._put_commands),
            ("GET", "/applications/{app}/guilds/{guild}/commands", self._get_commands),
            ("POST", "/interactions/{id}/{token}/callback", self._callback),
            ("POST", "/webhooks/{app}/{token}", self._follow_up),
            ("PATCH", "/webhooks/{app}/{token}/messages/@original", self._edit_original),
            ("GET", "/channels/{channel}", self._get_channel),
            ("PATCH", "/channels/{channel}", self._patch_channel),
            ("DELETE", "/channels/{channel}", self._delete_channel),
            ("GET", "/channels/{channel}/messages", self._list),
            ("POST", "/channels/{channel}/messages", self._post),
            ("GET", message, self._get),
            ("PATCH", message, self._patch),
            ("DELETE", message, self._delete),
            ("POST", f"{message}/threads", self._thread),
            ("POST", "/channels/{channel}/threads", self._thread),
            ("PUT", f"{message}/reactions/{{emoji}}/@me", self._react),
            ("PUT", "/channels/{channel}/thread-members/{user}", self._nothing),
            ("POST", "/channels/{channel}/typing", self._typing),
            ("GET", "/guilds/{guild}/threads/active", self._active),
            ("GET", "/guilds/{guild}/members/{user}", self._member),
        ]
        return [
            *(web.route(method, PREFIX + path, handler) for method, path, handler in table),
            web.route("*", f"{PREFIX}/{{path:.*}}", self._lacking),
        ]

    @property
    def middleware(self) -> Any:
        """Authentication, limits, faults, errors and the journal, around every route."""

        @web.middleware
        async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.path.startswith(PREFIX):
                return await handler(request)
            path = request.path.removeprefix(PREFIX)
            answer = await self._answer(request, path, handler)
            self._write(request, path, answer)
            return answer

        return around

    async def _answer(self, request: web.Request, path: str, handler: Handler) -> web.StreamResponse:
        bot = f"Bot {self._server.store.world['token']}"
        if not _FREE.match(path) and request.headers.get("Authorization") != bot:
            return _json({"message": "401: Unauthorized", "code": 0}, 401)
        headers, refused = self._limits.hit(request.method, path)
        if refused:
            scope = "global" if refused.whole else "user"
            headers |= {"X-RateLimit-Scope": scope, "Retry-After": f"{refused.retry_after:.3f}"}
            body = {
                "message": "You are being rate limited.",
                "retry_after": refused.retry_after,
                "global": refused.whole,
            }
            return _json(body, 429, headers)
        fault = self._fault(request.method, path)
        if fault and not fault.get("after"):
            return self._fail(request, fault)
        try:
            answer = await handler(request)
        except DiscordError as error:
            answer = _json(error.body, error.status)
        except ValueError:
            answer = _json({"message": "400: Bad Request", "code": 0}, 400)
        if self._bodies:
            await self._write_bodies(self._bodies, request, path, answer)
        if fault:
            return self._fail(request, fault)
        answer.headers.update(headers)
        return answer

    def _fault(self, method: str, path: str) -> Json | None:
        for fault in self.faults:
            if fault["times"] > 0 and fault["method"] == method and re.search(fault["path"], path):
                fault["times"] -= 1
                return fault
        return None

    @staticmethod
    def _fail(request: web.Request, fault: Json) -> web.StreamResponse:
        if fault.get("status"):
            return _json({"message": "injected", "code": fault.get("code", 0)}, fault["status"])
        assert request.transport
        request.transport.abort()
        return web.Response()

    def _write(self, request: web.Request, path: str, answer: web.StreamResponse) -> None:
        if self._journal is None:
            return
        entry = {
            "t": round(time.time(), 3),
            "method": request.method,
            "path": _TOKENS.sub(r"\1…", path),
            "status": answer.status,
            "made": answer.headers.get("X-Made", ""),
        }
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")

    async def _write_bodies(self, file: Path, request: web.Request, path: str, answer: web.StreamResponse) -> None:
        body = answer.body if isinstance(answer, web.Response) else None
        entry = {
            "method": request.method,
            "path": _TOKENS.sub(r"\1…", path),
            "asked": await read_json(request),
            "status": answer.status,
            "answer": json.loads(body) if isinstance(body, bytes) else None,
        }
        with file.open("a", encoding="utf-8") as bodies:
            bodies.write(json.dumps(entry) + "\n")

    async def _lacking(self, request: web.Request) -> web.StreamResponse:
        path = _TOKENS.sub(r"\1…", request.path.removeprefix(PREFIX))
        log_line.error("lacking", method=request.method, path=path)
        words = f"501: the local Discord lacks {request.method} {path}"
        return _json({"message": words, "code": 0}, 501)

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        self._server.channel(request.match_info["channel"])
        return web.Response(status=204)

    async def _typing(self, request: web.Request) -> web.StreamResponse:
        channel = self._server.channel(request.match_info["channel"])["id"]
        who = self._server.store.world["application"]
        await self._server.show("", "TYPING_START", {"channel_id": channel, "user_id": who})
        return web.Response(status=204)

    # --- the bot itself ----------------------------------------------------------------------------------------------

    async def _gateway(self, _request: web.Request) -> web.StreamResponse:
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return _json({"url": self._server.gateway.address, "shards": 1, "session_start_limit": limit})

    async def _application(self, _request: web.Request) -> web.StreamResponse:
        store = self._server.store
        return _json(shapes.application(store.world["application"], store.bot(), store.person("alice")))

    async def _me(self, _request: web.Request) -> web.StreamResponse:
        return _json(shapes.own_user(self._server.store.world["application"], "claude"))

    async def _put_commands(self, request: web.Request) -> web.StreamResponse:
        store, guild = self._server.store, request.match_info.get("guild")
        asked = await request.json()
        app = request.match_info["app"]
        made = [shapes.command(shapes.snowflake(), app, guild, one) for one in asked]
        store.put("commands", guild or "all", {"list": made})
        await self._server.show("", "COMMANDS", {"list": made})
        return _json(made)

    async def _get_commands(self, request: web.Request) -> web.StreamResponse:
        guild = request.match_info.get("guild")
        if guild not in {None, self._server.store.world["guild"]}:
            raise DiscordError(403, 50001, "Missing Access")
        kept = self._server.store.get("commands", guild or "all")
        return _json(kept["list"] if kept else [])

    # --- interactions ------------------------------------------------------------------------------------------------

    async def _callback(self, request: web.Request) -> web.StreamResponse:
        asked, _ = await self._body(request)
        answer = await self._server.callback(request.match_info["id"], request.match_info["token"], asked)
        return _json(answer) if request.query.get("with_response") else web.Response(status=204)

    async def _follow_up(self, request: web.Request) -> web.StreamResponse:
        asked, _ = await self._body(request)
        return _json(await self._server.follow_up(request.match_info["token"], asked))

    async def _edit_original(self, request: web.Request) -> web.StreamResponse:
        asked, _ = await self._body(request)
        return _json(await self._server.edit_original(request.match_info["token"], asked))

    # --- channels and messages ---------------------------------------------------------------------------------------

    async def _get_channel(self, request: web.Request) -> web.StreamResponse:
        return _json(self._server.channel(request.match_info["channel"]))

    async def _patch_channel(self, request: web.Request) -> web.StreamResponse:
        return _json(await self._server.change_channel(request.match_info["channel"], await request.json()))

    async def _delete_channel(self, request: web.Request) -> web.StreamResponse:
        return _json(await self._server.drop_channel(request.match_info["channel"]))

    async def _active(self, _request: web.Request) -> web.StreamResponse:
        threads = [one for one in self._server.threads() if not one["thread_metadata"]["archived"]]
        return _json({"threads": threads, "members": [], "has_more": False})

    async def _member(self, request: web.Request) -> web.StreamResponse:
        return _json(self._server.member(request.match_info["user"]))

    async def _thread(self, request: web.Request) -> web.StreamResponse:
        owner = self._server.store.world["application"]
        given = request.match_info
        made = await self._server.open_thread(given["channel"], owner, await request.json(), given.get("message"))
        return _json(made, 201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        channel = request.match_info["channel"]
        self._server.channel(channel)
        found = sorted(self._server.store.messages(channel), key=lambda one: int(one["id"]))
        limit = int(request.query.get("limit", "50"))
        if "after" in request.query:
            found = [one for one in found if int(one["id"]) > int(request.query["after"])][:limit]
        elif "before" in request.query:
            found = [one for one in found if int(one["id"]) < int(request.query["before"])][-limit:]
        else:
            found = found[-limit:]
        return _json(found[::-1])

    async def _get(self, request: web.Request) -> web.StreamResponse:
        return _json(self._server.message(request.match_info["channel"], request.match_info["message"]))

    async def _post(self, request: web.Request) -> web.StreamResponse:
        asked, files = await self._body(request)
        made = await self._server.post(request.match_info["channel"], self._server.store.bot(), asked, files)
        return _json(made, 200, {"X-Made": made["id"]})

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        asked, files = await self._body(request)
        author = self._server.store.world["application"]
        given = request.match_info
        return _json(await self._server.edit(given["channel"], given["message"], author, asked, files))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        await self._server.remove(request.match_info["channel"], request.match_info["message"])
        return web.Response(status=204)

    async def _react(self, request: web.Request) -> web.StreamResponse:
        given = request.match_info
        message = self._server.message(given["channel"], given["message"])
        emoji = given["emoji"]
        ours = [*message.get("marks", []), emoji] if emoji not in message.get("marks", []) else message["marks"]
        self._server.store.put("message", message["id"], message | {"marks": ours})
        await self._server.show("", "MESSAGE_UPDATE", message | {"marks": ours})
        return web.Response(status=204)

    async def _body(self, request: web.Request) -> tuple[Json, list[Json]]:
        """The JSON of a request, and its files, kept."""
        return await read_body(self._server, request)


async def read_body(server: Server, request: web.Request) -> tuple[Json, list[Json]]:
    """JSON, or multipart with `payload_json` and `files[n]`."""
    asked: Json = await read_json(request) or {}
    if request.content_type != "multipart/form-data":
        return asked, []
    files: list[Json] = []
    for name, part in (await request.post()).items():
        if name != "payload_json" and isinstance(part, web.FileField):
            data = part.file.read()
            kind = part.content_type or "application/octet-stream"
            identity = server.store.put_file(part.filename, kind, data)
            url = f"{server.files_url}/{identity}/{part.filename}?ex=ffffffff&is=0&hm=0"
            files.append(
                {
                    "id": identity,
                    "filename": part.filename,
                    "size": len(data),
                    "url": url,
                    "proxy_url": url,
                    "content_type": kind,
                },
            )
    return asked, files


async def read_json(request: web.Request) -> Any:
    """The JSON of a request, with files or without; None when it has none. May be asked for twice."""
    if request.content_type != "multipart/form-data":
        text = await request.text()
        return json.loads(text) if text else None
    part = (await request.post()).get("payload_json", "{}")
    if isinstance(part, web.FileField):
        part.file.seek(0)
        return json.load(part.file)
    return json.loads(part)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)
