"""The view `usage`: turns, tokens and sandbox time by day, person and model; one row a session, summed up by `totals`.

A turn counts on the day it is over, for the person whose prompt it answers; tokens for the person of the turn they came in, or of
the last one (the gateway may report late); sandbox time, split at midnight (UTC), for who started the session, without a model.
What a sandbox says about itself is not counted: models are those that the gateway let through.
"""

from collections.abc import Iterable

import msgspec

from projections.keyed import Keyed, session_of
from schema import events as e
from schema.envelope import Recorded

DAY = 86_400_000_000
"""µs."""


class Counts(msgspec.Struct):
    """`requests`, `input` and the rest of the tokens as the gateway counted them. `sandbox`: µs."""

    turns: int = 0
    requests: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    sandbox: int = 0

    def add(self, other: "Counts") -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Row(msgspec.Struct):
    """`counts` by `<day>/<person>/<model>`, days since 1970. The rest is what the next event needs to know.

    `since`: when the sandbox that lives was reserved (µs), 0 for none.
    """

    starter: str = ""
    person: str = ""
    model: str = ""
    since: int = 0
    counts: dict[str, Counts] = {}

    def at(self, time: int, person: str, model: str) -> Counts:
        """The counts that something at `time` belongs to."""
        return self.counts.setdefault(f"{time // DAY}/{person}/{model}", Counts())

    def live_until(self, time: int) -> None:
        """Count the sandbox that lives up to `time`."""
        while 0 < self.since < time:
            midnight = (self.since // DAY + 1) * DAY
            until = min(time, midnight)
            self.at(self.since, self.starter, "").sandbox += until - self.since
            self.since = until


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of one day, person and model. `day`: since 1970. `model` is empty for sandbox time."""

    day: int
    person: str
    model: str
    counts: Counts


def _requested(row: Row, recorded: Recorded) -> None:
    assert isinstance(recorded.event, e.Requested)
    row.starter = row.person = recorded.event.by


def _turn(row: Row, recorded: Recorded) -> None:
    assert isinstance(recorded.event, e.TurnStarted)
    row.person = recorded.event.by or row.person


def _over(row: Row, recorded: Recorded) -> None:
    row.at(recorded.at, row.person, row.model).turns += 1


def _counted(row: Row, recorded: Recorded) -> None:
    event = recorded.event
    assert isinstance(event, e.UsageCounted)
    row.model = event.model
    counts = row.at(recorded.at, row.person, event.model)
    counts.requests += 1
    counts.input += event.input
    counts.output += event.output
    counts.cache_read += event.cache_read
    counts.cache_write_5m += event.cache_write_5m
    counts.cache_write_1h += event.cache_write_1h


def _reserved(row: Row, recorded: Recorded) -> None:
    row.since = recorded.at


def _gone(row: Row, recorded: Recorded) -> None:
    row.live_until(recorded.at)
    row.since = 0


def _erased(row: Row, recorded: Recorded) -> None:
    """What was used stays, and is nobody's."""
    assert isinstance(recorded.event, e.Erased)
    erased = recorded.event.person
    row.starter, row.person = ("" if one == erased else one for one in (row.starter, row.person))
    before, row.counts = row.counts, {}
    for key, counts in before.items():
        day, person, model = key.split("/", 2)
        row.at(int(day) * DAY, "" if person == erased else person, model).add(counts)


USAGE = Keyed(
    name="usage",
    version=2,  # 1 had one number for what was written to the cache
    row=Row,
    key=session_of,
    steps={
        e.Requested: _requested,
        e.TurnStarted: _turn,
        e.TurnEnded: _over,
        e.TurnCut: _over,
        e.UsageCounted: _counted,
        e.SandboxReserved: _reserved,
        e.SandboxGone: _gone,
        e.Erased: _erased,
    },
)


def totals(rows: Iterable[Row], now: int) -> list[Total]:
    """The sums over sessions, in the order of day, person, model. Sandboxes that live count up to `now` (µs)."""
    sums: dict[tuple[int, str, str], Counts] = {}
    for row in rows:
        row.live_until(now)
        for key, counts in row.counts.items():
            day, person, model = key.split("/", 2)
            sums.setdefault((int(day), person, model), Counts()).add(counts)
    return [
        Total(day=day, person=person, model=model, counts=counts)
        for (day, person, model), counts in sorted(sums.items())
    ]
