"""The gate: what a new sandbox reaches is seen from inside of it, before anything of its session is in it.

A network policy is an object that a cluster may accept and not enforce, and one that it enforces takes effect a moment after a pod
has its address. So it promises that nobody is handed a sandbox that reached what must be closed when it was last looked at, or
that did not reach the gateway; and that a wall counts as closed only if somebody else reached what is behind it at that moment.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog

from adapters.kubernetes import probe
from adapters.kubernetes.probe import CONNECTED, NOWHERE, REFUSED, Target
from engine.ports import EngineError, TryAgain, Unwalled
from schema.events import Check

log_line = structlog.get_logger(__name__)

PROGRAM = ("python3", "-I", "-c", Path(probe.__file__).read_text())
"""What is executed in a sandbox: it reads a question and prints an answer."""

_SECONDS = 0.3  # what does not answer within this is not reached; who does is in the same cluster, or near
_WITNESS_SECONDS = 1.0  # more than that, for who has to be asked over a connection
_SETTLE_SECONDS = 10.0  # a policy that is not enforced after that is none
_PAUSE_SECONDS = 0.1

Reach = Callable[[Sequence[Target], float], Awaitable[Sequence[str]]]
"""What is found at each target within so many seconds, by somebody. Raises TryAgain, SandboxGone."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Something behind a wall, named as in `schema.events.Check`.

    `witness`: who reaches it if anybody does; None: the bot.
    """

    wall: str
    host: str
    port: int
    kind: str = "tcp"
    witness: Reach | None = None

    @property
    def target(self) -> Target:
        """As the probe takes it."""
        return Target(self.kind, self.host, self.port)

    @property
    def address(self) -> str:
        """For people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


ALWAYS = (
    Place(wall="api", host="$KUBERNETES_SERVICE_HOST", port=443),
    Place(wall="metadata", host="169.254.169.254", port=80),
    Place(wall="ipv6", host="2001:4860:4860::8888", port=443),
)
"""Behind walls in every cluster: the API server as pods know it, the cloud's metadata, and over IPv6 anything (a public server)."""


class Gate:
    """`closed`: what no sandbox may reach; `gateways`: what each must. `enforce`: refuse what is open, or only warn of it."""

    def __init__(self, closed: Sequence[Place], gateways: Sequence[Place], *, enforce: bool) -> None:
        self._closed = closed
        self._gateways = gateways
        self._enforce = enforce

    async def pass_through(self, name: str, inside: Reach, near: Sequence[Place]) -> Sequence[Check]:
        """What was found, once it is as it must be. `near`: what else is behind walls, for this sandbox.

        Raises Unwalled; TryAgain when it does not reach the gateway.
        """
        closed = [*self._closed, *near]
        end = anyio.current_time() + _SETTLE_SECONDS
        while True:
            checks, missed = await self._look(inside, closed)
            opened = [check for check in checks if check.found == "open"]
            if not (opened or missed) or anyio.current_time() > end:
                break
            await anyio.sleep(_PAUSE_SECONDS)
        if opened and self._enforce:
            raise Unwalled(checks)
        if opened:
            reached = [f"{check.wall} {check.address}" for check in opened]
            log_line.warning("a sandbox reaches what must be closed to it", sandbox=name, reached=reached)
        if missed:
            raise TryAgain(f"the sandbox does not reach the gateway at {', '.join(missed)}")
        return checks

    async def _look(self, inside: Reach, closed: Sequence[Place]) -> tuple[list[Check], list[str]]:
        """One look: what was found, and the gateways that were not reached."""
        controls: dict[Place, str] = {}
        found: Sequence[str] = ()
        failure: EngineError | None = None
        async with anyio.create_task_group() as tasks:
            for witness in {place.witness for place in closed}:
                watched = [place for place in closed if place.witness is witness]
                tasks.start_soon(_control, witness or _from_here, watched, controls)
            try:
                found = await inside([place.target for place in (*closed, *self._gateways)], _SECONDS)
            except EngineError as error:
                failure = error
                tasks.cancel_scope.cancel()
        if failure:
            raise failure
        checks = [
            Check(wall=place.wall, found=_verdict(seen, controls.get(place, NOWHERE)), address=place.address)
            for place, seen in zip(closed, found, strict=False)
        ]
        missed: list[str] = []
        for place, seen in zip(self._gateways, found[len(closed) :], strict=True):
            if seen == CONNECTED:
                checks.append(Check(wall=place.wall, found="reached", address=place.address))
            else:
                missed.append(place.address)
        return checks, missed


def _verdict(seen: str, control: str) -> str:
    """*Refused* is open: the way there was. Where there is no way at all, none has to be shown."""
    if seen in (CONNECTED, REFUSED):
        return "open"
    return "closed" if seen == NOWHERE or control in (CONNECTED, REFUSED) else "unshown"


async def _control(witness: Reach, places: Sequence[Place], controls: dict[Place, str]) -> None:
    """What `witness` finds; whoever does not answer shows nothing."""
    with anyio.move_on_after(_SECONDS + _WITNESS_SECONDS):
        try:
            found = await witness([place.target for place in places], _SECONDS)
        except EngineError:
            return
        controls.update(zip(places, found, strict=False))


async def _from_here(targets: Sequence[Target], seconds: float) -> Sequence[str]:
    return await anyio.to_thread.run_sync(probe.reach, targets, seconds)
