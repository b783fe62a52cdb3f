"""What is shown while Claude speaks: each piece of text is live or said, never both, never neither."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.live import Live
from adapters.claude.parse import SAID_LIMIT, parse
from schema import facts as f
from schema.sealed import Sealed


def line(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def event(kind: str, parent: str | None = None, **fields: Any) -> bytes:
    return line("stream_event", event={"type": kind, **fields}, parent_tool_use_id=parent)


def delta(text: str, parent: str | None = None) -> bytes:
    return event("content_block_delta", parent, index=0, delta={"type": "text_delta", "text": text})


def block(text: str, parent: str | None = None) -> list[bytes]:
    """A text block as the CLI prints it."""
    said = line("assistant", message={"content": [{"type": "text", "text": text}]}, parent_tool_use_id=parent)
    pieces = [delta(text[at : at + 3], parent) for at in range(0, len(text), 3)]
    return [event("content_block_start", parent, index=0), *pieces, said, event("content_block_stop", parent, index=0)]


def fed(*lines: bytes) -> str:
    live = Live()
    for one in lines:
        live.feed(one)
    return live.text


def test_deltas_add_up_until_the_block_is_said() -> None:
    *speaking, said, stop = block("hello there")
    assert fed(*speaking) == "hello there"
    assert fed(*speaking, said) == ""
    assert fed(*speaking, said, stop) == ""


def test_an_answer_that_begins_again_forgets_what_was_cut_off() -> None:
    assert fed(delta("hel"), event("message_start"), delta("hello")) == "hello"


def test_subagents_and_thinking_are_not_shown() -> None:
    thinking = event("content_block_delta", delta={"type": "thinking_delta", "thinking": "hmm"})
    assert fed(delta("main"), delta("sub", "toolu_1"), thinking) == "main"


def test_what_a_subagent_has_said_does_not_end_what_is_being_said() -> None:
    assert fed(delta("main"), *block("sub", "toolu_1")) == "main"


def test_the_end_of_a_turn_or_of_the_cli_ends_it() -> None:
    assert fed(delta("a"), line("result", is_error=False)) == ""
    assert fed(delta("a"), line("supervisor", event="exit")) == ""


def test_it_is_bounded() -> None:
    assert len(fed(*[delta("x" * 60_000)] * 10)) < SAID_LIMIT + 60_000


def test_half_an_emoji_does_not_leave_what_was_said() -> None:
    said = b'{"type":"assistant","message":{"content":[{"type":"text","text":"a\\ud83d"}]}}'
    assert fed(delta("a"), said) == ""


def test_every_turn_tells_where_it_works() -> None:
    live = Live()
    live.feed(line("system", subtype="init", cwd="/w"))
    live.feed(line("system", subtype="status"))
    assert live.workspace == "/w"


@given(st.binary() | st.just(b'{"type":"stream_event","x":' + b"[" * 100_000))
def test_no_line_is_too_strange(strange: bytes) -> None:
    assert fed(delta("a"), strange) in {"a", ""}


@given(st.lists(st.tuples(st.text("abé🎉", min_size=1), st.booleans()), max_size=6))
def test_every_text_is_seen_once_whole_and_in_order(spoken: list[tuple[str, bool]]) -> None:
    live, said, seen = Live(), "", [""]
    whole = "".join(text for text, is_main in spoken if is_main)
    for text, is_main in spoken:
        for one in block(text, None if is_main else "toolu_1"):
            live.feed(one)
            for found in parse(one, lambda words: Sealed(words.encode())):
                if isinstance(found, f.Said) and found.parent is None:
                    said += found.text.decode()
            seen.append(said + live.text)
    assert said == whole
    assert all(whole.startswith(moment) for moment in seen)
    assert seen == sorted(seen, key=len)
