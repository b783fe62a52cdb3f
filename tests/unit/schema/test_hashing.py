import hashlib
from typing import Any

import hypothesis.strategies as st
from hypothesis import assume, given

from schema.hashing import FIRST, event_hash

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
numbers = st.integers(0, 2**63 - 1)
columns = st.tuples(
    names,
    numbers,
    names,
    st.binary(),
    st.none() | st.integers(1, 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
    names,
    numbers,
    st.none() | names,
)


def test_the_bytes_are_those_of_the_documentation() -> None:
    header = (
        FIRST
        + (2).to_bytes(8, "big")
        + (-3).to_bytes(8, "big", signed=True)
        + (4).to_bytes(8, "big")
        + (5).to_bytes(8, "big")
        + b"".join(length.to_bytes(4, "big") for length in (6, 1, 2, 3, 4))
    )
    texts = "会xyz".encode() + b"k" + b"{}" + b"bot" + b"once"
    assert event_hash(FIRST, "会xyz", 2, "k", b"{}", 5, -3, "bot", 4, "once") == hashlib.sha256(header + texts).digest()


def test_no_key_is_not_an_empty_one() -> None:
    header = FIRST + (1).to_bytes(8, "big") + bytes(24)
    lengths = b"".join(length.to_bytes(4, "big") for length in (1, 1, 0, 1, 0xFFFFFFFF))
    assert (
        event_hash(FIRST, "s", 1, "k", b"", None, 0, "a", 0, None) == hashlib.sha256(header + lengths + b"ska").digest()
    )


@given(columns, columns)
def test_different_events_have_different_hashes(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assume(one != other)
    assert event_hash(FIRST, *one) != event_hash(FIRST, *other)


@given(columns, st.integers(0, 31))
def test_the_hash_before_is_covered(one: tuple[Any, ...], index: int) -> None:
    changed = bytearray(FIRST)
    changed[index] = 1
    assert event_hash(bytes(changed), *one) != event_hash(FIRST, *one)
