"""The engine's `Chat` on Discord: threads, cards, private answers and files.

Every method finds out what a lost answer or a dead process left behind instead of doing it twice.
"""

from collections.abc import Sequence
from typing import Protocol

from adapters.discord.errors import Forbidden, UnknownChannel
from adapters.discord.pace import Pace
from adapters.discord.render import status
from adapters.discord.rest import Rest
from adapters.discord.texts import texts
from adapters.discord.writer import Writer, nonce
from engine.ports import EffectContext, EventLog, File, GiveUp, Keyring
from engine.session import Reply, Session
from schema.events import Received

LARGEST_FILE = 10 << 20
LARGEST_POST = 24 << 20
MOST_FILES = 10


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

    def __init__(self, rest: Rest, log: EventLog, keyring: Keyring, tokens: Tokens) -> None:
        self._rest = rest
        self._log = log
        self._keyring = keyring
        self._tokens = tokens
        self._writers: dict[str, Writer] = {}

    async def post_starter(self, session: Session) -> str:
        """The message that the thread hangs on. Its footnote names the session, so that it can be found again."""
        footnote = f"-# {session.id}"
        failure = session.failures.get("starter")
        if failure:
            for message, _, content in await self._rest.ours_after(session.channel, session.id):
                if content.endswith(footnote):
                    return message
        content = f"{texts(session.locale)('starter', person=session.starter)}\n{footnote}"
        mark = nonce(session.id, "starter", 0)
        return await self._rest.create(session.channel, content, nonce=mark, urgency=Pace.URGENT)

    async def open_thread(self, session: Session) -> str:
        """A thread made of a message has the message's id: it can be looked for."""
        if session.failures.get("thread"):
            try:
                await self._rest.fetch_channel(session.starter_message)
            except UnknownChannel:
                pass
            else:
                return session.starter_message
        name = texts(session.locale)("thread-name", person=session.id[-4:])
        try:
            return await self._rest.open_thread(session.channel, session.starter_message, name)
        except Forbidden:
            raise
        except GiveUp:
            await self._rest.fetch_channel(session.starter_message)
            return session.starter_message

    async def show(self, context: EffectContext) -> None:
        """Bring the thread up to date."""
        session = context.session
        writer = self._writers.get(session.id)
        if writer is None:
            writer = self._writers[session.id] = Writer(self._rest, self._keyring, session.locale)
        await writer.run(context)
        if context.session.closed:
            self._writers.pop(session.id, None)

    async def tell(self, session: Session, reply: Reply) -> bool:
        """By the interaction it answers; a message is answered with a reaction, for only its author is concerned."""
        (asked,) = await self._log.read([reply.to])
        if not isinstance(asked.event, Received):
            return True
        try:
            return await self._tell(session, reply, asked.event)
        except GiveUp:
            return False

    async def _tell(self, session: Session, reply: Reply, asked: Received) -> bool:
        if asked.what == "message":
            if reply.what.startswith("refused-"):
                await self._rest.react(asked.channel, asked.discord_id, "🚫")
            return True
        if asked.what not in {"command", "component"}:
            return True
        token = await self._tokens.get(asked.discord_id)
        if token is None:
            return False
        content = self._words(session, reply)
        if asked.what == "command":
            await self._rest.answer(token, content)
        elif reply.what.startswith("refused-") or reply.what == "stopping":
            await self._rest.follow_up(token, content)
        return True

    def _words(self, session: Session, reply: Reply) -> str:
        say = texts(reply.locale)
        if reply.what == "status":
            return say("status", head=status(session, say), queue=len(session.queue))
        return say(reply.what, thread=session.thread, detail=reply.detail)

    async def hand_over(self, session: Session, files: Sequence[File]) -> str:
        """Post the files, in as few messages as Discord takes. `kept` when they are too large for it."""
        if session.thread_state in {"deleted", "forbidden", "locked"}:
            return "kept"
        say = texts(session.locale)
        batches = _batches([file for file in files if len(file.data) <= LARGEST_FILE])
        for number, batch in enumerate(batches):
            mark = nonce(session.thread, "handover", number)
            try:
                await self._rest.create(session.thread, say("handover"), nonce=mark, files=batch)
            except (UnknownChannel, Forbidden):
                return "kept"
        return "posted" if batches else "kept"


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
