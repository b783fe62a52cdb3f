"""A session's state: what decisions, `todo` and the thread's cards need to know; everything else stays in the log.

Only `engine/evolve.py` makes one state from another. Texts stay sealed.
"""

from enum import StrEnum

import msgspec

from engine.cards import Card
from schema.sealed import Sealed

DAY = 86_400_000_000
"""µs."""

CRASH_LIMIT = 3
"""A CLI that ended this often in a row without finishing a turn is not started again until somebody asks for something."""

LOSS_LIMIT = 3
"""After this many sandboxes in a row that were lost before a turn began, none is asked for until somebody asks for something."""


HOLD = 10 * 60 * 1_000_000
"""So long (µs) whoever was called in the line, and asks for nothing, keeps a sandbox that others wait for."""

IDLE = 15 * 60 * 1_000_000
"""After so long (µs) in which nothing happens in a sandbox that others wait for, people are asked whether to keep it."""


class Phase(StrEnum):
    """How a session stands, for people. Derived from its state; `engine/README.md` draws the ways between."""

    NEW = "new"
    REQUESTED = "requested"
    WAITING = "waiting"
    PROVISIONING = "provisioning"
    READY = "ready"
    WORKING = "working"
    AWAITING = "awaiting"
    LOST = "lost"
    CLOSING = "closing"
    CLOSED = "closed"


class Prompt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A prompt that is not over. `waited`: something else was under way when it came."""

    prompt: str
    by: str
    text: Sealed
    size: int
    waited: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The running turn. `prompt` is None for one that began by itself."""

    turn: int
    by: str
    prompt: Prompt | None
    started: int
    stop_by: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A permission that Claude waits for; `choice` is empty while it is open."""

    request: str
    by: str
    question: Sealed
    expires: int
    choice: str = ""


class Cut(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A cut turn about which people have not chosen yet."""

    turn: int
    prompt: Prompt | None


class Failure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An effect that did not work: tries so far, when it is tried again (µs; None: not any more), and what was said last."""

    attempt: int
    retry: int | None
    since: int
    why: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the person who did the thing at position `to` is told, in their own language: text `what`, until `until` (µs)."""

    to: int
    by: str
    locale: str
    what: str
    detail: str = ""
    until: int


class Session(msgspec.Struct, kw_only=True):
    """The state of one session. Grouped by what it is about: its thread, its sandbox, its CLI, its work, its people.

    `resting`: somebody took it out of the line. `called`: it waited there, and nothing was asked for in its sandbox yet.
    `needed`: others wait. `idle_asked`: the number of the open question whether to keep it, 0 for none; `kept_at`: when that was
    last answered (µs). `busy_at`: when something last happened in its sandbox, or was asked of it (µs).

    A value, never assigned to: the struct is not frozen only because `fold` works on a private copy, which makes replay
    three times as fast.
    """

    id: str = ""
    version: int = 0

    guild: str = ""
    channel: str = ""
    starter: str = ""
    locale: str = "en-US"
    request: int = 0
    starter_message: str = ""
    thread: str = ""
    thread_state: str = "open"
    shared: bool = False
    repo: Sealed | None = None

    place: int = 0
    resting: bool = False
    called: bool = False
    needed: bool = False
    idle_asked: int = 0
    kept_at: int = 0
    reservation: str = ""
    reserved_at: int = 0
    ready: bool = False
    isolated: bool = True
    open_walls: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    lost: str = ""
    losses: int = 0

    journal_epoch: int = 0
    journal_offset: int = 0
    cli: int = 0
    cli_lives: int = 0
    cli_running: bool = False
    crashes: int = 0
    state: str = "idle"
    tasks: int = 0
    busy_at: int = 0
    model: str = ""

    queue: tuple[Prompt, ...] = ()
    sent: Prompt | None = None
    stop_early: str = ""
    turn: Turn | None = None
    turns: int = 0
    cut: Cut | None = None
    asks: tuple[Ask, ...] = ()
    delivered: frozenset[str] = frozenset()

    closing: str = ""
    handed_over: bool = False
    closed: bool = False

    cards: tuple[Card, ...] = ()
    notes: int = 0
    replies: tuple[Reply, ...] = ()
    failures: dict[str, Failure] = {}
    warned: dict[str, int] = {}
    """On which day (since 1970, UTC) people were last told that they have used most of their budget."""

    @property
    def phase(self) -> Phase:  # noqa: PLR0911 - one return per phase is the clearest form of this table
        """How the session stands."""
        if self.closed:
            return Phase.CLOSED
        if self.closing:
            return Phase.CLOSING
        if not self.starter:
            return Phase.NEW
        if not self.thread:
            return Phase.REQUESTED
        if self.lost:
            return Phase.LOST
        if not self.reservation:
            return Phase.WAITING
        if not self.ready:
            return Phase.PROVISIONING
        if any(not ask.choice for ask in self.asks):
            return Phase.AWAITING
        return Phase.WORKING if self.turn or self.sent else Phase.READY

    @property
    def idle(self) -> bool:
        """Whether it holds a sandbox in which nothing happens, nor is asked for: since `busy_at` (µs)."""
        waits = self.queue and not (self.cut or self.gave_up)
        return self.phase is Phase.READY and not self.tasks and not waits

    @property
    def passed_on_at(self) -> int:
        """When its sandbox goes to whoever waits (µs); 0 while there is no reason."""
        held = self.reservation and not (self.lost or self.closing or self.closed)
        return self.reserved_at + HOLD if held and self.called and self.needed else 0

    @property
    def idle_asked_at(self) -> int:
        """When people are asked whether to keep its sandbox (µs); 0 while there is no reason."""
        asks = self.needed and self.idle and not self.called and not self.idle_asked
        return max(self.busy_at, self.kept_at) + IDLE if asks else 0

    @property
    def gave_up(self) -> bool:
        """Whether Claude Code ended too often in a row to be started again by itself."""
        return self.crashes >= CRASH_LIMIT and not self.cli_running

    @property
    def wants_sandbox(self) -> bool:
        """Whether it should stand in the line for a sandbox: always at first, later when there is something to do in it."""
        if not self.thread or self.reservation or self.place or self.cut or self.closing or self.closed or self.resting:
            return False
        return not self.lost or (self.losses < LOSS_LIMIT and bool(self.queue or self.sent))

    def card(self, part: str) -> Card | None:
        """The card of that name, None when it is not there (any more)."""
        for card in self.cards:
            if card.part == part:
                return card
        return None

    def ask(self, request: str) -> Ask | None:
        """The permission asked under that id, None when it is not there (any more)."""
        return next((ask for ask in self.asks if ask.request == request), None)
