import msgspec

from projections.exact import EXACT_VIEWS, IDS, MESSAGES, RUNNING, THREADS, changes
from schema.events import Closed, Received, Requested, SlotAsked, ThreadOpened
from tests.golden.samples import sample


def received(what: str) -> Received:
    return msgspec.structs.replace(sample(Received, full=True), what=what, discord_id="5", channel="99")


def test_a_thread_leads_to_its_session() -> None:
    assert changes("session:7", ThreadOpened(thread="99")) == [(THREADS.id, ("99", "7"))]


def test_a_thread_leads_to_its_last_message() -> None:
    assert changes("inbox:1", received("message")) == [(MESSAGES.id, ("99", "5"))]
    assert changes("inbox:1", received("interaction")) == []


def test_a_session_runs_from_its_request_until_it_is_closed() -> None:
    begun = Requested(by="3", locale="ja", guild="5", channel="6")
    assert changes("session:7", begun) == [(RUNNING.id, ("7", "5 3"))]
    assert changes("session:7", Closed()) == [(RUNNING.id, ("7", None))]


def test_other_events_change_nothing() -> None:
    assert changes("session:7", SlotAsked(place=1)) == []


def test_every_view_has_an_id_of_its_own_that_names_its_version() -> None:
    assert len(set(IDS.values())) == len(EXACT_VIEWS)
    assert THREADS.id == IDS["threads"] == "threads.1"
