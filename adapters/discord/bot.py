"""The bot: an unmodified hikari `GatewayBot`, its ingress and its chat, joined."""

import base64
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import anyio
import hikari
import structlog
from hikari.impl import HTTPSettings

from adapters.discord.acknowledging import Acknowledging
from adapters.discord.chat import DiscordChat, Tokens
from adapters.discord.commands import publish
from adapters.discord.ingress import Ingress
from adapters.discord.options import Options
from adapters.discord.pace import Pace
from adapters.discord.rest import Rest
from adapters.discord.translate import DiscordTranslator
from adapters.parsers import Secret
from engine.ports import EventLog, GiveUp, Keyring, TryAgain

_INTENTS = hikari.Intents.GUILDS | hikari.Intents.GUILD_MESSAGES | hikari.Intents.MESSAGE_CONTENT
_LONGEST_RATE_LIMIT = 60.0
_AGAIN_SECONDS = 2.0

log_line = structlog.get_logger(__name__)


@asynccontextmanager
async def open_discord(
    options: Options, log: EventLog, keyring: Keyring, tokens: Tokens
) -> AsyncGenerator["Connection"]:
    """The bot, logged in for REST but not listening yet: the engine comes first."""
    bot = hikari.GatewayBot(
        token=options.token.reveal(),
        banner=None,
        suppress_optimization_warning=True,
        rest_url=options.api_url,
        intents=_INTENTS,
        logs=None,
        max_rate_limit=_LONGEST_RATE_LIMIT,
        # a connection for every request would cost a TLS handshake for every edit (`notes/discord.md` §3)
        http_settings=HTTPSettings(force_close_transports=False),
        cache_settings=hikari.impl.CacheSettings(components=hikari.api.CacheComponents.NONE),
    )
    connection = Connection(bot, options, log, keyring, tokens)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.ingress.run)
        tasks.start_soon(connection.watch)
        try:
            yield connection
        finally:
            await connection.close()
            tasks.cancel_scope.cancel()


class Connection:
    """One bot. `chat` works once `listen` has returned: hikari's REST client starts with its gateway."""

    def __init__(
        self, bot: hikari.GatewayBot, options: Options, log: EventLog, keyring: Keyring, tokens: Tokens
    ) -> None:
        application = _application(options.token)
        pace, acknowledging = Pace(), Acknowledging()
        self.acknowledging = acknowledging
        self.chat = DiscordChat(Rest(bot.rest, application, pace), log, keyring, tokens, acknowledging, options)
        self.translator = DiscordTranslator(keyring)
        self._application = application
        self._bot = bot
        self._listening = anyio.Event()
        self._guilds = options.guilds
        self.ingress = Ingress(bot, log, keyring, tokens, pace, acknowledging, options)

    async def listen(self) -> None:
        """Open the gateway, publish the commands; waits while Discord is away. Raises GiveUp when it does not let us in."""
        await self.ingress.open()
        await _insist(self._start)
        for guild in sorted(self._guilds):
            await _insist(partial(publish, self._bot.rest, self._application, guild))
        self._listening.set()

    async def _start(self) -> None:
        """Raises TryAgain, GiveUp; the bot is closed then."""
        try:
            await self._bot.start(check_for_updates=False)
        except (hikari.UnauthorizedError, hikari.GatewayServerClosedConnectionError) as error:
            raise GiveUp(_refused(error)) from None
        except (hikari.HikariError, aiohttp.ClientError, OSError) as error:
            await self.close()
            raise TryAgain(f"Discord cannot be reached ({type(error).__name__})") from None
        except RuntimeError as error:  # hikari's, when all of a day's sessions are used
            raise GiveUp(f"Discord does not let us in: {error}") from None

    @property
    def heartbeat(self) -> float | None:
        """Seconds that Discord's last heartbeat took; None while the gateway is not connected."""
        shards = self._bot.shards.values() if self._bot.is_alive else ()
        if not shards or not all(shard.is_connected for shard in shards):
            return None
        return max((0.0 if math.isnan(shard.heartbeat_latency) else shard.heartbeat_latency) for shard in shards)

    def failed(self, target: str, what: str, error: Exception) -> None:
        """The engine met an error, as `engine.supervisor.World` tells it."""
        if what == "log" and isinstance(error, TryAgain):
            self.ingress.stuck(target.partition(":")[2])

    async def watch(self) -> None:
        """Returns never, raises GiveUp when Discord ends the connection for good; hikari comes back from everything else."""
        await self._listening.wait()
        try:
            await self._bot.join()
        except hikari.HikariError as error:
            raise GiveUp(_refused(error)) from None

    async def close(self) -> None:
        """Close the gateway, also when we are being cancelled."""
        with anyio.CancelScope(shield=True):
            if self._bot.is_alive:
                await self._bot.close()


async def _insist(do: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await do()
        except TryAgain as error:
            log_line.warning("discord", error=str(error))
            await anyio.sleep(_AGAIN_SECONDS)


def _refused(error: Exception) -> str:
    return (
        f"Discord does not let us in ({error}): check DISCORD_TOKEN, and that the bot has the intent "
        "MESSAGE CONTENT (developer portal, Bot, Privileged Gateway Intents)"
    )


def _application(token: Secret) -> int:
    """The bot's id, which is the first part of its token (hikari docs)."""
    head = token.reveal().partition(".")[0]
    try:
        return int(base64.b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        raise GiveUp("DISCORD_TOKEN is no bot token: copy it again from the developer portal") from None
