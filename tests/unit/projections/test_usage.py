from typing import Any

from projections.usage import DAY, USAGE, Counts, Row, Total, totals
from schema import events as e
from schema.events import Event
from tests.unit.projections.history import recorded

NOON = DAY // 2


def rows(*events: tuple[str, int, Event]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    page = [recorded(stream, event, position=n, at=at) for n, (stream, at, event) in enumerate(events, start=1)]
    USAGE.fold(found, page)
    return found


def requested(by: str) -> Event:
    return e.Requested(by=by, locale="ja", guild="5", channel="6")


def turn(by: str) -> Event:
    return e.TurnStarted(turn=1, prompt="p", by=by)


def counted(model: str, tokens: int) -> Event:
    return e.UsageCounted(
        reservation="r",
        model=model,
        input=tokens,
        output=tokens + 1,
        cache_read=tokens + 2,
        cache_write_5m=tokens + 3,
        cache_write_1h=1,
    )


ENDED = e.TurnEnded(turn=1, outcome="completed")


def test_tokens_are_of_who_has_the_turn_and_of_the_model_that_answered() -> None:
    found = rows(
        ("session:7", 1, requested("1")),
        ("session:7", 2, turn("2")),
        ("usage:7", 3, counted("m", 10)),
        ("session:7", 4, ENDED),
        ("usage:7", 5, counted("n", 20)),
        ("session:7", 6, turn("")),
        ("session:7", 7, e.TurnCut(turn=2, why="died")),
    )
    assert totals(found.values(), NOON) == [
        Total(
            day=0,
            person="2",
            model="m",
            counts=Counts(turns=1, requests=1, input=10, output=11, cache_read=12, cache_write_5m=13, cache_write_1h=1),
        ),
        Total(
            day=0,
            person="2",
            model="n",
            counts=Counts(turns=1, requests=1, input=20, output=21, cache_read=22, cache_write_5m=23, cache_write_1h=1),
        ),
    ]


def test_sandbox_time_is_of_who_began_and_is_split_at_midnight() -> None:
    found = rows(
        ("session:7", 1, requested("1")),
        ("session:7", NOON, e.SandboxReserved(reservation="r")),
        ("session:7", 2 * DAY + 5, e.SandboxGone(reservation="r")),
        ("session:7", 2 * DAY + 9, e.SandboxGone(reservation="r")),
    )
    times = [(total.day, total.person, total.model, total.counts.sandbox) for total in totals(found.values(), 9 * DAY)]
    assert times == [(0, "1", "", NOON), (1, "1", "", DAY), (2, "1", "", 5)]


def test_a_sandbox_that_lives_counts_up_to_now() -> None:
    found = rows(("session:7", 1, requested("1")), ("session:7", 5, e.SandboxReserved(reservation="r")))
    assert [total.counts.sandbox for total in totals(found.values(), 25)] == [20]


def test_sessions_are_summed_up() -> None:
    one = [("session:7", 1, requested("1")), ("usage:7", 2, counted("m", 1))]
    other = [("session:8", 1, requested("1")), ("usage:8", 2, counted("m", 2))]
    found = rows(*one, *other)
    assert [(total.person, total.counts.input) for total in totals(found.values(), NOON)] == [("1", 3)]


def test_a_row_is_read_as_it_was_stored() -> None:
    row = Row(starter="1", counts={"0/1/m": Counts(turns=1)})
    assert USAGE.load('{"starter":"1","counts":{"0/1/m":{"turns":1}}}') == row


def test_what_an_erased_person_used_stays_and_is_nobodys() -> None:
    found = rows(
        ("session:7", 1, requested("1")),
        ("usage:7", 2, counted("m", 1)),
        ("session:7", 3, turn("2")),
        ("usage:7", 4, counted("m", 10)),
        ("erasure:7", 5, e.Erased(person="1")),
    )
    assert [(total.person, total.counts.input) for total in totals(found.values(), NOON)] == [("", 1), ("2", 10)]
    USAGE.fold(found, [recorded("erasure:7", e.Erased(person="2"), position=9, at=9)])
    assert [(total.person, total.counts.input) for total in totals(found.values(), NOON)] == [("", 11)]
    assert (found["7"].starter, found["7"].person) == ("", "")
