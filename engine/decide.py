"""What a session decides: `decide(session, command, context) -> events`. Pure, total, synchronous.

A command of a person always yields at least one event, its outcome; a refusal is one too (`Refused`, with its reason). A
report that the session has no more use for yields none. After every decision `_advance` adds what follows by itself: the
next prompt leaves the queue, a session with nothing left to do is closed. It is one file because who may, what follows, and what
follows by itself are read together, a few lines per command.
"""

from typing import assert_never

import msgspec

from engine import budgets, journal, repos
from engine.commands import (
    Answer,
    ChangeThread,
    Close,
    Command,
    Context,
    Dismiss,
    Edit,
    Grant,
    Keep,
    Leave,
    Move,
    Need,
    NoteEgress,
    Reason,
    Reject,
    Remove,
    Repo,
    Report,
    Resolve,
    Role,
    Share,
    ShowStatus,
    Start,
    Stop,
    Submit,
    TellStory,
    Text,
    Tick,
)
from engine.evolve import follow
from engine.retry import LONGEST
from engine.session import Prompt, Session
from engine.todo import Deliver, todo
from schema import events as e


def decide(session: Session, command: Command, context: Context) -> list[e.SessionEvent]:
    """The events that follow from `command`; the log's next versions of this session."""
    events = _decide(session, command, context)
    if not events:
        return []
    return [*events, *_advance(follow(session, events, at=context.at, cause=context.cause))]


def _decide(session: Session, command: Command, context: Context) -> list[e.SessionEvent]:  # noqa: C901, PLR0911, PLR0912 - one case per command
    match command:
        case Start():
            return _start(session, command, context)
        case Submit():
            return _submit(session, command, context)
        case Edit():
            return _edit(session, command, context)
        case Remove():
            return _remove(session, command, context)
        case Stop():
            return _stop(session, command, context)
        case Answer():
            return _answer(session, command, context)
        case Resolve():
            return _resolve(session, command, context)
        case Close():
            return _close(session, context)
        case Leave():
            return _leave(session, context)
        case Keep():
            return _keep(session, command, context)
        case Share():
            return _share(session, command, context)
        case ShowStatus():
            return _refusal_without_thread(session, context) or [_noted(context, "status")]
        case TellStory():
            return _tell_story(session, context)
        case ChangeThread():
            return _change_thread(session, command, context)
        case Reject():
            return [_refused(context, command.reason, command.detail)]
        case Grant():
            return _grant(session, command, context)
        case Move():
            return _move(session, command, context)
        case Need():
            return _need(session, command, context)
        case Dismiss():
            return _dismiss(session, command, context)
        case NoteEgress():
            return [_noted(context, "egress") if session.closed else e.EgressNoted(host=command.host)]
        case Report():
            return _report(session, command.event, context)
        case Tick():
            return _tick(session, context)
        case _:
            assert_never(command)


def _refused(context: Context, reason: Reason, detail: str = "") -> e.Refused:
    return e.Refused(by=context.by, locale=context.locale, reason=reason, detail=detail)


def _noted(context: Context, what: str) -> e.Noted:
    return e.Noted(by=context.by, locale=context.locale, what=what)


def _refusal_without_thread(session: Session, context: Context) -> list[e.SessionEvent]:
    return [] if session.starter else [_refused(context, Reason.NO_SESSION)]


def _is_guest(session: Session, context: Context) -> bool:
    """Whether somebody is neither an owner nor who started it: they act in it while it is shared."""
    return context.by != session.starter and context.role is not Role.OWNER


def _refusal(session: Session, context: Context, *, guests: bool = True) -> list[e.SessionEvent]:
    """Why nobody, or not this person, may act in the session now: whoever started it may, owners, and `guests` if it is shared."""
    if not session.starter:
        return [_refused(context, Reason.NO_SESSION)]
    if context.role is Role.STRANGER:
        return [_refused(context, Reason.STRANGER)]
    if _is_guest(session, context) and not (session.shared and guests):
        return [_refused(context, Reason.STARTER_ONLY if session.shared else Reason.NOT_YOURS)]
    if session.closing or session.closed:
        return [_refused(context, Reason.CLOSED)]
    return []


# --- what people want ------------------------------------------------------------------------------------------------


def _start(session: Session, command: Start, context: Context) -> list[e.SessionEvent]:  # noqa: PLR0911 - one refusal per reason
    if session.starter:
        return [_refused(context, Reason.IN_SESSION)]
    wrong = _wrong_text(command.text, context) if command.text else None
    if wrong:
        return [_refused(context, wrong)]
    if command.repo and (refusal := _wrong_repo(command.repo, context)):
        return refusal
    who_where = {"by": context.by, "locale": context.locale, "guild": command.guild, "channel": command.channel}
    if context.role is Role.STRANGER:
        return [e.AccessAsked(**who_where)]
    if 0 < context.policy.sandboxes_per_person <= context.running:
        return [_refused(context, Reason.TOO_MANY, str(context.running))]
    requested: list[e.SessionEvent] = [e.Requested(**who_where)]
    if command.repo:
        requested.append(e.RepoAsked(by=context.by, repo=command.repo.sealed))
    if command.text is None:
        return requested
    if refusal := _over_budget(context):
        return refusal
    return [*requested, _queued(command.prompt, command.text, context), *budgets.nears(session, context)]


def _wrong_repo(repo: Repo, context: Context) -> list[e.SessionEvent]:
    """Why a session cannot begin with that repository."""
    hosts = context.policy.repo_hosts
    if not hosts:
        return [_refused(context, Reason.REPO_OFF)]
    if not repo.host:
        return [_refused(context, Reason.REPO_INVALID)]
    if not repos.allows(hosts, repo.host):
        return [_refused(context, Reason.REPO_HOST, ", ".join(one.removesuffix(":443") for one in hosts))]
    return []


def _over_budget(context: Context) -> list[e.SessionEvent]:
    """Why nothing may begin for them today."""
    return [_refused(context, Reason.BUDGET, budgets.told(context))] if budgets.over(context) else []


def _queued(prompt: str, text: Text, context: Context) -> e.PromptQueued:
    return e.PromptQueued(prompt=prompt, by=context.by, text=text.sealed, size=text.size)


def _wrong_text(text: Text, context: Context) -> Reason | None:
    if text.size == 0:
        return Reason.EMPTY
    return Reason.TOO_LONG if text.size > context.policy.prompt_limit else None


def _submit(session: Session, command: Submit, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context):
        return refusal
    if refusal := _over_budget(context):
        return refusal
    if wrong := _wrong_text(command.text, context):
        return [_refused(context, wrong)]
    if len(session.queue) >= context.policy.queue_limit:
        return [_refused(context, Reason.QUEUE_FULL, str(context.policy.queue_limit))]
    events: list[e.SessionEvent] = [_queued(command.prompt, command.text, context)]
    if session.cut:
        events.append(e.CutResolved(turn=session.cut.turn, by=context.by, choice="prompt", prompt=command.prompt))
    return [*events, *budgets.nears(session, context)]


def _edit(session: Session, command: Edit, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context):
        return refusal
    if _waiting(session, command.prompt) is None:
        return [_refused(context, Reason.NOT_QUEUED)]
    if wrong := _wrong_text(command.text, context):
        return [_refused(context, wrong)]
    return [
        e.PromptEdited(prompt=command.prompt, by=context.by, text=command.text.sealed, size=command.text.size),
    ]


def _remove(session: Session, command: Remove, context: Context) -> list[e.SessionEvent]:
    """Discord does not say who deleted a message, but lets only its author and moderators do it."""
    if context.by and (refusal := _refusal(session, context)):
        return refusal
    prompt = _waiting(session, command.prompt)
    if prompt is None:
        return [_refused(context, Reason.NOT_QUEUED)]
    if context.by and _is_guest(session, context) and prompt.by != context.by:
        return [_refused(context, Reason.STARTER_ONLY)]
    return [e.PromptRemoved(prompt=command.prompt, by=context.by)]


def _waiting(session: Session, prompt: str) -> Prompt | None:
    """The prompt of that id, None when it does not wait (any more)."""
    return next((one for one in session.queue if one.prompt == prompt), None)


def _stop(session: Session, command: Stop, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context):
        return refusal
    running = _running(session)
    if not running or (command.turn is not None and command.turn != running):
        return [_refused(context, Reason.NOT_RUNNING)]
    if _stops(session):
        return [_noted(context, "stopping")]
    return [e.StopAsked(turn=running, by=context.by), _noted(context, "stop-asked")]


def _running(session: Session) -> int:
    """The number of the turn that runs, or is about to; 0 for none."""
    return session.turn.turn if session.turn else session.turns + 1 if session.sent else 0


def _stops(session: Session) -> bool:
    """Whether somebody wants that turn to end already."""
    return bool((session.turn and session.turn.stop_by) or session.stop_early)


def _answer(session: Session, command: Answer, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context):
        return refusal
    ask = session.ask(command.request)
    if ask is None or ask.choice:
        return [_refused(context, Reason.EXPIRED)]
    return [e.AnswerGiven(request=command.request, by=context.by, choice=command.choice)]


def _resolve(session: Session, command: Resolve, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context):
        return refusal
    if session.cut is None or session.cut.turn != command.turn:
        return [_refused(context, Reason.NOT_CUT)]
    if refusal := _over_budget(context):
        return refusal
    retried = session.cut.prompt if command.choice == "retry" else None
    text = Text(sealed=retried.text, size=retried.size) if retried else command.text
    return [
        _queued(command.prompt, text, context),
        e.CutResolved(turn=command.turn, by=context.by, choice=command.choice, prompt=command.prompt),
        *budgets.nears(session, context),
    ]


def _close(session: Session, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context, guests=False):
        return refusal
    return [e.CloseAsked(by=context.by, why="asked"), _noted(context, "closing")]


def _leave(session: Session, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context, guests=False):
        return refusal
    if not session.place or session.resting:
        return [_refused(context, Reason.NOT_WAITING)]
    return [e.LineLeft(by=context.by)]


def _keep(session: Session, command: Keep, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context):
        return refusal
    if not session.idle_asked or session.idle_asked != command.question:
        return [_refused(context, Reason.EXPIRED)]
    return [e.Kept(by=context.by)]


def _share(session: Session, command: Share, context: Context) -> list[e.SessionEvent]:
    if refusal := _refusal(session, context, guests=False):
        return refusal
    told = _noted(context, "shared" if command.shared else "unshared")
    if command.shared == session.shared:
        return [told]
    return [e.Shared(by=context.by) if command.shared else e.Unshared(by=context.by), told]


def _tell_story(session: Session, context: Context) -> list[e.SessionEvent]:
    """Owners may know, also when it is over."""
    if refusal := _refusal_without_thread(session, context):
        return refusal
    return [_noted(context, "audit") if context.role is Role.OWNER else _refused(context, Reason.OWNERS_ONLY)]


def _change_thread(session: Session, command: ChangeThread, context: Context) -> list[e.SessionEvent]:
    if not session.starter:
        return [_refused(context, Reason.NO_SESSION)]
    known = "open" if command.what in {"unarchived", "unlocked"} else command.what
    if session.closed or session.thread_state in {known, "deleted"}:
        return [_noted(context, "thread")]
    return _thread_is(session, e.ThreadChanged(what=command.what, by=context.by))


def _thread_is(session: Session, changed: e.ThreadChanged) -> list[e.SessionEvent]:
    """Without its thread a session has nobody to work for."""
    if changed.what == "deleted" and not session.closing:
        return [changed, e.CloseAsked(by=changed.by, why="deleted")]
    return [changed]


def _move(session: Session, command: Move, context: Context) -> list[e.SessionEvent]:
    if not session.place or session.place == command.place:
        return [_noted(context, "place")]
    return [e.SlotAsked(place=command.place)]


def _need(session: Session, command: Need, context: Context) -> list[e.SessionEvent]:
    if not session.reservation or session.needed == command.needed:
        return [_noted(context, "needed")]
    return [e.SlotNeeded(needed=command.needed)]


def _dismiss(session: Session, command: Dismiss, context: Context) -> list[e.SessionEvent]:
    """The session of whoever was removed ends; in another's, what they asked for does."""
    if session.closing or session.closed:
        return [_noted(context, "dismissed")]
    if session.starter == command.person:
        return [e.CloseAsked(by=command.by, why="removed")]
    queued = [one.prompt for one in session.queue if one.by == command.person]
    ended: list[e.SessionEvent] = [e.PromptRemoved(prompt=prompt, by=command.by) for prompt in queued]
    running = session.turn or session.sent
    if running and running.by == command.person and not _stops(session):
        ended.append(e.StopAsked(turn=_running(session), by=command.by))
    return ended or [_noted(context, "dismissed")]


# --- what effects found out ------------------------------------------------------------------------------------------


def _grant(session: Session, command: Grant, context: Context) -> list[e.SessionEvent]:
    """A slot of ours is recorded even when we no longer want it: it then goes back the normal way."""
    if session.reservation == command.reservation:
        return [_noted(context, "grant")]
    return [e.SandboxReserved(reservation=command.reservation)]


def _report(session: Session, event: e.SessionEvent, context: Context) -> list[e.SessionEvent]:  # noqa: PLR0911 - a case a line
    if isinstance(event, e.JournalRead):
        return journal.read(session, event, context)
    if isinstance(event, e.EffectFailed):
        return _failed(session, event, context)
    if not _wanted(session, event):
        return []
    if isinstance(event, e.SandboxLost):
        return _lost(session, event)
    if isinstance(event, e.SandboxGone) and session.turn:
        return [e.TurnEnded(turn=session.turn.turn, outcome="stopped", reason="closed"), event]
    if isinstance(event, e.ThreadChanged):
        return _thread_is(session, event)
    return [event]


def _wanted(session: Session, event: e.SessionEvent) -> bool:  # noqa: C901, PLR0911, PLR0912 - one line per kind of report
    """Whether the session still has use for a report; the rest is a straggler of an effect that was overtaken."""
    match event:
        case e.StarterPosted():
            return not session.starter_message
        case e.ThreadOpened():
            return not session.thread
        case e.SlotAsked() | e.SandboxReserved():
            return not session.reservation
        case e.LineLeft():
            return not session.resting
        case e.SlotLeft():
            return bool(session.place)
        case e.SandboxProbed() | e.SandboxReady() | e.RepoCloned() | e.RepoFailed():
            held = session.reservation == event.reservation
            return held and not (session.ready or session.lost or session.closing)
        case e.SandboxPlaced():
            held = session.reservation == event.reservation
            return held and not session.lost and session.addresses != event.addresses
        case e.SandboxLost():
            return session.reservation == event.reservation and not session.lost
        case e.SandboxGone():
            return session.reservation == event.reservation
        case e.Delivered():
            return any(
                isinstance(one.effect, Deliver) and (one.effect.item, one.effect.life) == (event.item, event.life)
                for one in todo(session)
            )
        case e.ThreadChanged():
            return not session.closed and session.thread_state not in {event.what, "deleted"}
        case e.HandedOver():
            return bool(session.closing) and not session.handed_over
        case e.Replied():
            return any(one.to == event.to for one in session.replies)
        case e.MessageShown() | e.PartCleared():
            return session.card(event.part) is not None
        case _:
            return False


def _lost(session: Session, event: e.SandboxLost) -> list[e.SessionEvent]:
    """A prompt that the CLI may have begun is cut with the turn. When the session closes, nobody is asked how to go on."""
    return [event] if session.closing else [*journal.cut(session, "sandbox"), event]


_ENDLESS = ("slot", "leave", "delete")
"""Effects that are never given up: a slot would be held, or waited for, for ever."""


def _failed(session: Session, event: e.EffectFailed, context: Context) -> list[e.SessionEvent]:
    """A failure, and what it means for the session. None when what failed is not wanted any more."""
    if not any(one.effect.key == event.what for one in todo(session)):
        return []
    if event.retry is None and event.what in _ENDLESS:
        event = msgspec.structs.replace(event, retry=context.at + LONGEST)
    before = session.failures.get(event.what)
    lasted = context.at - before.since if before else 0
    if event.what == "attach" and not session.ready and lasted > context.policy.start_limit:
        return [event, *_lost_by(session, event, "start")]
    if event.what == "handover" and lasted > context.policy.handover_limit:
        event = msgspec.structs.replace(event, retry=None)
    return [event] if event.retry is not None else [event, *_given_up(session, event)]


def _lost_by(session: Session, failed: e.EffectFailed, why: str) -> list[e.SessionEvent]:
    return _lost(session, e.SandboxLost(reservation=session.reservation, why=why, detail=failed.why))


def _given_up(session: Session, failed: e.EffectFailed) -> list[e.SessionEvent]:
    """What it means for the session that an effect can never succeed."""
    kind, _, name = failed.what.partition(":")
    match kind:
        case "starter" | "thread":
            return [e.CloseAsked(by="", why="failed")]
        case "show":
            return [e.ThreadChanged(what="forbidden")]
        case "reply":
            return [e.Replied(to=int(name), late=True)]
        case "handover":
            return [e.HandedOver(how="lost")]
        case "prompt":  # an earlier try may have arrived
            return journal.cut_sent(session, "send")
        case _:  # attach, restart, an answer, a stop: there is no way to go on in this sandbox
            return _lost_by(session, failed, "gone" if session.ready else "refused")


def _tick(session: Session, context: Context) -> list[e.SessionEvent]:
    expired: list[e.SessionEvent] = [
        e.AnswerExpired(request=ask.request) for ask in session.asks if not ask.choice and ask.expires <= context.at
    ]
    late = [e.Replied(to=reply.to, late=True) for reply in session.replies if reply.until <= context.at]
    return [*expired, *late, *_make_room(session, context.at)]


def _make_room(session: Session, at: int) -> list[e.SessionEvent]:
    """What becomes of a sandbox that others wait for, and in which nothing happens."""
    if 0 < session.passed_on_at <= at:
        return _lost(session, e.SandboxLost(reservation=session.reservation, why="passed"))
    return [e.IdleAsked()] if 0 < session.idle_asked_at <= at else []


# --- what follows by itself ------------------------------------------------------------------------------------------


def _advance(session: Session) -> list[e.SessionEvent]:
    """The next prompt goes to Claude when it is idle; a session that is closing and holds nothing is closed."""
    if session.closing and not session.closed:
        holds = session.reservation or session.place
        return [] if holds else [e.Closed()]
    if session.queue and _can_take_prompt(session):
        return [e.PromptSent(prompt=session.queue[0].prompt)]
    return []


def _can_take_prompt(session: Session) -> bool:
    return (
        session.ready
        and session.cli_running
        and not session.turn
        and not session.sent
        and not session.cut
        and not session.closing
        and not session.closed
    )
