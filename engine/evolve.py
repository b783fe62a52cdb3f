"""How each event changes a session: total and pure. It never raises, never branches on policy, and reads no clock.

The functions below change the private copy that `fold` and `evolve` made; nothing else may assign to a `Session`.
It is one file because what an event changes is best read beside what all the others do, each a few lines.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from engine.cards import AskCard, Card, CutCard, HeadCard, IdleCard, NoteCard, Posted, QueuedCard, TurnCard
from engine.session import CRASH_LIMIT, DAY, LOSS_LIMIT, Ask, Cut, Failure, Prompt, Reply, Session, Turn
from engine.todo import effects, items
from schema import events as e
from schema import facts as f
from schema.envelope import Recorded
from schema.sealed import Sealed

REPLY_LIFE = 14 * 60 * 1_000_000
"""How long an interaction can be answered, in µs: its token lives 15 minutes (`notes/discord.md` §5), less a margin."""

LONG_TURN = 60 * 1_000_000
"""A turn longer than this (µs) ends with a message that notifies whoever asked, for edits notify nobody."""

SHOWN = (f.Said, f.ToolCalled, f.ToolReturned, f.Noticed, f.Retrying, f.DiskFilled, f.MemoryFilled, f.Skipped)
"""Facts that people see in the turn they belong to."""


def fold(recorded: Iterable[Recorded], session: Session) -> Session:
    """The state after `recorded`, which follow `session` in its stream without a gap."""
    session = copy.copy(session)
    for one in recorded:
        _apply(session, one.event, one.stream, one.at, one.cause)
    return session


def evolve(session: Session, event: e.Event, *, stream: str, at: int, cause: int) -> Session:
    """The state after one event."""
    session = copy.copy(session)
    _apply(session, event, stream, at, cause)
    return session


def follow(session: Session, events: Iterable[e.Event], *, at: int, cause: int) -> Session:
    """The state after `events` that were decided together, and are not recorded yet."""
    session = copy.copy(session)
    for event in events:
        _apply(session, event, f"session:{session.id}", at, cause)
    return session


def _apply(s: Session, event: e.Event, stream: str, at: int, cause: int) -> None:
    s.version += 1
    if not s.id:
        s.id = stream.partition(":")[2]
    apply = _EVENTS.get(type(event))
    if apply is not None:
        apply(s, event, at, cause)
    if s.failures:
        wanted = {effect.key for effect in effects(s)}
        s.failures = {what: failure for what, failure in s.failures.items() if what in wanted}


# --- cards -----------------------------------------------------------------------------------------------------------


def _add(s: Session, card: Card) -> None:
    s.cards = (*s.cards, card)


def _set(s: Session, part: str, **changes: Any) -> None:
    """Change a card, if it is there: Discord shows less than it from now on."""
    for index, card in enumerate(s.cards):
        if card.part == part:
            _put(s, index, replace(card, rev=card.rev + 1, **changes))
            return


def _put(s: Session, index: int, card: Card) -> None:
    cards = list(s.cards)
    cards[index] = card
    s.cards = tuple(cards)


def _touch_head(s: Session) -> None:
    _set(s, "head")


def _note(
    s: Session, what: str, *, mention: str = "", detail: str = "", reason: str = "", text: Sealed | None = None
) -> None:
    s.notes += 1
    part = f"note:{s.notes}"
    _add(s, NoteCard(part=part, what=what, detail=detail, reason=reason, text=text, mention=mention, closed=True))


def _reply(s: Session, cause: int, at: int, what: str, by: str, locale: str, detail: str = "") -> None:
    if cause and by:
        reply = Reply(to=cause, by=by, locale=locale, what=what, detail=detail, until=at + REPLY_LIFE)
        s.replies = (*s.replies, reply)


# --- the session and its thread --------------------------------------------------------------------------------------


def _requested(s: Session, event: e.Requested, _at: int, cause: int) -> None:
    s.starter, s.locale, s.guild, s.channel, s.request = event.by, event.locale, event.guild, event.channel, cause


def _refused(s: Session, event: e.Refused, at: int, cause: int) -> None:
    _reply(s, cause, at, f"refused-{event.reason}", event.by, event.locale, event.detail)


def _noted(s: Session, event: e.Noted, at: int, cause: int) -> None:
    _reply(s, cause, at, event.what, event.by, event.locale)


def _budget_neared(s: Session, event: e.BudgetNeared, at: int, _cause: int) -> None:
    s.warned = {**s.warned, event.by: at // DAY}
    _note(s, "budget-neared", mention=event.by, detail=str(event.spent * 100 // max(1, event.budget)))


def _starter_posted(s: Session, event: e.StarterPosted, _at: int, _cause: int) -> None:
    s.starter_message = event.message


def _thread_opened(s: Session, event: e.ThreadOpened, at: int, _cause: int) -> None:
    s.thread = event.thread
    _add(s, HeadCard(part="head", mention=s.starter, closed=s.closed))
    for prompt in s.queue:
        _add(s, QueuedCard(part=f"queued:{prompt.prompt}", prompt=prompt.prompt, by=prompt.by, text=prompt.text))
    if not s.closing:
        _reply(s, s.request, at, "started", s.starter, s.locale)


def _thread_changed(s: Session, event: e.ThreadChanged, _at: int, _cause: int) -> None:
    back = event.what in {"unarchived", "unlocked"}
    s.thread_state = "open" if back else event.what


def _shared(s: Session, event: e.Shared | e.Unshared, _at: int, _cause: int) -> None:
    s.shared = isinstance(event, e.Shared)
    _touch_head(s)
    if s.thread:
        _note(s, "shared" if s.shared else "unshared", detail=event.by)


def _repo_asked(s: Session, event: e.RepoAsked, _at: int, _cause: int) -> None:
    s.repo = event.repo


# --- the sandbox -----------------------------------------------------------------------------------------------------


def _slot_asked(s: Session, event: e.SlotAsked, _at: int, _cause: int) -> None:
    s.place = event.place
    _touch_head(s)


def _line_left(s: Session, event: e.LineLeft, _at: int, _cause: int) -> None:
    s.resting = True
    _touch_head(s)
    if not event.by:
        _note(s, "crowded", mention=s.starter)


def _slot_needed(s: Session, event: e.SlotNeeded, _at: int, _cause: int) -> None:
    s.needed = event.needed
    if not event.needed:
        _end_idle(s, "over")


def _idle_asked(s: Session, _event: e.IdleAsked, _at: int, _cause: int) -> None:
    s.notes += 1
    s.idle_asked = s.notes
    _add(s, IdleCard(part=f"idle:{s.notes}", number=s.notes, since=s.busy_at, mention=s.starter))


def _kept(s: Session, event: e.Kept, at: int, _cause: int) -> None:
    s.kept_at = at
    _end_idle(s, "kept", event.by)


def _end_idle(s: Session, choice: str, by: str = "") -> None:
    """Nobody is asked any more whether to keep the sandbox."""
    if s.idle_asked:
        _set(s, f"idle:{s.idle_asked}", choice=choice, by=by, closed=True)
        s.idle_asked = 0


def _work_began(s: Session) -> None:
    """Something is asked for in the sandbox, or happens there by itself."""
    s.called = False
    _end_idle(s, "over")


def _slot_left(s: Session, _event: e.SlotLeft, _at: int, _cause: int) -> None:
    s.place = 0
    _touch_head(s)


def _sandbox_reserved(s: Session, event: e.SandboxReserved, at: int, _cause: int) -> None:
    s.called, s.needed = bool(s.place) and not (s.queue or s.sent), False
    s.reservation, s.reserved_at, s.place, s.ready, s.lost = event.reservation, at, 0, False, ""
    s.resting = False
    s.journal_epoch, s.journal_offset, s.crashes = 0, 0, 0
    s.cli, s.cli_lives, s.cli_running = 0, 0, False
    s.open_walls, s.addresses = (), ()
    _touch_head(s)


def _sandbox_probed(s: Session, event: e.SandboxProbed, _at: int, _cause: int) -> None:
    s.open_walls = tuple(dict.fromkeys(check.wall for check in event.checks if check.found == "open"))


def _sandbox_placed(s: Session, event: e.SandboxPlaced, _at: int, _cause: int) -> None:
    s.addresses = event.addresses


def _repo_cloned(s: Session, event: e.RepoCloned, _at: int, _cause: int) -> None:
    told = "repo-cloned" if not event.code else "repo-trusted" if event.trusted else "repo-untrusted"
    _note(s, told, detail=" ".join(event.code), text=event.repo)


def _repo_failed(s: Session, event: e.RepoFailed, _at: int, _cause: int) -> None:
    _note(s, "repo-failed", mention=s.starter, detail=event.why, text=event.said)


def _sandbox_ready(s: Session, event: e.SandboxReady, at: int, _cause: int) -> None:
    s.ready, s.isolated, s.busy_at = True, event.isolated, at
    s.failures = _without(s.failures, "attach")
    _touch_head(s)


def _sandbox_lost(s: Session, event: e.SandboxLost, _at: int, _cause: int) -> None:
    s.lost, s.ready, s.cli_running = event.why, False, False
    _end_asks(s)
    _end_idle(s, "over")
    _touch_head(s)
    if event.why == "passed":
        _note(s, "slot-passed", mention=s.starter)
        return
    # where another would be no better until somebody has seen to it, none is asked for
    s.losses = LOSS_LIMIT if event.why in {"walls", "refused", "repo"} else s.losses + 1
    if event.why == "repo":
        return  # which was told when it failed
    if event.why == "walls":
        _note(s, "sandbox-unwalled", mention=s.starter, detail=" ".join(s.open_walls))
    elif event.why == "refused":
        _note(s, "sandbox-refused", mention=s.starter, reason=event.detail)
    else:
        _note(s, "sandbox-lost", mention=s.starter, detail=event.why, reason=event.detail)


def _sandbox_gone(s: Session, _event: e.SandboxGone, _at: int, _cause: int) -> None:
    s.reservation, s.ready, s.cli_running = "", False, False
    _touch_head(s)


# --- prompts and turns -----------------------------------------------------------------------------------------------


def _prompt_queued(s: Session, event: e.PromptQueued, at: int, _cause: int) -> None:
    waited = bool(s.turn or s.sent or s.queue)
    prompt = Prompt(prompt=event.prompt, by=event.by, text=event.text, size=event.size, waited=waited)
    s.queue, s.busy_at = (*s.queue, prompt), at
    if s.gave_up or s.resting:
        _touch_head(s)
    s.resting = False
    _work_began(s)
    s.crashes, s.losses = 0, 0
    if s.thread:
        _add(s, QueuedCard(part=f"queued:{event.prompt}", prompt=event.prompt, by=event.by, text=event.text))


def _prompt_edited(s: Session, event: e.PromptEdited, _at: int, _cause: int) -> None:
    s.queue = tuple(
        replace(one, text=event.text, size=event.size) if one.prompt == event.prompt else one for one in s.queue
    )
    _set(s, f"queued:{event.prompt}", text=event.text)


def _leave_queue(s: Session, prompt: str) -> None:
    s.queue = tuple([one for one in s.queue if one.prompt != prompt])
    _set(s, f"queued:{prompt}", gone=True)


def _prompt_removed(s: Session, event: e.PromptRemoved, _at: int, _cause: int) -> None:
    _leave_queue(s, event.prompt)


def _prompt_sent(s: Session, event: e.PromptSent, _at: int, _cause: int) -> None:
    sent = [one for one in s.queue if one.prompt == event.prompt]
    s.sent = sent[0] if sent else None
    _leave_queue(s, event.prompt)


def _delivered(s: Session, event: e.Delivered, _at: int, _cause: int) -> None:
    s.delivered = frozenset([item for item in items(s) if item == event.item or item in s.delivered])


def _turn_started(s: Session, event: e.TurnStarted, at: int, _cause: int) -> None:
    prompt = s.sent if s.sent and s.sent.prompt == event.prompt else None
    s.turns = event.turn
    _work_began(s)
    s.turn = Turn(turn=event.turn, by=event.by, prompt=prompt, started=at, stop_by=s.stop_early if prompt else "")
    s.losses = 0
    if prompt:
        s.sent, s.stop_early = None, ""
    answers = prompt.prompt if prompt and (prompt.waited or s.queue) else ""
    part, stopping = f"turn:{event.turn}", s.turn.stop_by
    _add(s, TurnCard(part=part, turn=event.turn, by=event.by, started=at, answers=answers, stopping=stopping))
    _touch_head(s)


def _turn_ended(s: Session, event: e.TurnEnded, at: int, _cause: int) -> None:
    started, by = (s.turn.started, s.turn.by) if s.turn else (at, s.starter)
    s.turn, s.busy_at = None, at
    _set(s, f"turn:{event.turn}", outcome=event.outcome, reason=event.reason, ended=at, asking=False, closed=True)
    if event.outcome == "failed" or (event.outcome == "completed" and at - started > LONG_TURN):
        _note(s, f"turn-{event.outcome}", mention=by, detail=event.reason)
    _touch_head(s)


def _turn_cut(s: Session, event: e.TurnCut, at: int, _cause: int) -> None:
    by = s.turn.by if s.turn else s.starter
    prompt = s.turn.prompt if s.turn else None
    s.turn = None
    _end_asks(s)
    _set(s, f"turn:{event.turn}", outcome="cut", ended=at, asking=False, closed=True)
    _touch_head(s)
    if s.cut and not prompt:
        return  # a turn that began by itself; people are asked about another already
    if s.cut:
        _set(s, f"cut:{s.cut.turn}", gone=True)
    s.cut = Cut(turn=event.turn, prompt=prompt)
    text = prompt.text if prompt else None
    _add(s, CutCard(part=f"cut:{event.turn}", turn=event.turn, by=by, why=event.why, text=text, mention=by))


def _cut_resolved(s: Session, event: e.CutResolved, _at: int, _cause: int) -> None:
    """What goes on with the cut turn comes before what waited behind it; just another prompt does not."""
    s.cut = None
    if event.choice != "prompt":
        s.queue = tuple(sorted(s.queue, key=lambda one: one.prompt != event.prompt))
    _set(s, f"cut:{event.turn}", choice=event.choice, chosen_by=event.by, closed=True)


def _stop_asked(s: Session, event: e.StopAsked, _at: int, _cause: int) -> None:
    if s.turn and s.turn.turn == event.turn:
        s.turn = replace(s.turn, stop_by=event.by)
        _set(s, f"turn:{event.turn}", stopping=event.by)
    else:
        s.stop_early = event.by


# --- permissions -----------------------------------------------------------------------------------------------------


def _answer_asked(s: Session, event: e.AnswerAsked, _at: int, _cause: int) -> None:
    by = s.turn.by if s.turn else s.starter
    s.asks = (*s.asks, Ask(request=event.request, by=by, question=event.question, expires=event.expires))
    card = AskCard(
        part=f"ask:{event.request}",
        mention=by,
        request=event.request,
        turn=event.turn,
        tool=event.tool,
        question=event.question,
        always=event.always,
        expires=event.expires,
    )
    _add(s, card)
    _set(s, f"turn:{event.turn}", asking=True)
    _touch_head(s)


def _choose(s: Session, request: str, choice: str, by: str = "") -> None:
    s.asks = tuple(replace(ask, choice=choice) if ask.request == request else ask for ask in s.asks)
    _set(s, f"ask:{request}", choice=choice, by=by, closed=True)
    if s.turn:
        _set(s, f"turn:{s.turn.turn}", asking=any(not ask.choice for ask in s.asks))
    _touch_head(s)


def _answer_given(s: Session, event: e.AnswerGiven, _at: int, _cause: int) -> None:
    _choose(s, event.request, event.choice, event.by)


def _answer_expired(s: Session, event: e.AnswerExpired, _at: int, _cause: int) -> None:
    _choose(s, event.request, "expired")


def _end_ask(s: Session, request: str) -> None:
    """The CLI no longer waits for it."""
    ask = s.ask(request)
    if ask and not ask.choice:
        _choose(s, request, "withdrawn")
    s.asks = tuple(one for one in s.asks if one.request != request)


def _end_asks(s: Session) -> None:
    for ask in s.asks:
        _end_ask(s, ask.request)


# --- the journal -----------------------------------------------------------------------------------------------------


def _journal_read(s: Session, event: e.JournalRead, at: int, _cause: int) -> None:
    if event.epoch != s.journal_epoch:
        s.journal_epoch, s.cli = event.epoch, 0
    s.journal_offset, s.busy_at = event.end, at
    s.failures = _without(s.failures, "attach")
    shown: list[f.Fact] = []
    for fact in event.facts:
        apply = _FACTS.get(type(fact))
        if apply:
            apply(s, fact)
        elif type(fact) in SHOWN:
            shown.append(fact)
    if shown:
        _show_facts(s, shown)


def _show_facts(s: Session, shown: list[f.Fact]) -> None:
    """Facts belong to the running turn; what happens outside of one is a note, if it concerns people at all."""
    part = f"turn:{s.turn.turn}" if s.turn else ""
    for index, card in enumerate(s.cards):
        if card.part == part and isinstance(card, TurnCard):
            _put(s, index, replace(card, rev=card.rev + 1, facts=(*card.facts, *shown)))
            return
    for fact in shown:
        if isinstance(fact, f.DiskFilled):
            _note(s, "disk-stopped" if fact.stopped else "disk-filled", mention=s.starter, detail=str(fact.percent))
        elif isinstance(fact, f.MemoryFilled):
            _note(s, "memory-filled", mention=s.starter, detail=str(fact.percent))
        elif isinstance(fact, f.Noticed):
            _note(s, f"notice-{fact.what}", text=fact.text)


def _cli_started(s: Session, _fact: f.CliStarted) -> None:
    s.cli += 1
    s.cli_lives += 1
    s.cli_running, s.state, s.tasks, s.delivered = True, "idle", 0, frozenset()
    _end_asks(s)


def _cli_exited(s: Session, fact: f.CliExited) -> None:
    s.cli_running, s.state, s.tasks = False, "idle", 0
    s.crashes += 1
    _end_asks(s)
    if s.crashes == CRASH_LIMIT:
        _note(s, "cli-broken", mention=s.starter, detail=str(fact.code), text=fact.why)
    _touch_head(s)


def _cli_ready(s: Session, fact: f.CliReady) -> None:
    s.model = fact.model


def _permission_over(s: Session, fact: f.PermissionWithdrawn | f.PermissionTaken) -> None:
    _end_ask(s, fact.request)


def _turn_finished(s: Session, fact: f.TurnFinished) -> None:
    s.crashes = 0
    if fact.error and fact.message:
        _show_facts(s, [f.Noticed(what="error", text=fact.message)])


def _state_changed(s: Session, fact: f.StateChanged) -> None:
    s.state = fact.state


def _tasks_changed(s: Session, fact: f.TasksChanged) -> None:
    s.tasks = fact.running


# --- what is shown and told ------------------------------------------------------------------------------------------


def _message_shown(s: Session, event: e.MessageShown, at: int, _cause: int) -> None:
    s.failures = _without(s.failures, "show")
    for index, card in enumerate(s.cards):
        if card.part == event.part:
            posted = _posted(card, event.index, Posted(message=event.message, start=event.start, at=at))
            changed = replace(card, posted=posted, shown=max(card.shown, event.rev))
            s.cards = (*s.cards[:index], *([] if changed.done else [changed]), *s.cards[index + 1 :])
            return


def _posted(card: Card, index: int, posted: Posted) -> tuple[Posted, ...]:
    """The card's messages when `posted` stands at `index`: edited in place, or in the place of one that was deleted."""
    before = card.posted[index] if index < len(card.posted) else None
    at = before.at if before and before.message == posted.message else posted.at
    return (*card.posted[:index], replace(posted, at=at), *card.posted[index + 1 :])


def _part_cleared(s: Session, event: e.PartCleared, _at: int, _cause: int) -> None:
    s.cards = tuple(card for card in s.cards if card.part != event.part)
    s.failures = _without(s.failures, "show")


def _replied(s: Session, event: e.Replied, _at: int, _cause: int) -> None:
    s.replies = tuple(one for one in s.replies if one.to != event.to)


def _effect_failed(s: Session, event: e.EffectFailed, at: int, _cause: int) -> None:
    since = s.failures[event.what].since if event.what in s.failures else at
    s.failures = {
        **s.failures,
        event.what: Failure(attempt=event.attempt, retry=event.retry, since=since, why=event.why),
    }
    if event.what in {"attach", "slot", "restart"}:
        _touch_head(s)


def _egress_noted(s: Session, event: e.EgressNoted, _at: int, _cause: int) -> None:
    _note(s, "egress-refused", reason=event.host)


# --- the end ---------------------------------------------------------------------------------------------------------


def _close_asked(s: Session, event: e.CloseAsked, at: int, _cause: int) -> None:
    s.closing = event.why
    removed = event.why == "removed"
    if not s.thread:
        _reply(s, s.request, at, "refused-stranger" if removed else "start-failed", s.starter, s.locale)
    elif removed:
        _note(s, "removed", mention=s.starter, detail=event.by)
    _touch_head(s)


def _handed_over(s: Session, event: e.HandedOver, _at: int, _cause: int) -> None:
    s.handed_over = True
    if event.how not in {"posted", "empty"}:
        _note(s, f"handover-{event.how}", mention=s.starter, detail=s.id)


def _closed(s: Session, _event: e.Closed, _at: int, _cause: int) -> None:
    s.closed, s.place, s.turn, s.sent, s.cut, s.asks, s.stop_early = True, 0, None, None, None, (), ""
    for prompt in s.queue:
        _leave_queue(s, prompt.prompt)
    for card in s.cards:
        if not card.closed and not card.gone:
            _set(s, card.part, closed=True)


def _without(failures: dict[str, Failure], what: str) -> dict[str, Failure]:
    if what not in failures:
        return failures
    return {key: failure for key, failure in failures.items() if key != what}


_EVENTS: dict[type, Callable[[Session, Any, int, int], None]] = {
    e.Requested: _requested,
    e.Refused: _refused,
    e.Noted: _noted,
    e.BudgetNeared: _budget_neared,
    e.StarterPosted: _starter_posted,
    e.ThreadOpened: _thread_opened,
    e.ThreadChanged: _thread_changed,
    e.Shared: _shared,
    e.Unshared: _shared,
    e.RepoAsked: _repo_asked,
    e.SlotAsked: _slot_asked,
    e.LineLeft: _line_left,
    e.SlotNeeded: _slot_needed,
    e.IdleAsked: _idle_asked,
    e.Kept: _kept,
    e.SlotLeft: _slot_left,
    e.SandboxReserved: _sandbox_reserved,
    e.SandboxProbed: _sandbox_probed,
    e.SandboxPlaced: _sandbox_placed,
    e.RepoCloned: _repo_cloned,
    e.RepoFailed: _repo_failed,
    e.SandboxReady: _sandbox_ready,
    e.SandboxLost: _sandbox_lost,
    e.SandboxGone: _sandbox_gone,
    e.PromptQueued: _prompt_queued,
    e.PromptEdited: _prompt_edited,
    e.PromptRemoved: _prompt_removed,
    e.PromptSent: _prompt_sent,
    e.Delivered: _delivered,
    e.JournalRead: _journal_read,
    e.TurnStarted: _turn_started,
    e.TurnEnded: _turn_ended,
    e.TurnCut: _turn_cut,
    e.CutResolved: _cut_resolved,
    e.StopAsked: _stop_asked,
    e.AnswerAsked: _answer_asked,
    e.AnswerGiven: _answer_given,
    e.AnswerExpired: _answer_expired,
    e.MessageShown: _message_shown,
    e.PartCleared: _part_cleared,
    e.Replied: _replied,
    e.EffectFailed: _effect_failed,
    e.EgressNoted: _egress_noted,
    e.CloseAsked: _close_asked,
    e.HandedOver: _handed_over,
    e.Closed: _closed,
}

_FACTS: dict[type, Callable[[Session, Any], None]] = {
    f.CliStarted: _cli_started,
    f.CliExited: _cli_exited,
    f.CliReady: _cli_ready,
    f.PermissionWithdrawn: _permission_over,
    f.PermissionTaken: _permission_over,
    f.TurnFinished: _turn_finished,
    f.StateChanged: _state_changed,
    f.TasksChanged: _tasks_changed,
}
