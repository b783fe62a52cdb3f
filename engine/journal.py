"""What the journal means for a session: from facts to turns, cuts and questions. Pure.

A report of the journal ends with its first boundary fact (`ends_report`), so that what follows from it is recorded in the
order in which it happened.
"""

from engine.commands import Context
from engine.session import Session
from schema import events as e
from schema import facts as f

_BOUNDARIES = (
    f.CliStarted,
    f.CliExited,
    f.PromptStarted,
    f.PromptOver,
    f.PermissionAsked,
    f.TurnFinished,
)

_SPOKEN = (f.Said, f.ToolCalled, f.ToolReturned, f.PermissionAsked)
"""Facts that only a running turn prints."""


def ends_report(fact: f.Fact) -> bool:
    """Whether a report of the journal must end with this fact."""
    return isinstance(fact, _BOUNDARIES)


def read(session: Session, event: e.JournalRead, context: Context) -> list[e.SessionEvent]:
    """The events of one piece of the journal; none when it was folded before, or another comes first (P3)."""
    begins_anew = event.epoch > session.journal_epoch and event.start == 0
    goes_on = event.epoch == session.journal_epoch and event.start == session.journal_offset
    if session.closed or not (begins_anew or goes_on):
        return []
    before: list[e.SessionEvent] = cut(session, "journal") if begins_anew and session.journal_epoch else []
    if not session.turn and not before and any(isinstance(fact, _SPOKEN) for fact in event.facts):
        before = [_begin(session)]
    after: list[e.SessionEvent] = []
    running = (session.turn is not None and not _cuts(before)) or _begins(before)
    for fact in event.facts:
        after += _follow(session, fact, context, running=running)
    return [*before, event, *after]


def cut(session: Session, why: str) -> list[e.SessionEvent]:
    """The events of a turn that dies with what it ran in; none when no turn runs."""
    return [e.TurnCut(turn=session.turn.turn, why=why)] if session.turn else []


def _cuts(events: list[e.SessionEvent]) -> bool:
    return any(isinstance(event, e.TurnCut) for event in events)


def _begins(events: list[e.SessionEvent]) -> bool:
    return any(isinstance(event, e.TurnStarted) for event in events)


def _begin(session: Session) -> e.TurnStarted:
    """The turn that the prompt at the CLI begins, or one that began by itself."""
    prompt = session.sent
    if prompt:
        return e.TurnStarted(turn=session.turns + 1, prompt=prompt.prompt, by=prompt.by)
    return e.TurnStarted(turn=session.turns + 1, prompt="", by=session.starter)


def _follow(session: Session, fact: f.Fact, context: Context, *, running: bool) -> list[e.SessionEvent]:
    """What follows from one fact. `running`: a turn runs when it is said."""
    match fact:
        case f.PromptStarted() if session.sent and session.sent.prompt == fact.prompt:
            joined = [e.TurnEnded(turn=_number(session), outcome="completed", reason="joined")] if running else []
            return [*joined, _begin(session)]
        case f.PromptOver() if not running and session.sent and session.sent.prompt == fact.prompt:
            begun = _begin(session)
            over = (
                e.TurnEnded(turn=begun.turn, outcome="stopped", reason="cancelled")
                if fact.cancelled
                else e.TurnCut(turn=begun.turn, why="answer")
            )
            return [begun, over]
        case f.TurnFinished() if running:
            return [_end(session, fact)]
        case f.CliStarted() | f.CliExited() if running:
            return [e.TurnCut(turn=_number(session), why="cli")]
        case f.PermissionAsked():
            return [_ask(session, fact, context)]
        case _:
            return []


def _number(session: Session) -> int:
    return session.turn.turn if session.turn else session.turns + 1


def _end(session: Session, fact: f.TurnFinished) -> e.TurnEnded:
    stopped = fact.reason.startswith("aborted")
    outcome = "stopped" if stopped else "failed" if fact.error else "completed"
    return e.TurnEnded(turn=_number(session), outcome=outcome, reason=fact.reason)


def _ask(session: Session, fact: f.PermissionAsked, context: Context) -> e.AnswerAsked:
    return e.AnswerAsked(
        request=fact.request,
        turn=_number(session),
        tool=fact.name,
        question=fact.question,
        always=fact.always,
        expires=context.at + context.policy.permission_ttl,
    )
