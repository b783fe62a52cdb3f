"""Exact views: what decisions rest on, never behind the log.

Both logs apply these in the append that records the event, so whoever reads a view sees every event at or before it. A view
is therefore nothing but keyed changes, each decided from one event alone: set a key, or take it away.

A view's `version` is part of its name in the database: another meaning is another version, never an edit. A new view or
version over a log that has events already needs a migration that fills it.

`fold` is the same by itself: what a view must be like, for who builds it anew and compares.
"""

from collections.abc import Callable, Iterable

import msgspec

from schema.envelope import Recorded
from schema.events import (
    Asked,
    Closed,
    Event,
    Granted,
    Left,
    OwnerConfirmed,
    Received,
    Released,
    Requested,
    RoleGiven,
    RoleTaken,
    SandboxGone,
    SandboxPlaced,
    ServerOwned,
    ThreadOpened,
)

Change = tuple[str, str | None]
"""A key and its new value; None takes the key away."""
Row = tuple[str, int]
"""The value of a key, and the position of the event that set it."""


class ExactView(msgspec.Struct, frozen=True, kw_only=True):
    """`change` is pure and says what one event of a stream does to the view. Only events of `kinds` do anything."""

    name: str
    version: int
    kinds: tuple[type[Event], ...]
    change: Callable[[str, Event], Change | None]

    @property
    def id(self) -> str:
        """The view's name in the database."""
        return f"{self.name}.{self.version}"


def _thread(stream: str, event: Event) -> Change | None:
    assert isinstance(event, ThreadOpened)
    return event.thread, stream.removeprefix("session:")


THREADS = ExactView(name="threads", version=1, kinds=(ThreadOpened,), change=_thread)
"""From the id of a thread to the id of its session."""


def _message(stream: str, event: Event) -> Change | None:
    del stream
    assert isinstance(event, Received)
    return (event.channel, event.discord_id) if event.what == "message" else None


MESSAGES = ExactView(name="messages", version=1, kinds=(Received,), change=_message)
"""From the id of a thread to the id of its last recorded message. The ingress records them in order, without a gap."""


def _server(stream: str, event: Event) -> Change | None:
    assert isinstance(event, ServerOwned)
    return stream.removeprefix("guild:"), f"{event.person} {event.channel}"


SERVERS = ExactView(name="servers", version=1, kinds=(ServerOwned,), change=_server)
"""From the id of a server to who owns it, as Discord says, and where it posts its own news, with a space between."""


def _address(stream: str, event: Event) -> Change | None:
    del stream
    assert isinstance(event, SandboxPlaced | SandboxGone)
    return event.reservation, " ".join(event.addresses) if isinstance(event, SandboxPlaced) else None


ADDRESSES = ExactView(name="addresses", version=1, kinds=(SandboxPlaced, SandboxGone), change=_address)
"""From a reservation whose sandbox is a pod to its addresses, with spaces between."""


def _running(stream: str, event: Event) -> Change | None:
    session = stream.removeprefix("session:")
    return (session, f"{event.guild} {event.by}") if isinstance(event, Requested) else (session, None)


RUNNING = ExactView(name="running", version=1, kinds=(Requested, Closed), change=_running)
"""From the id of each session that is not closed to its server and who started it, with a space between."""


def _member(stream: str, event: Event) -> Change:
    assert isinstance(event, OwnerConfirmed | RoleGiven | RoleTaken)
    if isinstance(event, RoleTaken):  # an owner is left a user
        role = "user" if event.role == "owner" else None
    else:
        role = "owner" if isinstance(event, OwnerConfirmed) else event.role
    return f"{stream.removeprefix('guild:')} {event.person}", role


MEMBERS = ExactView(name="members", version=1, kinds=(OwnerConfirmed, RoleGiven, RoleTaken), change=_member)
"""From the ids of a server and a person, with a space between, to the role: owner or user. Nobody else may do anything."""


def _quota(stream: str, event: Event) -> Change:
    del stream
    assert isinstance(event, Asked | Granted | Left | Released)
    match event:
        case Asked():
            return event.session, WAITS
        case Granted():
            return event.session, event.reservation
        case Left():
            return event.session, None
        case _:
            return event.reservation.rpartition("-")[0], None


WAITS = ""
QUOTA = ExactView(name="quota", version=1, kinds=(Asked, Granted, Left, Released), change=_quota)
"""From the id of a session to the reservation it holds, `WAITS` for one in the line: in the order of the rows."""

EXACT_VIEWS = (THREADS, MESSAGES, SERVERS, ADDRESSES, RUNNING, MEMBERS, QUOTA)
EXACT = {view.name: view for view in EXACT_VIEWS}
"""By name."""
IDS = {view.name: view.id for view in EXACT_VIEWS}
"""The name in the database of each exact view."""

_BY_KIND: dict[type[Event], list[ExactView]] = {}
for _view in EXACT_VIEWS:
    for _kind in _view.kinds:
        _BY_KIND.setdefault(_kind, []).append(_view)


def changes(stream: str, event: Event) -> list[tuple[str, Change]]:
    """What `event` does to the exact views: (view id, change)."""
    if type(event) not in _BY_KIND:
        return []
    views = _BY_KIND[type(event)]
    return [(view.id, change) for view in views if (change := view.change(stream, event)) is not None]


def fold(view: ExactView, rows: dict[str, Row], page: Iterable[Recorded]) -> None:
    """Bring the rows of `view` from before `page` to after it. They are in the order of their positions."""
    for recorded in page:
        if not isinstance(recorded.event, view.kinds):
            continue
        change = view.change(recorded.stream, recorded.event)
        if change is None:
            continue
        key, value = change
        rows.pop(key, None)
        if value is not None:
            rows[key] = (value, recorded.position)
