"""What a server's own messages and private answers look like. Pure: the state of the server in, words and buttons out."""

from collections.abc import Sequence

from adapters.discord.custom_ids import Pressed, write
from adapters.discord.render import Button, status
from adapters.discord.texts import Texts
from engine.commands import Role
from engine.guild import Guild, Notice
from engine.session import Reply, Session

_MOST_NAMED = 24
"""People in one of three lists: each takes at most 24 of Discord's 2000 characters."""

_MOST_CALLED = 10

_MOST_SESSIONS = 8
"""Each takes at most 240 of Discord's 2000 characters."""


def render(guild: Guild, notice: Notice, say: Texts) -> tuple[str, tuple[Button, ...]]:
    """A notice as people see it."""
    called = " ".join(f"<@{one}>" for one in notice.to[:_MOST_CALLED])
    match notice.kind:
        case "welcome":
            return say("server-welcome", person=notice.person, by=notice.decided_by), ()
        case "confirm":
            if notice.choice:
                return say(f"server-{notice.choice}", person=notice.person), ()
            return say("server-confirm", person=notice.person), (confirm(guild, say),)
        case _:
            asked = say("server-access", called=called, person=notice.person)
            if notice.choice:
                return f"{asked}\n{say(f'server-{notice.choice}', person=notice.decided_by)}", ()
            ends = say("server-access-ends", time=str(notice.expires // 1_000_000))
            buttons = (_press(guild, say, "approve", notice.request), _press(guild, say, "refuse", notice.request))
            return f"{asked}\n{ends}", buttons


def mark(guild: Guild, notice: Notice) -> str:
    """A custom_id that only this notice has while it is open; "" for one that has no buttons."""
    match notice.kind:
        case "access":
            return write(Pressed("approve", guild.id, notice.request))
        case "confirm":
            return write(Pressed("confirm", guild.id))
        case _:
            return ""


def words(guild: Guild, reply: Reply, say: Texts) -> tuple[str, tuple[Button, ...]]:
    """A private answer."""
    if reply.what == "members":
        return _members(guild, say), ()
    buttons = (confirm(guild, say),) if reply.what in {"access-confirm", "refused-confirm_first"} else ()
    return say(reply.what, detail=reply.detail), buttons


def asked_at(discord_id: str) -> int:
    """When an id was made, in µs: Discord's ids tell (`notes/discord.md`)."""
    return ((int(discord_id) >> 22) + 1_420_070_400_000) * 1000


def sessions(running: Sequence[Session], say: Texts) -> tuple[str, tuple[Button, ...]]:
    """What runs in a server, the longest first, and a way to end each."""
    if not running:
        return say("sessions-none"), ()
    shown = running[:_MOST_SESSIONS]
    lines = [say("sessions-title", count=len(running))]
    lines += [_session(number, one, say) for number, one in enumerate(shown, start=1)]
    if len(running) > len(shown):
        lines.append(say("sessions-more", count=len(running) - len(shown)))
    return "\n".join(lines), tuple(
        _end(number, one, say) for number, one in enumerate(shown, start=1) if not one.closing
    )


def _session(number: int, session: Session, say: Texts) -> str:
    line = say(
        "sessions-one",
        number=number,
        thread=session.thread or session.channel,
        person=session.starter,
        since=str(asked_at(session.id) // 1_000_000),
        status=status(session, say),
    )
    idle = f" {say('sessions-idle', since=str(session.busy_at // 1_000_000))}" if session.idle else ""
    return line + idle


def _end(number: int, session: Session, say: Texts) -> Button:
    custom_id = write(Pressed("end", session.id))
    return Button(label=say("button-end", number=number), custom_id=custom_id, style="danger")


def confirm(guild: Guild, say: Texts) -> Button:
    """How the first owner says so."""
    return _press(guild, say, "confirm")


def _press(guild: Guild, say: Texts, kind: str, about: str = "") -> Button:
    style = {"approve": "success", "refuse": "danger", "confirm": "primary"}[kind]
    return Button(label=say(f"button-{kind}"), custom_id=write(Pressed(kind, guild.id, about)), style=style)


def _members(guild: Guild, say: Texts) -> str:
    users = [person for person, role in guild.roles.items() if role is Role.USER]
    lines = [say("members-owners", people=_people(list(guild.owners), say))]
    lines.append(say("members-users", people=_people(users, say)) if users else say("members-no-users"))
    if guild.requests:
        lines.append(say("members-asking", people=_people([one.by for one in guild.requests.values()], say)))
    return "\n".join(lines)


def _people(people: list[str], say: Texts) -> str:
    named = " ".join(f"<@{person}>" for person in people[:_MOST_NAMED])
    rest = len(people) - _MOST_NAMED
    return f"{named} {say('members-more', count=rest)}" if rest > 0 else named
