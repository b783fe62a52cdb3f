"""What stands beside the event log on the page: the exact views as they are now, and a session as it was at any of its events.

Both are the folds that run live: `projections.exact.fold` and `engine.evolve.fold`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.evolve import fold
from engine.ports import EventLog
from engine.session import Session
from projections import exact
from schema.envelope import Recorded

Json = dict[str, Any]

_SHOWN = (exact.MEMBERS, exact.QUOTA)
_UNSHOWN = {"cards", "replies", "id", "version", "guild", "channel", "request", "starter_message"}
"""What is about messages and where they are: people see them."""


class Views:
    """The rows of `members` and `quota`, kept up with the events that `take` is given."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, exact.Row]] = {view.name: {} for view in _SHOWN}
        self._position = 0

    def take(self, events: Iterable[Recorded]) -> bool:
        """Whether something in the views changed."""
        before = {name: dict(rows) for name, rows in self._rows.items()}
        for event in events:
            self._position = event.position
            for view in _SHOWN:
                exact.fold(view, self._rows[view.name], [event])
        return before != self._rows

    def told(self, threads: Mapping[str, str]) -> Json:
        """As JSON: members in the order of their roles; who holds a sandbox, then who waits, in the order of the line.

        `threads`: of sessions, as far as they are known.
        """
        members = [(*key.split(" "), *row) for key, row in self._rows[exact.MEMBERS.name].items()]
        quota = [(key, *row) for key, row in self._rows[exact.QUOTA.name].items()]
        return {
            "position": self._position,
            "members": [
                {"person": person, "role": role, "position": position}
                for _, person, role, position in sorted(members, key=lambda one: (one[2], one[3]))
            ],
            "quota": [
                {
                    "session": session,
                    "thread": threads.get(session, ""),
                    "reservation": held,
                    "position": position,
                }
                for session, held, position in sorted(quota, key=lambda one: (one[1] == exact.WAITS, one[2]))
            ],
        }


async def state_at(log: EventLog, session: str, position: int) -> tuple[Session, Recorded] | None:
    """A session as of a position, and its last event then; None when it did not exist yet. Raises TryAgain."""
    own = [one for one in await log.read_stream(f"session:{session}") if one.position <= position]
    return (fold(own, Session()), own[-1]) if own else None


def set_fields(state: Session) -> Json:
    """What of a state is not as in a new one."""
    new = Session()
    names = [name for name in state.__struct_fields__ if name not in _UNSHOWN]
    return {name: value for name in names if (value := getattr(state, name)) != getattr(new, name)}
