"""The engine's ports: what it needs from the world, as small protocols, and the ways in which the world can fail.

    EngineError
     ├─ TryAgain         the same call may succeed later; the actor records the failure and its next time
     ├─ GiveUp           the same call can never succeed; the actor records it and stops wanting it
     │   ├─ SandboxGone  the sandbox does not exist (any more)
     │   ├─ Unwalled     the sandbox reaches what must be closed to it
     │   └─ Uncloned     the repository that the session begins with cannot be cloned
     ├─ Fenced           another process owns this session now: stop acting for it, at once
     └─ Rejected         the log refused an append; nothing of it was recorded
         ├─ VersionConflict  somebody else appended to a stream: fold what is new and decide again
         ├─ Duplicate        the idempotency key is in the log already, at `position`
         └─ Settled          the work this append answers has its outcome already

Adapters translate their drivers' errors into these, in one place each. Nothing here does I/O. It is one file because
it is all that the engine asks of the world: whoever writes an adapter reads this and nothing else.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec

from engine.commands import Command, Context, GuildCommand
from engine.guild import Guild, Notice
from engine.session import Reply, Session
from schema.envelope import Append, Recorded
from schema.events import Check, SessionEvent
from schema.sealed import Sealed

Loss = Literal["gone", "memory", "evicted", "node"]
"""Why a sandbox is gone: deleted or ended, out of memory, sent away, its machine lost."""


class EngineError(Exception):
    """The root of all errors that a port may raise."""


class TryAgain(EngineError):
    """Raised when the same call may succeed later. The message is shown to people; it holds no secrets."""


class GiveUp(EngineError):
    """Raised when the same call can never succeed. The message is shown to people; it holds no secrets."""


class SandboxGone(GiveUp):
    """Raised when a sandbox does not exist (any more), or never will run again. `why`, as in `SandboxLost`."""

    def __init__(self, message: str, why: Loss = "gone") -> None:
        super().__init__(message)
        self.why = why


class Unwalled(GiveUp):
    """Raised when a sandbox is not walled off as it must be: nothing was put into it, and nothing may be."""

    def __init__(self, checks: Sequence[Check]) -> None:
        reached = ", ".join(f"{check.wall} ({check.address})" for check in checks if check.found == "open")
        super().__init__(f"the sandbox reaches what must be closed to it: {reached}")
        self.checks = tuple(checks)


class Uncloned(GiveUp):
    """Raised when the session's repository cannot be cloned. `why` and `said`, as in `RepoFailed`."""

    def __init__(self, why: str, said: Sealed | None) -> None:
        super().__init__(f"the repository could not be cloned: {why}")
        self.why = why
        self.said = said


class Fenced(EngineError):
    """Raised when another process owns this session now."""


class Rejected(EngineError):
    """Raised when the log refused an append. Nothing of it was recorded."""


class VersionConflict(Rejected):
    """Raised when a stream, written or guarded, is not at the version the append rests on."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"{stream} has moved on")
        self.stream = stream


class Duplicate(Rejected):
    """Raised when an idempotency key of the append is in the log already."""

    def __init__(self, key: str, position: int) -> None:
        super().__init__(f"{key} is at position {position} already")
        self.key = key
        self.position = position


class Settled(Rejected):
    """Raised when the work that an append answers has its outcome already."""

    def __init__(self, target: str, position: int) -> None:
        super().__init__(f"position {position} has its outcome in {target} already")
        self.target = target
        self.position = position


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the exact view `work`: `target` has something to do from `due` (µs) on.

    `position` is the event to answer, or 0 for the target's own agenda: the next time at which its `todo` holds something.
    """

    target: str
    position: int
    due: int


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of this process, as its subscribers get it: events in position order and the targets given work."""

    recorded: Sequence[Recorded]
    targets: Sequence[str]


class EventLog(Protocol):
    """The log (`design.md` §6). Positions are contiguous from 1; a committed event never changes."""

    async def append(self, append: Append) -> Sequence[Recorded]:
        """Record everything in `append`, durably, or nothing of it.

        Returns the events with their positions, in the order of the append. An unknown outcome (connection lost in
        commit) is resolved by reading before this returns or raises.
        Raises VersionConflict, Duplicate, Settled, Fenced, or TryAgain (nothing was recorded).
        """
        ...

    async def read_stream(self, stream: str, *, after: int = 0) -> Sequence[Recorded]:
        """All events of `stream` beyond version `after`, in order. Empty when there are none. Raises TryAgain."""
        ...

    async def read(self, positions: Sequence[int]) -> Sequence[Recorded]:
        """The events at `positions`, in their order. Raises GiveUp when one is missing, TryAgain."""
        ...

    def replay(self, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        """Pages of events in position order, from beyond `after` to `until` (default: the head when it began)."""
        ...

    def follow(self, *, after: int) -> AsyncIterator[Sequence[Recorded]]:
        """Every event beyond `after`, for ever, without a gap, whichever process appended it."""
        ...

    async def head(self) -> int:
        """The position of the last event; 0 for an empty log. Raises TryAgain."""
        ...

    async def work(self, target: str) -> Sequence[Work]:
        """The open work of one target, oldest position first, its agenda (position 0) left in. Raises TryAgain."""
        ...

    async def due(self, now: int, *, limit: int = 1000) -> Sequence[str]:
        """Targets with work due at `now` (µs), the longest due first. Raises TryAgain."""
        ...

    async def next_due(self) -> int | None:
        """When the earliest open work is due (µs), None when there is none. Raises TryAgain."""
        ...

    async def lookup(self, view: str, key: str) -> str | None:
        """The value under `key` in the exact view named `view` (`projections/exact.py`), None for none. Raises TryAgain."""
        ...

    async def rows(self, view: str) -> dict[str, str]:
        """The whole exact view named `view`, in the order in which its keys were last set. Raises TryAgain."""
        ...

    def subscribe(self, callback: Callable[[Committed], None]) -> Callable[[], None]:
        """Call `callback` after each commit of this process; it must not block. Returns the way to end it."""
        ...

    def wakeups(self) -> AsyncIterator[None]:
        """Yields whenever some other process appended (LISTEN/NOTIFY). May yield too often, may miss one: read to be sure."""
        ...

    async def lease(self, target: str) -> int:
        """Become the one process that acts for `target`; returns its new fencing epoch (from 1).

        Takes the lock that appends take, so whoever had the lease cannot append after this returned.
        Raises TryAgain while a live process holds it.
        """
        ...


class Keyring(Protocol):
    """Keys of personal text, one per (scope, person), wrapped by a key outside the database."""

    async def prepare(self, scope: str, person: str) -> int:
        """The id of the key for (scope, person), made on first use. Raises TryAgain, or GiveUp when it was destroyed."""
        ...

    def seal(self, key: int, text: str) -> Sealed:
        """Seal under a prepared key. Never does I/O."""
        ...

    async def open(self, box: Sealed) -> str | None:
        """The text in `box`; None when its key was destroyed (the text is erased). Raises GiveUp when it was tampered with."""
        ...


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a new sandbox is given. `reservation` names it and is never reused; `config` is the supervisor's (JSON, 0600).

    `existed`: it has been up. One that is missing then is gone, and not made again with nothing in it.
    """

    reservation: str
    session: str
    config: bytes
    existed: bool = False

    def __repr__(self) -> str:
        return f"SandboxSpec(reservation={self.reservation!r})"


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox that is up. `checks`: what a look from inside found of its walls, before anything was in it; empty where none was
    taken. `addresses`: what it connects from; empty where they tell nothing.
    """

    checks: tuple[Check, ...] = ()
    addresses: tuple[str, ...] = ()


class SandboxInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox as the transport sees it. `detail` is a sentence for people when it is not alive."""

    reservation: str
    alive: bool
    detail: str = ""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox uses right now: of its disk in percent, CPU in thousandths of a core, memory in bytes.

    None: not known; for a limit: none. Never recorded: what people must know (`MemoryFilled`, `DiskFilled`) is in the journal.
    """

    disk: int
    cpu: int | None = None
    cpu_limit: int | None = None
    memory: int | None = None
    memory_limit: int | None = None


class Process(Protocol):
    """One process executed in a sandbox."""

    async def write(self, data: bytes) -> None:
        """Write to its stdin. Raises TryAgain when the link broke."""
        ...

    async def close_stdin(self) -> None:
        """Let it see the end of its stdin."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Its stdout in chunks of any size, until it ends. Raises TryAgain when the link broke."""
        ...

    async def exit_status(self) -> tuple[int, bytes]:
        """Its exit status and the last 4 KiB of stderr at most. Raises TryAgain when they cannot be known."""
        ...


class Sandbox(Protocol):
    """Transport to sandboxes, nothing more: `adapters/claude` speaks its protocol over it, whatever the transport."""

    supervisor: Sequence[str]
    """argv that runs the supervisor inside a sandbox; its sub-command follows."""

    async def start(self, spec: SandboxSpec) -> Started:
        """Bring it up; returns when commands can be executed in it. Idempotent. Raises TryAgain, GiveUp, SandboxGone.

        Raises Unwalled when it reaches what it must not: `spec.config` was never in it then.
        """
        ...

    def exec(self, reservation: str, argv: Sequence[str]) -> AbstractAsyncContextManager[Process]:
        """Execute `argv` in it; leaving the context ends the process, as far as the link allows.

        Entering raises TryAgain or SandboxGone.
        """
        ...

    async def delete(self, reservation: str) -> None:
        """End everything in it and remove it; returns when it is seen gone. Idempotent. Raises TryAgain."""
        ...

    async def list(self) -> Sequence[SandboxInfo]:
        """The sandboxes of this installation, no others. Raises TryAgain."""
        ...

    def watch(self) -> AsyncGenerator[SandboxInfo]:
        """All that exist, then every change. Close it when it is of no more use."""
        ...


class EffectContext(Protocol):
    """What a running effect sees of its session, and how it says what it found out."""

    @property
    def session(self) -> Session:
        """The session as it is now."""
        ...

    @property
    def epoch(self) -> int:
        """The fencing epoch under which this process acts for the session."""
        ...

    @property
    def live(self) -> str:
        """What Claude is saying right now, in memory only; "" when nothing."""
        ...

    def say(self, live: str) -> None:
        """Set `live`; wakes whoever waits for a change."""
        ...

    async def report(self, event: SessionEvent) -> None:
        """Record what the effect found out, if the session still has use for it; returns when it is folded. May raise Fenced."""
        ...

    async def confirm(self) -> None:
        """Returns when the log says that this process still acts for the session. Raises Fenced, TryAgain.

        For what no epoch can fence: a process that stood still must not show what another has gone beyond.
        """
        ...

    async def changed(self) -> None:
        """Returns at the next change of `session` or `live`, at once when there was one since it last returned."""
        ...


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a session hands over."""

    name: str
    data: bytes


class Chat(Protocol):
    """Where people are. All methods are idempotent: an unknown outcome is found out, not guessed. They raise TryAgain, GiveUp."""

    async def post_starter(self, session: Session) -> str:
        """Post the message that the thread hangs on; returns its id."""
        ...

    async def open_thread(self, session: Session) -> str:
        """Make the session's thread; returns its id."""
        ...

    async def show(self, context: EffectContext) -> None:
        """Bring the thread up to date, reporting MessageShown and PartCleared, until it is and no turn runs."""
        ...

    async def tell(self, session: Session, reply: Reply, usage: Usage | None = None) -> bool:
        """Tell one person an outcome; False when that is not possible any more. `usage`: what there is to tell of the sandbox."""
        ...

    async def answer(self, guild: Guild, reply: Reply) -> bool:
        """Tell one person the outcome of what they wanted of their server; False when that is not possible any more."""
        ...

    async def notify(self, guild: Guild, notice: Notice) -> str:
        """Bring a message of the server up to date; returns its id, "" when there is no place to post it."""
        ...

    async def is_here(self, guild: str, person: str) -> bool:
        """Whether somebody is in a server right now; soon, for people wait for what rests on it."""
        ...

    async def hand_over(self, session: Session, files: Sequence[File]) -> str:
        """Post what the session made; returns how it went, as in HandedOver."""
        ...


class Keeper(Protocol):
    """Where files go that cannot be posted: operators get them back. Idempotent. Raises TryAgain, GiveUp."""

    async def keep(self, session: Session, files: Sequence[File]) -> int:
        """Keep as many of the files as there is room for; returns how many."""
        ...


class Agent(Protocol):
    """Claude Code in its sandbox. They raise TryAgain, GiveUp (SandboxGone when there is none), Fenced."""

    async def attach(self, reservation: str, context: EffectContext) -> None:
        """Bring the sandbox up, claim it, report SandboxReady, then follow its journal, reporting JournalRead, for ever.

        Raises Unwalled when it may not be used, Uncloned when the repository it should hold cannot be had.
        """
        ...

    async def restart(self, reservation: str, context: EffectContext) -> None:
        """Start the CLI again unless it runs. Waits until `attach` has claimed the sandbox."""
        ...

    async def deliver(self, reservation: str, item: str, context: EffectContext) -> None:
        """Give one line to the CLI that `session` knows, number `session.cli` of journal `session.journal_epoch`, once.

        Waits until `attach` has claimed the sandbox. Raises TryAgain when another one runs, or none: it may have been started
        after a turn of the first was cut (P2).
        """
        ...

    async def collect(self, reservation: str, context: EffectContext) -> Sequence[File]:
        """What the session made: a patch, its transcript, the changed files. Empty when it made nothing."""
        ...

    async def usage(self, reservation: str) -> Usage | None:
        """What the sandbox uses; None when it does not say within a moment. Raises nothing."""
        ...

    async def delete(self, reservation: str) -> None:
        """Delete the sandbox; returns when it is seen gone."""
        ...


class Translator(Protocol):
    """Makes commands of what the log's inbox holds."""

    async def translate(self, received: Recorded) -> tuple[Command | GuildCommand, Context]:
        """The command in what a person sent, and its context but for policy and role. Raises TryAgain."""
        ...
