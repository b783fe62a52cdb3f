"""The view `sessions`: what there was and is, one row a session. Times in µs."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from projections.keyed import Keyed, Step, session_of
from schema import events as e
from schema.envelope import Recorded
from schema.events import Event


class Row(msgspec.Struct):
    """`state` is requested, waiting, starting, ready, working, lost, closing or closed: coarser than the engine's phase.

    `erased`: how many persons' texts were erased. Who started it is erased with their texts.
    """

    guild: str = ""
    channel: str = ""
    thread: str = ""
    starter: str = ""
    began: int = 0
    last: int = 0
    state: str = "requested"
    sandboxes: int = 0
    prompts: int = 0
    turns: int = 0
    cut: int = 0
    failed: int = 0
    answers: int = 0
    closed: int = 0
    erased: int = 0


def _requested(row: Row, event: e.Requested) -> None:
    row.guild, row.channel, row.starter = event.guild, event.channel, event.by


def _thread(row: Row, event: e.ThreadOpened) -> None:
    row.thread = event.thread


def _reserved(row: Row, _event: e.SandboxReserved) -> None:
    row.sandboxes += 1


def _prompt(row: Row, _event: e.PromptQueued) -> None:
    row.prompts += 1


def _turn(row: Row, _event: e.TurnStarted) -> None:
    row.turns += 1


def _ended(row: Row, event: e.TurnEnded) -> None:
    row.failed += event.outcome == "failed"


def _cut(row: Row, _event: e.TurnCut) -> None:
    row.cut += 1


def _answered(row: Row, _event: e.AnswerGiven) -> None:
    row.answers += 1


def _erased(row: Row, event: e.Erased) -> None:
    row.erased += 1
    if row.starter == event.person:
        row.starter = ""


def _nothing(_row: Row, _event: Event) -> None:
    """The event changes the state alone."""


# by kind: the state after it ("": as before), and what else it does
_STEPS: Mapping[type[Event], tuple[str, Callable[[Row, Any], None]]] = {
    e.Requested: ("requested", _requested),
    e.ThreadOpened: ("waiting", _thread),
    e.SandboxReserved: ("starting", _reserved),
    e.SandboxReady: ("ready", _nothing),
    e.SandboxLost: ("lost", _nothing),
    e.PromptQueued: ("", _prompt),
    e.TurnStarted: ("working", _turn),
    e.TurnEnded: ("ready", _ended),
    e.TurnCut: ("ready", _cut),
    e.AnswerGiven: ("", _answered),
    e.CloseAsked: ("closing", _nothing),
    e.Closed: ("closed", _nothing),
    e.Erased: ("", _erased),
}
_LAST = ("closing", "closed")


def _step(state: str, change: Callable[[Row, Any], None]) -> Step:
    def step(row: Row, recorded: Recorded) -> None:
        row.began = row.began or recorded.at
        row.last = recorded.at
        if state and (row.state not in _LAST or state == "closed"):
            row.state = state
        if state == "closed":
            row.closed = recorded.at
        change(row, recorded.event)

    return step


SESSIONS = Keyed(
    name="sessions",
    version=1,
    row=Row,
    key=session_of,
    steps={kind: _step(state, change) for kind, (state, change) in _STEPS.items()},
)
