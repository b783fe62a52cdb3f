"""How fast we may write: so many requests a second in all, urgent ones first; so many new messages in one thread.

Discord allows 50 requests a second and bans who ignores it; hikari has no limiter of its own (`notes/discord.md` §3).
"""

import heapq
import itertools

import anyio

PER_SECOND = 40
EDIT_SECONDS = 1.25
"""Between two edits of one thread: Discord gives back one of five slots a second."""

_CREATE_SECONDS = 1.05
_BURST = 4
"""New messages at once in one thread; Discord takes five, and the fifth is for what is urgent."""


class Pace:
    """Hands out slots. `URGENT` ones (answers, decisions, Stop) pass everything that waits."""

    URGENT, NORMAL, LATE = range(3)

    def __init__(self, per_second: float = PER_SECOND) -> None:
        self._every = 1 / per_second
        self._free_at = 0.0
        self._waiting: list[tuple[int, int, anyio.Event]] = []
        self._numbers = itertools.count()
        self._busy = False

    async def slot(self, urgency: int = NORMAL) -> None:
        """Wait for the next slot."""
        turn = anyio.Event()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), turn))
        self._call_next()
        try:
            await turn.wait()
            await anyio.sleep(max(0.0, self._free_at - anyio.current_time()))
            self._free_at = max(self._free_at, anyio.current_time()) + self._every
        finally:
            if turn.is_set():
                self._busy = False
            else:
                self._waiting = [one for one in self._waiting if one[2] is not turn]
                heapq.heapify(self._waiting)
            self._call_next()

    def _call_next(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            heapq.heappop(self._waiting)[2].set()


class Burst:
    """New messages of one thread: a few at once, then one a second."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    async def slot(self, urgency: int) -> None:
        """Wait until one more may be made."""
        most = _BURST + 1 if urgency == Pace.URGENT else _BURST
        now = anyio.current_time()
        level = max(0.0, self._level - (now - self._at) / _CREATE_SECONDS)
        await anyio.sleep(max(0.0, level + 1 - most) * _CREATE_SECONDS)
        self._level = min(level, most - 1) + 1
        self._at = anyio.current_time()
