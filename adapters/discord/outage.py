"""What threads are told while the database is away: that what is said waits, and that nothing is lost.

Nothing of it is recorded, for there is nowhere. Each thread is told once an outage, which ends with the next append that succeeds.
"""

import anyio
import hikari
import structlog

from adapters.discord.errors import discord_call
from adapters.discord.pace import Pace
from adapters.discord.texts import LANGUAGES, texts
from engine.ports import Committed, EngineError, EventLog

PATIENCE_SECONDS = 5.0
"""So long Claude's work waits without a word: a database that is only started again is back by then."""

_APART_SECONDS = 60.0  # one attempt may take long; what is further apart are two outages

log_line = structlog.get_logger(__name__)


class Outage:
    """Who has been told, and who will have to be."""

    def __init__(self, bot: hikari.GatewayBot, log: EventLog, pace: Pace) -> None:
        self._bot = bot
        self._pace = pace
        self._told: set[str] = set()
        self._stuck: dict[str, tuple[float, float]] = {}  # since when, and when it was last so
        self._overdue = anyio.Event()
        log.subscribe(self._over)

    def stuck(self, thread: str) -> None:
        """What Claude does in `thread` could not be recorded. Told when that goes on."""
        now = anyio.current_time()
        since, last = self._stuck.get(thread, (now, now))
        if now - last > _APART_SECONDS:
            since = now
        self._stuck[thread] = since, now
        if now - since >= PATIENCE_SECONDS:
            self._overdue.set()

    async def run(self) -> None:
        """Tell those that are stuck, for ever."""
        while True:
            await self._overdue.wait()
            self._overdue = anyio.Event()
            for thread, (since, last) in list(self._stuck.items()):
                if last - since >= PATIENCE_SECONDS:
                    await self.tell(thread)

    async def tell(self, thread: str) -> None:
        """Tell a thread, once; in every language, for whose thread it is only the database knows. Raises nothing."""
        if thread in self._told:
            return
        self._told.add(thread)
        words = "\n".join(texts(name)("waiting-for-database") for name in LANGUAGES)
        try:
            async with self._pace.slot(Pace.URGENT), discord_call("posting a message"):
                await self._bot.rest.create_message(
                    int(thread),
                    words,
                    nonce=f"away-{thread}",
                    user_mentions=False,
                    role_mentions=False,
                    mentions_everyone=False,
                )
        except EngineError as error:
            log_line.warning("outage", thread=thread, error=str(error))
            self._told.discard(thread)

    def _over(self, _: Committed) -> None:
        self._told.clear()
        self._stuck.clear()
