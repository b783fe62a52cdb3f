"""What Discord sent, as far as the ingress must understand it to record it. Pure.

Reading never fails: a field of another type than Discord documents is read as if it were not there, for what cannot be
understood is recorded too, and refused by whoever translates it. A token gets no further than `Arrival.token`.
"""

import re
from typing import Any

import msgspec

from adapters.discord import custom_ids

Payload = dict[str, Any]

LARGEST_PASTE = 1 << 20
"""Bytes of a long paste that are read; more is over the limit of a prompt anyway."""

PASTE = "message.txt"
"""What Discord's client makes of a paste of more than 2000 characters."""

_INTERACTIONS = {2: "command", 3: "component"}
_SERVER_COMMANDS = {"add", "delete", "members", "sessions"}
_UNLOGGED = {1, 4}  # PING and autocompletion
_PEOPLE_SAY = {0, 19}  # DEFAULT and REPLY
_THREADS = {10, 11, 12}
_HAVE_THREADS = {0, 5, 15, 16}  # text, announcement, forum, media
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,4})?")
_ID = re.compile(r"\d{1,20}", re.ASCII)


class User(msgspec.Struct, frozen=True):
    """Whoever did it."""

    id: str = ""
    bot: bool = False


class Member(msgspec.Struct, frozen=True):
    """A person in a server."""

    user: User = User()


class Attached(msgspec.Struct, frozen=True):
    """A file of a message."""

    filename: str = ""
    size: int = 0
    url: str = ""


class ThreadState(msgspec.Struct, frozen=True):
    """`thread_metadata`."""

    archived: bool = False
    locked: bool = False
    archive_timestamp: str = ""


class Channel(msgspec.Struct, frozen=True):
    """Where an interaction happened."""

    type: int = 0
    parent_id: str | None = None


class Option(msgspec.Struct, frozen=True):
    """Of a command: its part."""

    name: str = ""


class Data(msgspec.Struct, frozen=True):
    """Of an interaction: which button, or which part of the command."""

    custom_id: str = ""
    options: list[Option] = []


class Seen(msgspec.Struct):
    """What the ingress itself reads of a payload; everything else is for the translator."""

    id: str = ""
    ids: list[str] = []
    type: int = 0
    content: str = ""
    channel_id: str = ""
    guild_id: str = ""
    owner_id: str = ""
    locale: str = ""
    token: str = ""
    edited_timestamp: str | None = None
    unavailable: bool = False
    system_channel_id: str | None = None
    author: User = User()
    user: User = User()
    member: Member = Member()
    attachments: list[Attached] = []
    thread_metadata: ThreadState = ThreadState()
    channel: Channel = Channel()
    data: Data = Data()

    @property
    def said_by_person(self) -> bool:
        """Whether it is a message that a person wrote, not a bot, and not Discord about a person."""
        return self.type in _PEOPLE_SAY and not self.author.bot

    @property
    def in_thread(self) -> bool:
        """Whether the interaction happened in a thread."""
        return self.channel.type in _THREADS

    @property
    def had_threads(self) -> bool:
        """Whether the deleted channel was of a kind that has threads."""
        return self.type in _HAVE_THREADS

    @property
    def paste(self) -> str:
        """The address of a long paste; "" for any other message."""
        alone = not self.content and len(self.attachments) == 1
        return self.attachments[0].url if alone and self.attachments[0].filename == PASTE else ""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to record. `key` is its idempotency key. `session` is empty for what is asked of the server."""

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

    def __repr__(self) -> str:
        return f"Arrival(key={self.key!r})"

    @property
    def target(self) -> str:
        """Who must give it an outcome."""
        return f"session:{self.session}" if self.session else f"guild:{self.guild}"


def read(payload: Payload) -> Seen:
    """Whatever of a payload can be read."""
    seen = Seen()
    for field in msgspec.structs.fields(Seen):
        if field.name in payload:
            try:
                setattr(seen, field.name, msgspec.convert(payload[field.name], field.type, strict=False))
            except (msgspec.ValidationError, RecursionError):
                continue
    for name in ("id", "channel_id", "guild_id", "owner_id"):
        setattr(seen, name, _id(getattr(seen, name)))
    seen.ids = [one for one in seen.ids if _id(one)]
    seen.locale = seen.locale if _LOCALE.fullmatch(seen.locale) else "en-US"
    return seen


def interaction(seen: Seen, payload: Payload, bound: str | None) -> Arrival | None:
    """A command or a press; `bound`: the session of the thread it happened in. None for what is never recorded."""
    if seen.type in _UNLOGGED or not seen.id:
        return None
    what = _INTERACTIONS.get(seen.type, "unknown")
    pressed = custom_ids.read(seen.data.custom_id) if what == "component" else None
    again = pressed is not None and pressed.kind == "again"
    session = seen.id if again or not bound else bound
    if pressed and pressed.kind in custom_ids.ANYWHERE:
        session = _id(pressed.session) or seen.id
    return Arrival(
        what=what,
        discord_id=seen.id,
        session="" if _is_for_server(seen, what, pressed) else session,
        by=_id(seen.member.user.id or seen.user.id),
        locale=seen.locale,
        guild=seen.guild_id,
        channel=_id(seen.channel.parent_id or "") if again else seen.channel_id,
        key=f"i:{seen.id}",
        # the message of a button says what the log has already
        raw={name: value for name, value in payload.items() if name not in {"token", "message"}},
        token=seen.token,
    )


def _is_for_server(seen: Seen, what: str, pressed: custom_ids.Pressed | None) -> bool:
    if what == "command":
        return bool(seen.data.options) and seen.data.options[0].name in _SERVER_COMMANDS
    return pressed is not None and pressed.kind in custom_ids.SERVER_KINDS


def server(seen: Seen, mark: str) -> Arrival:
    """Who owns a server, and where it posts its own news. `mark` tells one time from another."""
    channel = _id(seen.system_channel_id or "")
    return Arrival(
        what="server",
        discord_id=seen.id,
        session="",
        by="",
        locale="en-US",
        guild=seen.id,
        channel=channel,
        key=f"g:{seen.id}:{seen.owner_id}:{channel}:{mark}",
        raw={"owner_id": seen.owner_id},
    )


def message(seen: Seen, payload: Payload, session: str) -> Arrival:
    """Something that a person said in a thread."""
    return _in_thread("message", seen, payload, session, f"m:{seen.id}")


def edit(seen: Seen, payload: Payload, session: str) -> Arrival:
    """A person's message says something else now."""
    return _in_thread("edit", seen, payload, session, f"e:{seen.id}:{seen.edited_timestamp}")


def delete(message_id: str, seen: Seen, session: str) -> Arrival:
    """A message is gone; Discord does not say whose it was, nor who deleted it."""
    gone = msgspec.structs.replace(seen, id=message_id)
    return _in_thread("delete", gone, {"id": message_id}, session, f"d:{message_id}")


def thread(seen: Seen, payload: Payload, session: str) -> Arrival:
    """A thread was archived, locked, or the other way round, or renamed."""
    state = seen.thread_metadata
    mark = f"{state.archived}:{state.locked}:{state.archive_timestamp}"
    here = msgspec.structs.replace(seen, channel_id=seen.id)
    return _in_thread("thread", here, payload, session, f"t:{seen.id}:{mark}")


def thread_lost(thread_id: str, session: str, what: str, mark: str) -> Arrival:
    """A thread is deleted, or closed to us: `what` is deleted or forbidden, `mark` tells one time from another."""
    seen = Seen(id=thread_id, channel_id=thread_id, locale="en-US")
    return _in_thread(f"thread_{what}", seen, {"id": thread_id}, session, f"t:{thread_id}:{mark}")


def _in_thread(what: str, seen: Seen, payload: Payload, session: str, key: str) -> Arrival:
    return Arrival(
        what=what,
        discord_id=seen.id,
        session=session,
        by=_id(seen.author.id),
        locale=seen.locale,
        guild=seen.guild_id,
        channel=seen.channel_id,
        key=key,
        raw=payload,
    )


def _id(text: str) -> str:
    """`text` if it is an id of Discord's."""
    return text if _ID.fullmatch(text) else ""
