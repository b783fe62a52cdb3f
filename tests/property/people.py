"""A model of people: they type, press buttons of any age, and change their minds."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from engine.commands import (
    Answer,
    ChangeThread,
    Close,
    Command,
    Edit,
    Keep,
    Leave,
    Reason,
    Reject,
    Remove,
    Resolve,
    Role,
    Share,
    ShowStatus,
    Start,
    Stop,
    Submit,
    Text,
)
from engine.session import Session
from schema import events as e
from tests.property.boxes import box

STARTER, STRANGER, OWNER = "1", "2", "3"
ROLES = {STARTER: Role.USER, OWNER: Role.OWNER}
SESSIONS = 3
SIZES = [5, 5, 5, 5, 5, 5, 0, 500]

Said = tuple[str, Command, str]
"""Session, command, and who."""


class Seen(Protocol):
    """What people see of the world."""

    def events(self, session: str) -> list[e.Event]:
        """What happened in a session."""
        ...

    def state(self, session: str) -> Session:
        """How it stands."""
        ...


class People:
    """Everybody who may say something."""

    def __init__(self, seen: Seen, servers: Sequence[str] = ("g",)) -> None:
        self._seen = seen
        self._servers = servers
        self._names = 0
        self._sessions = 0

    def start(self, *, size: int = 5, bare: bool = False) -> Said:
        """A new session, by its starter."""
        self._sessions += 1
        text = None if bare else self._text(size)
        guild = self._servers[self._sessions % len(self._servers)]
        return f"s{self._sessions}", Start(guild=guild, channel="c", prompt=self._name(), text=text), STARTER

    def say(self, random: Random) -> Said:
        """Anything."""
        size = random.choice(SIZES)
        if self._sessions < SESSIONS and random.random() < 0.3:
            return self.start(size=size, bare=random.random() < 0.3)
        session = f"s{random.randint(1, self._sessions)}"
        commands, weights = zip(*self._commands(), strict=True)
        command = random.choices(commands, weights)[0](session, random.randrange(30), size)
        return session, command, STRANGER if random.random() < 0.05 else STARTER

    def _commands(self) -> list[tuple[Callable[[str, int, int], Command], float]]:
        return [
            (self._submit, 20),
            (self._answer, 8),
            (self._resolve, 8),
            (self._edit, 2),
            (self._remove, 2),
            (self._stop, 6),
            (self._rare, 0.7),
            (self._close, 0.3),
            (self._leave, 0.6),
            (self._keep, 0.6),
        ]

    def _name(self) -> str:
        self._names += 1
        return f"p{self._names}"

    def _text(self, size: int) -> Text:
        return Text(sealed=box(f"text {self._name()}"), size=size)

    def _any(self, kind: type[e.Event], session: str, item: int) -> e.Event | None:
        """Any event of that kind in the session's past: buttons stay in the thread for ever."""
        past = [event for event in self._seen.events(session) if isinstance(event, kind)]
        return past[-1 - item % min(len(past), 3)] if past else None

    def _submit(self, _session: str, _item: int, size: int) -> Command:
        return Submit(prompt=self._name(), text=self._text(size))

    def _edit(self, session: str, item: int, size: int) -> Command:
        queued = self._any(e.PromptQueued, session, item)
        return Edit(prompt=queued.prompt if isinstance(queued, e.PromptQueued) else "?", text=self._text(size))

    def _remove(self, session: str, item: int, _size: int) -> Command:
        queued = self._any(e.PromptQueued, session, item)
        return Remove(prompt=queued.prompt if isinstance(queued, e.PromptQueued) else "?")

    def _answer(self, session: str, item: int, _size: int) -> Command:
        asked = self._any(e.AnswerAsked, session, item)
        choice = ("allow", "always", "deny")[item % 3]
        return Answer(request=asked.request if isinstance(asked, e.AnswerAsked) else "?", choice=choice)

    def _resolve(self, session: str, item: int, _size: int) -> Command:
        cut = self._any(e.TurnCut, session, item)
        turn = cut.turn if isinstance(cut, e.TurnCut) else 1
        return Resolve(turn=turn, choice=("retry", "continue")[item % 2], prompt=self._name(), text=self._text(5))

    def _stop(self, session: str, item: int, _size: int) -> Command:
        return Stop(turn=None if item % 2 else max(0, self._seen.state(session).turns - item // 2 % 2))

    def _keep(self, session: str, item: int, _size: int) -> Command:
        return Keep(question=self._seen.state(session).idle_asked or item)

    def _leave(self, _session: str, _item: int, _size: int) -> Command:
        return Leave()

    def _close(self, _session: str, _item: int, _size: int) -> Command:
        return Close()

    def _rare(self, _session: str, item: int, size: int) -> Command:
        whats = ("archived", "unarchived", "locked", "unlocked", "unarchived", "forbidden", "unlocked", "deleted")
        rare: tuple[Callable[[], Command], ...] = (
            ShowStatus,
            partial(Share, shared=item % 4 > 0),
            partial(Share, shared=item % 4 > 0),
            partial(Reject, reason=Reason.MALFORMED),
            partial(Start, guild="g", channel="c", prompt=self._name(), text=self._text(size)),
            *[partial(ChangeThread, what=what) for what in whats],
        )
        return rare[item % len(rare)]()
