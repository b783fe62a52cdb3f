"""The bot of the kill drill: the real one, which kills itself at a boundary that a plan names.

Importing and reading the texts take seconds, most of a bot's life in a drill: they are done once, by a process that does nothing
else, and each life is a fork of that, a process of its own from then on.

`DRILL_PLAN` is a JSON list of [boundary, side, count]: the n-th life of the bot dies at the count-th passage of that boundary,
before or after the call. `DRILL_LIVES` is a file with a line for each death. `DRILL_WITHOUT` takes a safety out, to show that
the drill would notice: nonce, uuid or fence.

At [append, stall, count] it does not die but stands still, cut off from its lease, until the next life has taken that over; then
it goes on with the append, for a second. `DRILL_WRITERS` is a file with a line for each lease taken, with where the log ended, and
one for each append under a lease.
"""

import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from adapters import cli
from adapters.claude import wire
from adapters.claude.channel import SupervisorChannel
from adapters.discord import chat, errors, rest, writer
from adapters.discord.ingress import Ingress
from adapters.discord.texts import texts
from adapters.postgres.event_log import PostgresEventLog
from schema.envelope import Append, Recorded


class Plan:
    """What this life of the bot dies of."""

    def __init__(self) -> None:
        self._lives = Path(os.environ["DRILL_LIVES"])
        self._folder = self._lives.parent
        self._writers = Path(os.environ["DRILL_WRITERS"])
        plan: list[tuple[str, str, int]] = json.loads(Path(os.environ["DRILL_PLAN"]).read_text())
        life = len(self._lives.read_text().splitlines()) if self._lives.exists() else 0
        self._boundary, self._side, self._left = plan[life] if life < len(plan) else ("none", "before", 0)

    def pass_by(self, boundary: str, side: str) -> None:
        """Die here, when it is this life's time."""
        if self._is_time(boundary, side):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_time(self, boundary: str, side: str) -> bool:
        if (boundary, side) != (self._boundary, self._side):
            return False
        self._left -= 1
        if self._left != 0:
            return False
        _add(self._lives, f"{boundary} {side}")
        return True

    async def append(
        self, log: PostgresEventLog, append: Append, call: Callable[..., Awaitable[Any]]
    ) -> Sequence[Recorded]:
        """Stand still before an append under a session's lease, when it is time; keep who wrote."""
        session = log.replica._session  # pyright: ignore[reportPrivateUsage] - what the stall cuts
        targets = [target for target, _ in append.leases]
        if targets and append.writes and session and self._is_time("append", "stall"):
            (self._folder / f"stalled {targets[0]} {os.getpid()} {session.get_server_pid()}").touch()
            os.kill(os.getpid(), signal.SIGSTOP)
            signal.alarm(1)  # the second it has left
        without = os.environ.get("DRILL_WITHOUT") == "fence"
        recorded = await call(log, msgspec.structs.replace(append, leases=()) if without else append)
        for target, epoch in append.leases if recorded else ():
            _add(self._writers, json.dumps(["append", target, epoch, recorded[0].position]))
        return recorded

    async def lease(self, log: PostgresEventLog, target: str, call: Callable[..., Awaitable[int]]) -> int:
        """Take a lease over from a life that stands still, and let that go on then."""
        stalled = [(file, *map(int, file.name.split()[2:])) for file in self._folder.glob(f"stalled {target} *")]
        for _, _, session in stalled:
            await log.pool.fetchval("select pg_terminate_backend($1, 2000)", session)
        epoch = await call(log, target)
        _add(self._writers, json.dumps(["lease", target, epoch, await log.head()]))
        for file, process, _ in stalled:
            file.unlink()
            os.kill(process, signal.SIGCONT)
        return epoch

    def around(self, boundary: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`call`, with this boundary on both sides."""

        async def wrapped(*given: Any, **named: Any) -> Any:
            self.pass_by(boundary, "before")
            done = await call(*given, **named)
            self.pass_by(boundary, "after")
            return done

        return wrapped


def _add(file: Path, line: str) -> None:
    with file.open("a") as lines:
        lines.write(f"{line}\n")


def main() -> None:
    """One life after the other, until told to end."""
    for language in ("en-US", "ja"):
        texts(language)
    ended = False
    lives: set[int] = set()

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        for life in lives:
            os.kill(life, signal.SIGTERM)
            os.kill(life, signal.SIGCONT)

    signal.signal(signal.SIGTERM, end)
    newest = 0
    while lives or not ended:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        if not newest and not ended:
            newest = os.fork()
            if not newest:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
                _live()
            lives.add(newest)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        life, status = os.waitpid(-1, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            lives.discard(life)
        newest = 0 if life == newest else newest


def _live() -> NoReturn:
    """Put the boundaries in, then run the bot."""
    plan = Plan()
    append, lease = PostgresEventLog.append, PostgresEventLog.lease

    async def appended(log: PostgresEventLog, given: Append) -> Sequence[Recorded]:
        return await plan.append(log, given, append)

    async def leased(log: PostgresEventLog, target: str) -> int:
        return await plan.lease(log, target, lease)

    PostgresEventLog.lease = leased  # type: ignore[method-assign]  # the drill's whole point
    PostgresEventLog.append = plan.around("append", appended)  # type: ignore[method-assign]  # the drill's whole point
    Ingress._acknowledge = plan.around("acknowledge", Ingress._acknowledge)  # type: ignore[method-assign]  # the drill's whole point
    SupervisorChannel.send = plan.around("send", SupervisorChannel.send)  # type: ignore[method-assign]  # the drill's whole point
    follow = SupervisorChannel.follow

    async def followed(*given: Any) -> AsyncGenerator[Any]:
        async for piece in follow(*given):
            plan.pass_by("journal", "before")
            yield piece
            plan.pass_by("journal", "after")

    SupervisorChannel.follow = followed  # type: ignore[method-assign]  # the drill's whole point
    calls = errors.discord_call

    @asynccontextmanager
    async def called(what: str) -> AsyncGenerator[None]:
        plan.pass_by("discord", "before")
        async with calls(what):
            yield
            if what == "posting a message":
                plan.pass_by("post", "after")
        plan.pass_by("discord", "after")

    rest.discord_call = called
    _take_out(os.environ.get("DRILL_WITHOUT", ""))
    sys.argv = ["discord-claude", "run"]
    cli.main()
    raise AssertionError("a program ends by exit")


def _take_out(safety: str) -> None:
    if safety == "nonce":
        writer.nonce = chat.nonce = _new_nonce
    if safety == "uuid":
        written = wire.user_message
        send = SupervisorChannel.send
        wire.user_message = lambda _uuid, text: written(str(uuid.uuid4()), text)
        SupervisorChannel.send = lambda self, _item, line: send(self, f"prompt-{uuid.uuid4()}", line)  # type: ignore[method-assign]  # the drill's whole point


def _new_nonce(*_: object) -> str:
    return uuid.uuid4().hex[:24]


if __name__ == "__main__":
    main()
