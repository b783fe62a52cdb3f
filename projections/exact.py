"""Exact views: what decisions rest on, never behind the log.

Both logs apply these in the append that records the event, so whoever reads a view sees every event at or before it. A view
is therefore nothing but keyed changes, each decided from one event alone: set a key, or take it away.

A view's `version` is part of its name in the database: another meaning is another version, never an edit. A new view or
version over a log that has events already needs a migration that fills it.
"""

from collections.abc import Callable

import msgspec

from schema.events import Closed, Event, Received, Requested, ServerOwned, ThreadOpened

Change = tuple[str, str | None]
"""A key and its new value; None takes the key away."""


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


def _running(stream: str, event: Event) -> Change | None:
    session = stream.removeprefix("session:")
    return (session, f"{event.guild} {event.by}") if isinstance(event, Requested) else (session, None)


RUNNING = ExactView(name="running", version=1, kinds=(Requested, Closed), change=_running)
"""From the id of each session that is not closed to its server and who started it, with a space between."""

EXACT_VIEWS = (THREADS, MESSAGES, SERVERS, RUNNING)
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
