"""How an old event is read, on a worked example: two changes of one event, and one of a fact.

Once upon a time `session.sandbox_ready` had no reservation but a pod's name, and said `sandboxed` for `isolated`.
"""

from typing import Any

import pytest

from schema import upcasters
from schema.codec import KINDS, Malformed, UnknownKind, decode
from schema.events import JournalRead, SandboxLost, SandboxReady, UsageCounted
from schema.facts import Skipped


def pod_to_reservation(body: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "old.2", "reservation": body["pod"].removeprefix("pod-"), "sandboxed": body["sandboxed"]}


def sandboxed_to_isolated(body: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "session.sandbox_ready", "reservation": body["reservation"], "isolated": body["sandboxed"]}


def lost_to_skipped(body: dict[str, Any]) -> dict[str, Any]:
    return {"fact": "skipped", "what": body["why"]}


EVENTS = {"old.1": pod_to_reservation, "old.2": sandboxed_to_isolated}
FACTS = {"lost": lost_to_skipped}


def read(kind: str, payload: bytes) -> object:
    return decode(kind, payload, 4, events=EVENTS, facts=FACTS)


def test_an_old_event_goes_through_every_step_to_what_is_read_now() -> None:
    now = SandboxReady(reservation="9", isolated=False)
    assert read("old.1", b'{"kind":"old.1","pod":"pod-9","sandboxed":false}') == now
    assert read("old.2", b'{"kind":"old.2","reservation":"9","sandboxed":false}') == now
    assert read("session.sandbox_ready", b'{"kind":"session.sandbox_ready","reservation":"9","isolated":false}') == now


def test_an_old_fact_is_read_in_the_event_that_holds_it() -> None:
    payload = b'{"kind":"session.journal_read","epoch":1,"start":0,"end":9,"facts":[{"fact":"lost","why":"x"}]}'
    assert read("session.journal_read", payload) == JournalRead(epoch=1, start=0, end=9, facts=(Skipped(what="x"),))


def test_a_retired_kind_needs_its_step() -> None:
    with pytest.raises(UnknownKind, match="old"):
        decode("old.1", b'{"kind":"old.1","pod":"pod-9","sandboxed":false}', 4)


def test_an_old_event_that_lacks_a_field_is_named() -> None:
    with pytest.raises(Malformed, match="position 4"):
        read("old.1", b'{"kind":"old.1"}')


def test_no_step_begins_at_a_kind_that_is_still_written() -> None:
    assert KINDS.keys().isdisjoint(upcasters.EVENTS)


def test_usage_of_the_first_release_is_read_with_its_cache_for_five_minutes() -> None:
    payload = (
        b'{"kind":"usage.counted","reservation":"r","model":"m","input":1,"output":2,"cache_write":3,"estimated":true}'
    )
    now = UsageCounted(reservation="r", model="m", input=1, output=2, cache_write_5m=3, estimated=True)
    assert decode("usage.counted", payload, 4) == now
    bare = b'{"kind":"usage.counted","reservation":"r","model":"m","input":1,"output":2}'
    assert decode("usage.counted", bare, 4) == UsageCounted(reservation="r", model="m", input=1, output=2)


def test_a_loss_of_the_first_release_is_read_without_what_was_said_of_it() -> None:
    payload = b'{"kind":"session.sandbox_lost","reservation":"r","why":"memory"}'
    assert decode("session.sandbox_lost", payload, 4) == SandboxLost(reservation="r", why="memory")
