"""What people do and see, over HTTP: for the page, for tests and for scripts. Guarded by `door.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from adapters.local.discord import shapes
from adapters.local.discord.door import Door
from adapters.local.discord.people import Person, PersonError
from adapters.local.discord.rest import Rest, read_body
from adapters.local.discord.server import DiscordError, Server
from adapters.local.discord.shapes import Json
from adapters.local.discord.watching import Watching
from adapters.local.script import LANGUAGES, Lines, Script, StepError

LARGEST_FILE = 10 << 20
_SHOWN_INLINE = {"image/png", "image/jpeg", "image/gif", "image/webp"}

Action = Callable[[str, Json, list[Json]], Awaitable[Json]]


class PeopleApi:
    """The routes. `about`: what is real here, line by line; `panel`: the port where the log can be seen."""

    def __init__(
        self, server: Server, rest: Rest, about: list[str], *, host: str = "127.0.0.1", panel: int = 0
    ) -> None:
        self._server = server
        self._rest = rest
        self._door = Door(server.store.world["page_token"], host, panel=panel)
        self._watching = Watching(server, about, panel)
        self._play_task: asyncio.Task[None] | None = None
        self._actions: dict[str, Action] = {
            "say": self._say,
            "edit": self._edit,
            "delete": self._delete,
            "slash": self._slash,
            "autocomplete": self._autocomplete,
            "press": self._press,
            "submit": self._submit,
            "typing": self._typing,
            "thread": self._thread,
            "delete_channel": self._delete_channel,
            "dismiss": self._dismiss,
            "read": self._read,
            "leave": self._leave,
            "play": self._play,
        }

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/people/v1/stream", self._stream),
            web.post("/people/v1/{person}/{action}", self._act),
            web.post("/faults/v1/{fault}", self._fault),
            web.get("/attachments/{id}/{name}", self._file),
            web.get("/{name:(?:[a-z_]+\\.(?:css|js|svg))?}", self._page),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        return self._door.page(request)

    async def _file(self, request: web.Request) -> web.Response:
        found = self._server.store.file(request.match_info["id"])
        if found is None:
            return web.Response(status=404)
        name, kind, data = found
        kind = kind.partition(";")[0]
        quoted = name.replace('"', "_").encode("ascii", "replace").decode()
        shown = "inline" if kind in _SHOWN_INLINE else "attachment"
        headers = {
            "Content-Disposition": f'{shown}; filename="{quoted}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        return web.Response(body=data, content_type=kind, headers=headers)

    async def _act(self, request: web.Request) -> web.Response:
        if refusal := self._door.refuse(request):
            return refusal
        person, action = request.match_info["person"], self._actions.get(request.match_info["action"])
        if action is None or person not in self._server.store.world["people"]:
            return web.json_response({"message": "nobody can do that"}, status=404)
        try:
            self._server.member(self._server.store.person(person)["id"])
            asked, attached = await read_body(self._server, request)
            _check_sizes(attached)
            return web.json_response(await action(person, asked, attached))
        except DiscordError as error:
            return web.json_response(error.body, status=error.status)
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"message": "Request entity too large", "code": 40005}, status=413)
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"message": f"not understood: {error}", "code": 50035}, status=400)

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

    async def _slash(self, person: str, asked: Json, attached: list[Json]) -> Json:
        data = self._command(asked)
        options: list[Json] = data["options"]
        if lacking := _lacking(self._registered(asked["name"]), options):
            wrong: Json = {"code": "BASE_TYPE_REQUIRED", "message": "This field is required"}
            raise DiscordError(400, 50035, "Invalid Form Body", {lacking: {"_errors": [wrong]}})
        if attached:
            data["resolved"] = data.get("resolved", {}) | {"attachments": {one["id"]: one for one in attached}}
            for option in _leaves(options):
                if option["type"] == 11:  # the page says which of the files it sent
                    option["value"] = attached[int(option["value"])]["id"]
        return {"interaction": await self._server.interact(2, asked["channel"], person, data)}

    async def _autocomplete(self, person: str, asked: Json, _: list[Json]) -> Json:
        data = self._command(asked)
        return {"interaction": await self._server.interact(4, asked["channel"], person, data)}

    def _registered(self, name: str) -> Json:
        guild: Json = self._server.store.get("commands", self._server.store.world["guild"]) or {"list": []}
        everywhere: Json = self._server.store.get("commands", "all") or {"list": []}
        found = next((one for one in [*guild["list"], *everywhere["list"]] if one["name"] == name), None)
        if found is None:
            raise DiscordError(404, 10063, "Unknown application command")
        return found

    def _command(self, asked: Json) -> Json:
        command = self._registered(asked["name"])
        options: list[Json] = asked.get("options") or []
        _set_types(command.get("options") or [], options)
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": options}
        named = [str(one["value"]) for one in _leaves(options) if one["type"] == 6]
        return data | ({"resolved": self._resolved(named, 5)} if named else {})

    async def _press(self, person: str, asked: Json, _: list[Json]) -> Json:
        message = self._server.seen_by(person, asked["channel"], asked["message"])
        data: Json = {"custom_id": asked["custom_id"], "component_type": asked.get("component_type", 2), "id": 2}
        if "values" in asked:
            data["values"] = asked["values"]
            data["resolved"] = self._resolved(asked["values"], data["component_type"])
        return {"interaction": await self._server.interact(3, asked["channel"], person, data, message)}

    def _resolved(self, values: list[str], kind: int) -> Json:
        """The people and channels that were chosen, as Discord sends them along."""
        people = [one for one in self._server.store.users() if kind in {5, 7} and one["id"] in values]
        here = [one["id"] for one in self._server.store.members()]
        channels = [one for one in self._server.store.all("channel") if kind == 8 and one["id"] in values]
        return {
            "users": {one["id"]: one for one in people},
            "members": {
                one["id"]: shapes.member(None, permissions=shapes.EVERYTHING) for one in people if one["id"] in here
            },
            "channels": {one["id"]: one | {"permissions": shapes.EVERYTHING} for one in channels},
        }

    async def _submit(self, person: str, asked: Json, _: list[Json]) -> Json:
        """A modal that was filled in: once, by whom it was shown to."""
        kept = self._server.store.get("interaction", asked["modal"])
        if kept is None or kept["person"] != person or not kept.get("modal"):
            raise DiscordError(404, 10062, "Unknown interaction")
        self._server.store.put("interaction", kept["id"], kept | {"modal": None})
        where, opened_on = kept["channel_id"], kept["message_id"]
        message = self._server.store.get("message", opened_on) if opened_on else None
        data: Json = {"custom_id": asked["custom_id"], "components": asked["components"]}
        return {"interaction": await self._server.interact(5, where, person, data, message)}

    async def _typing(self, person: str, asked: Json, _: list[Json]) -> Json:
        user = self._server.store.person(person)["id"]
        await self._server.show("", "TYPING_START", {"channel_id": asked["channel"], "user_id": user})
        return {}

    async def _thread(self, _person: str, asked: Json, _: list[Json]) -> Json:
        return await self._server.change_channel(asked["channel"], asked["change"])

    async def _delete_channel(self, _person: str, asked: Json, _: list[Json]) -> Json:
        return await self._server.drop_channel(asked["channel"])

    async def _dismiss(self, person: str, asked: Json, _: list[Json]) -> Json:
        """Put away what only this person sees."""
        message = self._server.store.get("private", asked["message"])
        if message is None or message["person"] != person:
            raise DiscordError(404, 10008, "Unknown Message")
        self._server.store.drop("private", message["id"])
        await self._server.show(person, "MESSAGE_DELETE", {"id": message["id"], "channel_id": message["channel_id"]})
        return {}

    async def _read(self, person: str, asked: Json, _: list[Json]) -> Json:
        """Up to which message this person has read a channel, in whichever window."""
        channel, message = str(int(asked["channel"])), str(int(asked["message"]))
        known = self._server.store.get("read", f"{person}:{channel}")
        if known is None or int(known["message"]) < int(message):
            read = {"person": person, "channel": channel, "message": message}
            self._server.store.put("read", f"{person}:{channel}", read)
            await self._server.show(person, "READ", read)
        return {}

    async def _leave(self, person: str, _asked: Json, _: list[Json]) -> Json:
        self._server.leave(person)
        return {}

    # --- play it for me ----------------------------------------------------------------------------------------------

    async def _play(self, person: str, asked: Json, _: list[Json]) -> Json:
        """The scripted conversation, as this person, in their language, for everybody to see."""
        if self._play_task and not self._play_task.done():
            raise DiscordError(409, 0, "The conversation is being played already.")
        self._server.channel(asked["channel"])
        self._play_task = asyncio.create_task(self._perform(person, asked["channel"]))
        return {}

    async def _perform(self, name: str, channel: str) -> None:
        """Play it to the end, and tell each step in the order in which it happened."""
        language = "ja" if self._server.store.world["people"][name]["locale"] == "ja" else "en"
        lines = msgspec.structs.replace(LANGUAGES[language], person=name)
        steps = list(lines.steps.values())
        told: asyncio.Queue[Json] = asyncio.Queue()

        def tell(state: str, **more: Any) -> None:
            told.put_nowait({"state": state, "person": name, "steps": len(steps)} | more)

        def say(line: str) -> None:
            done = line.partition("✓ ")[2].partition(" — ")[0]
            if done in steps:
                tell("playing", step=steps.index(done) + 1, words=done)

        tell("playing", step=0, words="")
        telling = asyncio.ensure_future(self._tell_play(told))
        try:
            await self._perform_as(name, channel, lines, say)
            tell("done")
        except (StepError, PersonError, aiohttp.ClientError, OSError) as error:
            tell("failed", words=str(error)[:300])
        await told.join()
        telling.cancel()

    async def _perform_as(self, name: str, channel: str, lines: Lines, say: Callable[[str], None]) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            base = self._server.files_url.rpartition("/")[0]
            one = Person(name, {"page": f"{base}/?token={self._server.store.world['page_token']}"}, http)
            following = asyncio.ensure_future(one.follow())
            try:
                await one.connected()
                await Script(one, channel, lines, say).run()
            finally:
                following.cancel()

    async def _tell_play(self, told: asyncio.Queue[Json]) -> None:
        while True:
            self._watching.playing = await told.get()
            await self._server.show("", "PLAY", self._watching.playing)
            told.task_done()

    # --- what people see ---------------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._door.refuse(request):
            return refusal
        person = request.query.get("person", "")
        if person not in self._server.store.world["people"]:
            return web.Response(status=404)
        return await self._watching.stream(request, person)

    # --- faults ------------------------------------------------------------------------------------------------------

    async def _fault(self, request: web.Request) -> web.Response:
        if refusal := self._door.refuse(request):
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


def _set_types(registered: list[Json], given: list[Json]) -> None:
    """Each option is of the type that the command was registered with."""
    known = {one["name"]: one for one in registered}
    for option in given:
        if option["name"] in known:
            option["type"] = known[option["name"]]["type"]
            _set_types(known[option["name"]].get("options") or [], option.get("options") or [])


def _leaves(options: list[Json]) -> list[Json]:
    """The options that have values, however deep."""
    return [leaf for one in options for leaf in (_leaves(one["options"]) if one.get("options") else [one])]


def _check_sizes(attached: list[Json]) -> None:
    if any(one["size"] > LARGEST_FILE for one in attached):
        raise DiscordError(413, 40005, "Request entity too large")


def _lacking(command: Json, given: list[Json]) -> str:
    """The first required option that was not given, of the command or of the part of it that was chosen."""
    options: list[Json] = command.get("options") or []
    for one in given:
        if one.get("type") in {1, 2}:
            part = next((inner for inner in options if inner["name"] == one["name"]), None)
            if part is None:
                raise DiscordError(404, 10063, "Unknown application command")
            return _lacking(part, one.get("options") or [])
    names = {one["name"] for one in given if one.get("value") not in {None, ""}}
    lacking = (str(one["name"]) for one in options if one.get("required") and one["name"] not in names)
    return next(lacking, "")
