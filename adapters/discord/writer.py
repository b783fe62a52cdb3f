"""The one writer of a thread: brings its messages up to date with the session's cards, no faster than Discord allows.

It promises that what is shown is the newest there is, that messages come in the order of their cards, that a message is
created once (by its nonce, and after a restart by looking for it), that MessageShown is reported for what is shown and
nothing else, and that a finished card is shown whole. Intermediate edits of a running turn are not reported.
"""

import hashlib
import time
from contextlib import suppress

import anyio

from adapters.discord.errors import Locked, UnknownChannel, UnknownMessage
from adapters.discord.pace import EDIT_SECONDS, Pace
from adapters.discord.render import Shown, boxes, messages, render
from adapters.discord.rest import Rest
from adapters.discord.texts import texts
from engine.cards import AskCard, Card, CutCard, HeadCard, TurnCard
from engine.ports import EffectContext, Keyring
from schema import events as e
from schema.sealed import Sealed

FRESH = 50 * 60 * 1_000_000
"""µs: an older message is not edited any more but continued in a new one (Discord: three edits in six seconds after an hour)."""


class Writer:
    """Writes one session's thread. Remembers what it wrote; what it forgets with its process is read again."""

    _context: EffectContext

    def __init__(self, rest: Rest, keyring: Keyring, locale: str) -> None:
        self._rest = rest
        self._keyring = keyring
        self._say = texts(locale)
        self._opened: dict[Sealed, str] = {}
        self._content: dict[str, Shown] = {}
        self._looked = False
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

    def _has_work(self) -> bool:
        return any(card.stale or card.gone or _streams(card) for card in self._context.session.cards)

    async def _step(self) -> bool:
        """Do what comes next: take away what is gone, then new messages in order, then one edit if its time has come."""
        await self._adopt()
        cards = self._context.session.cards
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
        for card in sorted(known, key=lambda card: (self._edited.get(card.part, 0.0), isinstance(card, HeadCard))):
            if await self._show(card):
                return True
        return False

    async def _pause(self) -> None:
        """Until something changes, or the next edit may be made."""
        left = self._next_edit - anyio.current_time()
        with anyio.move_on_after(left if left > 0 else None):
            await self._context.changed()

    async def _clear(self, card: Card) -> None:
        for posted in card.posted:
            with suppress(UnknownMessage):
                await self._rest.delete(self._context.session.thread, posted.message)
        await self._context.report(e.PartCleared(part=card.part))

    async def _show(self, card: Card) -> bool:
        """Bring one card up to date; whether there was anything to do."""
        await self._open(card)
        session = self._context.session
        view = render(card, session, self._text, self._context.live, self._say)
        starts = [posted.start for posted in card.posted]
        if self._grew_old(card) and len(view.body) > starts[-1]:
            starts.append(self._end_of_last(card, view.body))
        shown = messages(view, tuple(starts))
        wrote = False
        for index, one in enumerate(shown):
            last = index == len(shown) - 1
            wrote |= await self._put(card, index, one, rev=card.rev if last else card.shown)
        if card.stale and len(shown) <= len(card.posted):
            await self._report(card, len(shown) - 1, card.posted[len(shown) - 1].message, shown[-1], card.rev)
            wrote = True
        return wrote

    def _grew_old(self, card: Card) -> bool:
        """Only a running turn goes on in a new message; everything else is small, or over."""
        if not isinstance(card, TurnCard) or card.closed or not card.posted:
            return False
        return self._now() - card.posted[-1].at > FRESH

    def _end_of_last(self, card: Card, body: str) -> int:
        """Where what the old message shows ends: what comes after goes into a new one."""
        key = f"{card.part}/{len(card.posted) - 1}"
        known = self._content.get(key)
        return min(len(body), known.start + len(known.content)) if known else card.posted[-1].start

    def _now(self) -> int:
        return time.time_ns() // 1000

    async def _put(self, card: Card, index: int, one: Shown, *, rev: int) -> bool:
        """One message of a card, created or edited; left alone (False) when it says this already."""
        key = f"{card.part}/{index}"
        if self._content.get(key) == one:
            return False
        thread = self._context.session.thread
        urgency = Pace.URGENT if isinstance(card, AskCard | CutCard) else Pace.NORMAL
        if index < len(card.posted):
            with suppress(UnknownMessage):  # somebody deleted it: what it said is gone by their will
                await self._rest.edit(thread, card.posted[index].message, one.content, one.buttons, urgency)
            self._edited[card.part] = anyio.current_time()
            self._next_edit = self._edited[card.part] + EDIT_SECONDS
        else:
            mention = card.mention if index == 0 else ""
            message = await self._rest.create(
                thread,
                one.content,
                nonce=self._nonce(card, index),
                buttons=one.buttons,
                mention=mention,
                urgency=urgency,
            )
            await self._report(card, index, message, one, rev)
        self._content[key] = one
        return True

    async def _report(self, card: Card, index: int, message: str, one: Shown, rev: int) -> None:
        final = card.closed and rev == card.rev
        shown = e.MessageShown(part=card.part, index=index, message=message, rev=rev, start=one.start, final=final)
        await self._context.report(shown)

    def _nonce(self, card: Card, index: int) -> str:
        return nonce(self._context.session.thread, card.part, index)

    async def _adopt(self) -> None:
        """Before the first create: find what a lost answer, or a process that died, left in the thread."""
        if self._looked:
            return
        self._looked = True
        session = self._context.session
        known = {posted.message for card in session.cards for posted in card.posted}
        latest = max((int(message) for message in known), default=int(session.thread))
        ours = [one for one in await self._rest.ours_after(session.thread, str(latest)) if one[0] not in known]
        for card in session.cards:
            for message, mark, _ in ours:
                if mark and mark == self._nonce(card, len(card.posted)):
                    start = self._start_of_next(card)
                    shown = Shown(content="", buttons=(), start=start, end=start)
                    await self._report(card, len(card.posted), message, shown, card.shown)
                    break

    def _start_of_next(self, card: Card) -> int:
        """Where the message after the known ones begins: they were full."""
        if not card.posted:
            return 0
        view = render(card, self._context.session, self._text, "", self._say)
        shown = messages(view, tuple(posted.start for posted in card.posted))
        return shown[len(card.posted)].start if len(shown) > len(card.posted) else len(view.body)

    async def _open(self, card: Card) -> None:
        for box in boxes(card):
            if box not in self._opened:
                self._opened[box] = (await self._keyring.open(box)) or self._say("ask-erased")

    def _text(self, box: Sealed | None) -> str:
        return self._opened.get(box, "") if box else ""


def nonce(thread: str, part: str, index: int) -> str:
    """At most 25 characters that name one message of one thread."""
    return hashlib.blake2s(f"{thread}/{part}/{index}".encode(), digest_size=12).hexdigest()


def _streams(card: Card) -> bool:
    """Whether it is a turn that runs: what it says may change at any moment."""
    return isinstance(card, TurnCard) and not card.closed
