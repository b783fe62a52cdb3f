"""Given some events, when a command comes, then these events follow: the words of the deciders' tests."""

from engine.commands import Command, Context, Policy, Report, Role, Text
from engine.decide import decide
from engine.evolve import evolve
from engine.session import Session
from engine.todo import todo
from schema import events as e
from schema import facts as f
from schema.sealed import Sealed

STARTER, STRANGER, OWNER, OTHER = "1", "2", "3", "4"
ROLES = {STARTER: Role.USER, OWNER: Role.OWNER, OTHER: Role.USER}
"""What they are in the server `g`."""
SECOND = 1_000_000
POLICY = Policy(queue_limit=2, prompt_limit=100)
R = "s-1"
"""The reservation of `READY`."""


def text(content: str = "do it", size: int = 5) -> Text:
    return Text(sealed=Sealed(content.encode()), size=size)


def queued(prompt: str, content: str = "do it") -> e.PromptQueued:
    return e.PromptQueued(prompt=prompt, by=STARTER, text=Sealed(content.encode()), size=5)


def read(end: int, *facts: f.Fact, epoch: int = 1, start: int | None = None) -> e.JournalRead:
    """A piece of the journal of ten bytes, ending at `end`."""
    return e.JournalRead(epoch=epoch, start=end - 10 if start is None else start, end=end, facts=facts)


REQUESTED = e.Requested(by=STARTER, locale="ja", guild="g", channel="c")
OPENED = (REQUESTED, e.StarterPosted(message="m"), e.ThreadOpened(thread="t"))
RESERVED = (*OPENED, e.SandboxReserved(reservation=R))
READY = (*RESERVED, e.SandboxReady(reservation=R), read(10, f.CliStarted()))
SENT = (*READY, queued("p1"), e.PromptSent(prompt="p1"))
WORKING = (*SENT, read(20, f.PromptStarted(prompt="p1")), e.TurnStarted(turn=1, prompt="p1", by=STARTER))
QUESTION = f.PermissionAsked(request="q", tool="t", name="Bash", question=Sealed(b"?"), always=True)
ASKED = e.AnswerAsked(request="q", turn=1, tool="Bash", question=Sealed(b"?"), always=True, expires=90 * SECOND)
ASKING = (*WORKING, read(30, QUESTION), ASKED)
CUT = (*WORKING, read(30, f.CliExited(code=1)), e.TurnCut(turn=1, why="cli"))
CHECKS = tuple(
    e.Check(wall=wall, found=found)
    for wall, found in (
        ("api", "open"),
        ("dns", "closed"),
        ("api", "open"),
        ("kubelet", "open"),
        ("gateway", "reached"),
    )
)
PROBED = e.SandboxProbed(reservation=R, checks=CHECKS)
UNWALLED = (*RESERVED, queued("p1"), PROBED, e.SandboxLost(reservation=R, why="walls"))
REFUSED = (
    *RESERVED,
    queued("p1"),
    e.SandboxLost(reservation=R, why="refused", detail="the namespace does not allow it"),
)
LOST = (*READY, e.SandboxLost(reservation=R, why="gone"))
CLOSING = (*READY, e.CloseAsked(by=STARTER, why="asked"))
CLOSED = (*OPENED, e.CloseAsked(by=STARTER, why="asked"), e.Closed())


def given(*events: e.SessionEvent, at: int = 0, cause: int = 0) -> Session:
    session = Session()
    for event in events:
        session = evolve(session, event, stream="session:s", at=at, cause=cause)
    return session


def when(
    session: Session,
    command: Command | e.SessionEvent,
    *,
    by: str = STARTER,
    at: int = 0,
    policy: Policy = POLICY,
    spent: int = 0,
) -> list[e.SessionEvent]:
    """What follows from a command of a person, or from the report of an event."""
    role = ROLES.get(by, Role.STRANGER)
    context = Context(at=at, by=by, role=role, spent=spent, locale="ja", cause=7, policy=policy)
    if isinstance(command, Command):
        return decide(session, command, context)
    return decide(session, Report(event=command), Context(at=at, policy=policy))


def after(session: Session, *events: e.SessionEvent, at: int = 0, cause: int = 0) -> Session:
    for event in events:
        session = evolve(session, event, stream="session:s", at=at, cause=cause)
    return session


def wanted(session: Session) -> list[str]:
    """The keys of what the session wants done, in order."""
    return [one.effect.key for one in todo(session)]


def refused(reason: str, detail: str = "", by: str = STARTER) -> list[e.Refused]:
    return [e.Refused(by=by, locale="ja", reason=reason, detail=detail)]


def failed(what: str, retry: int | None = 5 * SECOND, attempt: int = 1) -> e.EffectFailed:
    return e.EffectFailed(what=what, attempt=attempt, why="no", retry=retry)
