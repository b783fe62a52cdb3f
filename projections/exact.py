"""Exact views: what decisions rest on, never behind the log.

Both logs apply these in the append that records the event, so whoever reads a view sees every event at or before it. A view
is therefore nothing but keyed changes, each decided from one event alone: set a key, or take it away.

A view's `version` is part of its name in the database: another meaning is another version, never an edit. A new view or
version over a log that has events already needs a migration that fills it.
"""

from collections.abc import Callable

import msgspec

from schema.events import Event, ThreadOpened

Change = tuple[str, str | None]
"""A key and its new value; None takes the key away."""


class ExactView(msgspec.Struct, frozen=True, kw_only=True):
    """`change` is pure and says what one event of `stream` does to the view, if anything."""

    name: str
    version: int
    change: Callable[[str, Event], Change | None]

    @property
    def id(self) -> str:
        """The view's name in the database."""
        return f"{self.name}.{self.version}"


def _thread(stream: str, event: Event) -> Change | None:
    if isinstance(event, ThreadOpened):
        return event.thread, stream.removeprefix("session:")
    return None


THREADS = ExactView(name="threads", version=1, change=_thread)
"""From the id of a thread to the id of its session."""

EXACT_VIEWS = (THREADS,)
IDS = {view.name: view.id for view in EXACT_VIEWS}
"""The name in the database of each exact view."""


def changes(stream: str, event: Event) -> list[tuple[str, Change]]:
    """What `event` does to the exact views: (view id, change)."""
    return [(view.id, change) for view in EXACT_VIEWS if (change := view.change(stream, event)) is not None]
