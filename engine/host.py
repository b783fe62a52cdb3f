"""What an actor needs from whoever runs it: `engine.supervisor.Supervisor` outside of tests."""

from typing import TYPE_CHECKING, Any, Protocol

from anyio.abc import TaskGroup

from engine.commands import Policy
from engine.effects import Performer
from engine.guild import Guild
from engine.latest import Latest
from engine.ports import EventLog, Translator
from engine.slots import Slots

if TYPE_CHECKING:
    from engine.actor import Actor


class Host(Protocol):
    """What an actor needs from whoever runs it; shared by all actors of a process."""

    log: EventLog
    translator: Translator
    performer: Performer
    policy: Policy
    limit: int
    name: str
    slots: Latest[Slots]
    tasks: TaskGroup

    def guild(self, guild: str) -> Latest[Guild]:
        """A server's members, as this process last saw them."""
        ...

    async def spent(self, person: str) -> int:
        """What somebody has used today (UTC), in millionths of a dollar, about. Raises TryAgain."""
        ...

    def now(self) -> int:
        """The time, in µs."""
        ...

    def wake_at(self, target: str, due: int) -> None:
        """Poke `target` at `due` (µs)."""
        ...

    def failed(self, target: str, what: str, error: Exception) -> None:
        """Tell operators of an error that is no part of the protocol."""
        ...

    def rest(self, actor: "Actor[Any]") -> None:
        """The actor has nothing to do now, or must not act any more."""
        ...
