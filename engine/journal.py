"""What the journal means for a session: from facts to turns, cuts and questions. Pure.

A report of the journal ends with its first boundary fact (`ends_report`), so that what follows from it is recorded in the
order in which it happened.
"""

from collections.abc import Sequence

from engine.commands import Context
from engine.evolve import follow
from engine.session import CRASH_LIMIT, Session
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
    if not session.ready or session.closed or not (begins_anew or goes_on):
        return []
    events = cut(session, "journal") if begins_anew else []
    session = _after(session, events, context)
    if not session.turn and any(isinstance(fact, _SPOKEN) for fact in event.facts):
        begun = _begin(session)
        events.append(begun)
        session = _after(session, [begun], context)
    events.append(event)
    session = _after(session, [event], context)
    for fact in event.facts:
        following = _follow(session, fact, context)
        session = _after(session, following, context)
        events += following
    return events


def _after(session: Session, events: Sequence[e.SessionEvent], context: Context) -> Session:
    return follow(session, events, at=context.at, cause=context.cause) if events else session


def cut(session: Session, why: str) -> list[e.SessionEvent]:
    """The events of what dies unseen with a CLI: the turn that runs, and a prompt that it may have begun since."""
    running: list[e.SessionEvent] = [e.TurnCut(turn=session.turn.turn, why=why)] if session.turn else []
    return [*running, *(cut_sent(session, why) if session.cli_running else [])]


def cut_sent(session: Session, why: str) -> list[e.SessionEvent]:
    """The events of a prompt that the CLI may have begun without a word; none when none was on its way to it."""
    if not session.sent:
        return []
    return [_begin(session, session.sent.prompt, session.sent.by), e.TurnCut(turn=session.turns + 1, why=why)]


def _begin(session: Session, prompt: str = "", by: str = "") -> e.TurnStarted:
    """The turn of a prompt, or one that begins by itself."""
    return e.TurnStarted(turn=session.turns + 1, prompt=prompt, by=by or session.starter)


def _follow(session: Session, fact: f.Fact, context: Context) -> list[e.SessionEvent]:  # noqa: PLR0911 - a case a line
    """What follows from one fact."""
    match fact:
        case f.PromptStarted() if session.sent and session.sent.prompt == fact.prompt:
            return [*_joined(session), _begin(session, fact.prompt, session.sent.by)]
        case f.PromptOver() if session.sent and session.sent.prompt == fact.prompt:
            over = (
                e.TurnEnded(turn=session.turns + 1, outcome="stopped", reason="cancelled")
                if fact.cancelled
                else e.TurnCut(turn=session.turns + 1, why="answer")
            )
            return [*_joined(session), _begin(session, fact.prompt, session.sent.by), over]
        case f.TurnFinished() if session.sent and session.sent.prompt in fact.prompts:
            begun = _begin(session, session.sent.prompt, session.sent.by)
            return [*_joined(session), begun, _ended(begun.turn, fact)]
        case f.TurnFinished() if session.turn:
            return [_ended(session.turn.turn, fact)]
        case f.CliStarted() if session.turn:
            return [e.TurnCut(turn=session.turn.turn, why="cli")]
        case f.CliExited():
            running = [e.TurnCut(turn=session.turn.turn, why="cli")] if session.turn else []
            return [*running, *(cut_sent(session, "cli") if session.crashes >= CRASH_LIMIT else [])]
        case f.PermissionAsked() if not session.ask(fact.request) and not session.card(f"ask:{fact.request}"):
            return [_ask(session, fact, context)]
        case _:
            return []


def _joined(session: Session) -> list[e.SessionEvent]:
    """A prompt that Claude takes up in the middle of a turn goes on in a turn of its own."""
    return [e.TurnEnded(turn=session.turn.turn, outcome="completed", reason="joined")] if session.turn else []


def _ended(turn: int, fact: f.TurnFinished) -> e.TurnEnded:
    stopped = fact.reason.startswith("aborted")
    outcome = "stopped" if stopped else "failed" if fact.error else "completed"
    return e.TurnEnded(turn=turn, outcome=outcome, reason=fact.reason)


def _ask(session: Session, fact: f.PermissionAsked, context: Context) -> e.AnswerAsked:
    return e.AnswerAsked(
        request=fact.request,
        turn=session.turns,
        tool=fact.name,
        question=fact.question,
        always=fact.always,
        expires=context.at + context.policy.permission_ttl,
    )
