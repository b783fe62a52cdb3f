"""What a session's cards look like as messages. Pure: the state, the opened texts and the live text in, messages out.

Everything Claude or a person wrote is Markdown of theirs and may not ping (the writer allows a mention only where a card
names one). What tools print is shown as code, so that it cannot look like ours.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from adapters.discord.custom_ids import Pressed, write
from adapters.discord.split import split
from adapters.discord.texts import Texts
from engine.cards import AskCard, Card, CutCard, HeadCard, NoteCard, QueuedCard, TurnCard
from engine.session import Phase, Session
from schema import facts as f
from schema.sealed import Sealed

Open = Callable[[Sealed | None], str]
"""The text in a box; a sentence that says so when it was erased, "" for None."""

_FAILED_LINES = 8
_QUEUED_CHARACTERS = 160


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """`style`: primary, secondary, success or danger."""

    label: str
    custom_id: str
    style: str = "secondary"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A card as one text, however long; `tail` and `buttons` stand under its end."""

    body: str
    tail: str = ""
    buttons: tuple[Button, ...] = ()


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One message: what it says, its buttons, and where in the card's body it begins."""

    content: str
    buttons: tuple[Button, ...]
    start: int


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
    shown = [Shown(content=piece.text, buttons=(), start=piece.start) for piece in pieces[:-1]]
    last = pieces[-1]
    content = "\n".join(part for part in (last.text, view.tail) if part)
    return [*shown, Shown(content=content, buttons=view.buttons, start=last.start)]


class Question(msgspec.Struct):
    """What people need of a sealed `PermissionQuestion` (`adapters/claude/wire.py` writes it)."""

    tool: str = ""
    shown: str = ""
    cut: int = 0
    title: str = ""
    reason: str = ""
    path: str = ""


def render(card: Card, session: Session, opened: Open, live: str, say: Texts) -> View:
    """One card as people see it."""
    match card:
        case HeadCard():
            return _head(session, say)
        case TurnCard():
            return _turn(card, session, opened, live, say)
        case AskCard():
            return _ask(card, session, opened, say)
        case QueuedCard():
            text = _one_line(opened(card.text), _QUEUED_CHARACTERS)
            remove = _button(session, say, "remove", card.prompt)
            return View(body=say("queued", text=text), buttons=(remove,))
        case CutCard():
            return _cut(card, session, say)
        case NoteCard():
            return View(body=_note(card, opened, say))


# --- the head --------------------------------------------------------------------------------------------------------


def status(session: Session, say: Texts) -> str:
    """How the session stands, in one sentence."""
    match session.phase:
        case Phase.WAITING if session.place:
            return say("head-waiting", place=session.place)
        case Phase.NEW | Phase.REQUESTED | Phase.WAITING:
            return say("head-asking")
        case Phase.PROVISIONING:
            failure = session.failures.get("attach")
            return say("head-retrying", attempt=failure.attempt) if failure else say("head-provisioning")
        case phase:
            return say(f"head-{phase}")


def _head(session: Session, say: Texts) -> View:
    lines = [say("head-title"), status(session, say)]
    if session.model:
        lines.append(say("head-model", model=_code(session.model)))
    if session.ready and not session.isolated:
        lines.append(say("head-unwalled"))
    ended = session.closing or session.closed
    return View(body="\n".join(lines), buttons=() if ended else (_button(session, say, "close"),))


# --- a turn ----------------------------------------------------------------------------------------------------------


def _turn(card: TurnCard, session: Session, opened: Open, live: str, say: Texts) -> View:
    parts = [_fact(fact, opened, say) for fact in card.facts]
    if live and not card.closed:
        parts.append(live)
    body = "".join(parts)
    if card.closed and not body.strip():
        body = say("turn-silent") + "\n"
    stop = _button(session, say, "stop", str(card.turn), style="danger")
    return View(body=body, tail=_footer(card, say), buttons=() if card.closed else (stop,))


def _footer(card: TurnCard, say: Texts) -> str:
    match card.outcome:
        case "":
            if card.stopping:
                return say("turn-stopping")
            return say("turn-asking") if card.asking else say("turn-working", person=card.by)
        case "stopped":
            return say("turn-stopped", person=card.stopping) if card.stopping else say("turn-stopped-by-itself")
        case "failed":
            return say("turn-failed", reason=_code(card.reason))
        case outcome:
            return say(f"turn-{outcome}")


def _fact(fact: f.Fact, opened: Open, say: Texts) -> str:  # noqa: PLR0911 - one line per kind of fact
    """What one fact adds to the body: always whole lines, never a change to what stands before."""
    match fact:
        case f.Said():
            return f"{opened(fact.text).strip()}\n\n" if fact.parent is None else ""
        case f.ToolCalled():
            return f"-# {'↳ ' if fact.parent else ''}🔧 **{_code(fact.name)}** {_inline_code(opened(fact.summary))}\n"
        case f.ToolReturned():
            return _returned(fact, opened(fact.output), say)
        case f.Retrying():
            status = str(fact.status) if fact.status else say("retrying-no-answer")
            return say("retrying", status=status, attempt=fact.attempt, limit=fact.limit) + "\n"
        case f.Noticed():
            return say(f"notice-{fact.what}", text=_one_line(opened(fact.text), 1500)) + "\n"
        case f.DiskFilled():
            return say("disk-stopped" if fact.stopped else "disk-filled", percent=fact.percent) + "\n"
        case f.Skipped() if fact.what != "unknown":
            return say("skipped", what=fact.what) + "\n"
        case _:
            return ""


def _returned(fact: f.ToolReturned, output: str, say: Texts) -> str:
    if fact.parent:
        return ""
    lines = output.splitlines()
    if fact.failed:
        shown = "\n".join(lines[:_FAILED_LINES]).replace("```", "`\u200b``")
        return f"-# ↳ ❌\n```text\n{shown[:900]}\n```\n" if shown else "-# ↳ ❌\n"
    if not lines:
        return "-# ↳ ✓\n"
    more = f" · {say('tool-more', count=len(lines) - 1)}" if len(lines) > 1 else ""
    return f"-# ↳ {_inline_code(_one_line(lines[0], 120))}{more}\n"


# --- decisions -------------------------------------------------------------------------------------------------------


def _ask(card: AskCard, session: Session, opened: Open, say: Texts) -> View:
    try:
        question = msgspec.json.decode(opened(card.question), type=Question)
    except msgspec.MsgspecError:
        question = Question(tool=card.tool, shown=say("ask-erased"))
    asker = card.mention or session.starter
    shown = question.shown.replace("```", "`\u200b``")
    lines = [say("ask-title", person=asker, tool=_code(question.tool)), f"```\n{shown}\n```"]
    if question.cut:
        lines.append(say("ask-cut", count=question.cut))
    if question.reason:
        lines.append(say("ask-reason", reason=_one_line(question.reason, 300)))
    if question.path:
        lines.append(say("ask-path", path=_inline_code(question.path)))
    if not card.choice:
        lines.append(say("ask-expires", time=str(card.expires // 1_000_000)))
        return View(body="\n".join(lines), buttons=_choices(card, session, say))
    outcome = {"allow": "allowed", "deny": "denied"}.get(card.choice, card.choice)
    return View(body="\n".join(lines), tail=say(f"ask-{outcome}", person=card.by))


def _choices(card: AskCard, session: Session, say: Texts) -> tuple[Button, ...]:
    allow = _button(session, say, "allow", card.request, style="success")
    always = _button(session, say, "always", card.request)
    deny = _button(session, say, "deny", card.request, style="danger")
    return (allow, always, deny) if card.always else (allow, deny)


def _cut(card: CutCard, session: Session, say: Texts) -> View:
    lines = [say("cut", person=card.by), say(f"cut-why-{card.why}")]
    if card.choice:
        return View(body="\n".join(lines), tail=say(f"cut-{card.choice}", person=card.chosen_by))
    if card.closed:
        return View(body="\n".join(lines))
    again = (_button(session, say, "retry", str(card.turn)),) if card.text else ()
    return View(
        body="\n".join(lines),
        buttons=(_button(session, say, "continue", str(card.turn), style="primary"), *again),
    )


def _note(card: NoteCard, opened: Open, say: Texts) -> str:
    if card.what.startswith("notice-"):
        return say(card.what, text=_one_line(opened(card.text), 1500))
    detail = say(f"lost-{card.detail}") if card.what == "sandbox-lost" else card.detail
    said = say(f"note-{card.what}", person=card.mention, detail=_code(detail))
    why = opened(card.text).strip().replace("```", "`\u200b``")
    return f"{said}\n```text\n{why[:1200]}\n```" if why else said


# --- small things ----------------------------------------------------------------------------------------------------


def _button(session: Session, say: Texts, kind: str, about: str = "", *, style: str = "secondary") -> Button:
    custom_id = write(Pressed(kind, session.id, about))
    return Button(label=say(f"button-{kind}"), custom_id=custom_id, style=style)


def _one_line(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _code(text: str) -> str:
    """A short text of somebody else's, made unable to be Markdown, a mention or a link."""
    return re.sub(r"([\\`*_~|<>@#\[\]()])", "\\\\\\1", _one_line(text, 200))


def _inline_code(text: str) -> str:
    line = _one_line(text, 200).replace("`", "ˋ")
    return f"`{line}`" if line else ""
