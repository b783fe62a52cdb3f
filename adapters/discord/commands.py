"""The slash commands: `/claude start|stop|status|share|unshare|close|audit` for sessions, `/claude members`, `/claude sessions` and
`/claude add|delete user|owner` for who may use them. Names are the same in every language, descriptions are not.
"""

from collections.abc import Sequence
from typing import Any

import hikari
from hikari.api import RESTClient, SlashCommandBuilder

from adapters.discord.errors import discord_call
from adapters.discord.texts import texts
from engine.repos import LONGEST

PROMPT_LIMIT = 6000  # Discord's for a string option


def build(client: RESTClient) -> SlashCommandBuilder:
    """The one command, with its sub-commands."""
    kind = hikari.OptionType
    texts_of_start = [_text("prompt", "cmd-start-prompt", PROMPT_LIMIT), _text("repo", "cmd-start-repo", LONGEST)]
    command = client.slash_command_builder("claude", _english("cmd-claude"))
    command.set_description_localizations(_japanese("cmd-claude"))
    command.set_integration_types([hikari.ApplicationIntegrationType.GUILD_INSTALL])
    command.set_context_types([hikari.ApplicationContextType.GUILD])
    for name in ("start", "stop", "status", "share", "unshare", "close", "audit", "members", "sessions"):
        command.add_option(_part(kind.SUB_COMMAND, name, f"cmd-{name}", texts_of_start if name == "start" else []))
    person = hikari.CommandOption(
        type=kind.USER,
        name="person",
        description=_english("option-person"),
        description_localizations=_japanese("option-person"),
        is_required=True,
    )
    for name in ("add", "delete"):
        roles = [_part(kind.SUB_COMMAND, role, f"cmd-{name}-{role}", [person]) for role in ("user", "owner")]
        command.add_option(_part(kind.SUB_COMMAND_GROUP, name, f"cmd-{name}", roles))
    return command


def _text(name: str, text: str, limit: int) -> hikari.CommandOption:
    """A text that may be given, of at most so many characters."""
    return hikari.CommandOption(
        type=hikari.OptionType.STRING,
        name=name,
        description=_english(text),
        description_localizations=_japanese(text),
        is_required=False,
        max_length=limit,
    )


def _part(
    kind: hikari.OptionType, name: str, text: str, options: Sequence[hikari.CommandOption]
) -> hikari.CommandOption:
    return hikari.CommandOption(
        type=kind,
        name=name,
        description=_english(text),
        description_localizations=_japanese(text),
        options=options,
    )


async def publish(client: RESTClient, application: int, guild: str) -> None:
    """Make the server's commands ours; left alone when they are (Discord allows 200 changes a day)."""
    command = build(client)
    async with discord_call("reading the commands"):
        present = await client.fetch_application_commands(application, int(guild))
    if [_shape(one) for one in present if isinstance(one, hikari.SlashCommand)] == [_shape(command)]:
        return
    async with discord_call("publishing the commands"):
        await client.set_application_commands(application, [command], int(guild))


def _shape(command: hikari.SlashCommand | SlashCommandBuilder) -> Any:
    """What of a command Discord keeps of ours."""
    options = [_option(one) for one in command.options or []]
    return command.name, command.description, dict(command.description_localizations), options


def _option(option: hikari.CommandOption) -> Any:
    return (
        option.type,
        option.name,
        option.description,
        dict(option.description_localizations),
        bool(option.is_required),
        option.max_length,
        [_option(one) for one in option.options or []],
    )


def _english(name: str) -> str:
    return texts("en-US")(name)


def _japanese(name: str) -> dict[str, str]:
    return {"ja": texts("ja")(name)}
