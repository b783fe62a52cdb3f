"""The bot: an unmodified hikari `GatewayBot`, its ingress and its chat, joined."""

import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import hikari
import msgspec
from hikari.impl import HTTPSettings

from adapters.discord.chat import DiscordChat, Tokens
from adapters.discord.commands import publish
from adapters.discord.ingress import Ingress
from adapters.discord.pace import Pace
from adapters.discord.rest import Rest
from adapters.discord.translate import DiscordTranslator
from adapters.settings import Secret
from engine.ports import EventLog, GiveUp, Keyring

_INTENTS = hikari.Intents.GUILDS | hikari.Intents.GUILD_MESSAGES | hikari.Intents.MESSAGE_CONTENT
_LONGEST_RATE_LIMIT = 60.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`api_url`: a Discord that is not Discord's own. `incarnation`: names this process's inbox, never used again."""

    token: Secret
    guilds: frozenset[str]
    incarnation: str
    now: Callable[[], int]
    api_url: str | None = None


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
        self.chat = DiscordChat(Rest(bot.rest, application, Pace()), log, keyring, tokens)
        self.translator = DiscordTranslator(keyring)
        self._application = application
        self._bot = bot
        self._guilds = options.guilds
        self.ingress = Ingress(
            bot,
            log,
            keyring,
            tokens,
            guilds=options.guilds,
            incarnation=options.incarnation,
            now=options.now,
        )

    async def listen(self) -> None:
        """Open the gateway, publish the commands. Raises GiveUp with what Discord does not like about us."""
        await self.ingress.open()
        try:
            await self._bot.start(check_for_updates=False)
        except (hikari.UnauthorizedError, hikari.GatewayServerClosedConnectionError) as error:
            raise GiveUp(
                f"Discord does not let us in ({error}): check DISCORD_TOKEN, and that the bot has the intent "
                "MESSAGE CONTENT (developer portal, Bot, Privileged Gateway Intents)"
            ) from None
        for guild in sorted(self._guilds):
            await publish(self._bot.rest, self._application, guild)

    async def close(self) -> None:
        """Close the gateway, also when we are being cancelled."""
        with anyio.CancelScope(shield=True):
            if self._bot.is_alive:
                await self._bot.close()


def _application(token: Secret) -> int:
    """The bot's id, which is the first part of its token (hikari docs)."""
    head = token.reveal().partition(".")[0]
    try:
        return int(base64.b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        raise GiveUp("DISCORD_TOKEN is no bot token: copy it again from the developer portal") from None
