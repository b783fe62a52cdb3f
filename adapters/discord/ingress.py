"""From Discord into the log: payload → append → acknowledge. Nothing acts on anything that is not recorded (P1).

It reads hikari's raw payloads, for a typed event vanishes when Discord changes a field. Every payload is handled by itself:
a bad one is recorded and refused, and stops no other. Messages of one thread keep their order. After a new gateway session
each thread is caught up by REST before its next message is recorded, so what the log knows of a thread has no gap.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import aiohttp
import anyio
import hikari
import structlog

from adapters.discord import arrivals
from adapters.discord.acknowledging import Acknowledging
from adapters.discord.arrivals import LARGEST_PASTE, Arrival, Payload, Seen
from adapters.discord.chat import Tokens
from adapters.discord.errors import Forbidden, UnknownChannel, discord_call
from adapters.discord.options import Options
from adapters.discord.outage import Outage
from adapters.discord.pace import PAGE_REQUESTS, Pace
from adapters.discord.texts import texts
from engine.ports import Committed, Duplicate, EngineError, EventLog, Keyring, TryAgain
from projections.exact import MESSAGES, SERVERS, THREADS
from schema.envelope import Append, Draft, Write
from schema.events import Received, ThreadOpened

RECORD_SECONDS = 2.0
"""Within this time an interaction is recorded, or answered *not recorded*: Discord gives three seconds."""

_PASTE_SECONDS = 5.0
_PASTE_TRIES = 3
_AGAIN_SECONDS = 1.0
_LONGEST_WAIT = 60.0
_READERS = 4
_PAGE = 100
_REMEMBERED = 10_000

log_line = structlog.get_logger(__name__)


class Ingress:
    """The only writer of `inbox:<incarnation>`."""

    def __init__(
        self,
        bot: hikari.GatewayBot,
        log: EventLog,
        keyring: Keyring,
        tokens: Tokens,
        pace: Pace,
        acknowledging: Acknowledging,
        options: Options,
    ) -> None:
        self._bot = bot
        self._log = log
        self._keyring = keyring
        self._tokens = tokens
        self._pace = pace
        self._acknowledging = acknowledging
        self._outage = Outage(bot, log, pace)
        self._guilds = options.guilds
        self._asks_owner = not options.owners
        self._incarnation = options.incarnation
        self._now = options.now
        self._me = ""
        self._threads: dict[str, str] = {}
        self._made: set[str] = set()
        self._read_up_to: dict[str, str] = {}
        self._of_bots: dict[str, None] = {}
        self._behind: set[str] = set()
        self._fell_behind = anyio.Event()
        self._order: dict[str, anyio.Lock] = {}

    async def open(self) -> None:
        """Learn which threads are ours, then listen."""
        self._threads = await self._log.rows(THREADS.name)
        self._read_up_to = await self._log.rows(MESSAGES.name)
        self._log.subscribe(self._committed)
        self._bot.event_manager.subscribe(hikari.ShardPayloadEvent, self._payload)

    async def run(self) -> None:
        """Catch up with threads as they fall behind, the newest first, and tell those that are stuck, for ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._outage.run)
            tasks.start_soon(self._read_late)

    async def _read_late(self) -> None:
        while True:
            await self._fell_behind.wait()
            self._fell_behind = anyio.Event()
            late = iter(sorted(self._behind, key=int, reverse=True))
            async with anyio.create_task_group() as tasks:
                for _ in range(_READERS):
                    tasks.start_soon(self._read_each, late)

    async def _read_each(self, late: Iterator[str]) -> None:
        for thread in late:
            async with self._ordered(thread):
                await self._catch_up(thread)

    def _committed(self, committed: Committed) -> None:
        for recorded in committed.recorded:
            if isinstance(recorded.event, ThreadOpened):
                self._bind(recorded.event.thread, recorded.stream.partition(":")[2])

    def _bind(self, thread: str, session: str) -> None:
        """The thread is ours; people may have written before we knew."""
        self._threads[thread] = session
        self._made.discard(thread)
        self._fall_behind({thread})

    def stuck(self, session: str) -> None:
        """What happens in a session cannot be recorded: people are told when that goes on."""
        for thread, bound in self._threads.items():
            if bound == session:
                self._outage.stuck(thread)

    def _fall_behind(self, threads: set[str]) -> None:
        self._behind |= threads
        self._fell_behind.set()

    # --- payloads ----------------------------------------------------------------------------------------------------

    async def _payload(self, event: hikari.ShardPayloadEvent) -> None:
        payload = dict(event.payload)
        try:
            await self._handle(event.name, payload, arrivals.read(payload))
        except Exception as error:  # noqa: BLE001 - one payload must not stop the others
            log_line.warning("payload", name=event.name, error=type(error).__name__, detail=str(error)[:200])

    async def _handle(self, name: str, payload: Payload, seen: Seen) -> None:
        match name:
            case "READY":
                self._me = seen.user.id
                self._fall_behind(set(self._threads))
            case "INTERACTION_CREATE":
                await self._interaction(seen, payload)
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE" | "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK":
                await self._of_a_message(name, seen, payload)
            case "THREAD_CREATE" if seen.owner_id == self._me:
                self._made.add(seen.id)
            case "THREAD_UPDATE" if seen.id in self._threads:
                async with self._ordered(seen.id):
                    await self._insist(arrivals.thread(seen, payload, self._threads[seen.id]))
            case "THREAD_DELETE" | "CHANNEL_DELETE" if seen.id in self._threads:
                async with self._ordered(seen.id):
                    await self._lose(seen.id, "deleted")
            case "CHANNEL_DELETE" if seen.had_threads:
                self._fall_behind(set(self._threads))  # whichever of them went with it will not be found
            case "GUILD_CREATE" | "GUILD_UPDATE" if seen.id in self._guilds and self._asks_owner:
                await self._see_server(seen)
            case "GUILD_DELETE" if seen.id in self._guilds and not seen.unavailable:
                self._fall_behind(set(self._threads))
            case _:
                pass

    async def _see_server(self, seen: Seen) -> None:
        """Who owns a server is recorded when it is not what the log says."""
        arrival = arrivals.server(seen, self._incarnation)
        if seen.owner_id and await self._log.lookup(SERVERS.name, seen.id) != f"{seen.owner_id} {arrival.channel}":
            await self._insist(arrival)

    async def _session(self, channel: str, *, looked_for: bool) -> str | None:
        """The session of a thread. One that another process opened is `looked_for` in the log."""
        if channel not in self._threads and looked_for:
            session = await self._log.lookup(THREADS.name, channel)
            if session:
                self._bind(channel, session)
        return self._threads.get(channel)

    # --- interactions ------------------------------------------------------------------------------------------------

    async def _interaction(self, seen: Seen, payload: Payload) -> None:
        arrival = arrivals.interaction(seen, payload, self._threads.get(seen.channel_id))
        if arrival is None:
            return
        if seen.guild_id not in self._guilds:
            await self._refuse(arrival, "elsewhere")
            return
        with self._acknowledging.of(arrival.discord_id):
            recorded = None
            with anyio.move_on_after(RECORD_SECONDS):
                recorded = await self._recorded(arrival, seen, payload)
            if recorded is None:
                await self._refuse(arrival, "not-recorded")
                return
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._quietly, self._acknowledge, recorded)
                tasks.start_soon(self._quietly, self._keep_token, recorded)

    async def _recorded(self, arrival: Arrival, seen: Seen, payload: Payload) -> Arrival | None:
        """What was recorded; None when nothing could be."""
        try:
            if seen.in_thread and seen.channel_id not in self._threads:
                session = await self._session(seen.channel_id, looked_for=True)
                arrival = arrivals.interaction(seen, payload, session) or arrival
            await self._record(arrival)
        except EngineError as error:
            log_line.warning("record", key=arrival.key, error=str(error))
            return None
        return arrival

    async def _acknowledge(self, arrival: Arrival) -> None:
        """Only now: what Discord saw acknowledged is in the log."""
        pressed = arrival.what == "component"
        kind = hikari.ResponseType.DEFERRED_MESSAGE_UPDATE if pressed else hikari.ResponseType.DEFERRED_MESSAGE_CREATE
        flags = hikari.UNDEFINED if pressed else hikari.MessageFlag.EPHEMERAL
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

    async def _of_a_message(self, name: str, seen: Seen, payload: Payload) -> None:
        thread = seen.channel_id
        if thread not in self._threads and not (thread in self._made and await self._session(thread, looked_for=True)):
            return
        async with self._ordered(thread):
            match name:
                case "MESSAGE_CREATE" if seen.author.bot:
                    self._of_bots[seen.id] = None
                    if len(self._of_bots) > _REMEMBERED:
                        del self._of_bots[next(iter(self._of_bots))]
                case "MESSAGE_CREATE":
                    await self._catch_up(thread)
                    await self._record_message(seen, payload)
                case "MESSAGE_UPDATE" if seen.said_by_person and seen.edited_timestamp:  # without: only a preview
                    await self._insist(arrivals.edit(seen, payload, self._threads[thread]))
                case "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK":
                    for gone in seen.ids or [seen.id]:
                        if gone not in self._of_bots:
                            await self._insist(arrivals.delete(gone, seen, self._threads[thread]))
                case _:
                    pass

    async def _record_message(self, seen: Seen, payload: Payload) -> None:
        if not seen.said_by_person or int(seen.id) <= int(self._read_up_to.get(seen.channel_id, "0")):
            return
        if seen.paste:
            payload = payload | {"fetched": await self._fetch(seen.paste)}
        await self._insist(arrivals.message(seen, payload, self._threads[seen.channel_id]))
        self._read_up_to[seen.channel_id] = seen.id

    async def _lose(self, thread: str, what: str) -> None:
        """Deleted is once and for ever; what is forbidden may be allowed again, and forbidden again."""
        mark = what if what == "deleted" else f"{what}:{self._incarnation}"
        await self._insist(arrivals.thread_lost(thread, self._threads[thread], what, mark))

    def _ordered(self, thread: str) -> anyio.Lock:
        return self._order.setdefault(thread, anyio.Lock())

    async def _fetch(self, url: str) -> str:
        """The text of a long paste, which Discord's client made a file of; empty when it cannot be had."""
        for _ in range(_PASTE_TRIES):
            data = b""
            try:
                with anyio.fail_after(_PASTE_SECONDS):
                    async with hikari.URL(url).stream() as stream:
                        async for chunk in stream:
                            data += chunk
                            if len(data) > LARGEST_PASTE:
                                break
            except (hikari.HikariError, aiohttp.ClientError, OSError, TimeoutError):
                continue
            return data[:LARGEST_PASTE].decode("utf-8", "replace")
        return ""

    # --- catching up -------------------------------------------------------------------------------------------------

    async def _catch_up(self, thread: str) -> None:
        """Record what was said while nobody listened, however long that takes. The caller holds the thread's order."""
        wait = _AGAIN_SECONDS
        while thread in self._behind:
            self._behind.discard(thread)
            try:
                await self._read_missed(thread)
            except UnknownChannel:
                await self._lose(thread, "deleted")
            except Forbidden:
                await self._lose(thread, "forbidden")
            except EngineError as error:
                log_line.warning("catch_up", thread=thread, error=str(error))
                self._behind.add(thread)
                await anyio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _read_missed(self, thread: str) -> None:
        after = int(self._read_up_to.get(thread, thread))
        more = True
        while more:
            async with self._pace.slot(Pace.LATE, requests=PAGE_REQUESTS), discord_call("catching up"):
                page = await self._bot.rest.fetch_messages(int(thread), after=after).limit(_PAGE)
            for one in sorted(page, key=lambda one: one.id):
                payload = _as_payload(one, thread)
                await self._record_message(arrivals.read(payload), payload)
                after = max(after, int(one.id))
            more = len(page) == _PAGE

    # --- the log -----------------------------------------------------------------------------------------------------

    async def _insist(self, arrival: Arrival) -> None:
        """Messages have no deadline: while the database is away they wait here, and Discord still has them."""
        while True:
            try:
                await self._record(arrival)
            except EngineError as error:
                log_line.warning("record", key=arrival.key, error=str(error))
                if isinstance(error, TryAgain):
                    if arrival.what == "message":
                        await self._outage.tell(arrival.channel)
                    await anyio.sleep(_AGAIN_SECONDS)
                    continue
            return

    async def _record(self, arrival: Arrival) -> None:
        """Have it in the log, by us or before. Raises TryAgain, GiveUp (this person's texts are not kept any more)."""
        key = await self._keyring.prepare(arrival.target, arrival.by)
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
        draft = Draft(event=event, at=self._now(), actor=actor, key=arrival.key, to=arrival.target)
        write = Write(stream=f"inbox:{self._incarnation}", expected=None, drafts=(draft,))
        with suppress(Duplicate):
            await self._log.append(Append(writes=(write,)))


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
