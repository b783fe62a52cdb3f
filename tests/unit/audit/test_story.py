"""A session's story, and the page it is told on: what is in it, and that no text in it can do anything."""

import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest

from adapters.audit.marks import UNTOLD
from adapters.audit.page import render
from adapters.audit.story import Ask, Mark, Said, Story, Tool, Turn, tell
from adapters.audit.story import told as is_told
from adapters.audit.texts import Shut
from adapters.postgres.audit import Stored
from projections.prices import LISTED
from schema.events import SessionEvent

HOSTILE = "</pre><script>alert(1)</script> \"' & \u202egnp.exe \x1b[31m"
SECOND = 1_000_000


def event(position: int, kind: str, body: dict[str, Any], actor: str = "bot") -> tuple[Stored, dict[str, Any]]:
    at = (1_700_000_000 + position) * SECOND
    return Stored(position, "session:7", position, kind, b"", None, bytes(32), at, actor, 0, None), body


def test_every_kind_is_told_or_left_out_on_purpose() -> None:
    """A new kind of event belongs to one of the two."""
    kinds = {str(kind.__struct_config__.tag) for kind in get_args(SessionEvent)}
    assert {kind for kind in kinds if not is_told(kind)} == UNTOLD


def journal(position: int, *facts: dict[str, Any]) -> tuple[Stored, dict[str, Any]]:
    return event(position, "session.journal_read", {"facts": list(facts)})


def story(text: Any = HOSTILE) -> Story:
    question = '{"tool":"Bash","shown":"rm -r build"}' if isinstance(text, str) else text
    usage = {"model": "claude-sonnet-4-5", "input": 1_000_000, "output": 1000, "cache_read": 0, "cache_write_5m": 0}
    return tell(
        "7",
        [
            event(1, "session.requested", {"by": "77", "guild": "5", "channel": "6"}),
            event(2, "session.thread_opened", {"thread": "99"}),
            event(3, "session.slot_asked", {"place": 2}),
            event(5, "session.sandbox_reserved", {"reservation": "r"}),
            event(5, "session.sandbox_probed", {"reservation": "r", "checks": [{"wall": "api", "found": "open"}]}),
            event(5, "session.sandbox_placed", {"reservation": "r", "addresses": ["10.0.0.1"]}),
            event(6, "session.sandbox_ready", {"reservation": "r", "isolated": False}),
            event(7, "session.prompt_queued", {"prompt": "p", "by": "77", "text": text}),
            event(8, "session.turn_started", {"turn": 1, "prompt": "p", "by": "77"}),
            journal(9, {"fact": "said", "text": text}, {"fact": "unheard_of"}),
            journal(10, {"fact": "tool_called", "tool": "t", "name": "Bash", "summary": text, "parent": "x"}),
            event(11, "session.answer_asked", {"request": "q", "tool": "Bash", "question": question}),
            event(14, "session.answer_given", {"request": "q", "choice": "deny", "by": "88"}, "person:88"),
            journal(15, {"fact": "tool_returned", "tool": "t", "failed": True, "output": text}),
            event(16, "usage.counted.2", usage),
            journal(17, {"fact": "noticed", "what": "model_fallback", "text": text}, {"fact": "cli_exited", "code": 1}),
            event(18, "session.turn_ended", {"turn": 1, "outcome": "failed", "reason": "boom"}),
            event(19, "session.sandbox_lost.2", {"reservation": "r", "why": "evicted", "detail": "Too big."}),
            event(20, "session.sandbox_gone", {"reservation": "r"}),
            event(21, "session.close_asked", {"by": "77", "why": "asked"}),
            event(22, "session.handed_over", {"how": "posted", "files": 2}),
            event(23, "session.closed", {}),
        ],
        LISTED,
    )


def test_a_turn_holds_what_was_said_done_asked_and_spent() -> None:
    told = story("text")
    (turn,) = [one for one in told.chapters if isinstance(one, Turn)]
    said, tool, ask, *marks = turn.items
    assert isinstance(said, Said)
    assert isinstance(tool, Tool)
    assert isinstance(ask, Ask)
    assert (turn.prompt, turn.by, turn.outcome, said.text) == ("text", "77", "failed", "text")
    assert (tool.name, tool.nested, tool.failed, tool.until - tool.at) == ("Bash", True, True, 5 * SECOND)
    assert (ask.question, ask.choice, ask.by, ask.until - ask.at) == ("rm -r build", "deny", "88", 3 * SECOND)
    assert [mark.text for mark in marks if isinstance(mark, Mark)] == [
        "model fallback",
        "Claude Code ended with status 1",
    ]
    assert (turn.dollars, told.dollars, told.models) == (3.015, 3.015, ["claude-sonnet-4-5"])


def test_the_lanes_show_the_line_the_sandbox_the_turn_and_who_was_waited_for() -> None:
    spans = [(span.lane, (span.until - span.at) // SECOND, span.tone) for span in story().spans]
    assert spans == [("line", 2, "plain"), ("sandbox", 15, "bad"), ("turn", 10, "bad"), ("ask", 3, "bad")]


class Page(HTMLParser):
    """What a browser would see in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_hostile_text_is_text() -> None:
    page = render(story(), made=1, installation=HOSTILE)
    seen = Page(page)
    assert seen.tags.isdisjoint({"script", "img", "iframe", "link", "object", "form", "a"})
    assert not [name for name in seen.attributes if name.startswith("on") or name in {"src", "href", "srcset"}]
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "\\u202egnp.exe" in page
    assert "&lt;script&gt;" in page


def test_the_page_needs_nothing_but_itself() -> None:
    page = render(story(), made=1, installation="i")
    assert "default-src 'none'" in page
    assert not re.findall(r"https?://|url\(|@import", page)


@pytest.mark.parametrize(("text", "word"), [(Shut(7), ">sealed<"), (Shut(7, erased=True), ">erased<")])
def test_a_text_that_is_shut_is_told_to_be(text: Shut, word: str) -> None:
    assert word in render(story(text), made=1, installation="i")


def test_a_session_that_has_just_begun_has_a_page() -> None:
    for events in ([], [event(1, "session.requested", {"by": "77", "guild": "5", "channel": "6"})]):
        Page(render(tell("7", events, LISTED), made=1, installation="i"))


def test_a_text_of_many_lines_is_folded_and_japanese_stays_as_it_is() -> None:
    page = render(story("行　一\n" * 40), made=1, installation="i")
    assert "<summary>行　一 … " in page


def test_a_turn_goes_on_when_its_journal_is_read_late() -> None:
    told = tell(
        "7",
        [
            journal(1, {"fact": "said", "text": "before any turn"}),
            event(2, "session.turn_started", {"turn": 1, "prompt": "", "by": ""}),
            event(3, "session.turn_cut", {"turn": 1, "why": "died"}),
            journal(4, {"fact": "said", "text": "late"}),
            event(5, "session.answer_expired", {"request": "unknown"}),
            event(6, "erasure.erased", {"person": "77"}),
        ],
        LISTED,
    )
    turn = told.chapters[1]
    assert isinstance(turn, Turn)
    assert (turn.outcome, turn.prompt, len(turn.items), told.erased) == ("cut", None, 1, 1)
    assert "began by itself" in render(told, made=1, installation="i")
