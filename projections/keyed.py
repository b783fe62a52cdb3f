"""Keyed folds: views that may lag, built by following the log and built anew at any time.

A view has one row a key, and an event changes the row of its key and no other: so the log can be folded in pages of any size,
from any checkpoint, and comes out the same byte for byte (P7). A view's `version` goes up when its rows would come out
otherwise: another version is built beside the old one, never over it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from schema.envelope import Recorded
from schema.events import Event

Step = Callable[[Any, Recorded], None]
"""Changes a row (a mutable struct that nobody else has) by one event of its key."""


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """A view. `row`: its type; a new key begins with its defaults. Only events of the kinds in `steps` do anything."""

    name: str
    version: int
    row: type[msgspec.Struct]
    key: Callable[[Recorded], str]
    steps: Mapping[type[Event], Step]

    def concerns(self, page: Iterable[Recorded]) -> set[str]:
        """The keys of the rows that `page` changes."""
        return {self.key(recorded) for recorded in page if type(recorded.event) in self.steps}

    def fold(self, rows: dict[str, Any], page: Iterable[Recorded]) -> set[str]:
        """Change `rows`, in which every row that `page` concerns is, or does not exist yet. Returns the changed keys."""
        steps, changed = self.steps, set[str]()
        for recorded in page:
            step = steps.get(type(recorded.event))
            if step is None:
                continue
            key = self.key(recorded)
            row = rows.get(key)
            if row is None:
                row = rows[key] = self.row()
            step(row, recorded)
            changed.add(key)
        return changed

    def load(self, value: str) -> Any:
        """A row from its stored form."""
        return msgspec.json.decode(value, type=self.row)


def stored(row: Any) -> str:
    """A row as it is stored, and compared."""
    return msgspec.json.encode(row).decode()


def session_of(recorded: Recorded) -> str:
    """The key of views with a row a session: of `session:<id>` and `usage:<id>`."""
    return recorded.stream.partition(":")[2]
