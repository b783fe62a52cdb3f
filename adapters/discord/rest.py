"""The calls to Discord that the chat makes: paced, with a deadline, their errors translated. No decision is made here."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import anyio
import hikari
import msgspec
from hikari.api import MessageActionRowBuilder, RESTClient

from adapters.discord.errors import Archived, UnknownMember, discord_call
from adapters.discord.pace import PAGE_REQUESTS, Bursts, Pace
from adapters.discord.render import Button
from engine.ports import File

_ROW = 5  # buttons, at most
_STYLES: dict[str, hikari.InteractiveButtonTypesT] = {
    "primary": hikari.ButtonStyle.PRIMARY,
    "secondary": hikari.ButtonStyle.SECONDARY,
    "success": hikari.ButtonStyle.SUCCESS,
    "danger": hikari.ButtonStyle.DANGER,
}
_ARCHIVE_AFTER = timedelta(days=7)
"""The longest that Discord offers."""
_PAGE = 100
_MEMBER_SECONDS = 5.0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message of ours, read back. `nonce` is empty after a while: Discord does not keep it."""

    message: str
    nonce: str
    content: str
    custom_ids: frozenset[str]
    files: tuple[str, ...]


Confirm = Callable[[], Awaitable[None]]
"""Raises when we must not speak any more, because another process does."""

_SAID = (hikari.MessageType.DEFAULT, hikari.MessageType.REPLY)


class Rest:
    """One bot's calls. Ids are decimal strings on this side."""

    def __init__(self, client: RESTClient, application: int, pace: Pace) -> None:
        self._client = client
        self._application = application
        self._pace = pace
        self._bursts = Bursts()

    async def create(  # noqa: PLR0913 - by keyword, each
        self,
        channel: str,
        content: str,
        *,
        nonce: str,
        buttons: Sequence[Button] = (),
        mention: str | Sequence[str] = "",
        reply: str = "",
        files: Sequence[File] = (),
        urgency: int = Pace.NORMAL,
        confirm: Confirm | None = None,
    ) -> str:
        """A new message; with the same nonce the same one, for a few minutes. Notifies nobody but `mention`.

        `reply`: the message it answers, if that is still there. `confirm`: called right before, and raises when it should not be.
        """
        await self._bursts.create(channel, urgency)

        async def create() -> hikari.Message:
            async with self._pace.slot(urgency), discord_call("posting a message"):
                if confirm:
                    await confirm()
                return await self._client.create_message(
                    int(channel),
                    content,
                    nonce=nonce,
                    reply=int(reply) if reply else hikari.UNDEFINED,
                    reply_must_exist=False if reply else hikari.UNDEFINED,
                    mentions_reply=False if reply else hikari.UNDEFINED,
                    components=self._rows(buttons),
                    attachments=[hikari.Bytes(file.data, file.name) for file in files],
                    user_mentions=_users(mention),
                    role_mentions=False,
                    mentions_everyone=False,
                )

        try:
            return str((await create()).id)
        except Archived:
            await self.unarchive(channel)
            return str((await create()).id)

    async def edit(
        self,
        channel: str,
        message: str,
        content: str | None,
        buttons: Sequence[Button],
        *,
        mention: str | Sequence[str] = "",
        urgency: int = Pace.NORMAL,
        confirm: Confirm | None = None,
    ) -> None:
        """Make a message say something else (None: the same), with these buttons. Notifies nobody; `mention` stays one."""

        async def edit() -> None:
            async with self._pace.slot(urgency), discord_call("editing a message"):
                if confirm:
                    await confirm()
                await self._client.edit_message(
                    int(channel),
                    int(message),
                    hikari.UNDEFINED if content is None else content,
                    components=self._rows(buttons),
                    user_mentions=_users(mention),
                    role_mentions=False,
                    mentions_everyone=False,
                )

        try:
            await edit()
        except Archived:
            await self.unarchive(channel)
            await edit()

    async def delete(self, channel: str, message: str) -> None:
        """Take a message away."""
        async with self._pace.slot(Pace.LATE), discord_call("deleting a message"):
            await self._client.delete_message(int(channel), int(message))

    async def ours(self, channel: str, *, after: str = "") -> list[Found]:
        """Messages of ours, oldest first: the first 100 messages later than `after`, or the newest 100 of the channel."""
        since = int(after) if after else hikari.UNDEFINED
        async with self._pace.slot(requests=PAGE_REQUESTS), discord_call("reading a thread"):
            read = await self._client.fetch_messages(int(channel), after=since).limit(_PAGE)
        ours = [one for one in read if one.author.id == self._application and one.type in _SAID]
        return [_found(one) for one in sorted(ours, key=lambda one: one.id)]

    async def unarchive(self, thread: str) -> None:
        """Open a thread that fell asleep."""
        async with self._pace.slot(), discord_call("un-archiving the thread"):
            await self._client.edit_channel(int(thread), archived=False)

    async def open_thread(self, channel: str, message: str, name: str) -> str:
        """The thread of a message, made. Raises HasThread when there is one already."""
        async with self._pace.slot(Pace.URGENT), discord_call("making a thread"):
            thread = await self._client.create_message_thread(
                int(channel), int(message), name, auto_archive_duration=_ARCHIVE_AFTER
            )
            return str(thread.id)

    async def react(self, channel: str, message: str, emoji: str) -> None:
        """Put a reaction under a message."""
        await self._bursts.react(channel)
        async with self._pace.slot(Pace.LATE), discord_call("reacting"):
            await self._client.add_reaction(int(channel), int(message), emoji)

    async def server_of(self, channel: str) -> str:
        """The server that a channel is in; "" for none."""
        async with self._pace.slot(), discord_call("reading a channel"):
            found = await self._client.fetch_channel(int(channel))
        return str(found.guild_id) if isinstance(found, hikari.GuildChannel) else ""

    async def is_member(self, server: str, person: str) -> bool:
        """Whether somebody is in a server. Raises TryAgain after some seconds, for an owner waits for it."""
        try:
            async with self._pace.slot(Pace.URGENT), discord_call("looking for a member"):
                with anyio.fail_after(_MEMBER_SECONDS):
                    await self._client.fetch_member(int(server), int(person))
        except UnknownMember:
            return False
        return True

    async def answer(self, token: str, content: str, buttons: Sequence[Button] = ()) -> None:
        """Fill in the answer that was deferred; only the person sees it."""
        async with discord_call("answering"):  # interactions are not bound to the global limit
            await self._client.edit_interaction_response(
                self._application,
                token,
                content,
                components=self._rows(buttons),
                user_mentions=False,
                role_mentions=False,
                mentions_everyone=False,
            )

    async def follow_up(self, token: str, content: str, buttons: Sequence[Button] = ()) -> None:
        """Tell somebody who pressed a button, and nobody else."""
        async with discord_call("answering"):
            await self._client.execute_webhook(
                self._application,
                token,
                content,
                components=self._rows(buttons),
                flags=hikari.MessageFlag.EPHEMERAL,
                user_mentions=False,
                role_mentions=False,
                mentions_everyone=False,
            )

    def _rows(self, buttons: Sequence[Button]) -> list[MessageActionRowBuilder]:
        rows: list[MessageActionRowBuilder] = []
        for first in range(0, len(buttons), _ROW):
            row = self._client.build_message_action_row()
            for button in buttons[first : first + _ROW]:
                row.add_interactive_button(_STYLES[button.style], button.custom_id, label=button.label)
            rows.append(row)
        return rows


def _users(mention: str | Sequence[str]) -> list[int] | bool:
    people = [mention] if isinstance(mention, str) else mention
    return [int(one) for one in people if one] or False


def _found(message: hikari.Message) -> Found:
    rows = [row.components for row in message.components if isinstance(row, hikari.ActionRowComponent)]
    return Found(
        message=str(message.id),
        nonce=message.nonce or "",
        content=message.content or "",
        custom_ids=frozenset(str(getattr(button, "custom_id", "")) for row in rows for button in row),
        files=tuple(file.filename for file in message.attachments),
    )
