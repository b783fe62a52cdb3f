"""One Discord server: its members, who asked to become one, and what people there should be told. Pure.

P6 lives here: whoever decides on something that rests on a role guards its append with the version of this stream, so what
was true when it was decided is true where it is recorded. Once there is an owner there always is one. Any process may append,
at the stream's version; `guild_decide.py` decides, and one actor does what is wanted.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from engine.commands import Role
from engine.session import Failure, Reply
from engine.todo import BaseEffect, TellOutcome, Wanted, when
from schema import events as e
from schema.envelope import Recorded

REPLY_LIFE = 14 * 60 * 1_000_000
"""How long an interaction can be answered, in µs, as in `evolve.py`."""


def stream(guild: str) -> str:
    """The stream of a server."""
    return f"guild:{guild}"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who waits to be let in."""

    request: str
    by: str
    locale: str
    channel: str
    received: int
    at: int
    expires: int


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message in a channel of the server: a request, a welcome, or the question who owns this.

    `part` is its name in the log, `kind:about`. `rev` grows with every change, `shown` is the revision that Discord is known
    to show. `to`: whom it notifies. `choice` and `decided_by`: how a request ended.
    """

    part: str
    channel: str
    locale: str
    person: str
    to: tuple[str, ...]
    request: str = ""
    expires: int = 0
    choice: str = ""
    decided_by: str = ""
    closed: bool = False
    rev: int = 1
    shown: int = 0
    message: str = ""

    @property
    def kind(self) -> str:
        """access, welcome or confirm."""
        return self.part.partition(":")[0]


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """Who removed somebody, by the command at position `cause` (0: none)."""

    by: str
    cause: int


class ShowNotice(BaseEffect, frozen=True, kw_only=True):
    """Bring one message of the server up to date."""

    part: str

    @property
    def key(self) -> str:
        return f"notice:{self.part}"


class DismissPerson(BaseEffect, frozen=True, kw_only=True):
    """Tell every open session of the server that somebody was removed."""

    person: str

    @property
    def key(self) -> str:
        return f"dismiss:{self.person}"


GuildEffect = ShowNotice | DismissPerson | TellOutcome


class Guild(msgspec.Struct, kw_only=True):
    """The state of one server. `left`: who was an owner and is not any more; `again`: when who was denied may ask again (µs).

    `leaving`: who was removed, while sessions that were open then may not know it yet.
    """

    id: str = ""
    version: int = 0
    server_owner: str = ""
    news: str = ""
    roles: dict[str, Role] = {}
    left: frozenset[str] = frozenset()
    leaving: dict[str, Removal] = {}
    requests: dict[str, Request] = {}
    again: dict[str, int] = {}
    notices: tuple[Notice, ...] = ()
    replies: tuple[Reply, ...] = ()
    failures: dict[str, Failure] = {}

    def role(self, person: str) -> Role:
        """What somebody is here."""
        return self.roles.get(person, Role.STRANGER)

    @property
    def owners(self) -> tuple[str, ...]:
        """Everybody who is an owner, the longest first."""
        return tuple(person for person, role in self.roles.items() if role is Role.OWNER)

    def may_confirm(self, person: str) -> bool:
        """Whether somebody may become the first owner by saying so."""
        return not self.owners and bool(person) and person == self.server_owner

    def request_of(self, person: str) -> Request | None:
        """What somebody waits for."""
        return next((one for one in self.requests.values() if one.by == person), None)

    def notice(self, part: str) -> Notice | None:
        """The notice of that name, None when there is none (any more)."""
        return next((one for one in self.notices if one.part == part), None)


# --- fold ------------------------------------------------------------------------------------------------------------


def fold(recorded: Iterable[Recorded], guild: Guild) -> Guild:
    """The state after `recorded`, which follow `guild` in its stream without a gap."""
    guild = copy.copy(guild)
    for one in recorded:
        _apply(guild, one.event, one.stream, one.at, one.cause)
    return guild


def evolve(guild: Guild, event: e.Event, *, stream: str, at: int, cause: int) -> Guild:
    """The state after one event."""
    guild = copy.copy(guild)
    _apply(guild, event, stream, at, cause)
    return guild


def _apply(g: Guild, event: e.Event, stream: str, at: int, cause: int) -> None:
    g.version += 1
    if not g.id:
        g.id = stream.partition(":")[2]
    apply = _EVENTS.get(type(event))
    if apply is not None:
        apply(g, event, at, cause)
    if g.failures:
        wanted = {effect.key for effect in effects(g)}
        g.failures = {what: failure for what, failure in g.failures.items() if what in wanted}


def _server_owned(g: Guild, event: e.ServerOwned, _at: int, _cause: int) -> None:
    _close_question(g)
    g.server_owner, g.news = event.person, event.channel
    if not g.owners:
        part = f"confirm:{event.person}"
        g.notices = tuple(one for one in g.notices if one.part != part)
        _add(g, Notice(part=part, channel=g.news, locale="", person=event.person, to=(event.person,)))


def _owner_confirmed(g: Guild, event: e.OwnerConfirmed, _at: int, _cause: int) -> None:
    _give(g, event.person, Role.OWNER)
    _close_question(g)


def _close_question(g: Guild) -> None:
    """Nobody is asked any more whether they own this."""
    _change(g, f"confirm:{g.server_owner}", choice="confirmed" if g.owners else "withdrawn", closed=True)


def _access_requested(g: Guild, event: e.AccessRequested, at: int, cause: int) -> None:
    g.requests = {
        **g.requests,
        event.request: Request(
            request=event.request,
            by=event.by,
            locale=event.locale,
            channel=event.channel,
            received=event.received,
            at=at,
            expires=event.expires,
        ),
    }
    del cause
    notice = Notice(
        part=f"access:{event.request}",
        channel=event.channel,
        locale=event.locale,
        person=event.by,
        to=g.owners or ((g.server_owner,) if g.server_owner else ()),
        request=event.request,
        expires=event.expires,
    )
    _add(g, notice)
    told = "access-confirm" if g.may_confirm(event.by) else "access-asked" if g.owners else "access-ownerless"
    _reply(g, event.received, at, told, event.by, event.locale)


def _access_decided(g: Guild, event: e.AccessDecided, at: int, _cause: int) -> None:
    request = g.requests.get(event.request)
    g.requests = {name: one for name, one in g.requests.items() if name != event.request}
    g.again = {person: when for person, when in g.again.items() if when > at}
    if event.again:
        g.again = {**g.again, event.person: event.again}
    _change(g, f"access:{event.request}", choice=event.choice, decided_by=event.by, closed=True)
    if request is None or event.by == event.person or event.choice == "left":
        return
    if event.choice == "approved":
        welcome = Notice(
            part=f"welcome:{event.request}",
            channel=request.channel,
            locale=request.locale,
            person=event.person,
            to=(event.person,),
            decided_by=event.by,
            closed=True,
        )
        _add(g, welcome)
    elif at < request.at + REPLY_LIFE:
        g.replies = tuple(one for one in g.replies if one.to != request.received)
        again = str(event.again // 1_000_000) if event.again else ""
        _reply(g, request.received, request.at, f"access-{event.choice}", request.by, request.locale, again)


def _role_given(g: Guild, event: e.RoleGiven, _at: int, _cause: int) -> None:
    _give(g, event.person, Role(event.role))


def _give(g: Guild, person: str, role: Role) -> None:
    g.roles = {**g.roles, person: role}
    g.left -= {person}
    g.again = {one: when for one, when in g.again.items() if one != person}


def _role_taken(g: Guild, event: e.RoleTaken, _at: int, cause: int) -> None:
    if event.role == Role.OWNER:
        g.roles = {**g.roles, event.person: Role.USER}
        g.left |= {event.person}
    else:
        g.roles = {person: role for person, role in g.roles.items() if person != event.person}
        g.leaving = {**g.leaving, event.person: Removal(by=event.by, cause=cause)}


def _cleared(g: Guild, event: e.Cleared, _at: int, _cause: int) -> None:
    g.leaving = {person: removal for person, removal in g.leaving.items() if person != event.person}


def _refused(g: Guild, event: e.GuildRefused, at: int, cause: int) -> None:
    _reply(g, cause, at, f"refused-{event.reason}", event.by, event.locale, event.detail)


def _noted(g: Guild, event: e.GuildNoted, at: int, cause: int) -> None:
    _reply(g, cause, at, event.what, event.by, event.locale, event.detail)


def _notice_shown(g: Guild, event: e.NoticeShown, _at: int, _cause: int) -> None:
    changed = [
        msgspec.structs.replace(one, message=event.message, shown=max(one.shown, event.rev))
        if one.part == event.part
        else one
        for one in g.notices
    ]
    g.notices = tuple(one for one in changed if not (one.closed and one.shown >= one.rev))


def _replied(g: Guild, event: e.GuildReplied, _at: int, _cause: int) -> None:
    g.replies = tuple(one for one in g.replies if one.to != event.to)


def _effect_failed(g: Guild, event: e.GuildEffectFailed, at: int, _cause: int) -> None:
    since = g.failures[event.what].since if event.what in g.failures else at
    g.failures = {**g.failures, event.what: Failure(attempt=event.attempt, retry=event.retry, since=since)}


def _add(g: Guild, notice: Notice) -> None:
    g.notices = (*g.notices, notice)


def _change(g: Guild, part: str, **changes: Any) -> None:
    """Change a notice: Discord shows less than it from now on."""
    g.notices = tuple(
        msgspec.structs.replace(one, rev=one.rev + 1, **changes) if one.part == part and not one.closed else one
        for one in g.notices
    )


def _reply(g: Guild, to: int, at: int, what: str, by: str, locale: str, detail: str = "") -> None:
    if to and by:
        reply = Reply(to=to, by=by, locale=locale, what=what, detail=detail, until=at + REPLY_LIFE)
        g.replies = (*g.replies, reply)


_EVENTS: dict[type, Callable[[Guild, Any, int, int], None]] = {
    e.ServerOwned: _server_owned,
    e.OwnerConfirmed: _owner_confirmed,
    e.AccessRequested: _access_requested,
    e.AccessDecided: _access_decided,
    e.RoleGiven: _role_given,
    e.RoleTaken: _role_taken,
    e.Cleared: _cleared,
    e.GuildRefused: _refused,
    e.GuildNoted: _noted,
    e.NoticeShown: _notice_shown,
    e.GuildReplied: _replied,
    e.GuildEffectFailed: _effect_failed,
}


# --- what is wanted --------------------------------------------------------------------------------------------------


def effects(guild: Guild) -> list[GuildEffect]:
    """Everything the server wants done, those included that were given up."""
    shown: list[GuildEffect] = [ShowNotice(part=one.part) for one in guild.notices if one.shown < one.rev]
    removed = [DismissPerson(person=person) for person in guild.leaving]
    return [*removed, *shown, *(TellOutcome(to=reply.to) for reply in guild.replies)]


def todo(guild: Guild) -> tuple[Wanted[GuildEffect], ...]:
    """Everything the server wants done, now or later."""
    return when(effects(guild), guild.failures)


def deadlines(guild: Guild) -> list[int]:
    """When time alone makes a difference (µs)."""
    times = [request.expires for request in guild.requests.values()]
    return [*times, *(reply.until for reply in guild.replies)]
