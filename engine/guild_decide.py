"""What a server decides: `decide(guild, command, context) -> events`. Pure, total, synchronous, as for a session.

A command of a person always yields at least one event, its outcome; a refusal is one too. Nobody acts beyond their role: what
`Context.by` may is read from the very state that the events are appended to.
"""

from typing import assert_never

import msgspec

from engine.commands import (
    AddMember,
    AskAccess,
    Confirm,
    Context,
    DecideAccess,
    DeleteMember,
    EndSessions,
    GuildCommand,
    GuildReport,
    ListMembers,
    ListSessions,
    Reason,
    Reject,
    Role,
    SeeServer,
    Tick,
)
from engine.guild import Guild, Request, todo
from engine.retry import LONGEST
from schema import events as e


def let_in(events: list[e.GuildEvent]) -> str:
    """Whom a decision makes a member; "" for nobody."""
    return next((event.person for event in events if isinstance(event, e.RoleGiven)), "")


def install(guild: Guild, owners: tuple[str, ...]) -> list[e.GuildEvent]:
    """Whom the settings name is an owner, unless an owner has taken that from them."""
    named = [person for person in owners if person not in guild.left and guild.role(person) is not Role.OWNER]
    return [e.OwnerConfirmed(person=person, how="settings") for person in dict.fromkeys(named)]


def decide(guild: Guild, command: GuildCommand, context: Context) -> list[e.GuildEvent]:  # noqa: C901, PLR0911, PLR0912 - one case per command
    """The events that follow from `command`; the next versions of the server's stream."""
    match command:
        case SeeServer():
            return _see_server(guild, command, context)
        case AskAccess():
            return _ask_access(guild, command, context)
        case DecideAccess():
            return _decide_access(guild, command, context)
        case Confirm():
            return _confirm(guild, context)
        case AddMember():
            return _add(guild, command, context)
        case DeleteMember():
            return _delete(guild, command, context)
        case ListMembers():
            return _strangers_refusal(guild, context) or [_noted(context, "members")]
        case ListSessions():
            return _refusal(guild, context) or [_noted(context, "sessions")]
        case EndSessions():
            return _end_sessions(guild, command)
        case Reject():
            return [_refused(context, command.reason, command.detail)]
        case GuildReport():
            return _report(guild, command.event, context)
        case Tick():
            return _tick(guild, context)
        case _:
            assert_never(command)


def _refused(context: Context, reason: Reason, detail: str = "") -> e.GuildRefused:
    return e.GuildRefused(by=context.by, locale=context.locale, reason=reason, detail=detail)


def _noted(context: Context, what: str, detail: str = "") -> e.GuildNoted:
    return e.GuildNoted(by=context.by, locale=context.locale, what=what, detail=detail)


def _strangers_refusal(guild: Guild, context: Context) -> list[e.GuildEvent]:
    """Why somebody who is nobody here may not; whoever could be the first owner is asked to be."""
    if guild.role(context.by) is not Role.STRANGER:
        return []
    return [_refused(context, Reason.CONFIRM_FIRST if guild.may_confirm(context.by) else Reason.STRANGER)]


def _refusal(guild: Guild, context: Context) -> list[e.GuildEvent]:
    """Why somebody may not do what owners may."""
    if refusal := _strangers_refusal(guild, context):
        return refusal
    return [] if guild.role(context.by) is Role.OWNER else [_refused(context, Reason.OWNERS_ONLY)]


# --- the first owner -------------------------------------------------------------------------------------------------


def _see_server(guild: Guild, command: SeeServer, context: Context) -> list[e.GuildEvent]:
    if (guild.server_owner, guild.news) == (command.person, command.channel):
        return [_noted(context, "server")]
    return [e.ServerOwned(person=command.person, channel=command.channel)]


def _confirm(guild: Guild, context: Context) -> list[e.GuildEvent]:
    """Whoever waits for being let in themselves is."""
    if guild.role(context.by) is Role.OWNER:
        return [_noted(context, "confirmed")]
    if not guild.may_confirm(context.by):
        return [_refused(context, Reason.ALREADY if guild.owners else Reason.CONFIRM_OTHER)]
    confirmed = e.OwnerConfirmed(person=context.by, how="discord")
    return [confirmed, _noted(context, "confirmed"), *_approve_own(guild, context.by, context.by)]


def _approve_own(guild: Guild, person: str, by: str) -> list[e.GuildEvent]:
    """What `person` waits for runs now."""
    waiting = [request for request in guild.requests.values() if request.by == person]
    return [_decided(request, by, "approved") for request in waiting]


# --- access ----------------------------------------------------------------------------------------------------------


def _ask_access(guild: Guild, command: AskAccess, context: Context) -> list[e.GuildEvent]:
    """A command that a stranger was refused. Whoever became a member meanwhile is let in at once."""
    request = Request(
        request=command.request,
        by=context.by,
        locale=context.locale,
        channel=command.channel,
        received=command.received,
        at=context.at,
        expires=context.at + context.policy.access_ttl,
    )
    if guild.role(context.by) is not Role.STRANGER:
        return [_decided(request, context.by, "approved")]
    if wrong := _not_now(guild, context):
        reason, detail = wrong
        return [_refused(context, reason, detail)]
    return [
        e.AccessRequested(
            request=request.request,
            by=request.by,
            locale=request.locale,
            channel=request.channel,
            received=request.received,
            expires=request.expires,
        )
    ]


def _not_now(guild: Guild, context: Context) -> tuple[Reason, str] | None:
    """Why somebody may not ask now."""
    if context.by in guild.again and context.at < guild.again[context.by]:
        return Reason.ACCESS_SOON, str(guild.again[context.by] // 1_000_000)
    if guild.request_of(context.by):
        return Reason.ACCESS_PENDING, ""
    if len(guild.requests) >= context.policy.access_limit:
        return Reason.ACCESS_FULL, ""
    return None


def _decided(request: Request, by: str, choice: str, *, again: int = 0) -> e.AccessDecided:
    return e.AccessDecided(
        request=request.request, person=request.by, by=by, choice=choice, received=request.received, again=again
    )


def _decide_access(guild: Guild, command: DecideAccess, context: Context) -> list[e.GuildEvent]:
    if refusal := _refusal(guild, context):
        return refusal
    request = guild.requests.get(command.request)
    if request is None:
        return [_refused(context, Reason.ACCESS_OVER)]
    if request.expires <= context.at:
        return [_refused(context, Reason.ACCESS_OVER), _decided(request, "", "expired")]
    if command.choice == "denied":
        return [_decided(request, context.by, "denied", again=context.at + context.policy.access_again)]
    return _approve(guild, request, context, here=command.here)


def _approve(guild: Guild, request: Request, context: Context, *, here: bool | None) -> list[e.GuildEvent]:
    if request.by in guild.leaving:
        return [_refused(context, Reason.LEAVING, request.by)]
    if here is None:
        return [_refused(context, Reason.UNSURE, request.by)]
    if not here:
        return [_refused(context, Reason.LEFT, request.by), _decided(request, context.by, "left")]
    return [e.RoleGiven(person=request.by, role=Role.USER, by=context.by), _decided(request, context.by, "approved")]


# --- members ---------------------------------------------------------------------------------------------------------


def _add(guild: Guild, command: AddMember, context: Context) -> list[e.GuildEvent]:
    if refusal := _refusal(guild, context):
        return refusal
    if wrong := _wrong_member(guild, command):
        return [_refused(context, wrong, command.person)]
    return [
        e.RoleGiven(person=command.person, role=command.role, by=context.by),
        _noted(context, f"given-{command.role}", command.person),
        *_approve_own(guild, command.person, context.by),
    ]


def _wrong_member(guild: Guild, command: AddMember) -> Reason | None:
    """Why somebody cannot be made what is asked."""
    now = guild.role(command.person)
    if command.bot:
        return Reason.IS_BOT
    if not command.here:
        return Reason.NOT_HERE
    if command.person in guild.leaving:  # what they begin from now on would end with what they had
        return Reason.LEAVING
    if now is Role.OWNER:
        return Reason.IS_OWNER
    return Reason.IS_MEMBER if now is command.role else None


def _delete(guild: Guild, command: DeleteMember, context: Context) -> list[e.GuildEvent]:
    """An owner is first made a user; and somebody is always left who can let others in."""
    if refusal := _refusal(guild, context):
        return refusal
    now = guild.role(command.person)
    if now is Role.STRANGER:
        return [_refused(context, Reason.NOT_MEMBER, command.person)]
    if now is not command.role:
        return [_refused(context, Reason.IS_OWNER if now is Role.OWNER else Reason.NOT_OWNER, command.person)]
    if guild.owners == (command.person,):
        return [_refused(context, Reason.LAST_OWNER)]
    return [
        e.RoleTaken(person=command.person, role=command.role, by=context.by),
        _noted(context, f"taken-{command.role}", command.person),
    ]


def _end_sessions(guild: Guild, command: EndSessions) -> list[e.GuildEvent]:
    """All of them in one append: whoever starts a session later was not removed then."""
    removal = guild.leaving.get(command.person)
    if removal is None:
        return []
    told = [e.Dismissed(session=session, person=command.person, by=removal.by) for session in command.sessions]
    return [*told, e.Cleared(person=command.person)]


# --- what effects found out, and time --------------------------------------------------------------------------------


def _report(guild: Guild, event: e.GuildEvent, context: Context) -> list[e.GuildEvent]:
    """What the server still has use for; the rest is a straggler of an effect that was overtaken."""
    match event:
        case e.NoticeShown():
            return [event] if guild.notice(event.part) else []
        case e.GuildReplied():
            return [event] if any(one.to == event.to for one in guild.replies) else []
        case e.GuildEffectFailed():
            return _failed(guild, event, context)
        case _:
            return []


def _failed(guild: Guild, event: e.GuildEffectFailed, context: Context) -> list[e.GuildEvent]:
    """A failure. What can never be shown or told is not wanted any more."""
    if not any(one.effect.key == event.what for one in todo(guild)):
        return []
    if event.retry is not None:
        return [event]
    kind, _, name = event.what.partition(":")
    if kind == "dismiss":  # never given up: what was taken from them would go on
        return [msgspec.structs.replace(event, retry=context.at + LONGEST)]
    if kind == "reply":
        return [event, e.GuildReplied(to=int(name), late=True)]
    notice = guild.notice(name)
    assert notice
    return [event, e.NoticeShown(part=name, message=notice.message, rev=notice.rev)]


def _tick(guild: Guild, context: Context) -> list[e.GuildEvent]:
    over = [request for request in guild.requests.values() if request.expires <= context.at]
    late = [e.GuildReplied(to=reply.to, late=True) for reply in guild.replies if reply.until <= context.at]
    return [*(_decided(request, "", "expired") for request in over), *late]
