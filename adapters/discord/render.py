"""What a session's cards look like as messages. Pure: the state, the opened texts and the live text in, messages out.

What Claude says is Markdown of its own; what tools print and people type is shown as it is, so that it cannot look like
ours. Nothing pings but the one person whom a card names (the writer sees to that).
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from adapters.discord.custom_ids import Pressed, write
from adapters.discord.markdown import block, inline_code, one_line, plain, said, visible
from adapters.discord.split import Piece, split
from adapters.discord.texts import Texts
from engine.cards import AskCard, Card, CutCard, HeadCard, IdleCard, NoteCard, QueuedCard, TurnCard
from engine.ports import Usage
from engine.session import Phase, Session
from schema import facts as f
from schema.sealed import Sealed

Open = Callable[[Sealed | None], str]
"""The text in a box; a sentence that says so when it was erased, "" for None."""

_FAILED_LINES = 8
_FAILED_CHARACTERS = 900
_NOTICE_CHARACTERS = 1500
_QUEUED_CHARACTERS = 160
_REASON_CHARACTERS = 400
_CURSOR = " ▌"
_NOTHING = "\u200b"


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """`style`: primary, secondary, success or danger."""

    label: str
    custom_id: str
    style: str = "secondary"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A card as one text, however long; `cursor` follows its end, `tail` and `buttons` stand under it."""

    body: str
    cursor: str = ""
    tail: str = ""
    buttons: tuple[Button, ...] = ()


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One message: what it says, its buttons, and which part of the card's body it shows."""

    content: str
    buttons: tuple[Button, ...]
    start: int
    end: int


def boxes(card: Card) -> Iterator[Sealed]:
    """Every sealed text that showing this card needs."""
    match card:
        case TurnCard():
            for fact in card.facts:
                for box in (
                    getattr(fact, "text", None),
                    getattr(fact, "summary", None),
                    getattr(fact, "output", None),
                ):
                    if box:
                        yield box
        case AskCard():
            yield card.question
        case QueuedCard():
            yield card.text
        case NoteCard() if card.text:
            yield card.text
        case _:
            pass


def messages(view: View, starts: tuple[int, ...]) -> list[Shown]:
    """The messages of a view. `starts`: where its existing messages begin. Earlier ones never change once another follows."""
    pieces = split(view.body, starts)
    shown = [_shown(piece, piece.text) for piece in pieces[:-1]]
    last = pieces[-1]
    content = "\n".join(part for part in (last.text.rstrip("\n") + view.cursor, view.tail) if part)
    return [*shown, _shown(last, content, view.buttons)]


def _shown(piece: Piece, content: str, buttons: tuple[Button, ...] = ()) -> Shown:
    """Discord takes no message that only has white space."""
    return Shown(content=content if content.strip() else _NOTHING, buttons=buttons, start=piece.start, end=piece.end)


class Question(msgspec.Struct):
    """What people need of a sealed `PermissionQuestion` (`adapters/claude/wire.py` writes it)."""

    tool: str = ""
    shown: str = ""
    language: str = ""
    cut: int = 0
    title: str = ""
    reason: str = ""
    path: str = ""


def render(card: Card, session: Session, opened: Open, live: str, say: Texts) -> View:  # noqa: PLR0911 - one return per kind
    """One card as people see it."""
    match card:
        case HeadCard():
            return _head(session, say)
        case TurnCard():
            return _turn(card, session, opened, live, say)
        case AskCard():
            return _ask(card, session, opened, say)
        case QueuedCard():
            text = plain(opened(card.text), _QUEUED_CHARACTERS)
            remove = _button(session, say, "remove", card.prompt)
            return View(body=say("queued", text=text), buttons=(remove,))
        case CutCard():
            return _cut(card, session, say)
        case IdleCard():
            return _idle(card, session, say)
        case NoteCard():
            return View(body=_note(card, opened, say))


def mark(card: Card, session: Session) -> str:  # noqa: PLR0911 - one return per kind
    """A custom_id that only messages of this card have, while they have buttons; "" for a card that never has any."""
    match card:
        case HeadCard():
            return write(Pressed("close", session.id))
        case TurnCard():
            return write(Pressed("stop", session.id, str(card.turn)))
        case AskCard():
            return write(Pressed("allow", session.id, card.request))
        case QueuedCard():
            return write(Pressed("remove", session.id, card.prompt))
        case CutCard():
            return write(Pressed("continue", session.id, str(card.turn)))
        case IdleCard():
            return write(Pressed("keep", session.id, str(card.number)))
        case NoteCard():
            return ""


def start_again(session: Session, say: Texts) -> Button:
    """The way out of a closed session."""
    return _button(session, say, "again", style="primary")


# --- the head --------------------------------------------------------------------------------------------------------


def status(session: Session, say: Texts) -> str:  # noqa: PLR0911 - one return per phase
    """How the session stands, in one sentence."""
    match session.phase:
        case Phase.WAITING | Phase.LOST if session.resting:
            return say("head-left")
        case Phase.WAITING | Phase.LOST if session.place:
            return say("head-waiting", place=session.place)
        case Phase.NEW | Phase.REQUESTED | Phase.WAITING:
            return say("head-asking")
        case Phase.LOST if session.lost in {"passed", "repo"}:
            return say("head-passed" if session.lost == "passed" else "head-uncloned")
        case Phase.PROVISIONING:
            failure = session.failures.get("attach")
            if failure:
                return say("head-retrying", attempt=failure.attempt)
            return say("head-cloning" if session.repo else "head-provisioning")
        case Phase.READY if session.gave_up:
            return say("head-broken")
        case phase:
            return say(f"head-{phase}")


def used(usage: Usage, say: Texts) -> str:
    """What is known of what a sandbox uses, in one line."""
    disk = say("status-disk", percent=usage.disk)
    return say("status-usage", parts=" · ".join([*_memory(usage, say), disk, *_cpu(usage, say)]))


def _memory(usage: Usage, say: Texts) -> Iterator[str]:
    memory, limit = usage.memory, usage.memory_limit
    if memory is not None and limit:
        yield say("status-memory", used=memory >> 20, limit=limit >> 20, percent=100 * memory // limit)
    elif memory is not None:
        yield say("status-memory-bare", used=memory >> 20)


def _cpu(usage: Usage, say: Texts) -> Iterator[str]:
    if usage.cpu is not None and usage.cpu_limit:
        yield say("status-cpu", percent=100 * usage.cpu // usage.cpu_limit)
    elif usage.cpu is not None:
        yield say("status-cpu-core", percent=usage.cpu // 10)


def _head(session: Session, say: Texts) -> View:
    lines = [say("head-title"), status(session, say)]
    failure = session.failures.get("attach")
    if session.phase is Phase.PROVISIONING and failure:
        lines.append(say("reason", reason=plain(failure.why, _REASON_CHARACTERS)))
    if session.model:
        lines.append(say("head-model", model=plain(session.model)))
    if session.shared:
        lines.append(say("head-shared"))
    if session.ready and session.open_walls:
        lines.append(say("head-open-walls", walls=walls(session.open_walls, say)))
    elif session.ready and not session.isolated:
        lines.append(say("head-unwalled"))
    if session.closing or session.closed:
        return View(body="\n".join(lines))
    waits = session.place and not session.resting
    leave = (_button(session, say, "leave"),) if waits else ()
    return View(body="\n".join(lines), buttons=(_button(session, say, "close"), *leave))


# --- a turn ----------------------------------------------------------------------------------------------------------


def _turn(card: TurnCard, session: Session, opened: Open, live: str, say: Texts) -> View:
    body = "".join(_fact(fact, opened, say) for fact in card.facts)
    if card.closed:
        return View(body=body if body.strip() else say("turn-silent"), tail=_footer(card, say))
    stop = _button(session, say, "stop", str(card.turn), style="danger")
    cursor = _CURSOR if live else ""
    return View(body=body + said(live, over=False), cursor=cursor, tail=_footer(card, say), buttons=(stop,))


def _footer(card: TurnCard, say: Texts) -> str:  # noqa: PLR0911 - one line per state
    took = _duration(card.ended - card.started, say)
    match card.outcome:
        case "" if card.stopping:
            return say("turn-stopping")
        case "" if card.asking:
            return say("turn-asking")
        case "" if card.facts and isinstance(card.facts[-1], f.Retrying):
            return _retrying(card.facts[-1], say)
        case "":
            return say("turn-working", person=card.by, since=str(card.started // 1_000_000))
        case "stopped" if card.stopping:
            return say("turn-stopped", person=card.stopping, took=took)
        case "stopped":
            return say("turn-stopped-by-itself", took=took)
        case "failed":
            return say("turn-failed", reason=plain(card.reason, 30), took=took)
        case outcome:
            return say.either(f"turn-{outcome}", "turn-completed", took=took)


def _retrying(fact: f.Retrying, say: Texts) -> str:
    """Said as long as it is so: ten lines about ten tries would stay for ever."""
    status = str(fact.status) if fact.status else say("retrying-no-answer")
    return say("retrying", status=status, attempt=fact.attempt, limit=fact.limit)


def _duration(microseconds: int, say: Texts) -> str:
    minutes, seconds = divmod(max(0, microseconds) // 1_000_000, 60)
    return say("duration", minutes=minutes, seconds=seconds)


def _fact(fact: f.Fact, opened: Open, say: Texts) -> str:  # noqa: PLR0911 - one line per kind of fact
    """What one fact adds to the body: always whole lines, never a change to what stands before."""
    match fact:
        case f.Said():
            return f"{said(opened(fact.text))}\n\n" if fact.parent is None else ""
        case f.ToolCalled():
            level = "↳ " if fact.parent else ""
            return f"-# {level}🔧 **{plain(fact.name, 80)}** {inline_code(opened(fact.summary))}\n"
        case f.ToolReturned():
            return _returned(fact, opened(fact.output), say)
        case f.Noticed():
            return _notice(f"notice-{fact.what}", opened(fact.text), say) + "\n"
        case f.DiskFilled():
            return say("disk-stopped" if fact.stopped else "disk-filled", percent=fact.percent) + "\n"
        case f.MemoryFilled():
            return say("memory-filled", percent=fact.percent) + "\n"
        case f.Skipped() if fact.what != "unknown":
            return say.either(f"skipped-{fact.what}", "skipped-broken") + "\n"
        case _:
            return ""


def _returned(fact: f.ToolReturned, output: str, say: Texts) -> str:
    if fact.parent:
        return ""
    lines = output.splitlines()
    if fact.failed:
        shown = "\n".join(lines[:_FAILED_LINES])[:_FAILED_CHARACTERS]
        return f"-# ↳ ❌\n{block(shown, 'text')}\n" if shown.strip() else "-# ↳ ❌\n"
    if not lines:
        return "-# ↳ ✓\n"
    more = f" · {say('tool-more', count=len(lines) - 1)}" if len(lines) > 1 else ""
    return f"-# ↳ {inline_code(lines[0], 120)}{more}\n"


def _notice(name: str, text: str, say: Texts) -> str:
    return say.either(name, "notice-info", text=one_line(text, _NOTICE_CHARACTERS))


# --- decisions -------------------------------------------------------------------------------------------------------


def _ask(card: AskCard, session: Session, opened: Open, say: Texts) -> View:
    try:
        question = msgspec.json.decode(opened(card.question), type=Question)
    except msgspec.MsgspecError:
        question = Question(tool=card.tool, shown=say("ask-erased"))
    asker = card.mention or session.starter
    lines = [
        say("ask-title", person=asker, tool=plain(question.tool or card.tool, 80)),
        block(visible(question.shown), question.language),
    ]
    if question.cut:
        lines.append(say("ask-cut", count=question.cut))
    if question.reason:
        lines.append(say("ask-reason", reason=plain(question.reason, 300)))
    if question.path:
        lines.append(say("ask-path", path=inline_code(question.path, 300)))
    if not card.choice:
        lines.append(say("ask-expires", time=str(card.expires // 1_000_000)))
        return View(body="\n".join(lines), buttons=_choices(card, session, say))
    outcome = {"allow": "allowed", "deny": "denied"}.get(card.choice, card.choice)
    return View(body="\n".join(lines), tail=say.either(f"ask-{outcome}", "ask-withdrawn", person=card.by))


def _choices(card: AskCard, session: Session, say: Texts) -> tuple[Button, ...]:
    allow = _button(session, say, "allow", card.request, style="success")
    always = _button(session, say, "always", card.request)
    deny = _button(session, say, "deny", card.request, style="danger")
    return (allow, always, deny) if card.always else (allow, deny)


def _cut(card: CutCard, session: Session, say: Texts) -> View:
    lines = [say("cut", person=card.by), say.either(f"cut-why-{card.why}", "cut-why-cli")]
    if card.choice:
        return View(body="\n".join(lines), tail=say.either(f"cut-{card.choice}", "cut-prompt", person=card.chosen_by))
    if card.closed:
        return View(body="\n".join(lines))
    again = (_button(session, say, "retry", str(card.turn)),) if card.text else ()
    return View(
        body="\n".join(lines),
        buttons=(_button(session, say, "continue", str(card.turn), style="primary"), *again),
    )


def _idle(card: IdleCard, session: Session, say: Texts) -> View:
    body = say("idle", person=card.mention, since=str(card.since // 1_000_000))
    if card.choice:
        return View(body=body, tail=say(f"idle-{card.choice}", person=card.by))
    if card.closed:
        return View(body=body)
    keep = _button(session, say, "keep", str(card.number), style="primary")
    close = Button(label=say("button-close"), custom_id=write(Pressed("end", session.id)), style="danger")
    return View(body=body, buttons=(keep, close))


def _note(card: NoteCard, opened: Open, say: Texts) -> str:
    if card.what.startswith("notice-"):
        return _notice(card.what, opened(card.text), say)
    match card.what:
        case "sandbox-lost":
            detail = say.either(f"lost-{card.detail}", "lost-gone")
        case "sandbox-unwalled":
            detail = walls(card.detail.split(), say)
        case "repo-failed":
            detail = say.either(f"repo-{card.detail}", "repo-broken")
        case "repo-trusted" | "repo-untrusted":
            detail = " · ".join(say.either(f"code-{code}", "code-settings") for code in card.detail.split())
        case _:
            detail = plain(card.detail)
    told = say(f"note-{card.what}", person=card.mention, detail=detail)
    if card.reason:
        told += "\n" + say("reason", reason=plain(card.reason, _REASON_CHARACTERS))
    why = opened(card.text).strip()
    return f"{told}\n{block(why[:_FAILED_CHARACTERS], 'text')}" if why else told


# --- small things ----------------------------------------------------------------------------------------------------


def walls(names: Iterable[str], say: Texts) -> str:
    """What is behind each of them."""
    return " · ".join(say.either(f"wall-{wall}", "wall-outside") for wall in names)


def _button(session: Session, say: Texts, kind: str, about: str = "", *, style: str = "secondary") -> Button:
    custom_id = write(Pressed(kind, session.id, about))
    return Button(label=say(f"button-{kind}"), custom_id=custom_id, style=style)
