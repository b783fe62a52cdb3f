"""A session has so many requests at once and a minute; sessions do not know of each other."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.gateway.limits import Busy, Limits
from adapters.claude.gateway.rules import Rules

RULES = Rules(at_once=2, per_minute=3)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_at_once() -> None:
    limits = Limits(RULES, Clock())
    with limits.admit("a"), limits.admit("a"):
        with pytest.raises(Busy, match="more than 2 requests at once"), limits.admit("a"):
            pass
        with limits.admit("b"):
            pass
    with limits.admit("a"):
        pass


def test_so_many_a_minute_and_when_there_is_room_again() -> None:
    clock = Clock()
    limits = Limits(RULES, clock)
    for clock.now in (0.0, 10.0, 20.0):
        with limits.admit("a"):
            pass
    clock.now = 45.0
    with pytest.raises(Busy, match="more than 3 requests in a minute") as busy, limits.admit("a"):
        pass
    clock.now += busy.value.seconds
    with limits.admit("a"):
        pass
    with pytest.raises(Busy), limits.admit("a"):
        pass


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abc")), max_size=40))
def test_no_minute_ever_has_more_and_what_is_over_is_forgotten(asked: list[tuple[float, str]]) -> None:
    clock = Clock()
    limits = Limits(RULES, clock)
    admitted: list[tuple[float, str]] = []
    for wait, session in asked:
        clock.now += wait
        with suppress(Busy), limits.admit(session):
            admitted.append((clock.now, session))
        recent = [at for at, name in admitted if name == session and at > clock.now - 60]
        assert len(recent) <= RULES.per_minute
    clock.now += 61
    with limits.admit("d"):
        pass
    assert limits.sessions == {"d"}
