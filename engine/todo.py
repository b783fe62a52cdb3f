"""What a session still wants done. Level-triggered: it follows from the state alone, so recovery is fold, then `todo`.

Nothing here does anything. The actor starts what is wanted and not running, stops what runs and is no longer wanted, and
reports back as commands; replay never calls this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from engine.cards import TurnCard
from engine.session import Failure, Session


class BaseEffect(msgspec.Struct, frozen=True, kw_only=True):
    """Any effect: its `key` names it in `EffectFailed`; one of each key runs at a time."""

    name: ClassVar[str] = ""

    @property
    def key(self) -> str:
        return self.name


class PostStarter(BaseEffect, frozen=True, kw_only=True):
    """Post the message that the thread will hang on."""

    name: ClassVar[str] = "starter"


class OpenThread(BaseEffect, frozen=True, kw_only=True):
    """Make the thread from the starter message, or find the one that a lost answer made."""

    name: ClassVar[str] = "thread"


class AskSlot(BaseEffect, frozen=True, kw_only=True):
    """Join the line for a sandbox."""

    name: ClassVar[str] = "slot"


class LeaveLine(BaseEffect, frozen=True, kw_only=True):
    """Leave the line."""

    name: ClassVar[str] = "leave"


class Attach(BaseEffect, frozen=True, kw_only=True):
    """Bring the sandbox up if it is not, claim it, and follow its journal for as long as it is wanted."""

    reservation: str
    name: ClassVar[str] = "attach"


class RestartCli(BaseEffect, frozen=True, kw_only=True):
    """Start the CLI again, going on with its transcript. `life` is the one that ended."""

    reservation: str
    life: int
    name: ClassVar[str] = "restart"


class Deliver(BaseEffect, frozen=True, kw_only=True):
    """Give the CLI of this `life` one line: `item` is `prompt:<id>`, `answer:<request>` or `stop:<turn>`."""

    reservation: str
    life: int
    item: str

    @property
    def key(self) -> str:
        return self.item


class Show(BaseEffect, frozen=True, kw_only=True):
    """Bring the thread up to date with the session's cards, and keep it so while a turn runs."""

    name: ClassVar[str] = "show"


class TellOutcome(BaseEffect, frozen=True, kw_only=True):
    """Tell the person who did what stands at position `to` what became of it."""

    to: int

    @property
    def key(self) -> str:
        return f"reply:{self.to}"


class HandOver(BaseEffect, frozen=True, kw_only=True):
    """Post what the session made, before its sandbox goes."""

    reservation: str
    name: ClassVar[str] = "handover"


class DeleteSandbox(BaseEffect, frozen=True, kw_only=True):
    """Delete the sandbox; once it is seen gone, give its slot back."""

    reservation: str
    name: ClassVar[str] = "delete"


Effect = (
    PostStarter
    | OpenThread
    | AskSlot
    | LeaveLine
    | Attach
    | RestartCli
    | Deliver
    | Show
    | TellOutcome
    | HandOver
    | DeleteSandbox
)


F = TypeVar("F", bound=BaseEffect)


class Wanted(msgspec.Struct, Generic[F], frozen=True, kw_only=True):
    """An effect and the time (µs) from which on it should be tried; 0 is at once."""

    effect: F
    since: int = 0


def effects(session: Session) -> list[Effect]:
    """Everything the session wants done, those included that were given up."""
    return [*_thread(session), *_sandbox(session), *_lines(session), *_people(session)]


def todo(session: Session) -> tuple[Wanted[Effect], ...]:
    """Everything the session wants done, now or later."""
    return when(effects(session), session.failures)


def when(effects: Sequence[F], failures: Mapping[str, Failure]) -> tuple[Wanted[F], ...]:
    """`effects` and when each should be tried (again); those that were given up are left out."""
    wanted: list[Wanted[F]] = []
    for effect in effects:
        failure = failures.get(effect.key)
        if failure is None:
            wanted.append(Wanted(effect=effect))
        elif failure.retry is not None:
            wanted.append(Wanted(effect=effect, since=failure.retry))
    return tuple(wanted)


def next_due(wanted: Sequence[Wanted[Any]], deadlines: Sequence[int]) -> int | None:
    """When there is something to do without anybody saying so (µs; 0 is now), None when never: an agenda in the view `work`."""
    return min([*(one.since for one in wanted), *deadlines], default=None)


def deadlines(session: Session) -> list[int]:
    """When time alone makes a difference to the session (µs)."""
    return [
        *(ask.expires for ask in session.asks if not ask.choice),
        *(reply.until for reply in session.replies),
    ]


def _thread(session: Session) -> list[Effect]:
    if not session.starter or session.closing or session.thread:
        return []
    return [OpenThread() if session.starter_message else PostStarter()]


def _sandbox(session: Session) -> list[Effect]:
    if session.wants_sandbox:
        return [AskSlot()]
    if session.place and (session.closing or session.resting):
        return [LeaveLine()]
    if not session.reservation:
        return []
    reservation = session.reservation
    leaving = session.closing or session.closed
    if session.lost or session.closed or (leaving and (session.handed_over or not session.ready)):
        return [DeleteSandbox(reservation=reservation)]
    if leaving:
        return [HandOver(reservation=reservation)]
    wanted: list[Effect] = [Attach(reservation=reservation)]
    if session.ready and session.cli_lives and not session.cli_running and not session.gave_up:
        wanted.append(RestartCli(reservation=reservation, life=session.cli_lives))
    return wanted


def _lines(session: Session) -> list[Effect]:
    """Lines for the CLI that it has not been given, in the order in which it should get them."""
    if not (session.ready and session.cli_running) or session.lost or session.closing:
        return []
    return [
        Deliver(reservation=session.reservation, life=session.cli_lives, item=item)
        for item in items(session)
        if item not in session.delivered
    ]


def items(session: Session) -> list[str]:
    """What the CLI should have been given by now, whether it was or not."""
    items: list[str] = []
    if session.turn and session.turn.stop_by:
        items.append(f"stop:{session.turn.turn}")
    items += [f"answer:{ask.request}" for ask in session.asks if ask.choice]
    if session.sent:
        items.append(f"prompt:{session.sent.prompt}")
    return items


def _people(session: Session) -> list[Effect]:
    wanted: list[Effect] = [TellOutcome(to=reply.to) for reply in session.replies]
    if session.thread and session.thread_state in {"open", "archived"} and _needs_showing(session):
        wanted.append(Show())
    return wanted


def _needs_showing(session: Session) -> bool:
    return any(card.stale or card.gone or (isinstance(card, TurnCard) and not card.closed) for card in session.cards)
