"""Cards: what a thread should show, as part of a session's state.

A card is one thing people see: the head, a turn, a question, a waiting prompt, a note. It has a revision that grows with
every change; `shown` is the revision that Discord is known to show. The chat adapter renders cards to messages and reports
`MessageShown`; a closed card that is shown is forgotten. One card may fill several messages (`posted`).
"""

import msgspec

from schema.facts import Fact
from schema.sealed import Sealed


class Posted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message of a card: it shows the card's text from character `start` on, and was created at `at` (µs)."""

    message: str
    start: int
    at: int


class _Card(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`part` is its name in the log. `mention`: whom its first message notifies. `gone`: it should be deleted."""

    part: str
    mention: str = ""
    rev: int = 1
    shown: int = 0
    closed: bool = False
    gone: bool = False
    posted: tuple[Posted, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether Discord shows less than this."""
        return self.shown < self.rev

    @property
    def done(self) -> bool:
        """Whether nothing about it will change any more, neither here nor in Discord."""
        return self.closed and not self.stale


class HeadCard(_Card, frozen=True, kw_only=True):
    """The thread's first message: what this session is and how it stands. Rendered from the session itself."""


class TurnCard(_Card, frozen=True, kw_only=True):
    """A turn: what Claude says and does, in order. `facts` are only the kinds that are shown. `outcome` is empty while it runs.

    `answers` is the prompt it answers, where people could not tell: when others came before it was done.
    """

    turn: int
    by: str
    started: int
    answers: str = ""
    facts: tuple[Fact, ...] = ()
    outcome: str = ""
    reason: str = ""
    ended: int = 0
    stopping: str = ""
    asking: bool = False


class AskCard(_Card, frozen=True, kw_only=True):
    """A permission Claude waits for. `choice` is empty until it is decided: allow, always, deny, expired or withdrawn."""

    request: str
    turn: int
    tool: str
    question: Sealed
    always: bool
    expires: int
    choice: str = ""
    by: str = ""
    delivered: bool = False


class QueuedCard(_Card, frozen=True, kw_only=True):
    """A prompt that waits."""

    prompt: str
    by: str
    text: Sealed


class CutCard(_Card, frozen=True, kw_only=True):
    """A turn whose outcome nobody knows. `text` is its prompt, for a retry; `choice` is empty until people chose."""

    turn: int
    by: str
    why: str
    text: Sealed | None
    choice: str = ""
    chosen_by: str = ""


class IdleCard(_Card, frozen=True, kw_only=True):
    """Whether to keep a sandbox that others wait for. `choice` is empty until people chose, or it is over by itself: kept, over."""

    number: int
    since: int
    choice: str = ""
    by: str = ""


class NoteCard(_Card, frozen=True, kw_only=True):
    """One message that says something once: an error, the end of a long turn. `what` names its text, `detail` is a part of that.

    `reason`: what the world said, as it said it.
    """

    what: str
    detail: str = ""
    reason: str = ""
    text: Sealed | None = None


Card = HeadCard | TurnCard | AskCard | QueuedCard | CutCard | IdleCard | NoteCard
