import msgspec

from projections.exact import (
    ADDRESSES,
    EXACT_VIEWS,
    IDS,
    MEMBERS,
    MESSAGES,
    QUOTA,
    RUNNING,
    THREADS,
    WAITS,
    Row,
    changes,
    fold,
)
from schema.events import (
    Asked,
    Closed,
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
    SlotAsked,
    ThreadOpened,
)
from tests.golden.samples import sample
from tests.unit.projections.history import recorded


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


def test_a_session_runs_from_its_request_until_it_is_closed() -> None:
    begun = Requested(by="3", locale="ja", guild="5", channel="6")
    assert changes("session:7", begun) == [(RUNNING.id, ("7", "5 3"))]
    assert changes("session:7", Closed()) == [(RUNNING.id, ("7", None))]


def test_other_events_change_nothing() -> None:
    assert changes("session:7", SlotAsked(place=1)) == []


def test_every_view_has_an_id_of_its_own_that_names_its_version() -> None:
    assert len(set(IDS.values())) == len(EXACT_VIEWS)
    assert THREADS.id == IDS["threads"] == "threads.1"


def test_a_member_is_what_the_last_event_made_them() -> None:
    for event, role in (
        (OwnerConfirmed(person="7", how="discord"), "owner"),
        (RoleGiven(person="7", role="user", by="1"), "user"),
        (RoleTaken(person="7", role="owner", by="1"), "user"),
        (RoleTaken(person="7", role="user", by="1"), None),
    ):
        assert changes("guild:5", event) == [(MEMBERS.id, ("5 7", role))]


def test_a_session_waits_holds_or_is_not_there() -> None:
    for event, held in (
        (Asked(session="7"), WAITS),
        (Granted(session="7", reservation="7-2"), "7-2"),
        (Left(session="7"), None),
        (Released(reservation="7-2"), None),
    ):
        assert changes("slots", event) == [(QUOTA.id, ("7", held))]


def test_rows_come_in_the_order_in_which_they_were_set() -> None:
    rows: dict[str, Row] = {}
    history = [Asked(session="1"), Asked(session="2"), Left(session="1"), SlotAsked(place=1), Asked(session="1")]
    fold(QUOTA, rows, [recorded("slots", event, position=n) for n, event in enumerate(history, start=1)])
    assert list(rows.items()) == [("2", (WAITS, 2)), ("1", (WAITS, 5))]
    fold(MESSAGES, rows, [recorded("inbox:1", received("interaction"), position=6)])
    assert len(rows) == 2
