"""The actor of one Discord server: what `actor.py` promises, for its members and its notices.

Others append to the stream of the server too, for they rest on it or change it in the same append; what was decided here on an
older version is then decided again.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from engine import running
from engine.actor import Actor, Handle
from engine.commands import Context, DecideAccess, EndSessions, GuildCommand, GuildReport, Reason, Reject
from engine.guild import Guild, GuildEffect, deadlines, evolve, fold, stream, todo
from engine.guild_decide import decide, install, let_in
from engine.host import Host
from engine.latest import Latest
from engine.ports import EventLog, GiveUp, TryAgain, VersionConflict
from engine.todo import Wanted
from schema import events as e
from schema.envelope import Append, Draft, Recorded, Write


async def install_owners(log: EventLog, guild: str, owners: tuple[str, ...], *, at: int) -> None:
    """Have those whom the settings name as owners of a server. Any process may, before it acts. Raises TryAgain."""
    latest = Latest(log, stream(guild), fold, Guild())
    while events := install(state := await latest.read(), owners):
        drafts = tuple(Draft(event=event, at=at, actor="settings") for event in events)
        with suppress(VersionConflict):
            await log.append(Append(writes=(Write(stream=stream(guild), expected=state.version, drafts=drafts),)))


class GuildActor(Actor[Guild]):
    """Acts for `guild:<id>`."""

    __slots__ = ()

    def __init__(self, target: str, host: Host) -> None:
        super().__init__(target, host, Guild())

    async def report(self, event: e.Event) -> None:
        assert isinstance(event, e.GuildEvent)
        await self.send(GuildReport(event=event))

    async def dismiss(self, person: str) -> None:
        """What is open now was begun before the removal, or by somebody else: whoever is removed begins nothing (P6)."""
        sessions = await running.of_server(self.host.log, self.target.removeprefix("guild:"))
        await self.send(EndSessions(person=person, sessions=tuple(sessions)))

    def fold(self, recorded: Sequence[Recorded]) -> Guild:
        return fold(recorded, self.state)

    def evolve(self, state: Guild, event: e.Event, context: Context) -> Guild:
        return evolve(state, event, stream=self.target, at=context.at, cause=context.cause)

    def todo(self, state: Guild) -> tuple[Wanted[GuildEffect], ...]:
        return todo(state)

    def deadlines(self, state: Guild) -> list[int]:
        return deadlines(state)

    def failed(self, what: str, attempt: int, why: str, retry: int | None) -> e.Event:
        return e.GuildEffectFailed(what=what, attempt=attempt, why=why, retry=retry)

    async def answer(self, command: Any, context: Context, *, settles: int) -> None:
        if not isinstance(command, GuildCommand):
            command = Reject(reason=Reason.MALFORMED)
        if isinstance(command, EndSessions) and (removal := self.state.leaving.get(command.person)):
            context = msgspec.structs.replace(context, cause=removal.cause)
        events = decide(self.state, command, context)
        if isinstance(command, DecideAccess) and (newcomer := let_in(events)):
            here = await self._is_here(newcomer)
            events = decide(self.state, msgspec.structs.replace(command, here=here), context)
        if events:
            await self.append(events, context, settles=settles)

    async def _is_here(self, person: str) -> bool | None:
        """Whether somebody is in the server right now. None when Discord does not say: others do not wait until it does."""
        try:
            return await self.host.performer.is_here(self.target.removeprefix("guild:"), person)
        except (TryAgain, GiveUp) as error:
            self.host.failed(self.target, "is_here", error)
            return None

    def new_handle(self) -> "GuildHandle":
        return GuildHandle(self)

    async def perform(self, effect: Any, handle: Handle[Guild]) -> None:
        assert isinstance(handle, GuildHandle)
        await self.host.performer.perform_for_guild(effect, handle)


class GuildHandle(Handle[Guild]):
    """What one run of one effect holds of a server: `engine.effects.GuildContext`."""

    __slots__ = ("_guild_actor",)

    def __init__(self, actor: GuildActor) -> None:
        super().__init__(actor)
        self._guild_actor = actor

    async def dismiss(self, person: str) -> None:
        """Tell every open session that somebody was removed."""
        await self._guild_actor.dismiss(person)
