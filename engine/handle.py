"""What one run of one effect holds of its actor: `engine.effects.JointContext`."""

from typing import TYPE_CHECKING

from engine import line
from engine.session import Session
from schema import events as e

if TYPE_CHECKING:
    from engine.actor import Actor


class Handle:
    """Reads the actor's session, and sends it what the effect found out."""

    __slots__ = ("_actor", "_changes", "seen")

    def __init__(self, actor: "Actor") -> None:
        self._actor = actor
        self._changes = actor.changes
        self.seen = actor.session.version
        """The newest version of the session that the effect has looked at."""

    @property
    def session(self) -> Session:
        """The session as it is now."""
        session = self._actor.session
        self.seen = session.version
        return session

    @property
    def epoch(self) -> int:
        """The fencing epoch of the actor."""
        return self._actor.epoch

    @property
    def live(self) -> str:
        """What Claude is saying right now."""
        return self._actor.live

    def say(self, live: str) -> None:
        """Set `live`."""
        self._actor.say(live)

    async def report(self, event: e.SessionEvent) -> None:
        """Record what the effect found out."""
        await self._actor.report(event)

    async def decide_with_slots(self, joint: line.Joint) -> None:
        """Record what concerns the session and the slots."""
        await self._actor.decide_with_slots(joint)

    async def confirm(self) -> None:
        """Ask the log whether this process still acts for the session."""
        await self._actor.confirm()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changes.wait()
        self._changes = self._actor.changes
