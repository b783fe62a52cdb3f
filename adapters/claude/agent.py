"""The engine's `Agent`: Claude Code in a sandbox, spoken to through its supervisor.

It promises that journal lines are reported in order, each piece once per (journal epoch, offset), that a prompt keeps its
id however often it is sent, and that nothing but sealed text leaves here. It decides nothing: what a fact means is the
engine's business. All output of a sandbox is hostile input: the parser bounds it.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio
import msgspec

from adapters.claude import invocation, wire
from adapters.claude.channel import SupervisorChannel
from adapters.claude.collect import collect
from adapters.claude.live import Live
from adapters.claude.parse import parse
from engine import repos
from engine.ports import EffectContext, EngineError, File, GiveUp, Keyring, Sandbox, SandboxSpec, Uncloned, Usage
from engine.repos import Repository
from engine.session import Session
from schema import events as e
from schema.facts import Fact, Skipped
from schema.sealed import Seal, Sealed

DENIED = "The user denied this. Ask what to do instead, or go on without it."
EXPIRED = "Nobody answered in time, so this was denied."

_USAGE_SECONDS = 1.5  # whoever asks waits for all of them
_NO_EPOCH = 0  # what is only read needs none
_CLONE_SECONDS = 10.0
"""A clone may take as long, however late a sandbox came up."""

_SAID = 400


class ClaudeAgent:
    """`engine.ports.Agent` over any `Sandbox`.

    `token` makes the gateway token of (session, reservation, repository): "" for the model, else the name of the one it opens.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        keyring: Keyring,
        settings: invocation.CliSettings,
        token: Callable[[str, str, str], str],
    ) -> None:
        self._sandbox = sandbox
        self._keyring = keyring
        self._settings = settings
        self._token = token
        self._claims: dict[tuple[str, int], anyio.Event] = {}

    async def attach(self, reservation: str, context: EffectContext) -> None:
        """Bring the sandbox up, claim it, follow its journal for ever."""
        session = context.session
        repository = await self._repository(session)
        trusted = repository is None or repos.is_within(self._settings.trusted, repository)
        config = invocation.config(
            self._settings,
            session=session.id,
            token=self._token(session.id, reservation, ""),
            clones=repository is not None,
            trusted=trusted,
        )
        spec = SandboxSpec(reservation=reservation, session=session.id, config=config, existed=session.ready)
        started = await self._sandbox.start(spec)
        if started.checks:
            await context.report(e.SandboxProbed(reservation=reservation, checks=started.checks))
        if started.addresses:
            await context.report(e.SandboxPlaced(reservation=reservation, addresses=started.addresses))
        channel = self._channel(reservation, context)
        await channel.claim()
        self._claim(reservation, context).set()
        try:
            if not session.ready:
                if repository:
                    await self._clone(channel, reservation, repository, context, trusted=trusted)
                await self._place(channel, held=bool(self._settings.files or repository))
                isolated = self._settings.isolated and not context.session.open_walls
                await context.report(e.SandboxReady(reservation=reservation, isolated=isolated))
            await self._follow(channel, context)
        finally:
            del self._claims[reservation, context.epoch]

    def _claim(self, reservation: str, context: EffectContext) -> anyio.Event:
        """Set once `attach` has claimed the sandbox under this epoch; a new one when it has to come up again."""
        return self._claims.setdefault((reservation, context.epoch), anyio.Event())

    async def _claimed(self, reservation: str, context: EffectContext) -> SupervisorChannel:
        """The channel of an owner, who is heard only after the claim: sent before, a line would fail and be retried late."""
        await self._claim(reservation, context).wait()
        return self._channel(reservation, context)

    async def _repository(self, session: Session) -> Repository | None:
        """What is cloned into the session's workspace; None for nothing."""
        return repos.read(await self._open(session.repo)) if session.repo else None

    async def _clone(
        self,
        channel: SupervisorChannel,
        reservation: str,
        repository: Repository,
        context: EffectContext,
        *,
        trusted: bool,
    ) -> None:
        """Clone it and report that. Raises Uncloned."""
        session = context.session
        seconds = self._settings.start_seconds
        if session.reserved_at:
            seconds -= (time.time_ns() // 1000 - session.reserved_at) / 1e6
        seconds = max(_CLONE_SECONDS, seconds)
        token = self._token(session.id, reservation, repository.name)
        request = invocation.clone(self._settings, repository, token=token, seconds=seconds)
        cloned = await channel.clone(request, seconds)
        seal = await self._seal(session)
        if cloned.failed:
            said = "".join(letter for letter in cloned.said[-_SAID:] if letter.isprintable() or letter == "\n").strip()
            raise Uncloned(cloned.failed, seal(said) if said else None)
        where = f"{repository.address} {cloned.commit[:12]}".rstrip()
        event = e.RepoCloned(reservation=reservation, repo=seal(where), code=cloned.code, trusted=trusted)
        await context.report(event)

    async def _place(self, channel: SupervisorChannel, *, held: bool) -> None:
        """What the CLI reads when it starts; then it may start, if it was held for that."""
        if self._settings.files:
            await channel.unpack(invocation.USER_DIRECTORY, self._settings.files)
        if held:
            await channel.restart()

    async def _follow(self, channel: SupervisorChannel, context: EffectContext) -> None:
        epoch, start = context.session.journal_epoch, context.session.journal_offset
        live = Live()
        try:
            async for piece in channel.follow(epoch, start):
                if piece.epoch != epoch:
                    epoch, start, live = piece.epoch, 0, Live()
                facts = await self._read(piece.line, live, context.session)
                if facts:
                    read = e.JournalRead(epoch=epoch, start=start, end=piece.end, facts=tuple(facts))
                    await context.report(read)
                    start = piece.end
                context.say(live.text)
        finally:
            context.say("")

    async def _read(self, line: bytes | None, live: Live, session: Session) -> Sequence[Fact]:
        """The facts of one line, sealed for whoever asked for the turn it belongs to."""
        if line is None:
            return [Skipped(what="too_long")]
        live.feed(line)
        return parse(line, await self._seal(session), live.workspace)

    async def _seal(self, session: Session) -> Seal:
        person = session.turn.by if session.turn else session.sent.by if session.sent else session.starter
        key = await self._keyring.prepare(f"session:{session.id}", person)
        return lambda text: self._keyring.seal(key, text)

    async def restart(self, reservation: str, context: EffectContext) -> None:
        """Start the CLI again unless it runs."""
        channel = await self._claimed(reservation, context)
        await channel.restart()

    async def deliver(self, reservation: str, item: str, context: EffectContext) -> None:
        """Give the CLI one line. What was sent to a CLI is lost with it: the supervisor takes the id again for the next."""
        channel = await self._claimed(reservation, context)
        kind, _, name = item.partition(":")
        session = context.session
        match kind:
            case "prompt":
                line = await self._prompt(session, name)
            case "answer":
                line = await self._answer(session, name)
            case _:
                line = wire.interrupt(f"stop-{name}")
        if line:
            await channel.send(f"{kind}-{name}", line)

    async def _prompt(self, session: Session, prompt: str) -> bytes | None:
        if session.sent is None or session.sent.prompt != prompt:
            return None
        return wire.user_message(prompt, await self._open(session.sent.text))

    async def _answer(self, session: Session, request: str) -> bytes | None:
        ask = session.ask(request)
        if ask is None or not ask.choice:
            return None
        question = msgspec.json.decode(await self._open(ask.question), type=wire.PermissionQuestion)
        match ask.choice:
            case "allow":
                return wire.allow(request)
            case "always":
                return wire.allow_always(request, question)
            case choice:
                return wire.deny(request, EXPIRED if choice == "expired" else DENIED)

    async def _open(self, box: Sealed) -> str:
        text = await self._keyring.open(box)
        if text is None:
            raise GiveUp("the text was erased")
        return text

    async def collect(self, reservation: str, context: EffectContext) -> Sequence[File]:
        """A patch, the transcript and the changed files; empty when nothing was made."""
        return await collect(self._channel(reservation, context))

    async def usage(self, reservation: str) -> Usage | None:
        """What the sandbox uses, as it says itself: for people and operators to see, and for nothing else."""
        with anyio.move_on_after(_USAGE_SECONDS), suppress(EngineError):
            return await SupervisorChannel(self._sandbox, reservation, _NO_EPOCH).usage()
        return None

    async def usages(self) -> dict[str, Usage]:
        """What each sandbox uses that this process follows, as far as they say."""
        found: dict[str, Usage] = {}

        async def ask(reservation: str) -> None:
            if usage := await self.usage(reservation):
                found[reservation] = usage

        async with anyio.create_task_group() as tasks:
            for reservation in {reservation for (reservation, _), claim in self._claims.items() if claim.is_set()}:
                tasks.start_soon(ask, reservation)
        return found

    async def delete(self, reservation: str) -> None:
        """Delete the sandbox."""
        await self._sandbox.delete(reservation)

    def _channel(self, reservation: str, context: EffectContext) -> SupervisorChannel:
        return SupervisorChannel(self._sandbox, reservation, context.epoch)
