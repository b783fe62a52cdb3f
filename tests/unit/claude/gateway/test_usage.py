"""What an answer cost is read from it as it passes, however it is cut into pieces and wherever it ends."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.claude.gateway.usage import Meter
from schema.events import UsageCounted

ASKED = 4000
START = {"input_tokens": 11, "cache_read_input_tokens": 22, "cache_creation_input_tokens": 33, "output_tokens": 1}


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


SPOKEN = "日本語 🎉 data: " * 8
STREAM = b"".join(
    [
        event("message_start", message={"id": "m", "usage": START}),
        event("ping"),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": SPOKEN}),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 44}),
        event("message_stop"),
    ]
)
STARTED = STREAM.index(b"\n\n")
ENDED = STREAM.index(b"\n\n", STREAM.index(b"event: message_delta"))
WHOLE = UsageCounted(reservation="r", model="claude-x", input=11, output=44, cache_read=22, cache_write_5m=33)


def meter() -> Meter:
    return Meter("r", "claude-x", ASKED)


def counted(*pieces: bytes) -> UsageCounted:
    one = meter()
    for piece in pieces:
        one.feed(piece)
    event = one.counted(200)
    assert event
    return event


@given(st.sets(st.integers(1, len(STREAM) - 1)))
@example(set(range(1, len(STREAM))))
def test_pieces_of_any_size_count_the_same(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert counted(*(STREAM[start:end] for start, end in pairwise(places))) == WHOLE


def test_lines_may_end_in_both_ways() -> None:
    assert counted(STREAM.replace(b"\n", b"\r\n")) == WHOLE


@given(st.integers(0, len(STREAM)))
@example(STARTED)
@example(STARTED + 1)
@example(ENDED)
@example(ENDED + 1)
def test_what_was_cut_off_is_charged_by_estimate(end: int) -> None:
    usage = counted(STREAM[:end])
    assert usage.estimated == (end <= ENDED)
    assert usage.input == (11 if end > STARTED else ASKED // 4 + 1)
    assert usage.output == 44 if end > ENDED else 1 <= usage.output < len(STREAM)
    assert usage.output >= counted(STREAM[: end // 2]).output


@pytest.mark.parametrize(
    ("kind", "field"), [("text", "text"), ("thinking", "thinking"), ("input_json", "partial_json")]
)
def test_what_was_said_is_charged_and_not_how_it_was_packed(kind: str, field: str) -> None:
    said = event("content_block_delta", index=0, delta={"type": f"{kind}_delta", field: "x" * 400})
    assert counted(said * 2).output - counted(said).output == 100
    letters = event("content_block_delta", index=0, delta={"type": f"{kind}_delta", field: "x"})
    assert counted(letters * 400).output == counted(said).output


def test_an_answer_at_once_is_counted_too() -> None:
    one = meter()
    one.whole(json.dumps({"type": "message", "usage": {"input_tokens": 5, "output_tokens": 6}}).encode())
    assert one.counted(200) == UsageCounted(reservation="r", model="claude-x", input=5, output=6)


def test_what_is_cached_for_an_hour_is_told_apart() -> None:
    written = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 3}
    usage = counted(event("message_delta", usage={"cache_creation_input_tokens": 33, "cache_creation": written}))
    assert (usage.cache_write_5m, usage.cache_write_1h) == (30, 3)
    for wrong in ([1], "x", {"ephemeral_1h_input_tokens": -1}):
        usage = counted(event("message_delta", usage={"cache_creation_input_tokens": 33, "cache_creation": wrong}))
        assert (usage.cache_write_5m, usage.cache_write_1h) == (33, 0)


@pytest.mark.parametrize("status", [0, 400, 401, 429, 500, 529])
def test_an_error_costs_nothing(status: int) -> None:
    assert meter().counted(status) is None


@pytest.mark.parametrize("wrong", [-1, 1 << 80, 1.5, "7", None, [7], {}])
def test_a_count_that_is_none_is_not_taken(wrong: Any) -> None:
    usage = counted(event("message_delta", usage={"output_tokens": wrong, "input_tokens": 3}))
    assert (usage.input, usage.output) == (3, 1)


@given(st.lists(st.binary() | st.just(b"\ndata:") | st.just(b'{"type":"message_delta","usage":') | st.just(b"\n")))
@example([b"data:" + b"[" * 100_000 + b"\n"])
@example([b'data:{"usage":' + b"[" * 100_000 + b"\n"])
@example([b"data:" + b"x" * (3 << 20)] * 2)
def test_a_stream_of_any_kind_is_counted(pieces: list[bytes]) -> None:
    assert counted(*pieces).output >= 1
    assert counted(*pieces, b"\n", STREAM).output >= 1
