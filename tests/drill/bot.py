"""The bot of the kill drill: the real one, which kills itself at a boundary that a plan names.

Importing takes a second, most of a bot's life in a drill: it is done once, by a process that does nothing else, and each life
is a fork of that, a process of its own from then on.

`DRILL_PLAN` is a JSON list of [boundary, side, count]: the n-th life of the bot dies at the count-th passage of that boundary,
before or after the call. `DRILL_LIVES` is a file with a line for each death. `DRILL_WITHOUT` takes a safety out, to show that
the drill would notice: nonce or uuid.
"""

import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from adapters import cli
from adapters.claude import wire
from adapters.claude.channel import SupervisorChannel
from adapters.discord import errors, rest, writer
from adapters.discord.ingress import Ingress
from adapters.postgres.event_log import PostgresEventLog


class Plan:
    """What this life of the bot dies of."""

    def __init__(self) -> None:
        self._lives = Path(os.environ["DRILL_LIVES"])
        plan: list[tuple[str, str, int]] = json.loads(Path(os.environ["DRILL_PLAN"]).read_text())
        life = len(self._lives.read_text().splitlines()) if self._lives.exists() else 0
        self._boundary, self._side, self._left = plan[life] if life < len(plan) else ("none", "before", 0)

    def pass_by(self, boundary: str, side: str) -> None:
        """Die here, when it is this life's time."""
        if (boundary, side) != (self._boundary, self._side):
            return
        self._left -= 1
        if self._left <= 0:
            with self._lives.open("a") as lives:
                lives.write(f"{boundary} {side}\n")
                lives.flush()
                os.fsync(lives.fileno())
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, boundary: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`call`, with this boundary on both sides."""

        async def wrapped(*given: Any, **named: Any) -> Any:
            self.pass_by(boundary, "before")
            done = await call(*given, **named)
            self.pass_by(boundary, "after")
            return done

        return wrapped


def main() -> None:
    """One life after the other, until told to end."""
    ended = False
    child = 0

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        if child:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    while not ended:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            _live()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        _, status = os.waitpid(child, 0)
        child = 0
        sys.stderr.write(f"life ended with {os.waitstatus_to_exitcode(status)}\n")
        sys.stderr.flush()


def _live() -> NoReturn:
    """Put the boundaries in, then run the bot."""
    plan = Plan()
    PostgresEventLog.append = plan.around("append", PostgresEventLog.append)  # type: ignore[method-assign]  # the drill's whole point
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
        plan.pass_by("discord", "after")

    rest.discord_call = called
    _take_out(os.environ.get("DRILL_WITHOUT", ""))
    sys.argv = ["discord-claude", "run"]
    cli.main()
    raise AssertionError("a program ends by exit")


def _take_out(safety: str) -> None:
    if safety == "nonce":
        writer.nonce = _new_nonce
    if safety == "uuid":
        written = wire.user_message
        wire.user_message = lambda _uuid, text: written(uuid.uuid4().hex, text)


def _new_nonce(*_: object) -> str:
    return uuid.uuid4().hex[:24]


if __name__ == "__main__":
    main()
