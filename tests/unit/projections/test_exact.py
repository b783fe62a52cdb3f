import msgspec

from projections.exact import ADDRESSES, EXACT_VIEWS, IDS, MESSAGES, THREADS, changes
from schema.events import Received, SandboxGone, SandboxPlaced, SlotAsked, ThreadOpened
from tests.golden.samples import sample


def received(what: str) -> Received:
    return msgspec.structs.replace(sample(Received, full=True), what=what, discord_id="5", channel="99")


def test_a_thread_leads_to_its_session() -> None:
    assert changes("session:7", ThreadOpened(thread="99")) == [(THREADS.id, ("99", "7"))]


def test_a_thread_leads_to_its_last_message() -> None:
    assert changes("inbox:1", received("message")) == [(MESSAGES.id, ("99", "5"))]
    assert changes("inbox:1", received("interaction")) == []


def test_a_reservation_leads_to_the_addresses_of_its_pod_until_that_is_gone() -> None:
    placed = SandboxPlaced(reservation="7-2", addresses=("10.0.0.1", "fd00::1"))
    assert changes("session:7", placed) == [(ADDRESSES.id, ("7-2", "10.0.0.1 fd00::1"))]
    assert changes("session:7", SandboxGone(reservation="7-2")) == [(ADDRESSES.id, ("7-2", None))]


def test_other_events_change_nothing() -> None:
    assert changes("session:7", SlotAsked(place=1)) == []


def test_every_view_has_an_id_of_its_own_that_names_its_version() -> None:
    assert len(set(IDS.values())) == len(EXACT_VIEWS)
    assert THREADS.id == IDS["threads"] == "threads.1"
