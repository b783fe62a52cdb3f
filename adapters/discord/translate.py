"""From what Discord sent to commands: pure decoding, and the `Translator` that opens the payload first.

Whatever cannot be understood becomes a `Reject`: in the log as received, refused, never a crash.
"""

import json
from typing import Any

import msgspec
import structlog

from adapters.discord import custom_ids
from adapters.discord.texts import texts
from engine import commands as c
from engine import repos
from engine.ports import GiveUp, Keyring
from schema.envelope import Recorded
from schema.events import Received
from schema.sealed import Seal

log_line = structlog.get_logger(__name__)


class _Option(msgspec.Struct):
    name: str = ""
    type: int = 0
    value: Any = None
    options: "list[_Option]" = []


class _User(msgspec.Struct, frozen=True):
    bot: bool = False


class _Resolved(msgspec.Struct, frozen=True):
    """The people that a command names: `members` are those who are in the server."""

    users: dict[str, _User] = {}
    members: dict[str, Any] = {}


class _Data(msgspec.Struct):
    name: str = ""
    options: list[_Option] = []
    custom_id: str = ""
    resolved: _Resolved = _Resolved()


class _File(msgspec.Struct):
    filename: str = ""


class _Thread(msgspec.Struct):
    archived: bool = False
    locked: bool = False


class Payload(msgspec.Struct):
    """What we read of any payload; `fetched` is the text of a long paste, added by the ingress."""

    id: str = ""
    owner_id: str = ""
    content: str = ""
    attachments: list[_File] = []
    fetched: str | None = None
    data: _Data | None = None
    thread_metadata: _Thread | None = None


_MALFORMED = c.Reject(reason=c.Reason.MALFORMED)


def command(received: Received, payload: Payload, seal: Seal) -> c.Command | c.GuildCommand:  # noqa: PLR0911 - one line per kind of event
    """The command in one inbox event. Pure."""
    if not received.session:
        return _to_server(received, payload)
    match received.what:
        case "command":
            return _slash(received, payload, seal)
        case "component":
            return _component(received, payload, seal)
        case "message":
            return c.Submit(prompt=received.discord_id, text=_text(_said(payload), seal))
        case "edit":
            return c.Edit(prompt=payload.id, text=_text(_said(payload), seal))
        case "delete":
            return c.Remove(prompt=payload.id)
        case "thread":
            return c.ChangeThread(what=_thread_state(payload))
        case "thread_deleted":
            return c.ChangeThread(what="deleted")
        case "thread_forbidden":
            return c.ChangeThread(what="forbidden")
        case _:
            return c.Reject(reason=c.Reason.MALFORMED, detail=received.what[:40])


def _to_server(received: Received, payload: Payload) -> c.GuildCommand:
    """What is asked of the server."""
    match received.what:
        case "server":
            return c.SeeServer(person=payload.owner_id, channel=received.channel)
        case "command":
            return _server_slash(payload.data or _Data())
        case _:
            pressed = custom_ids.read(payload.data.custom_id) if payload.data else None
            return _server_press(pressed) if pressed and pressed.session == received.guild else _MALFORMED


def _server_slash(data: _Data) -> c.GuildCommand:
    sub = data.options[0] if data.options else _Option()
    of = sub.options[0] if sub.options else _Option()
    person = next((str(one.value) for one in of.options if one.name == "person"), "")
    if sub.name == "members":
        return c.ListMembers()
    if sub.name == "sessions":
        return c.ListSessions()
    if of.name not in {c.Role.USER, c.Role.OWNER} or not (person.isascii() and person.isdecimal()):
        return _MALFORMED
    role = c.Role(of.name)
    if sub.name == "delete":
        return c.DeleteMember(person=person, role=role)
    bot = data.resolved.users.get(person, _User()).bot
    return c.AddMember(person=person, role=role, bot=bot, here=person in data.resolved.members)


def _server_press(pressed: custom_ids.Pressed) -> c.GuildCommand:
    match pressed.kind:
        case "approve":
            return c.DecideAccess(request=pressed.about, choice="approved")
        case "refuse":
            return c.DecideAccess(request=pressed.about, choice="denied")
        case _:
            return c.Confirm()


def _slash(received: Received, payload: Payload, seal: Seal) -> c.Command:  # noqa: PLR0911 - one line per command
    sub = payload.data.options[0] if payload.data and payload.data.options else _Option()
    match sub.name:
        case "start":
            given = {one.name: str(one.value) for one in sub.options if one.value is not None}
            text = _text(given["prompt"], seal) if "prompt" in given else None
            prompt = received.discord_id if text else ""
            repo = _repo(given["repo"], seal) if "repo" in given else None
            return c.Start(guild=received.guild, channel=received.channel, prompt=prompt, text=text, repo=repo)
        case "stop":
            return c.Stop()
        case "status":
            return c.ShowStatus()
        case "audit":
            return c.TellStory()
        case "close":
            return c.Close()
        case "share" | "unshare":
            return c.Share(shared=sub.name == "share")
        case name:
            return c.Reject(reason=c.Reason.MALFORMED, detail=ascii(name)[:40])


def _component(received: Received, payload: Payload, seal: Seal) -> c.Command:  # noqa: C901, PLR0911 - one line per button
    pressed = custom_ids.read(payload.data.custom_id) if payload.data else None
    if pressed is None:
        return _MALFORMED
    if pressed.kind == "again":
        return c.Start(guild=received.guild, channel=received.channel)
    if pressed.session != received.session:
        return _MALFORMED
    match pressed.kind:
        case "close" | "end":
            return c.Close()
        case "leave":
            return c.Leave()
        case "remove":
            return c.Remove(prompt=pressed.about)
        case "allow" | "always" | "deny":
            return c.Answer(request=pressed.about, choice=pressed.kind)
        case _ if not pressed.about.isdecimal():
            return _MALFORMED
        case "keep":
            return c.Keep(question=int(pressed.about))
        case "stop":
            return c.Stop(turn=int(pressed.about))
        case choice:
            words = _text(texts(received.locale)("continue-prompt"), seal)
            return c.Resolve(turn=int(pressed.about), choice=choice, prompt=received.discord_id, text=words)


def _thread_state(payload: Payload) -> str:
    state = payload.thread_metadata or _Thread()
    return "locked" if state.locked else "archived" if state.archived else "unarchived"


def _said(payload: Payload) -> str:
    """What somebody wrote. Claude is told of the files that it does not get: whoever wrote may speak of them."""
    if payload.fetched is not None:
        return payload.fetched
    names = ", ".join(one.filename for one in payload.attachments)
    return (
        f"{payload.content}\n\n(Attached, but not readable here yet: {names})"
        if payload.content and names
        else payload.content
    )


def _text(said: str, seal: Seal) -> c.Text:
    """Sealed, and without what no program takes: NUL, and halves of surrogate pairs. Only white space counts as nothing."""
    clean = said.replace("\0", "").encode("utf-8", "replace").decode()
    return c.Text(sealed=seal(clean), size=len(clean) if clean.strip() else 0)


def _repo(said: str, seal: Seal) -> c.Repo:
    found = repos.read(said)
    return c.Repo(sealed=seal(found.address), host=found.host) if found else c.Repo(sealed=seal(""), host="")


def read(raw: str) -> Payload:
    """What Discord sent, as it was recorded. Raises MsgspecError, ValueError."""
    return msgspec.convert(json.loads(raw), Payload, strict=False)


def given(recorded: Recorded, event: Received) -> c.Context:
    """Who gave the command in `event`, and when."""
    return c.Context(at=recorded.at, by=event.by, locale=event.locale, cause=recorded.position)


class DiscordTranslator:
    """`engine.ports.Translator`. Texts of a session are sealed under its own keys."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def translate(self, received: Recorded) -> tuple[c.Command | c.GuildCommand, c.Context]:
        """The command, and who gave it when."""
        event = received.event
        if not isinstance(event, Received):
            return _MALFORMED, c.Context(at=received.at, cause=received.position)
        context = given(received, event)
        target = f"session:{event.session}" if event.session else f"guild:{event.guild}"
        try:
            raw = await self._keyring.open(event.raw)
            payload = read(raw or "{}")
            key = await self._keyring.prepare(target, event.by)
        except (msgspec.MsgspecError, ValueError, GiveUp):  # GiveUp: the text, or the person's key, is no more
            return self._rejected(received.position, event, _MALFORMED), context
        decoded = command(event, payload, lambda text: self._keyring.seal(key, text))
        return self._rejected(received.position, event, decoded), context

    @staticmethod
    def _rejected(position: int, received: Received, decoded: c.Command | c.GuildCommand) -> c.Command | c.GuildCommand:
        """Operators hear of what Discord sends and nobody understands: it may be a new kind of thing."""
        if isinstance(decoded, c.Reject):
            log_line.warning("not understood", position=position, what=received.what, detail=decoded.detail)
        return decoded
