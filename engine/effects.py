"""What each effect does: which port it calls, and what it reports.

One effect is one call, or a few in order; everything that may be retried is idempotent in its port. Errors pass through:
the actor records them.
"""

from typing import Protocol, assert_never

from engine import line
from engine.guild import DismissPerson, Guild, GuildEffect, ShowNotice
from engine.ports import Agent, Chat, EffectContext, Keeper, SandboxGone, Uncloned, Unwalled
from engine.retry import DETAIL
from engine.todo import (
    AskSlot,
    Attach,
    DeleteSandbox,
    Deliver,
    Effect,
    HandOver,
    LeaveLine,
    OpenThread,
    PostStarter,
    RestartCli,
    Show,
    TellOutcome,
)
from schema import events as e


class JointContext(EffectContext, Protocol):
    """An effect's context in an actor: it can also decide together with the slots."""

    async def decide_with_slots(self, joint: line.Joint) -> None:
        """Record, in one append, what concerns the session and the slots."""
        ...


class GuildContext(Protocol):
    """What a running effect sees of its server, and how it says what it found out."""

    @property
    def state(self) -> Guild:
        """The server as it is now."""
        ...

    async def report(self, event: e.Event) -> None:
        """Record what the effect found out, if the server still has use for it."""
        ...

    async def dismiss(self, person: str) -> None:
        """Record, in one append, that every open session of the server is told of the removal. Raises TryAgain."""
        ...


class Performer:
    """Performs effects through the ports."""

    def __init__(self, chat: Chat, agent: Agent, keeper: Keeper) -> None:
        self._chat = chat
        self._agent = agent
        self._keeper = keeper

    async def perform(self, effect: Effect, context: JointContext) -> None:  # noqa: C901 - one case per effect
        """Do `effect` and report. Raises TryAgain, GiveUp, Fenced."""
        match effect:
            case PostStarter():
                await context.report(e.StarterPosted(message=await self._chat.post_starter(context.session)))
            case OpenThread():
                await context.report(e.ThreadOpened(thread=await self._chat.open_thread(context.session)))
            case AskSlot() | LeaveLine():
                await context.decide_with_slots(effect)
            case Attach():
                await self._attach(effect, context)
            case RestartCli():
                await self._agent.restart(effect.reservation, context)
            case Deliver():
                await self._agent.deliver(effect.reservation, effect.item, context)
                await context.report(e.Delivered(item=effect.item, life=effect.life))
            case Show():
                await self._chat.show(context)
            case TellOutcome():
                await self._tell(effect, context)
            case HandOver():
                await self._hand_over(effect, context)
            case DeleteSandbox():
                await self._agent.delete(effect.reservation)
                await context.decide_with_slots(effect)
            case _:
                assert_never(effect)

    async def is_here(self, guild: str, person: str) -> bool:
        """Whether somebody is in a server. Raises TryAgain, GiveUp."""
        return await self._chat.is_here(guild, person)

    async def perform_for_guild(self, effect: GuildEffect, context: GuildContext) -> None:
        """Do what a server wants and report. Raises TryAgain, GiveUp, Fenced."""
        guild = context.state
        match effect:
            case ShowNotice():
                if notice := guild.notice(effect.part):
                    message = await self._chat.notify(guild, notice)
                    await context.report(e.NoticeShown(part=notice.part, message=message, rev=notice.rev))
            case DismissPerson():
                await context.dismiss(effect.person)
            case TellOutcome():
                reply = next((one for one in guild.replies if one.to == effect.to), None)
                if reply:
                    told = await self._chat.answer(guild, reply)
                    await context.report(e.GuildReplied(to=effect.to, late=not told))
            case _:
                assert_never(effect)

    async def _attach(self, effect: Attach, context: EffectContext) -> None:
        try:
            await self._agent.attach(effect.reservation, context)
        except SandboxGone as gone:
            await context.report(e.SandboxLost(reservation=effect.reservation, why=gone.why, detail=str(gone)[:DETAIL]))
        except Unwalled as unwalled:
            await context.report(e.SandboxProbed(reservation=effect.reservation, checks=unwalled.checks))
            lost = e.SandboxLost(reservation=effect.reservation, why="walls", detail=str(unwalled)[:DETAIL])
            await context.report(lost)
        except Uncloned as uncloned:
            failed = e.RepoFailed(reservation=effect.reservation, why=uncloned.why, said=uncloned.said)
            await context.report(failed)
            await context.report(e.SandboxLost(reservation=effect.reservation, why="repo"))

    async def _tell(self, effect: TellOutcome, context: EffectContext) -> None:
        reply = next((one for one in context.session.replies if one.to == effect.to), None)
        if reply:
            session = context.session
            there = reply.what == "status" and session.ready and session.reservation
            usage = await self._agent.usage(session.reservation) if there else None
            told = await self._chat.tell(session, reply, usage)
            await context.report(e.Replied(to=effect.to, late=not told))

    async def _hand_over(self, effect: HandOver, context: EffectContext) -> None:
        try:
            files = await self._agent.collect(effect.reservation, context)
        except SandboxGone:
            await context.report(e.HandedOver(how="lost"))
            return
        if not files:
            await context.report(e.HandedOver(how="empty"))
            return
        how, count = await self._chat.hand_over(context.session, files), len(files)
        if how == "kept":
            count = await self._keeper.keep(context.session, files)
        await context.report(e.HandedOver(how=how if count else "lost", files=count))
