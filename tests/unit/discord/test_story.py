"""A session's story in one message, whatever is in it."""

import re
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from adapters.discord.render import Question
from adapters.discord.split import LIMIT, units
from adapters.discord.story import TOLD, UNTOLD, boxes, tell
from adapters.discord.texts import LANGUAGES, texts
from schema import events as e
from schema.envelope import Recorded
from schema.events import Event
from tests.property.boxes import box, unbox
from tests.property.profile import PROFILE
from tests.property.strategies import SESSION_EVENTS
from tests.unit.discord.test_render import HOSTILE
from tests.unit.projections.history import recorded

ASKED = Question(tool="Bash", shown="rm -rf build")
STORY: list[Event] = [
    e.Requested(by="7", locale="ja", guild="1", channel="2"),
    e.RepoAsked(by="7", repo=box("https://a.b/*c*")),
    e.RepoCloned(reservation="r", repo=box("https://a.b/c 1234")),
    e.RepoFailed(reservation="r", why="moved"),
    e.SlotAsked(place=2),
    e.SandboxReady(reservation="r"),
    e.PromptQueued(prompt="p", by="7", text=box("clean *up*"), size=9),
    e.TurnStarted(turn=1, prompt="p", by="7"),
    e.AnswerAsked(
        request="q", turn=1, tool="Bash", question=box(msgspec.json.encode(ASKED).decode()), always=True, expires=9
    ),
    e.AnswerGiven(request="q", by="8", choice="allow"),
    e.AnswerExpired(request="gone"),
    e.EffectFailed(what="show:1", attempt=1, why="later", retry=5),
    e.EffectFailed(what="show:1", attempt=2, why="no *way*", retry=None),
    e.TurnEnded(turn=1, outcome="completed"),
    e.Refused(by="9", locale="ja", reason="not_yours"),
    e.CloseAsked(by="", why="failed"),
    e.HandedOver(how="posted", files=2),
    e.Closed(),
]


def history(events: list[Any]) -> list[Recorded]:
    return [recorded("session:5", one, position=n, at=n * 1_000_000) for n, one in enumerate(events, start=1)]


def told(events: list[Any], locale: str = "en-US") -> str:
    story = history(events)
    return tell(story, {one: unbox(one) for one in boxes(story)}, texts(locale))


def test_it_is_told_in_order_with_who_did_what() -> None:
    head, *lines = told(STORY).splitlines()
    assert head.startswith("**One turn**, 18 events")
    assert lines == [
        "<t:1:T> <@7> asked for a session",
        "<t:2:T> 📥 asked for https://a.b/\\*c\\*",
        "<t:3:T> 📥 cloned https://a.b/c 1234",
        "<t:4:T> ⚠️ the repository was not cloned: it has moved elsewhere",
        "<t:5:T> in the line, place 2",
        "<t:6:T> the sandbox is ready",
        "<t:7:T> 💬 <@7>: clean \\*up\\*",
        "<t:9:T> ❓ `Bash`: rm -rf build",
        "<t:10:T> <@8> allowed `Bash`",
        "<t:11:T> nobody answered about `?` in time: denied",
        "<t:13:T> ❌ given up: show:1 (no \\*way\\*)",
        "<t:14:T> turn 1 is done ✅",
        "<t:15:T> 🚫 <@9> was refused: Only the person who started this session, and owners, decide in it.",
        "<t:16:T> nobody closes the session",
        "<t:17:T> handed over, 2 files",
        "<t:18:T> closed",
    ]


MORE: list[tuple[Event, str]] = [
    (e.AccessAsked(by="9", locale="ja", guild="1", channel="2"), "<@9> is no member and asks to be let in"),
    (e.ThreadChanged(what="locked", by="8"), "the thread was locked (<@8>)"),
    (e.ThreadChanged(what="forbidden"), "⚠️ I may not write in the thread any more (nobody)"),
    (e.Shared(by="7"), "🤝 <@7> shares the session: all users may write here"),
    (e.Unshared(by="7"), "<@7> no longer shares the session"),
    (e.LineLeft(by="7"), "<@7> leaves the line"),
    (e.LineLeft(by=""), "not in the line: its starter has as many sandboxes as one person may"),
    (e.IdleAsked(), "nothing happens while others wait: asked whether to keep the sandbox"),
    (e.Kept(by="8"), "<@8> keeps the sandbox"),
    (
        e.SandboxProbed(
            reservation="r", checks=(e.Check(wall="dns", found="open"), e.Check(wall="api", found="closed"))
        ),
        "⚠️ the sandbox reaches what it must not: DNS",
    ),
    (e.SandboxGone(reservation="r"), "the sandbox is gone"),
    (e.PromptEdited(prompt="p", by="7", text=box("or *not*"), size=6), "✏️ <@7>: or \\*not\\*"),
    (e.CutResolved(turn=1, by="8", choice="retry", prompt="9"), "<@8> has the prompt of turn 1 tried again"),
    (e.CutResolved(turn=2, by="8", choice="continue"), "<@8> goes on after turn 2"),
    (e.EgressNoted(host="example.org"), "🚧 not let out to `example.org`"),
]


@pytest.mark.parametrize(("event", "words"), MORE, ids=[type(one).__name__ for one, _ in MORE])
def test_what_else_may_happen_is_told(event: Event, words: str) -> None:
    assert told([event]).splitlines()[1:] == [f"<t:1:T> {words}"]


def test_walls_that_hold_are_not_told() -> None:
    closed = e.SandboxProbed(reservation="r", checks=(e.Check(wall="api", found="closed"),))
    assert len(told([closed]).splitlines()) == 1


def test_every_kind_is_told_or_left_out_on_purpose() -> None:
    """A new kind of event belongs to one of the two."""
    assert {*TOLD, *UNTOLD} == set(get_args(e.SessionEvent))
    assert not TOLD & UNTOLD


def test_what_was_erased_is_said() -> None:
    story = history(STORY)
    shown = tell(story, dict.fromkeys(boxes(story)), texts("en-US"))
    assert shown.count("(erased)") == 4


def test_the_newest_is_what_stays() -> None:
    shown = told([*STORY, *([e.AnswerGiven(request="q", by="8", choice="deny")] * 200), e.Closed()])
    lines = shown.splitlines()
    assert "lines before that" in lines[1]
    assert lines[-1].endswith("closed")
    assert units(shown) <= LIMIT < units(shown) + 100


@pytest.mark.parametrize("locale", LANGUAGES)
@PROFILE
@given(events=st.lists(SESSION_EVENTS, max_size=60), hostile=HOSTILE)
def test_nothing_written_by_others_does_anything_in_it(locale: str, events: list[Event], hostile: str) -> None:
    prompt = e.PromptQueued(prompt="p", by="7", text=box("x"), size=1)
    story = history([*events, prompt])
    shown = tell(story, dict.fromkeys(boxes(story), hostile), texts(locale))
    assert units(shown) <= LIMIT
    assert not re.search(r"(?<!\\)@everyone|<@8>|<@&9>|\u202e|```", shown)
