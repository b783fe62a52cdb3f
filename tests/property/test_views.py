"""P7, the pure half: a view folded in pages of any size, its rows stored and read again, is the view folded at once."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from projections.followed import FOLLOWED
from projections.keyed import Keyed, stored
from schema.envelope import Recorded
from schema.events import Event, UsageCounted
from tests.property.profile import PROFILE
from tests.property.strategies import SESSION_EVENTS, VIEW_EVENTS
from tests.unit.projections.history import recorded

_TIMES = st.integers(1, 5 * 86_400_000_000)


@st.composite
def histories(draw: st.DrawFn) -> list[Recorded]:
    """Any events of three sessions, whatever a decider would say to them; time may stand, or go back."""
    one = st.tuples(st.sampled_from("123"), st.one_of(SESSION_EVENTS, VIEW_EVENTS), _TIMES)
    return [
        recorded(f"{_family(event)}:{session}", event, position=position, at=at)
        for position, (session, event, at) in enumerate(draw(st.lists(one, max_size=60)), start=1)
    ]


def _family(event: Event) -> str:
    return "usage" if isinstance(event, UsageCounted) else "session"


@pytest.mark.parametrize("view", FOLLOWED.values(), ids=FOLLOWED.keys())
@PROFILE
@given(history=histories(), cuts=st.lists(st.tuples(st.integers(1, 7), st.booleans()), min_size=1, max_size=20))
def test_pages_and_restarts_change_nothing(view: Keyed, history: list[Recorded], cuts: list[tuple[int, bool]]) -> None:
    at_once: dict[str, Any] = {}
    view.fold(at_once, history)
    table: dict[str, str] = {}
    rows: dict[str, Any] = {}
    after = 0
    for size, forget in [*cuts, (len(history), True)]:
        page = history[after : after + size]
        after += size
        if forget:
            rows = {}
        for key in view.concerns(page) - rows.keys():
            if key in table:
                rows[key] = view.load(table[key])
        table |= {key: stored(rows[key]) for key in view.fold(rows, page)}
    assert table == {key: stored(row) for key, row in at_once.items()}
