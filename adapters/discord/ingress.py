"""From Discord into the log: payload → append → acknowledge. Nothing acts on anything that is not recorded (P1).

It reads hikari's raw payloads, for a typed event vanishes when Discord changes a field. Every payload is handled by itself:
a bad one is recorded and refused, and stops no other. Messages of one thread keep their order. After a new gateway session
each thread is caught up by REST before its next message is recorded, so what the log knows of a thread has no gap.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import hikari
import msgspec
import structlog

from adapters.discord.chat import Tokens
from adapters.discord.errors import discord_call
from adapters.discord.texts import texts
from engine.ports import Committed, Duplicate, EngineError, EventLog, GiveUp, Keyring
from projections.exact import MESSAGES, THREADS
from schema.envelope import Append, Draft, Write
from schema.events import Received, ThreadOpened

RECORD_SECONDS = 2.0
"""Within this time an interaction is recorded, or answered *not recorded*: Discord gives three seconds."""

LARGEST_PASTE = 1 << 20
_PASTE_SECONDS = 5.0
_CATCH_UP_SECONDS = 2.0
_INTERACTIONS = {2: "command", 3: "component"}
_PEOPLE_SAY = {0, 19}  # DEFAULT and REPLY
_HANDLED = frozenset(
    {
        "INTERACTION_CREATE",
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "THREAD_UPDATE",
        "THREAD_DELETE",
        "CHANNEL_DELETE",
    }
)

log_line = structlog.get_logger(__name__)
Payload = dict[str, Any]


class _User(msgspec.Struct):
    id: str = ""
    bot: bool = False


class _Member(msgspec.Struct):
    user: _User | None = None


class _File(msgspec.Struct):
    filename: str = ""
    size: int = 0
    url: str = ""


class _ThreadState(msgspec.Struct):
    archived: bool = False
    locked: bool = False
    archive_timestamp: str = ""


class _Seen(msgspec.Struct):
    """What the ingress itself reads of a payload; everything else is for the translator."""

    id: str
    type: int = 0
    content: str = ""
    channel_id: str = ""
    guild_id: str = ""
    locale: str = "en-US"
    token: str = ""
    edited_timestamp: str | None = None
    author: _User | None = None
    member: _Member | None = None
    attachments: list[_File] = []
    thread_metadata: _ThreadState | None = None


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
        self._fell_behind = anyio.Event()
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
                # people may have written before we knew that the thread is ours
                self._behind.add(recorded.event.thread)
                self._fell_behind.set()

    async def _payload(self, event: hikari.ShardPayloadEvent) -> None:
        payload = dict(event.payload)
        try:
            await self._handle(event.name, payload)
        except Exception as error:  # noqa: BLE001 - one payload must not stop the others
            log_line.warning("payload", name=event.name, error=type(error).__name__, detail=str(error)[:200])

    async def _handle(self, name: str, payload: Payload) -> None:
        if name == "READY":
            self._behind = set(self._threads)
            self._fell_behind.set()
            return
        if name not in _HANDLED:
            return
        seen = msgspec.convert(payload, _Seen, strict=False)
        if name == "INTERACTION_CREATE":
            await self._interaction(seen, payload)
        elif name.startswith("MESSAGE_") and seen.channel_id in self._threads:
            await self._of_a_message(name, seen, payload)
        elif seen.id in self._threads:
            await self._thread(name, seen, payload)

    # --- interactions ------------------------------------------------------------------------------------------------

    async def _interaction(self, seen: _Seen, payload: Payload) -> None:
        what = _INTERACTIONS.get(seen.type)
        if what is None:
            return
        # the token goes to the token store only; the message of a button holds what was shown, which the log has already
        raw = {name: value for name, value in payload.items() if name not in {"token", "message"}}
        person = seen.member.user if seen.member else None
        arrival = Arrival(
            what=what,
            discord_id=seen.id,
            session=self._threads.get(seen.channel_id, seen.id),
            by=person.id if person else "",
            locale=seen.locale,
            guild=seen.guild_id,
            channel=seen.channel_id,
            key=f"i:{seen.id}",
            raw=raw,
            token=seen.token,
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

    async def _of_a_message(self, name: str, seen: _Seen, payload: Payload) -> None:
        if seen.author and seen.author.bot:
            return
        async with self._ordered(seen.channel_id):
            if name == "MESSAGE_CREATE":
                await self._catch_up(seen.channel_id)
                await self._record_message(seen, payload)
            elif name == "MESSAGE_DELETE":
                await self._insist(self._arrival("delete", seen, payload, f"d:{seen.id}"))
            elif seen.edited_timestamp:  # without, Discord only added a preview
                await self._insist(self._arrival("edit", seen, payload, f"e:{seen.id}:{seen.edited_timestamp}"))

    async def _record_message(self, seen: _Seen, payload: Payload) -> None:
        if seen.type not in _PEOPLE_SAY or int(seen.id) <= int(self._read_up_to.get(seen.channel_id, "0")):
            return
        paste = _paste(seen)
        if paste:
            payload = payload | {"fetched": await self._fetch(paste)}
        await self._insist(self._arrival("message", seen, payload, f"m:{seen.id}"))
        self._read_up_to[seen.channel_id] = seen.id

    async def _thread(self, name: str, seen: _Seen, payload: Payload) -> None:
        state = seen.thread_metadata or _ThreadState()
        deleted = name != "THREAD_UPDATE"
        mark = "deleted" if deleted else f"{state.archived}:{state.locked}:{state.archive_timestamp}"
        seen.channel_id = seen.id
        async with self._ordered(seen.id):
            what = "thread_deleted" if deleted else "thread"
            await self._insist(self._arrival(what, seen, payload, f"t:{seen.id}:{mark}"))

    def _arrival(self, what: str, seen: _Seen, payload: Payload, key: str) -> Arrival:
        return Arrival(
            what=what,
            discord_id=seen.id,
            session=self._threads[seen.channel_id],
            by=seen.author.id if seen.author else "",
            locale=seen.locale,
            guild=seen.guild_id,
            channel=seen.channel_id,
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

    async def run(self) -> None:
        """Catch up with threads as they fall behind, the newest first, for ever."""
        while True:
            await self._fell_behind.wait()
            self._fell_behind = anyio.Event()
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
        except GiveUp:  # the thread is gone: nothing was missed
            missed = ()
        except EngineError as error:
            log_line.warning("catch_up", thread=thread, error=str(error))
            await anyio.sleep(_CATCH_UP_SECONDS)
            self._fell_behind.set()
            return
        for message in sorted(missed, key=lambda one: one.id):
            payload = _as_payload(message, thread)
            if not message.author.is_bot:
                await self._record_message(msgspec.convert(payload, _Seen), payload)
        self._behind.discard(thread)

    # --- the log -----------------------------------------------------------------------------------------------------

    async def _insist(self, arrival: Arrival) -> None:
        """Messages have no deadline: while the database is away they wait here, and Discord still has them."""
        while not await self._record(arrival):  # noqa: ASYNC110 - the database sends no event when it comes back
            await anyio.sleep(1)

    async def _record(self, arrival: Arrival) -> bool:
        """Whether it is in the log now, by us or before."""
        target = f"session:{arrival.session}"
        try:
            key = await self._keyring.prepare(target, arrival.by)
            # ASCII, for a payload may hold halves of surrogate pairs, which nothing else can write down
            raw = self._keyring.seal(key, json.dumps(arrival.raw))
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


def _paste(seen: _Seen) -> str:
    """The address of a long paste: Discord's client sends it as `message.txt` with nothing beside it."""
    if seen.content or len(seen.attachments) != 1 or seen.attachments[0].filename != "message.txt":
        return ""
    return seen.attachments[0].url if seen.attachments[0].size <= LARGEST_PASTE else ""


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
