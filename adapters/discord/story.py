"""A session's story, for owners: what people wanted, who allowed what, how it ended. The newest of it that fits one message. Pure.

Nothing that people or Claude wrote can format, mention or link in it (`markdown.py`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from adapters.discord.markdown import inline_code, plain, visible
from adapters.discord.render import Question, walls
from adapters.discord.split import LIMIT, units
from adapters.discord.texts import Texts
from schema import events as e
from schema.envelope import Recorded
from schema.sealed import Sealed

_MOST_BOXES = 80
"""Lines that can fit one message, and more."""

_PROMPT, _QUESTION = 120, 100  # characters of each that are shown
_SENTENCE = re.compile(r".+?(?:[.](?=\s)|[.]$|。)")

Opened = Mapping[Sealed, str | None]
"""Texts; None for one that was erased."""


def boxes(events: Sequence[Recorded]) -> list[Sealed]:
    """The texts that `tell` may show, for whoever can open them."""
    found: list[Sealed] = []
    for recorded in events:
        match recorded.event:
            case e.PromptQueued(text=box) | e.PromptEdited(text=box) | e.AnswerAsked(question=box):
                found.append(box)
            case e.RepoAsked(repo=box) | e.RepoCloned(repo=box):
                found.append(box)
            case _:
                pass
    return found[-_MOST_BOXES:]


def tell(events: Sequence[Recorded], opened: Opened, say: Texts) -> str:
    """At most one message: how it stands, and what happened last, in order."""
    tools = {one.event.request: one.event.tool for one in events if isinstance(one.event, e.AnswerAsked)}
    turns = sum(isinstance(one.event, e.TurnStarted) for one in events)
    lines = [line for recorded in events if (line := _line(recorded, opened, tools, say))]
    head = say("story-head", turns=turns, events=len(events))
    room = LIMIT - units(head) - units(say("story-earlier", count=len(lines))) - 2
    kept = _last(lines, room)
    earlier = [say("story-earlier", count=len(lines) - len(kept))] if len(kept) < len(lines) else []
    return "\n".join([head, *earlier, *kept])


def _last(lines: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in reversed(lines):
        room -= units(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _line(recorded: Recorded, opened: Opened, tools: Mapping[str, str], say: Texts) -> str | None:
    tell_one = _TELL.get(type(recorded.event))
    told = tell_one(recorded.event, _Words(opened, tools, say)) if tell_one else None
    return f"<t:{recorded.at // 1_000_000}:T> {told}" if told else None


class _Words:
    """What a line is made with."""

    def __init__(self, opened: Opened, tools: Mapping[str, str], say: Texts) -> None:
        self._opened = opened
        self._tools = tools
        self.say = say

    def text(self, box: Sealed, limit: int) -> str:
        return self._shown(self._opened.get(box), limit)

    def question(self, box: Sealed, limit: int) -> str:
        found = self._opened.get(box)
        try:
            asked = msgspec.json.decode(found, type=Question) if found is not None else None
        except msgspec.MsgspecError:
            asked = None
        if asked and asked.path:
            asked.shown = f"{asked.path}: {asked.shown}"
        return self._shown(asked and asked.shown, limit)

    def _shown(self, text: str | None, limit: int) -> str:
        return self.say("story-erased") if text is None else plain(visible(text), limit)

    def tool(self, request: str) -> str:
        return inline_code(self._tools.get(request, "?"), 40)

    def who(self, person: str) -> str:
        return f"<@{person}>" if person else self.say("story-nobody")


def _asked(event: e.AnswerAsked, words: _Words) -> str:
    return words.say(
        "story-asked", tool=inline_code(event.tool, 40), question=words.question(event.question, _QUESTION)
    )


def _answered(event: e.AnswerGiven, words: _Words) -> str:
    return words.say("story-answered", person=words.who(event.by), choice=event.choice, tool=words.tool(event.request))


def _prompt(event: e.PromptQueued, words: _Words) -> str:
    return words.say("story-prompt", person=words.who(event.by), text=words.text(event.text, _PROMPT))


def _edited(event: e.PromptEdited, words: _Words) -> str:
    return words.say("story-edited", person=words.who(event.by), text=words.text(event.text, _PROMPT))


def _left(event: e.LineLeft, words: _Words) -> str:
    return words.say("story-left", person=words.who(event.by)) if event.by else words.say("story-crowded")


def _probed(event: e.SandboxProbed, words: _Words) -> str | None:
    """Walls that hold are no story."""
    opened = [check.wall for check in event.checks if check.found == "open"]
    return words.say("story-walls", walls=walls(opened, words.say)) if opened else None


def _resolved(event: e.CutResolved, words: _Words) -> str:
    return words.say("story-resolved", person=words.who(event.by), turn=event.turn, choice=event.choice)


def _thread(event: e.ThreadChanged, words: _Words) -> str:
    return words.say("story-thread", person=words.who(event.by), what=event.what)


def _turn(event: e.TurnEnded, words: _Words) -> str:
    return words.say("story-turn", turn=event.turn, outcome=event.outcome, reason=plain(event.reason, 80))


def _refused(event: e.Refused, words: _Words) -> str:
    """As they were told it: its first sentence."""
    told = words.say.either(f"refused-{event.reason}", "refused-malformed", detail=event.detail)
    sentence = _SENTENCE.match(told)
    return words.say("story-refused", person=words.who(event.by), reason=(sentence or [told])[0])


def _failed(event: e.EffectFailed, words: _Words) -> str | None:
    """What is tried again is no story."""
    return (
        words.say("story-failed", what=plain(event.what, 40), why=plain(event.why, 120))
        if event.retry is None
        else None
    )


def _by(name: str) -> Callable[[Any, _Words], str]:
    return lambda event, words: words.say(f"story-{name}", person=words.who(event.by))


_TELL: Mapping[type[e.Event], Callable[[Any, _Words], str | None]] = {
    e.Requested: _by("requested"),
    e.AccessAsked: _by("stranger"),
    e.ThreadChanged: _thread,
    e.Shared: _by("shared"),
    e.Unshared: _by("unshared"),
    e.LineLeft: _left,
    e.IdleAsked: lambda _event, words: words.say("story-idle"),
    e.Kept: _by("kept"),
    e.RepoAsked: lambda event, words: words.say("story-repo", repo=words.text(event.repo, _PROMPT)),
    e.RepoCloned: lambda event, words: words.say("story-cloned", repo=words.text(event.repo, _PROMPT)),
    e.RepoFailed: lambda event, words: words.say(
        "story-uncloned", why=words.say.either(f"repo-{event.why}", "repo-broken")
    ),
    e.SlotAsked: lambda event, words: words.say("story-waits", place=event.place),
    e.SandboxProbed: _probed,
    e.SandboxReady: lambda _event, words: words.say("story-ready"),
    e.SandboxLost: lambda event, words: words.say("story-lost", why=words.say.either(f"lost-{event.why}", "lost-gone")),
    e.SandboxGone: lambda _event, words: words.say("story-gone"),
    e.PromptQueued: _prompt,
    e.PromptEdited: _edited,
    e.PromptRemoved: _by("removed"),
    e.BudgetNeared: _by("budget"),
    e.StopAsked: _by("stop"),
    e.AnswerAsked: _asked,
    e.AnswerGiven: _answered,
    e.AnswerExpired: lambda event, words: words.say("story-expired", tool=words.tool(event.request)),
    e.TurnEnded: _turn,
    e.TurnCut: lambda event, words: words.say("story-cut", turn=event.turn),
    e.CutResolved: _resolved,
    e.EgressNoted: lambda event, words: words.say("story-egress", host=inline_code(event.host, 60)),
    e.Refused: _refused,
    e.EffectFailed: _failed,
    e.CloseAsked: _by("close"),
    e.HandedOver: lambda event, words: words.say("story-handed", count=event.files),
    e.Closed: lambda _event, words: words.say("story-closed"),
}

UNTOLD: frozenset[type[e.Event]] = frozenset(
    {
        # what changed nothing
        e.Noted,
        # what the thread shows, and how
        e.StarterPosted,
        e.ThreadOpened,
        e.MessageShown,
        e.PartCleared,
        e.Replied,
        # steps to what is told
        e.SlotNeeded,
        e.SlotLeft,
        e.SandboxReserved,
        e.SandboxPlaced,
        e.PromptSent,
        e.Delivered,
        e.JournalRead,
        e.TurnStarted,
    }
)
"""Kinds that are no story."""

TOLD = _TELL.keys()
