"""How fast we may write: so many requests a second in all, urgent ones first; so many new messages in one channel.

Discord allows 50 a second and bans who ignores it; hikari has no limiter of its own, and holds requests back while it does
not know a route, to send them all at once when it does (`notes/discord.md` §3). So what is on its way is limited too:
together never more than 40 in any second, however late some of them arrive.
"""

import heapq
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

PER_SECOND = 32
AT_ONCE = 8
EDIT_SECONDS = 1.25
"""Between two edits of one thread: Discord gives back one of five slots a second."""

_CREATE_SECONDS, _CREATES = 1.05, 5
_REACT_SECONDS, _REACTIONS = 0.3, 1


PAGE_REQUESTS = 2
"""hikari reads a page of messages with two requests: it does not know that the first was not full."""


class Pace:
    """Hands out slots. `URGENT` ones (answers, decisions, Stop) pass everything that waits."""

    URGENT, NORMAL, LATE = range(3)

    def __init__(self, per_second: float = PER_SECOND, at_once: int = AT_ONCE) -> None:
        self._every = 1 / per_second
        self._left = at_once
        self._free_at = 0.0
        self._waiting: list[tuple[int, int, int, anyio.Event]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def slot(self, urgency: int = NORMAL, *, requests: int = 1) -> AsyncGenerator[None]:
        """Wait for the next slot, and hold it while the request is on its way, or so many, one after the other."""
        turn = anyio.Event()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), requests, turn))
        self._call_next()
        try:
            await turn.wait()
            now = anyio.current_time()
            start = max(now, self._free_at)
            self._free_at = start + self._every * requests
            await anyio.sleep(start - now)
            yield
        finally:
            if turn.is_set():
                self._left += requests
            else:
                self._waiting = [one for one in self._waiting if one[3] is not turn]
                heapq.heapify(self._waiting)
            self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self._left >= self._waiting[0][2]:
            _, _, requests, turn = heapq.heappop(self._waiting)
            self._left -= requests
            turn.set()


class Burst:
    """Requests of one kind in one channel: so many at once, then one each so many seconds; the last is for urgent ones.

    Waited for before a slot is taken: what hikari holds back for its own limits would keep the slot from everybody else.
    """

    def __init__(self, at_once: int, seconds: float) -> None:
        self._at_once = at_once
        self._seconds = seconds
        self._full_at = 0.0

    async def slot(self, urgency: int) -> None:
        """Wait until one more may be made."""
        most = self._at_once if urgency == Pace.URGENT else max(1, self._at_once - 1)
        now = anyio.current_time()
        self._full_at = max(self._full_at, now) + self._seconds
        await anyio.sleep(max(0.0, self._full_at - now - most * self._seconds))


class Bursts:
    """Of every channel: new messages, and reactions."""

    def __init__(self) -> None:
        self._creates: dict[str, Burst] = {}
        self._reactions: dict[str, Burst] = {}

    async def create(self, channel: str, urgency: int) -> None:
        """Wait until a message may be made there."""
        await self._creates.setdefault(channel, Burst(_CREATES, _CREATE_SECONDS)).slot(urgency)

    async def react(self, channel: str) -> None:
        """Wait until a reaction may be made there."""
        await self._reactions.setdefault(channel, Burst(_REACTIONS, _REACT_SECONDS)).slot(Pace.LATE)
