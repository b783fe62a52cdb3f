"""From Discord into the log: payload → append → acknowledge. Nothing acts on anything that is not recorded (P1).

It reads hikari's raw payloads, for a typed event vanishes when Discord changes a field. Every payload is handled by itself:
a bad one is recorded and refused, and stops no other. Messages of one thread keep their order. After a new gateway session
each thread is caught up by REST before its next message is recorded, so what the log knows of a thread has no gap.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import hikari
import msgspec
import structlog

from adapters.discord.chat import Tokens
from adapters.discord.errors import discord_call
from adapters.discord.texts import texts
from engine.ports import Committed, Duplicate, EngineError, EventLog, Keyring
from projections.exact import MESSAGES, THREADS
from schema.envelope import Append, Draft, Write
from schema.events import Received, ThreadOpened

RECORD_SECONDS = 2.0
"""Within this time an interaction is recorded, or answered *not recorded*: Discord gives three seconds."""

LARGEST_PASTE = 1 << 20
_PASTE_SECONDS = 5.0
_INTERACTIONS = {2: "command", 3: "component"}
_PEOPLE_SAY = {0, 19}  # DEFAULT and REPLY

log_line = structlog.get_logger(__name__)
Payload = dict[str, Any]


class Arrival(msgspec.Struct, kw_only=True):
    """One thing that Discord sent. `key` is its idempotency key; `token` never gets further than the token store."""

    what: str
    discord_id: str
    session: str
    by: str
    locale: str
    guild: str
    channel: str
    key: str
    raw: Payload
    token: str = ""


class Ingress:
    """The only writer of `inbox:<incarnation>`. `guilds` is the allow-list; `now` the time in µs."""

    def __init__(
        self,
        bot: hikari.GatewayBot,
        log: EventLog,
        keyring: Keyring,
        tokens: Tokens,
        *,
        guilds: frozenset[str],
        incarnation: str,
        now: Callable[[], int],
    ) -> None:
        self._bot = bot
        self._log = log
        self._keyring = keyring
        self._tokens = tokens
        self._guilds = guilds
        self._stream = f"inbox:{incarnation}"
        self._now = now
        self._threads: dict[str, str] = {}
        self._read_up_to: dict[str, str] = {}
        self._behind: set[str] = set()
        self._order: dict[str, anyio.Lock] = {}

    async def open(self) -> None:
        """Learn which threads are ours, then listen."""
        self._threads = await self._log.rows(THREADS.name)
        self._read_up_to = await self._log.rows(MESSAGES.name)
        self._log.subscribe(self._committed)
        self._bot.event_manager.subscribe(hikari.ShardPayloadEvent, self._payload)

    def _committed(self, committed: Committed) -> None:
        for recorded in committed.recorded:
            if isinstance(recorded.event, ThreadOpened):
                self._threads[recorded.event.thread] = recorded.stream.partition(":")[2]

    async def _payload(self, event: hikari.ShardPayloadEvent) -> None:
        payload = dict(event.payload)
        try:
            await self._handle(event.name, payload)
        except Exception as error:  # noqa: BLE001 - one payload must not stop the others
            log_line.error("payload", name=event.name, error=type(error).__name__, detail=str(error)[:200])

    async def _handle(self, name: str, payload: Payload) -> None:
        match name:
            case "READY":
                self._behind = set(self._threads)
                await self._catch_up_all()
            case "INTERACTION_CREATE":
                await self._interaction(payload)
            case "MESSAGE_CREATE" if payload.get("channel_id") in self._threads:
                await self._message(payload)
            case "MESSAGE_UPDATE" if payload.get("channel_id") in self._threads and payload.get("edited_timestamp"):
                key = f"e:{payload['id']}:{payload['edited_timestamp']}"
                await self._of_a_message("edit", payload, key)
            case "MESSAGE_DELETE" if payload.get("channel_id") in self._threads:
                await self._of_a_message("delete", payload, f"d:{payload['id']}")
            case "THREAD_UPDATE" | "THREAD_DELETE" | "CHANNEL_DELETE" if payload.get("id") in self._threads:
                await self._thread(name, payload)
            case _:
                pass

    # --- interactions ------------------------------------------------------------------------------------------------

    async def _interaction(self, payload: Payload) -> None:
        what = _INTERACTIONS.get(payload.get("type", 0))
        if what is None:
            return
        token = str(payload.pop("token", ""))
        person = (payload.get("member") or {}).get("user") or payload.get("user") or {}
        channel = str(payload.get("channel_id", ""))
        # a message of one of our buttons holds what was shown: it is in the log already
        payload.pop("message", None)
        arrival = Arrival(
            what=what,
            discord_id=str(payload["id"]),
            session=self._threads.get(channel, str(payload["id"])),
            by=str(person.get("id", "")),
            locale=str(payload.get("locale", "en-US")),
            guild=str(payload.get("guild_id", "")),
            channel=channel,
            key=f"i:{payload['id']}",
            raw=payload,
            token=token,
        )
        if arrival.guild not in self._guilds:
            await self._refuse(arrival, "elsewhere")
            return
        recorded = False
        with anyio.move_on_after(RECORD_SECONDS):
            recorded = await self._record(arrival)
        if not recorded:
            await self._refuse(arrival, "not-recorded")
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._quietly, self._acknowledge, arrival)
            tasks.start_soon(self._quietly, self._keep_token, arrival)

    async def _acknowledge(self, arrival: Arrival) -> None:
        """Only now: what Discord saw acknowledged is in the log."""
        command = arrival.what == "command"
        kind = hikari.ResponseType.DEFERRED_MESSAGE_CREATE if command else hikari.ResponseType.DEFERRED_MESSAGE_UPDATE
        flags = hikari.MessageFlag.EPHEMERAL if command else hikari.UNDEFINED
        async with discord_call("acknowledging"):
            await self._bot.rest.create_interaction_response(int(arrival.discord_id), arrival.token, kind, flags=flags)

    async def _keep_token(self, arrival: Arrival) -> None:
        await self._tokens.put(arrival.discord_id, arrival.token)

    async def _refuse(self, arrival: Arrival, text: str) -> None:
        async with discord_call("answering"):
            await self._bot.rest.create_interaction_response(
                int(arrival.discord_id),
                arrival.token,
                hikari.ResponseType.MESSAGE_CREATE,
                texts(arrival.locale)(text),
                flags=hikari.MessageFlag.EPHEMERAL,
            )

    async def _quietly(self, do: Callable[[Arrival], Awaitable[None]], arrival: Arrival) -> None:
        """What is recorded is recorded: a failed acknowledgement is only told."""
        try:
            await do(arrival)
        except EngineError as error:
            log_line.warning("acknowledge", interaction=arrival.discord_id, error=str(error))

    # --- messages and threads ----------------------------------------------------------------------------------------

    async def _message(self, payload: Payload) -> None:
        async with self._ordered(str(payload["channel_id"])):
            await self._catch_up(str(payload["channel_id"]))
            await self._record_message(payload)

    async def _record_message(self, payload: Payload) -> None:
        author = payload.get("author") or {}
        if author.get("bot") or payload.get("type") not in _PEOPLE_SAY:
            return
        paste = _paste(payload)
        if paste:
            payload["fetched"] = await self._fetch(paste)
        thread, message = str(payload["channel_id"]), str(payload["id"])
        if int(message) <= int(self._read_up_to.get(thread, "0")):
            return
        await self._insist(self._arrival("message", payload, message, str(author.get("id", "")), f"m:{message}"))
        self._read_up_to[thread] = message

    async def _of_a_message(self, what: str, payload: Payload, key: str) -> None:
        author = payload.get("author") or {}
        if author.get("bot"):
            return
        by = str(author.get("id", ""))
        async with self._ordered(str(payload["channel_id"])):
            await self._insist(self._arrival(what, payload, str(payload["id"]), by, key))

    async def _thread(self, name: str, payload: Payload) -> None:
        deleted = name != "THREAD_UPDATE"
        state = payload.get("thread_metadata") or {}
        mark = (
            "deleted" if deleted else f"{state.get('archived')}:{state.get('locked')}:{state.get('archive_timestamp')}"
        )
        what = "thread_deleted" if deleted else "thread"
        payload["channel_id"] = payload["id"]
        async with self._ordered(str(payload["id"])):
            await self._insist(self._arrival(what, payload, str(payload["id"]), "", f"t:{payload['id']}:{mark}"))

    def _arrival(self, what: str, payload: Payload, discord_id: str, by: str, key: str) -> Arrival:
        channel = str(payload["channel_id"])
        return Arrival(
            what=what,
            discord_id=discord_id,
            session=self._threads[channel],
            by=by,
            locale="en-US",
            guild=str(payload.get("guild_id", "")),
            channel=channel,
            key=key,
            raw=payload,
        )

    def _ordered(self, thread: str) -> anyio.Lock:
        return self._order.setdefault(thread, anyio.Lock())

    async def _fetch(self, url: str) -> str:
        """The text of a long paste, which Discord's client made a file of; empty when it cannot be had."""
        try:
            with anyio.fail_after(_PASTE_SECONDS):
                async with hikari.URL(url).stream() as stream:
                    data = await stream.read()
        except (hikari.HikariError, OSError, TimeoutError):
            return ""
        return data[:LARGEST_PASTE].decode("utf-8", "replace")

    # --- catching up -------------------------------------------------------------------------------------------------

    async def _catch_up_all(self) -> None:
        for thread in sorted(self._behind, key=int, reverse=True):
            async with self._ordered(thread):
                await self._catch_up(thread)

    async def _catch_up(self, thread: str) -> None:
        """Record what was said while nobody listened. The caller holds the thread's order."""
        if thread not in self._behind:
            return
        after = self._read_up_to.get(thread, thread)
        try:
            async with discord_call("catching up"):
                missed = await self._bot.rest.fetch_messages(int(thread), after=int(after)).limit(200)
        except EngineError as error:
            log_line.warning("catch_up", thread=thread, error=str(error))
            self._behind.discard(thread)
            return
        for message in sorted(missed, key=lambda one: one.id):
            await self._record_message(_as_payload(message, thread))
        self._behind.discard(thread)

    # --- the log -----------------------------------------------------------------------------------------------------

    async def _insist(self, arrival: Arrival) -> None:
        """Messages have no deadline: while the database is away they wait here, and Discord still has them."""
        while not await self._record(arrival):
            await anyio.sleep(1)

    async def _record(self, arrival: Arrival) -> bool:
        """Whether it is in the log now, by us or before."""
        target = f"session:{arrival.session}"
        try:
            key = await self._keyring.prepare(target, arrival.by)
            raw = self._keyring.seal(key, msgspec.json.encode(arrival.raw).decode())
            event = Received(
                what=arrival.what,
                discord_id=arrival.discord_id,
                session=arrival.session,
                by=arrival.by,
                locale=arrival.locale,
                guild=arrival.guild,
                channel=arrival.channel,
                raw=raw,
            )
            actor = f"person:{arrival.by}" if arrival.by else "discord"
            draft = Draft(event=event, at=self._now(), actor=actor, key=arrival.key, to=target)
            await self._log.append(Append(writes=(Write(stream=self._stream, expected=None, drafts=(draft,)),)))
        except Duplicate:
            return True
        except EngineError as error:
            log_line.warning("record", what=arrival.what, id=arrival.discord_id, error=str(error))
            return False
        return True


def _paste(payload: Payload) -> str:
    """The address of a long paste: Discord's client sends it as `message.txt` with nothing beside it."""
    files = payload.get("attachments") or []
    if payload.get("content") or len(files) != 1 or files[0].get("filename") != "message.txt":
        return ""
    return str(files[0].get("url", "")) if files[0].get("size", 0) <= LARGEST_PASTE else ""


def _as_payload(message: hikari.Message, thread: str) -> Payload:
    """A message read by REST in the form in which the gateway would have sent it, as far as we read it."""
    return {
        "id": str(message.id),
        "channel_id": thread,
        "type": int(message.type),
        "content": message.content or "",
        "author": {"id": str(message.author.id), "bot": message.author.is_bot},
        "attachments": [{"filename": one.filename, "size": one.size, "url": one.url} for one in message.attachments],
    }
