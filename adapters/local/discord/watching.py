"""What one person sees, as it happens: a websocket for the page, and for programs that act as people.

A program gets everything at once and then each change. The page (`page=1`) gets messages with their texts as trees, a channel's
at a time when it asks, in the same stream: an answer never overtakes, nor is overtaken by, what happens meanwhile.
"""

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

from adapters.local.discord.markup import Markup
from adapters.local.discord.server import Server
from adapters.local.discord.shapes import Json

_HISTORY = 50
_MOST_WAITING = 5000
_FAR = 1 << 63


class Watching:
    """The streams. `about`: what is real here, line by line; `panel`: the port where the log can be seen."""

    def __init__(self, server: Server, about: list[str], panel: int) -> None:
        self._server = server
        self._about = about
        self._panel = panel
        self._markup = Markup()
        self.playing: Json = {"state": "idle"}

    async def stream(self, request: web.Request, person: str) -> web.StreamResponse:
        """Until the other side goes away, or reads too slowly: then it comes back and begins anew."""
        page = "page" in request.query
        ws = web.WebSocketResponse(heartbeat=20)
        await ws.prepare(request)
        queue: asyncio.Queue[Json | None] = asyncio.Queue()

        async def watch(whom: str, event: Json) -> None:
            if whom in {"", person}:
                queue.put_nowait(self._shown(event) if page else event)
                if queue.qsize() > _MOST_WAITING:
                    sending.cancel()

        sending = asyncio.ensure_future(_send(ws, queue))
        self._server.watchers.add(watch)
        queue.put_nowait({"t": "SNAPSHOT", "d": self._snapshot(person, page=page)})
        try:
            async for received in ws:
                if received.type is WSMsgType.TEXT:
                    queue.put_nowait({"t": "HISTORY", "d": self._history(person, json.loads(received.data))})
        finally:
            self._server.watchers.discard(watch)
            sending.cancel()
        return ws

    def _snapshot(self, person: str, *, page: bool) -> Json:
        store = self._server.store
        commands = store.get("commands", store.world["guild"])
        made: Json = {
            "me": store.person(person) | {"locale": store.world["people"][person]["locale"]},
            "people": [store.person(name) | {"locale": one["locale"]} for name, one in store.world["people"].items()],
            "bot": store.bot(),
            "channels": store.all("channel"),
            "messages": [] if page else [*store.all("message"), *self._private(person)],
            "commands": commands["list"] if commands else [],
            "about": self._about,
        }
        if page:
            made |= {"unread": self._unread(person), "panel": self._panel, "playing": self.playing}
        return made

    def _private(self, person: str) -> list[Json]:
        return [one for one in self._server.store.all("private") if one["person"] == person]

    def _unread(self, person: str) -> Json:
        """For each channel with something new: how often this person is mentioned in it."""
        store, identity = self._server.store, self._server.store.person(person)["id"]
        read = {one["channel"]: int(one["message"]) for one in store.all("read") if one["person"] == person}
        found: Json = {}
        for one in store.all("message"):
            where = one["channel_id"]
            if int(one["id"]) > read.get(where, 0) and one["author"]["id"] != identity:
                mine = any(named["id"] == identity for named in one["mentions"])
                found[where] = found.get(where, 0) + mine
        return found

    def _history(self, person: str, asked: Any) -> Json:
        """One page of a channel, oldest first, before some message or the newest."""
        channel, before = str(asked.get("channel")), int(asked.get("before") or _FAR)
        there = [one for one in self._private(person) if one["channel_id"] == channel]
        found = sorted([*self._server.store.messages(channel), *there], key=lambda one: int(one["id"]))
        found = [one for one in found if int(one["id"]) < before]
        return {
            "channel": channel,
            "before": asked.get("before"),
            "messages": [self._message(one) for one in found[-_HISTORY:]],
            "more": len(found) > _HISTORY,
        }

    # --- texts as trees ----------------------------------------------------------------------------------------------

    def _shown(self, event: Json) -> Json:
        if event["t"] in {"MESSAGE_CREATE", "MESSAGE_UPDATE"}:
            return event | {"d": self._message(event["d"])}
        return event

    def _message(self, message: Json) -> Json:
        tree = self._markup.tree
        return message | {
            "shown": tree(message["content"]),
            "embeds": [self._embed(one) for one in message["embeds"]],
            "components": [self._component(one) for one in message["components"]],
        }

    def _embed(self, embed: Json) -> Json:
        tree = self._markup.tree
        given: list[Json] = embed.get("fields") or []
        fields = [one | {"shown_name": tree(one.get("name", "")), "shown": tree(one.get("value", ""))} for one in given]
        return embed | {"shown": tree(embed.get("description") or ""), "fields": fields}

    def _component(self, component: Json) -> Json:
        """A text display has its tree beside its text, however deep it stands."""
        made = dict(component)
        if component.get("type") == 10:
            made["shown"] = self._markup.tree(component.get("content") or "")
        if component.get("components"):
            made["components"] = [self._component(one) for one in component["components"]]
        if component.get("accessory"):
            made["accessory"] = self._component(component["accessory"])
        return made


async def _send(ws: web.WebSocketResponse, queue: asyncio.Queue[Json | None]) -> None:
    try:
        while True:
            await ws.send_str(json.dumps(await queue.get()))
    finally:
        await ws.close()
