import re
import string
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from schema import codec
from schema.codec import Malformed, UnknownKind, decode, encode
from schema.events import Event, JournalRead, Noted, PromptQueued, SlotAsked
from schema.facts import CliExited, Fact, Said, Skipped
from schema.sealed import FORMAT, HEADER, Sealed, key_id
from tests.golden.samples import kinds, sample

STRUCTS = [*get_args(Event), *get_args(Fact)]


def box(key: int) -> Sealed:
    return Sealed(bytes([FORMAT]) + key.to_bytes(8, "big") + bytes(28))


@given(st.sampled_from(list(codec.KINDS.values())), st.data())
def test_what_is_read_is_what_was_written(struct: type[Any], data: st.DataObject) -> None:
    event = data.draw(_instances(struct))
    kind, payload, _ = encode(event)
    assert decode(kind, payload, 1) == event


def _instances(struct: type[Any]) -> st.SearchStrategy[Any]:
    base = sample(struct, full=True)
    texts = {f.name: st.text() for f in msgspec.structs.fields(struct) if f.type is str}
    numbers = {f.name: st.integers(-(2**63), 2**63 - 1) for f in msgspec.structs.fields(struct) if f.type is int}
    return st.fixed_dictionaries(texts | numbers).map(lambda changes: msgspec.structs.replace(base, **changes))


def test_the_kind_stands_in_the_payload_and_beside_it() -> None:
    kind, payload, key = encode(SlotAsked(place=3))
    assert kind == "session.slot_asked"
    assert payload == b'{"kind":"session.slot_asked","place":3}'
    assert key is None


def test_the_key_is_that_of_the_sealed_texts() -> None:
    assert encode(PromptQueued(prompt="1", by="7", text=box(5), size=1))[2] == 5
    facts = (Skipped(what="x"), CliExited(code=1), Said(text=box(9)), CliExited(code=1, why=box(9)))
    assert encode(JournalRead(epoch=1, start=0, end=1, facts=facts))[2] == 9


def test_an_event_under_two_keys_is_refused() -> None:
    facts = (Said(text=box(1)), Said(text=box(2)))
    with pytest.raises(ValueError, match=r"session\.journal_read is sealed under the keys 1 and 2"):
        encode(JournalRead(epoch=1, start=0, end=1, facts=facts))


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_bytes_are_sealed_texts_and_nothing_else(struct: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(struct):
        assert bytes not in (field.type, *get_args(field.type))
        assert field.type is not bytearray


def test_tags_are_lower_case_names_and_each_stands_once() -> None:
    allowed = set(string.ascii_lowercase + "_.")
    for tags in (codec.KINDS, codec.FACTS):
        assert all(set(re.sub(r"\.[2-9]$", "", tag)) <= allowed for tag in tags)  # a later version ends in its number
    assert len(codec.KINDS) + len(codec.FACTS) == len(STRUCTS) == len(kinds())


def test_a_newer_kind_is_refused_by_name_and_position() -> None:
    with pytest.raises(UnknownKind, match=r"position 7 .*'session\.teleported'.* newer version") as caught:
        decode("session.teleported", b'{"kind":"session.teleported","to":"mars"}', 7)
    assert (caught.value.kind, caught.value.position) == ("session.teleported", 7)


def test_a_newer_fact_is_refused_by_name_and_position() -> None:
    payload = b'{"kind":"session.journal_read","epoch":1,"start":0,"end":1,"facts":[{"fact":"dreamt","of":"sheep"}]}'
    with pytest.raises(UnknownKind, match=r"position 8 .*'dreamt'"):
        decode("session.journal_read", payload, 8)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"kind":"session.noted"}',
        b'{"kind":"session.noted","by":1,"locale":"ja","what":"x"}',
        b'{"kind":"session.journal_read","facts":[{}]}',
        b'{"kind":"session.journal_read","facts":7}',
        b'{"kind":"session.journal_read","facts":[7]}',
        b'{"kind":["a"]}',
        b"\xff",
    ],
)
def test_what_cannot_be_read_is_named(payload: bytes) -> None:
    for kind in ("session.noted", "session.retired"):
        with pytest.raises(codec.CodecError, match="position 3") as caught:
            decode(kind, payload, 3)
        assert isinstance(caught.value, Malformed | UnknownKind)


def test_unknown_fields_are_ignored_so_that_the_next_release_can_add_some() -> None:
    payload = b'{"kind":"session.noted","by":"7","locale":"ja","what":"x","added_later":1}'
    assert decode("session.noted", payload, 1) == Noted(by="7", locale="ja", what="x")


def test_a_box_names_its_key() -> None:
    assert key_id(box(2**63)) == 2**63
    for wrong in (b"", bytes(HEADER), bytes([FORMAT]) + bytes(HEADER - 2)):
        with pytest.raises(ValueError, match="not a sealed text"):
            key_id(Sealed(wrong))
