"""Looking at Discord for `discord-claude check`: the token, the intents, the servers, and the link that invites the bot."""

from collections.abc import AsyncGenerator, Sequence

import aiohttp
import hikari

from adapters.findings import Finding, ok, wrong
from adapters.parsers import Secret

PERMISSIONS = (
    hikari.Permissions.ADD_REACTIONS
    | hikari.Permissions.VIEW_CHANNEL
    | hikari.Permissions.SEND_MESSAGES
    | hikari.Permissions.EMBED_LINKS
    | hikari.Permissions.ATTACH_FILES
    | hikari.Permissions.READ_MESSAGE_HISTORY
    | hikari.Permissions.CREATE_PUBLIC_THREADS
    | hikari.Permissions.SEND_MESSAGES_IN_THREADS
)
"""What the bot does in a server."""

_CONTENT = hikari.ApplicationFlags.MESSAGE_CONTENT_INTENT | hikari.ApplicationFlags.MESSAGE_CONTENT_INTENT_LIMITED
_INTENT = "developer portal, Bot, Privileged Gateway Intents: switch on Message Content"


def invite_link(application: int) -> str:
    """Where somebody who may manage a server lets the bot in."""
    asked = f"client_id={application}&scope=bot+applications.commands&permissions={int(PERMISSIONS)}"
    return f"https://discord.com/oauth2/authorize?{asked}"


async def look_at_discord(token: Secret, guilds: Sequence[str], api_url: str | None) -> AsyncGenerator[Finding]:
    """What is found, one after the other."""
    app = hikari.RESTApp(url=api_url, max_rate_limit=10)
    await app.start()
    try:
        async with app.acquire(token.reveal(), hikari.TokenType.BOT) as rest:
            application = await rest.fetch_application()
            link = invite_link(application.id)
            yield ok("token", f"of {application.name}")
            if application.flags & _CONTENT:
                yield ok("intents", "Message Content")
            else:
                yield wrong("intents", "the bot may not read what people write", _INTENT)
            yield ok("invite", link)
            for guild in guilds:
                yield await _guild(rest, application.id, int(guild), link)
    except hikari.UnauthorizedError:
        yield wrong("token", "Discord does not know it", "DISCORD_TOKEN: developer portal, Bot, Reset Token")
    except (hikari.HikariError, aiohttp.ClientError, OSError) as error:
        yield wrong("Discord", f"it does not answer ({type(error).__name__})", "a way to discord.com, port 443")
    finally:
        await app.close()


async def _guild(rest: hikari.api.RESTClient, application: int, guild: int, link: str) -> Finding:
    try:
        await rest.fetch_application_commands(application, guild)
    except (hikari.ForbiddenError, hikari.NotFoundError):
        return wrong("server", f"the bot is not in the server {guild}", f"DISCORD_GUILD_ID, or invite it: {link}")
    return ok("server", f"the bot is in {guild}")
