"""The engine's `Chat` on Discord: threads, cards, private answers and files.

Every method finds out what a lost answer or a dead process left behind instead of doing it twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from adapters.discord import notices, story
from adapters.discord.acknowledging import Acknowledging
from adapters.discord.errors import HasThread, Unacceptable, UnknownInteraction, UnknownMessage
from adapters.discord.markdown import one_line, visible
from adapters.discord.notices import asked_at
from adapters.discord.options import Options
from adapters.discord.pace import Pace
from adapters.discord.render import Button, start_again, status, used
from adapters.discord.rest import Rest
from adapters.discord.texts import texts
from adapters.discord.writer import Desk, Writer, nonce
from engine import running
from engine.evolve import fold
from engine.guild import Guild, Notice
from engine.ports import EffectContext, EventLog, File, GiveUp, Keyring, TryAgain, Usage
from engine.session import Reply, Session
from schema.events import AccessAsked, AccessDecided, Received

LARGEST_FILE = 10 << 20
LARGEST_POST = 24 << 20
MOST_FILES = 10
MOST_PARTS = 50
"""A file that would need more is not posted: half a gigabyte is not read in Discord."""

_EXPLAINED = ("refused-budget", "refused-empty", "refused-too_long", "refused-queue_full")
"""Refusals of a message, or of what it was edited to, that are said in the thread. That others may not decide in it is not, or
talk among people would be.
"""

_TRANSCRIPT = "transcript.jsonl"

_SUBJECT = 60  # characters of a prompt that name a thread; Discord takes 100 in all

_NONCE_LIFE = 120_000_000
"""µs in which Discord surely remembers a nonce; "a few minutes" by its documentation."""


_ACKNOWLEDGED_WITHIN = 10_000_000
"""µs after which an interaction is acknowledged or never will be; Discord gives three seconds."""


class Tokens(Protocol):
    """Interaction tokens, sealed, for the 15 minutes in which they can be used. They never enter an event."""

    async def put(self, interaction: str, token: str) -> None:
        """Keep a token. Raises TryAgain."""
        ...

    async def get(self, interaction: str) -> str | None:
        """The token, None when it is over. Raises TryAgain."""
        ...


class DiscordChat:
    """`engine.ports.Chat`."""

    def __init__(
        self,
        rest: Rest,
        log: EventLog,
        keyring: Keyring,
        tokens: Tokens,
        acknowledging: Acknowledging,
        options: Options,
    ) -> None:
        self._rest = rest
        self._log = log
        self._tokens = tokens
        self._acknowledging = acknowledging
        self._now = options.now
        self._owner_channels = options.owner_channels
        self._servers: dict[str, str] = {}
        self._desk = Desk(rest, log, keyring, options.now)
        self._writers: dict[str, Writer] = {}
        self._hinted: set[str] = set()

    async def post_starter(self, session: Session) -> str:
        """The message that the thread hangs on. Its footnote names the session, so that it can be found again."""
        footnote = f"-# {session.id}"
        if "starter" in session.failures or self._now() - asked_at(session.id) > _NONCE_LIFE:
            for found in await self._rest.ours(session.channel, after=session.id):
                if found.content.endswith(footnote):
                    return found.message
        content = f"{texts(session.locale)('starter', person=session.starter)}\n{footnote}"
        mark = nonce(session.id, "starter", 0)
        return await self._rest.create(session.channel, content, nonce=mark, urgency=Pace.URGENT)

    async def open_thread(self, session: Session) -> str:
        """Named after what was asked for, where Discord takes that. A thread that is made of a message has the message's id."""
        say = texts(session.locale)
        names = [say("thread-name", about=words) for words in (await self._subject(session), session.id[-4:]) if words]
        open_as = partial(self._rest.open_thread, session.channel, session.starter_message)
        try:
            with suppress(Unacceptable):
                return await open_as(names[0])
            return await open_as(names[-1])
        except HasThread:
            return session.starter_message

    async def _subject(self, session: Session) -> str:
        """The beginning of the prompt that is there already; "" when there is none, or its text was erased."""
        text = await self._desk.keyring.open(session.queue[0].text) if session.queue else None
        return one_line(visible(text or ""), _SUBJECT)

    async def show(self, context: EffectContext) -> None:
        """Bring the thread up to date."""
        session = context.session
        writer = self._writers.get(session.id)
        if writer is None:
            writer = self._writers[session.id] = Writer(self._desk, session.locale)
        await writer.run(context)
        if context.session.closed:
            self._writers.pop(session.id, None)

    # --- private answers ---------------------------------------------------------------------------------------------

    async def tell(self, session: Session, reply: Reply, usage: Usage | None = None) -> bool:
        """By the interaction it answers; a message by a reaction, and in words where its author can do something about it."""
        asked = await self._asked(reply.to)
        if asked is None:
            return True
        try:
            return await self._tell(session, reply, asked, usage)
        except GiveUp:
            return False

    async def _asked(self, position: int) -> Received | None:
        """What somebody sent, however often it was handed on; None when nobody did."""
        (recorded,) = await self._log.read([position])
        match recorded.event:
            case Received() as asked:
                return asked
            case AccessAsked():
                return await self._asked(recorded.cause)
            case AccessDecided() as decided:
                return await self._asked(decided.received)
            case _:
                return None

    async def _tell(self, session: Session, reply: Reply, asked: Received, usage: Usage | None) -> bool:
        refused = reply.what.startswith("refused-")
        match asked.what:
            case "edit" if reply.what in _EXPLAINED:
                await self._explain(session, reply, asked)
                return True
            case "edit" | "delete" | "thread" | "thread_deleted" | "thread_forbidden":
                return True
            case "message":
                if refused:
                    await self._rest.react(asked.channel, asked.discord_id, "🚫")
                if reply.what == "refused-closed":
                    await self._hint(session)
                if reply.what in _EXPLAINED:
                    await self._explain(session, reply, asked)
                return True
            case "component" if not refused and self._is_seen(session, reply, asked):
                return True
            case _:
                story_asked = reply.what == "audit"
                words = await self._story(session, reply) if story_asked else self._words(session, reply, usage)
                return await self._whisper(asked, words)

    @staticmethod
    def _is_seen(session: Session, reply: Reply, asked: Received) -> bool:
        """Whether whoever pressed a button sees by itself what became of it."""
        return asked.channel == session.thread and reply.what not in {"stopping", "started", "start-failed"}

    async def _whisper(self, asked: Received, words: str, buttons: Sequence[Button] = ()) -> bool:
        """Tell one person; False when they can no longer be answered privately. Raises TryAgain when they cannot be yet."""
        await self._acknowledging.over(asked.discord_id)
        token = await self._tokens.get(asked.discord_id)
        answer = self._rest.follow_up if asked.what == "component" else self._rest.answer
        try:
            if token is not None:
                await answer(token, words, buttons)
                return True
        except (UnknownInteraction, UnknownMessage):
            pass
        if self._now() - asked_at(asked.discord_id) < _ACKNOWLEDGED_WITHIN:  # by another process, perhaps
            raise TryAgain("answering: Discord does not have the acknowledgement yet")
        return False

    async def _explain(self, session: Session, reply: Reply, asked: Received) -> None:
        """Why a message is no prompt, in answer to it."""
        content = texts(session.locale)(reply.what, detail=reply.detail)
        if self._now() - asked_at(asked.discord_id) > _NONCE_LIFE:
            told = await self._rest.ours(session.thread, after=asked.discord_id)
            if any(found.content == content for found in told):
                return
        mark = nonce(session.thread, f"refused:{asked.discord_id}", 0)
        await self._rest.create(session.thread, content, nonce=mark, reply=asked.discord_id)

    async def _hint(self, session: Session) -> None:
        """Once a closed thread: how to go on."""
        again = start_again(session, texts(session.locale))
        if session.thread in self._hinted:
            return
        if not any(again.custom_id in found.custom_ids for found in await self._rest.ours(session.thread)):
            mark = nonce(session.thread, "hint", 0)
            content = texts(session.locale)("closed-hint")
            await self._rest.create(session.thread, content, nonce=mark, buttons=(again,))
        self._hinted.add(session.thread)

    async def _story(self, session: Session, reply: Reply) -> str:
        events = await self._log.read_stream(f"session:{session.id}")
        texts_of = {box: await self._desk.keyring.open(box) for box in story.boxes(events)}
        return story.tell(events, texts_of, texts(reply.locale))

    def _words(self, session: Session, reply: Reply, usage: Usage | None) -> str:
        say = texts(reply.locale)
        if reply.what != "status":
            return say(reply.what, thread=session.thread, detail=reply.detail)
        lines = [status(session, say)]
        if session.turn:
            lines.append(say("status-turn", person=session.turn.by, since=str(session.turn.started // 1_000_000)))
        if session.shared:
            lines.append(say("head-shared"))
        if session.tasks:
            lines.append(say("status-tasks", count=session.tasks))
        if usage:
            lines.append(used(usage, say))
        return "\n".join([*lines, say("status-queue", count=len(session.queue))])

    # --- a server ----------------------------------------------------------------------------------------------------

    async def answer(self, guild: Guild, reply: Reply) -> bool:
        """By the interaction it answers. Whoever is to be heard of in the channel anyway is not told twice."""
        asked = await self._asked(reply.to)
        if asked is None or asked.what not in {"command", "component"}:
            return True
        say = texts(reply.locale)
        listed = reply.what == "sessions"
        content, buttons = (
            notices.sessions(await self._running(guild), say) if listed else notices.words(guild, reply, say)
        )
        try:
            return await self._whisper(asked, content, buttons)
        except GiveUp:
            return False

    async def _running(self, guild: Guild) -> list[Session]:
        """The sessions of a server that are not closed, the longest first, as the log has them now."""
        mine = sorted(await running.of_server(self._log, guild.id), key=int)
        return [fold(await self._log.read_stream(f"session:{one}"), Session()) for one in mine]

    async def notify(self, guild: Guild, notice: Notice) -> str:
        """One message, kept up to date. Open ones are posted again when somebody deleted them."""
        channel = await self._place(guild, notice)
        if not channel:
            return ""
        content, buttons = notices.render(guild, notice, texts(notice.locale))
        message = notice.message or await self._left_behind(channel, guild, notice, content)
        if message:
            try:
                await self._rest.edit(channel, message, content, buttons, mention=notice.to)
            except UnknownMessage:
                if notice.closed:
                    return message
            else:
                return message
        name = nonce(guild.id, notice.part + message, 0)
        return await self._rest.create(channel, content, nonce=name, buttons=buttons, mention=notice.to)

    async def is_here(self, guild: str, person: str) -> bool:
        """As Discord has it; it tells bots of our kind of nobody who leaves."""
        return await self._rest.is_member(guild, person)

    async def _left_behind(self, channel: str, guild: Guild, notice: Notice, content: str) -> str:
        """A message that was posted, and whose id we never got."""
        mark = notices.mark(guild, notice)
        for found in await self._rest.ours(channel, after=notice.request):
            if mark in found.custom_ids or (not mark and found.content == content):
                return found.message
        return ""

    async def _place(self, guild: Guild, notice: Notice) -> str:
        """Where owners are asked: their channel, if this server has one."""
        if notice.kind == "welcome":
            return notice.channel
        for channel in self._owner_channels:
            with suppress(GiveUp):
                if channel not in self._servers:
                    self._servers[channel] = await self._rest.server_of(channel)
                if self._servers[channel] == guild.id:
                    return channel
        return notice.channel

    # --- files -------------------------------------------------------------------------------------------------------

    async def hand_over(self, session: Session, files: Sequence[File]) -> str:
        """Post the files, in as few messages as Discord takes. `kept` when they cannot be posted."""
        parts = [part for file in files for part in _parts(file)]
        if not parts or session.thread_state in {"deleted", "forbidden", "locked"}:
            return "kept"
        try:
            posted = {found.files for found in await self._rest.ours(session.thread)}
            for number, batch in enumerate(_batches(parts)):
                if tuple(file.name for file in batch) not in posted:
                    mark = nonce(session.thread, "handover", number)
                    content = self._about(session, files, batch)
                    await self._rest.create(session.thread, content, nonce=mark, files=batch)
        except GiveUp:
            return "kept"
        return "posted"

    def _about(self, session: Session, files: Sequence[File], batch: Sequence[File]) -> str:
        say = texts(session.locale)
        lines = [say("handover" if any(file.name != _TRANSCRIPT for file in files) else "handover-nothing")]
        if any(".part" in file.name for file in batch):
            lines.append(say("handover-parts"))
        left_out = [file.name for file in files if not list(_parts(file))]
        if left_out:
            lines.append(say("handover-left-out", count=len(left_out)))
        return "\n".join(lines)


def _parts(file: File) -> Iterator[File]:
    """A file in pieces that Discord takes; none when there would be too many."""
    count = -(-len(file.data) // LARGEST_FILE)
    if count <= 1:
        yield file
    elif count <= MOST_PARTS:
        for number in range(count):
            data = file.data[number * LARGEST_FILE : (number + 1) * LARGEST_FILE]
            yield File(name=f"{file.name}.part{number + 1:02}", data=data)


def _batches(files: Sequence[File]) -> list[list[File]]:
    """Files in groups that one message can carry."""
    batches: list[list[File]] = []
    for file in files:
        last = batches[-1] if batches else None
        if last and len(last) < MOST_FILES and sum(len(one.data) for one in last) + len(file.data) <= LARGEST_POST:
            last.append(file)
        else:
            batches.append([file])
    return batches
