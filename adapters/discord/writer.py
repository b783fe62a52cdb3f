"""The one writer of a thread: brings its messages up to date with the session's cards, no faster than Discord allows.

It promises that what is shown is the newest there is, that messages come in the order of their cards, that a message is
created once (by its nonce, and after a restart by looking for it), that MessageShown is reported for what is shown and
nothing else, and that a finished card is shown whole. Intermediate edits of a running turn are not reported. Discord knows no
fence: right before each message the log is asked whether we still act for the session, so that a process that stood still
shows nothing when it goes on.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress

import anyio
import msgspec

from adapters.discord.errors import Locked, Unacceptable, UnknownChannel, UnknownMessage
from adapters.discord.pace import EDIT_SECONDS, Pace
from adapters.discord.render import Shown, View, boxes, mark, messages, render
from adapters.discord.rest import Found, Rest
from adapters.discord.split import seam
from adapters.discord.texts import texts
from engine.cards import AskCard, Card, CutCard, HeadCard, QueuedCard, TurnCard
from engine.ports import EffectContext, EventLog, Keyring, TryAgain
from engine.session import Session
from schema import events as e
from schema.sealed import Sealed

FRESH = 50 * 60 * 1_000_000
"""µs: an older message is not edited any more but continued in a new one (Discord: three edits in six seconds after an hour)."""


class Desk(msgspec.Struct, frozen=True):
    """What all writers of a process share. `now`: µs."""

    rest: Rest
    log: EventLog
    keyring: Keyring
    now: Callable[[], int]


class Writer:
    """Writes one session's thread. Remembers what it wrote; what it forgets with its process is read again."""

    _context: EffectContext

    def __init__(self, desk: Desk, locale: str) -> None:
        self._desk = desk
        self._rest = desk.rest
        self._say = texts(locale)
        self._opened: dict[Sealed, str] = {}
        self._content: dict[str, Shown] = {}
        self._bodies: dict[str, str] = {}
        self._looked = False
        self._ends: dict[str, int] = {}
        self._next_edit = 0.0
        self._edited: dict[str, float] = {}

    async def run(self, context: EffectContext) -> None:
        """Until everything is shown and no turn runs. One at a time. Raises TryAgain, GiveUp."""
        self._context = context
        try:
            while self._has_work():
                if not await self._step():
                    await self._pause()
        except UnknownChannel:
            await self._context.report(e.ThreadChanged(what="deleted"))
        except Locked:
            await self._context.report(e.ThreadChanged(what="locked"))
        except TryAgain:
            self._looked = False  # a message may stand there whose id we never got
            raise
        finally:
            self._forget()

    @property
    def _session(self) -> Session:
        return self._context.session

    def _has_work(self) -> bool:
        return any(card.stale or card.gone or _streams(card) for card in self._session.cards)

    async def _step(self) -> bool:
        """Do what comes next: take away what is gone, then new messages in order, then one edit if its time has come."""
        if not self._looked:
            await self._adopt()
        cards = self._session.cards
        for card in cards:
            if card.gone:
                await self._clear(card)
                return True
        new = next((card for card in cards if not card.posted and (card.stale or _streams(card))), None)
        if new:
            return await self._show(new)
        if anyio.current_time() < self._next_edit:
            return False
        known = [card for card in cards if card.posted and (card.stale or _streams(card))]
        for card in sorted(known, key=self._edited_last):
            if await self._show(card):
                return True
        return False

    def _edited_last(self, card: Card) -> tuple[bool, float, bool]:
        """What is over is shown first, for people wait for it; of the rest, what has not been edited for the longest time."""
        head = isinstance(card, HeadCard)
        return not card.closed or head, self._edited.get(card.part, 0.0), head

    async def _pause(self) -> None:
        """Until something changes, or the next edit may be made."""
        left = self._next_edit - anyio.current_time()
        with anyio.move_on_after(left if left > 0 else None):
            await self._context.changed()

    async def _clear(self, card: Card) -> None:
        for posted in card.posted:
            with suppress(UnknownMessage):
                await self._rest.delete(self._session.thread, posted.message)
        await self._context.report(e.PartCleared(part=card.part))

    def _forget(self) -> None:
        """Keep only what the next run needs: what messages that are still edited say."""
        parts = {card.part for card in self._session.cards}
        self._opened.clear()
        self._content = {key: shown for key, shown in self._content.items() if key.rpartition("/")[0] in parts}
        self._bodies = {part: body for part, body in self._bodies.items() if part in parts}
        self._ends = {part: end for part, end in self._ends.items() if part in parts}
        self._edited = {part: at for part, at in self._edited.items() if part in parts}

    # --- one card ----------------------------------------------------------------------------------------------------

    async def _show(self, card: Card) -> bool:
        """Bring one card up to date; whether there was anything to do."""
        view = await self._view(card)
        starts = tuple(posted.start for posted in card.posted)
        if starts and not card.closed and len(view.body) < starts[-1]:
            return False  # what was being said is on its way to become what was said
        self._bodies[card.part] = view.body
        shown = messages(view, starts + self._new_start(card, view.body))
        wrote = False
        for index, one in enumerate(shown):
            last = index == len(shown) - 1
            wrote |= await self._put(card, index, one, rev=card.rev if last else card.shown)
        if card.stale and not _streams(card) and len(shown) <= len(card.posted):
            await self._strip(card, len(shown))
            await self._report(card, len(shown) - 1, self._message(card, len(shown) - 1), shown[-1], card.rev)
            wrote = True
        return wrote

    async def _view(self, card: Card) -> View:
        """How it looks now. What a turn was saying, and has not said, stays: people have read it, whether it is stopped or
        on its way to become a fact.
        """
        await self._open(card)
        view = render(card, self._session, self._text, self._context.live, self._say)
        before = self._bodies.get(card.part, "")
        if isinstance(card, TurnCard) and before.strip():
            silent = view.body == self._say("turn-silent")
            if silent or (len(before) > len(view.body) and before.startswith(view.body.rstrip())):
                return msgspec.structs.replace(view, body=before)
        return view

    def _new_start(self, card: Card, body: str) -> tuple[int, ...]:
        """Where a turn goes on in a new message: when its last one is old, or something was asked below it."""
        if not (isinstance(card, TurnCard) and card.posted):
            return ()
        last = card.posted[-1]
        end = self._ends.get(card.part, 0)
        known = self._content.get(f"{card.part}/{len(card.posted) - 1}")
        if end <= last.start and known and self._desk.now() - last.at > FRESH:
            end = known.end
        if not last.start < end < len(body):
            return ()
        start = seam(body, last.start, end)
        return (start,) if start > last.start else ()

    async def _end_turn_above(self, card: Card) -> None:
        """What a turn says from here on comes below this card."""
        if isinstance(card, QueuedCard | TurnCard):  # queued prompts go away again
            return
        for turn in self._session.cards:
            if _streams(turn) and turn.posted:
                self._ends[turn.part] = len((await self._view(turn)).body)

    async def _put(self, card: Card, index: int, one: Shown, *, rev: int) -> bool:
        """One message of a card, created or edited; left alone (False) when it says this already."""
        key = f"{card.part}/{index}"
        if self._content.get(key) == one:
            return False
        try:
            await self._write(card, index, one, rev)
        except Unacceptable:  # whatever it is that Discord does not take, the rest of the thread goes on
            instead = msgspec.structs.replace(one, content=self._say("unshowable"))
            await self._write(card, index, instead, rev)
        self._content[key] = one
        return True

    async def _write(self, card: Card, index: int, one: Shown, rev: int) -> None:
        if index >= len(card.posted):
            await self._create(card, index, one, rev)
            return
        thread, message = self._session.thread, self._message(card, index)
        mention = card.mention if index == 0 else ""
        try:
            await self._rest.edit(
                thread,
                message,
                one.content,
                one.buttons,
                mention=mention,
                urgency=_urgency(card),
                confirm=self._context.confirm,
            )
        except UnknownMessage:  # somebody deleted it: people need its buttons, but not what they did not want to read
            if one.buttons:
                await self._create(card, index, one, card.shown, instead_of=message)
        self._edited[card.part] = anyio.current_time()
        self._next_edit = self._edited[card.part] + EDIT_SECONDS

    async def _create(self, card: Card, index: int, one: Shown, rev: int, *, instead_of: str = "") -> None:
        message = await self._rest.create(
            self._session.thread,
            one.content,
            nonce=nonce(self._session.thread, card.part + instead_of, index),
            buttons=one.buttons,
            mention=card.mention if index == 0 else "",
            reply=card.answers if isinstance(card, TurnCard) and index == 0 else "",
            urgency=_urgency(card),
            confirm=self._context.confirm,
        )
        await self._end_turn_above(card)
        await self._report(card, index, message, one, rev)

    async def _strip(self, card: Card, kept: int) -> None:
        """Messages that a finished card no longer fills: what they say stays, but there is nothing to press any more."""
        for posted in card.posted[kept:]:
            with suppress(UnknownMessage):
                await self._rest.edit(self._session.thread, posted.message, None, (), confirm=self._context.confirm)

    def _message(self, card: Card, index: int) -> str:
        """The id of a card's message, also when it was just created instead of another."""
        newer = self._session.card(card.part)
        return (newer or card).posted[index].message

    async def _report(self, card: Card, index: int, message: str, one: Shown, rev: int) -> None:
        final = card.closed and rev == card.rev
        shown = e.MessageShown(part=card.part, index=index, message=message, rev=rev, start=one.start, final=final)
        await self._context.report(shown)

    # --- after a restart ---------------------------------------------------------------------------------------------

    async def _adopt(self) -> None:
        """Find what a lost answer, or a process that died, left in the thread, and make it ours again."""
        session = self._session
        ours = await self._rest.ours(session.thread)
        known = {posted.message for card in session.cards for posted in card.posted}
        strange = [one for one in ours if one.message not in known]
        if strange:
            reported = await self._reported()
            strange = [one for one in strange if one.message not in reported]
        for card in session.cards if strange else ():
            await self._adopt_card(card, strange)
        self._looked = True

    async def _reported(self) -> set[str]:
        """Every message of this thread that the log knows, also those of cards that are forgotten."""
        recorded = await self._desk.log.read_stream(f"session:{self._session.id}")
        return {one.event.message for one in recorded if isinstance(one.event, e.MessageShown)}

    async def _adopt_card(self, card: Card, strange: list[Found]) -> None:
        index = len(card.posted)
        shown = messages(await self._view(card), tuple(posted.start for posted in card.posted))
        expected = shown[index] if index < len(shown) else None
        mine = nonce(self._session.thread, card.part, index)
        for one in strange:
            if one.nonce == mine or mark(card, self._session) in one.custom_ids or _says(one, expected):
                start = expected.start if expected else shown[-1].end
                adopted = Shown(content=one.content, buttons=(), start=start, end=start)
                await self._report(card, index, one.message, adopted, card.shown)
                strange.remove(one)
                return

    # --- texts -------------------------------------------------------------------------------------------------------

    async def _open(self, card: Card) -> None:
        for box in boxes(card):
            if box not in self._opened:
                text = await self._desk.keyring.open(box)
                self._opened[box] = self._say("ask-erased") if text is None else text

    def _text(self, box: Sealed | None) -> str:
        return self._opened.get(box, "") if box else ""


def nonce(thread: str, part: str, index: int) -> str:
    """At most 25 characters that name one message of one thread."""
    return hashlib.blake2s(f"{thread}/{part}/{index}".encode(), digest_size=12).hexdigest()


def _says(found: Found, expected: Shown | None) -> bool:
    return expected is not None and bool(found.content) and found.content == expected.content.strip()


def _streams(card: Card) -> bool:
    """Whether it is a turn that runs: what it says may change at any moment."""
    return isinstance(card, TurnCard) and not card.closed


def _urgency(card: Card) -> int:
    """Decisions pass everything that waits, and so does Stop."""
    urgent = isinstance(card, AskCard | CutCard) or (isinstance(card, TurnCard) and bool(card.stopping))
    return Pace.URGENT if urgent else Pace.NORMAL
