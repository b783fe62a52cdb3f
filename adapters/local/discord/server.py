"""The local Discord itself: what happens when a bot calls or a person acts. HTTP is in `rest.py` and `people_api.py`."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from adapters.local.discord import shapes
from adapters.local.discord.gateway import Gateway
from adapters.local.discord.shapes import EPHEMERAL, LOADING, Json
from adapters.local.discord.store import Store

ANSWER_SECONDS = 3.0
TOKEN_SECONDS = 900.0
NONCE_SECONDS = 300.0
LONGEST_CONTENT = 2000
OLD_SECONDS = 3600.0

Watcher = Callable[[str, Json], Awaitable[None]]


class DiscordError(Exception):
    """Raised for what Discord answers with an error: HTTP status, its own code, and its words."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"message": message, "code": code} | ({"errors": errors} if errors else {})


class Server:
    """`clock`: seconds since the epoch. Watchers are the people's pages: they get every event with whom it is for."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.clock = clock
        self.gateway = Gateway(store, self.guild)
        self.watchers: set[Watcher] = set()
        self.files_url = ""
        self._old_edits: dict[str, list[float]] = {}
        self._clocks: dict[str, asyncio.TimerHandle] = {}

    def close(self) -> None:
        """Nothing happens by itself any more, and what is remembered is on disk."""
        for waiting in self._clocks.values():
            waiting.cancel()
        self._clocks.clear()
        self.store.close()

    # --- what is there -----------------------------------------------------------------------------------------------

    def guild(self) -> Json:
        """GUILD_CREATE as of now."""
        world = self.store.world
        channels = [one for one in self.store.all("channel") if one["type"] == 0]
        threads = [one for one in self.threads() if not one["thread_metadata"]["archived"]]
        members = [shapes.member(one) for one in self.store.members()]
        owner = world["people"]["alice"]["id"]
        return shapes.guild(world["guild"], owner, "Playground", channels, threads, members)

    def threads(self) -> list[Json]:
        """All threads."""
        return [one for one in self.store.all("channel") if one["type"] == 11]

    def channel(self, identity: str) -> Json:
        """A channel or thread. Raises DiscordError."""
        found = self.store.get("channel", identity)
        if found is None:
            raise DiscordError(404, 10003, "Unknown Channel")
        return found

    def message(self, channel: str, identity: str) -> Json:
        """A message. Raises DiscordError."""
        found = self.store.get("message", identity)
        if found is None or found["channel_id"] != channel:
            raise DiscordError(404, 10008, "Unknown Message")
        return found

    def seen_by(self, person: str, channel: str, identity: str) -> Json:
        """A message of a channel, or one that only this person sees. Raises DiscordError."""
        private = self.store.get("private", identity)
        if private and private["person"] == person and private["channel_id"] == channel:
            return {name: value for name, value in private.items() if name != "person"}
        return self.message(channel, identity)

    def member(self, identity: str) -> Json:
        """Somebody in the server. Raises DiscordError."""
        found = next((one for one in self.store.members() if one["id"] == identity), None)
        if found is None:
            raise DiscordError(404, 10007, "Unknown Member")
        return shapes.member(found)

    def leave(self, person: str) -> None:
        """Somebody leaves. Only bots with an intent that ours does not ask for would hear of it. Raises DiscordError."""
        if person == "alice":
            raise DiscordError(400, 50055, "Invalid Guild")  # it is theirs
        self.store.put("left", self.store.person(person)["id"], {})

    # --- telling -----------------------------------------------------------------------------------------------------

    async def tell(self, name: str, data: Json) -> None:
        """An event for everybody: bots and people."""
        await self.gateway.dispatch(name, data | {"guild_id": self.store.world["guild"]})
        await self.show("", name, data)

    async def show(self, person: str, name: str, data: Json) -> None:
        """An event for people's pages only; for one person, or all ("")."""
        for watcher in list(self.watchers):
            await watcher(person, {"t": name, "d": data})

    # --- messages ----------------------------------------------------------------------------------------------------

    async def post(self, channel: str, author: Json, asked: Json, files: list[Json]) -> Json:
        """A new message. Raises DiscordError."""
        where = self.channel(channel)
        nonce = str(asked["nonce"]) if asked.get("nonce") is not None else ""
        if nonce and asked.get("enforce_nonce") and (known := self._by_nonce(channel, author["id"], nonce)):
            return known
        content = asked.get("content") or ""
        _check(content, asked, files)
        if where["type"] == 11:
            await self._wake(where, author)
        more: Json = {
            "attachments": files,
            "components": shapes.number_components(asked.get("components") or []),
            "embeds": asked.get("embeds") or [],
            "flags": asked.get("flags") or 0,
        } | self._mentions(content, asked.get("allowed_mentions"))
        if nonce:
            more["nonce"] = nonce
        made = shapes.message(shapes.snowflake(self.clock()), channel, author, content, **more)
        self.store.put("message", made["id"], made)
        self.store.put("channel", channel, where | {"last_message_id": made["id"]})
        extra = {} if author.get("bot") else {"member": shapes.member(None)}
        await self.tell("MESSAGE_CREATE", made | extra)
        return made

    def _by_nonce(self, channel: str, author: str, nonce: str) -> Json | None:
        for one in self.store.messages(channel):
            recent = self.clock() - shapes.seconds_of(one["id"]) < NONCE_SECONDS
            if one.get("nonce") == nonce and one["author"]["id"] == author and recent:
                return one
        return None

    async def _wake(self, thread: Json, author: Json) -> None:
        state = thread["thread_metadata"]
        if state["locked"] and not author.get("bot"):
            raise DiscordError(400, 160005, "Thread is locked")
        if state["archived"]:
            state["archived"] = False
            self.store.put("channel", thread["id"], thread)
            await self.tell("THREAD_UPDATE", thread)

    def _mentions(self, content: str, allowed: Json | None) -> Json:
        """Who is notified: everybody named, or only those that are allowed."""
        named = [one for one in self.store.users() if f"<@{one['id']}>" in content or f"<@!{one['id']}>" in content]
        everyone = re.search(r"@(everyone|here)", content) is not None
        if allowed is not None:
            kinds: list[str] = allowed.get("parse") or []
            users: list[str] = [str(one) for one in allowed.get("users", [])]
            everyone = everyone and "everyone" in kinds
            named = [one for one in named if "users" in kinds or one["id"] in users]
        return {"mentions": named, "mention_everyone": everyone}

    async def edit(self, channel: str, identity: str, author: str, asked: Json, files: list[Json]) -> Json:
        """Change a message of one's own. Raises DiscordError."""
        where, message = self.channel(channel), self.message(channel, identity)
        if message["author"]["id"] != author:
            raise DiscordError(403, 50005, "Cannot edit a message authored by another user")
        if where["type"] == 11 and where["thread_metadata"]["archived"]:
            raise DiscordError(400, 50083, "Thread is archived")
        self._limit_old_edits(message)
        content = asked["content"] if asked.get("content") is not None else message["content"]
        left = [*message["attachments"], *files]
        _check(content, asked | {"components": asked.get("components") or message["components"]}, left)
        changed = message | {"content": content, "edited_timestamp": shapes.timestamp(self.clock())}
        if asked.get("components") is not None:
            changed["components"] = shapes.number_components(asked["components"])
        if files:
            changed["attachments"] = left
        self.store.put("message", identity, changed)
        await self.tell("MESSAGE_UPDATE", changed)
        return changed

    def _limit_old_edits(self, message: Json) -> None:
        now = self.clock()
        if now - shapes.seconds_of(message["id"]) < OLD_SECONDS:
            return
        recent = [at for at in self._old_edits.get(message["channel_id"], []) if now - at < 6]
        if len(recent) >= 3:
            raise DiscordError(429, 30046, "Maximum number of edits to messages older than 1 hour reached")
        self._old_edits[message["channel_id"]] = [*recent, now]

    async def remove(self, channel: str, identity: str) -> None:
        """Delete a message. Raises DiscordError."""
        self.message(channel, identity)
        self.store.drop("message", identity)
        await self.tell("MESSAGE_DELETE", {"id": identity, "channel_id": channel})

    # --- threads -----------------------------------------------------------------------------------------------------

    async def open_thread(self, parent: str, owner: str, asked: Json, message: str | None) -> Json:
        """A new thread, of a message or by itself. Raises DiscordError."""
        self.channel(parent)
        _check_archiving(asked)
        if message:
            self.message(parent, message)
            if self.store.get("channel", message):
                raise DiscordError(400, 160004, "A thread has already been created for this message")
        identity = message or shapes.snowflake(self.clock())
        made = shapes.thread(identity, self.store.world["guild"], parent, owner, asked)
        self.store.put("channel", identity, made)
        await self.tell("THREAD_CREATE", made | {"newly_created": True})
        return made

    async def change_channel(self, identity: str, asked: Json) -> Json:
        """Rename, archive, lock. Raises DiscordError."""
        where = self.channel(identity)
        _check_archiving(asked)
        changed = where | ({"name": asked["name"]} if "name" in asked else {})
        if where["type"] == 11:
            flags = {name: asked[name] for name in ("archived", "locked", "auto_archive_duration") if name in asked}
            if "archived" in flags:
                flags["archive_timestamp"] = shapes.timestamp(self.clock())
            changed["thread_metadata"] = where["thread_metadata"] | flags
        self.store.put("channel", identity, changed)
        await self.tell("THREAD_UPDATE" if where["type"] == 11 else "CHANNEL_UPDATE", changed)
        return changed

    async def drop_channel(self, identity: str) -> Json:
        """Delete a channel or thread with its messages. Raises DiscordError."""
        where = self.channel(identity)
        for one in list(self.store.messages(identity)):
            self.store.drop("message", one["id"])
        self.store.drop("channel", identity)
        gone = {name: where[name] for name in ("id", "guild_id", "parent_id", "type")}
        await self.tell("THREAD_DELETE" if where["type"] == 11 else "CHANNEL_DELETE", gone)
        return where

    # --- interactions ------------------------------------------------------------------------------------------------

    async def interact(self, kind: int, channel: str, person: str, data: Json, message: Json | None = None) -> str:
        """A person uses a command or presses something: the bot has three seconds. Returns the interaction's id."""
        world, where = self.store.world, self.channel(channel)
        who = self.store.person(person)
        locale = world["people"][person]["locale"]
        sent = shapes.interaction(kind, world["application"], world["guild"], where, who, locale, data)
        if message:
            sent["message"] = message
        kept: Json = {
            "id": sent["id"],
            "token": sent["token"],
            "type": kind,
            "channel_id": channel,
            "person": person,
            "at": self.clock(),
            "name": data.get("name") or data.get("custom_id"),
            "message_id": message["id"] if message else None,
            "state": "waiting",
        }
        self.store.put("interaction", sent["id"], kept)
        await self.show(person, "INTERACTION", _told(kept))
        await self.gateway.dispatch("INTERACTION_CREATE", sent)
        loop = asyncio.get_running_loop()
        self._clocks[sent["id"]] = loop.call_later(ANSWER_SECONDS, lambda: self._expire(loop, sent["id"]))
        return str(sent["id"])

    def _expire(self, loop: asyncio.AbstractEventLoop, identity: str) -> None:
        self._clocks.pop(identity, None)
        kept = self.store.get("interaction", identity)
        if kept and kept["state"] == "waiting":
            failed = kept | {"state": "failed"}
            self.store.put("interaction", identity, failed)
            task = loop.create_task(self.show(kept["person"], "INTERACTION", _told(failed)))
            task.add_done_callback(lambda _: None)

    async def callback(self, identity: str, token: str, asked: Json) -> Json:
        """The bot's first answer. Raises DiscordError."""
        kept = self.store.get("interaction", identity)
        if kept is None or kept["token"] != token or self.clock() - kept["at"] > ANSWER_SECONDS:
            raise DiscordError(404, 10062, "Unknown interaction")
        if kept["state"] != "waiting":
            raise DiscordError(400, 40060, "Interaction has already been acknowledged.")
        answered: Json = {"state": "answered", "answered_at": self.clock()}
        kept = kept | answered
        data: Json = asked.get("data") or {}
        answer: Json = {"interaction": {"id": identity, "type": kept["type"]}}
        if asked["type"] in {4, 5}:
            flags = int(data.get("flags") or 0) | (LOADING if asked["type"] == 5 else 0)
            made = self._private(kept, data.get("content") or "", flags, data)
            kept["original"] = made["id"]
            answer["resource"] = {"type": 4, "message": made}
            answer["interaction"] |= {
                "response_message_id": made["id"],
                "response_message_loading": asked["type"] == 5,
                "response_message_ephemeral": bool(flags & EPHEMERAL),
            }
            await self._show_answer(kept, made)
        elif asked["type"] == 8:
            await self.show(kept["person"], "AUTOCOMPLETE", {"id": identity, "choices": data.get("choices") or []})
        elif asked["type"] == 9:
            kept["modal"] = data | {"components": shapes.number_components(data.get("components") or [])}
            await self.show(kept["person"], "MODAL", {"id": identity} | kept["modal"])
        elif asked["type"] == 7 and kept["message_id"]:
            await self.edit(kept["channel_id"], kept["message_id"], self.store.world["application"], data, [])
        self.store.put("interaction", identity, kept)
        await self.show(kept["person"], "INTERACTION", _told(kept))
        return answer

    def _private(self, kept: Json, content: str, flags: int, data: Json) -> Json:
        made = shapes.message(
            shapes.snowflake(self.clock()),
            kept["channel_id"],
            self.store.bot(),
            content,
            flags=flags,
            type=20,
            webhook_id=self.store.world["application"],
            application_id=self.store.world["application"],
            components=shapes.number_components(data.get("components") or []),
        )
        kind = "private" if flags & EPHEMERAL else "message"
        self.store.put(kind, made["id"], made | ({"person": kept["person"]} if kind == "private" else {}))
        return made

    async def _show_answer(self, kept: Json, made: Json, name: str = "MESSAGE_CREATE") -> None:
        if made["flags"] & EPHEMERAL:
            await self.show(kept["person"], name, made | {"person": kept["person"]})
        else:
            await self.tell(name, made)

    def by_token(self, token: str) -> Json:
        """The interaction of a token that still works. Raises DiscordError."""
        for kept in self.store.all("interaction"):
            if kept["token"] == token and self.clock() - kept["at"] < TOKEN_SECONDS:
                return kept
        raise DiscordError(401, 50027, "Invalid Webhook Token")

    async def follow_up(self, token: str, asked: Json) -> Json:
        """A further answer. Raises DiscordError."""
        kept = self.by_token(token)
        made = self._private(kept, asked.get("content") or "", int(asked.get("flags") or 0), asked)
        await self._show_answer(kept, made)
        return made

    async def edit_original(self, token: str, asked: Json) -> Json:
        """Fill in a deferred answer. Raises DiscordError."""
        kept = self.by_token(token)
        original = kept.get("original", "")
        kind = "private" if self.store.get("private", original) else "message"
        made = self.store.get(kind, original)
        if made is None:
            raise DiscordError(404, 10008, "Unknown Message")
        content = asked["content"] if asked.get("content") is not None else made["content"]
        _check(content, asked, [])
        changed = made | {"content": content, "flags": made["flags"] & ~LOADING}
        if asked.get("components") is not None:
            changed["components"] = shapes.number_components(asked["components"])
        self.store.put(kind, original, changed)
        await self._show_answer(kept, changed, "MESSAGE_UPDATE")
        return {name: value for name, value in changed.items() if name != "person"}


def _check_archiving(asked: Json) -> None:
    minutes = asked.get("auto_archive_duration", 60)
    if minutes not in {60, 1440, 4320, 10080}:
        wrong: Json = {"code": "BASE_TYPE_CHOICES", "message": "Value must be one of (60, 1440, 4320, 10080)."}
        raise DiscordError(400, 50035, "Invalid Form Body", {"auto_archive_duration": {"_errors": [wrong]}})


def _told(kept: Json) -> Json:
    """What a person's page hears of an interaction: its token is the bot's alone."""
    return {name: value for name, value in kept.items() if name not in {"token", "modal"}}


def _check(content: str, asked: Json, files: list[Json]) -> None:
    if len(content) > LONGEST_CONTENT:
        wrong: Json = {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}
        raise DiscordError(400, 50035, "Invalid Form Body", {"content": {"_errors": [wrong]}})
    present: list[Any] = [content.strip(), files, asked.get("components"), asked.get("embeds")]
    if not any(present):
        raise DiscordError(400, 50006, "Cannot send an empty message")
