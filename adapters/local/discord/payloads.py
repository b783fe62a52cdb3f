"""Discord's shapes: what hikari, and Discord's OpenAPI document, require of each object. No state, no rule.

Ids are decimal strings everywhere, as on the wire. Times are seconds since 1970 until they are put into a payload.
"""

import base64
from datetime import UTC, datetime
from typing import Any

from adapters.local.discord.store import Json

EPOCH_MS = 1420070400000
"""2015-01-01, from which snowflakes count milliseconds (Discord's reference)."""

TEXT, PUBLIC_THREAD, PRIVATE_THREAD = 0, 11, 12
THREADS = (PUBLIC_THREAD, PRIVATE_THREAD)

DEFAULT, RENAMED, THREAD_CREATED, CHAT_INPUT_COMMAND, THREAD_STARTER = 0, 4, 18, 20, 21
"""Kinds of message."""

HAS_THREAD, EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 5, 1 << 6, 1 << 7, 1 << 15
"""Flags of a message."""

COMMAND, COMPONENT, AUTOCOMPLETE = 2, 3, 4
"""Kinds of interaction."""

ADMINISTRATOR, MANAGE_THREADS = 1 << 3, 1 << 34
ALL_PERMISSIONS = (1 << 50) - 1
MEMBER_PERMISSIONS = 2248473465835073
"""What a new server gives to @everyone: to view, write, attach, react, open threads, mention everyone; not to manage."""

ATTACHMENT_BYTES = 10 << 20
_JOINED = "2026-01-01T00:00:00+00:00"


def moment(seconds: float) -> str:
    """A timestamp as Discord writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def created(snowflake: str) -> float:
    """When an id was given."""
    return ((int(snowflake) >> 22) + EPOCH_MS) / 1000


def token(application: str, secret: str) -> str:
    """A bot token: hikari reads the application's id from its first part."""
    return base64.b64encode(application.encode()).decode().rstrip("=") + ".local." + secret


def user(identity: str, name: str, *, bot: bool = False) -> Json:
    """Anybody, as everybody sees them."""
    return {
        "id": identity,
        "username": name,
        "discriminator": "0",
        "global_name": None if bot else name.title(),
        "avatar": None,
        "bot": bot,
        "public_flags": 0,
        "flags": 0,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
    }


def own_user(bot: Json) -> Json:
    """The bot, as it sees itself."""
    return {**bot, "verified": True, "mfa_enabled": True, "email": None, "locale": "en-US", "premium_type": 0}


def member(somebody: Json) -> Json:
    """Somebody in the guild."""
    return {
        "user": somebody,
        "nick": None,
        "avatar": None,
        "banner": None,
        "roles": [],
        "joined_at": _JOINED,
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": False,
        "communication_disabled_until": None,
    }


def everyone(guild_id: str) -> Json:
    """The role that all have; it carries the guild's id."""
    return {
        "id": guild_id,
        "name": "@everyone",
        "description": None,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": 0,
        "permissions": str(MEMBER_PERMISSIONS),
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


def text_channel(identity: str, guild_id: str, name: str) -> Json:
    """A channel of the guild."""
    return {
        "id": identity,
        "type": TEXT,
        "guild_id": guild_id,
        "name": name,
        "position": 0,
        "permission_overwrites": [],
        "topic": None,
        "nsfw": False,
        "last_message_id": None,
        "rate_limit_per_user": 0,
        "parent_id": None,
        "last_pin_timestamp": None,
        "flags": 0,
    }


def thread(parent: Json, identity: str, owner: str, asked: Json, now: float) -> Json:
    """A thread of `parent`, as `asked` for: name, type and auto_archive_duration in minutes."""
    return {
        "id": identity,
        "type": asked["type"],
        "guild_id": parent["guild_id"],
        "parent_id": parent["id"],
        "owner_id": owner,
        "name": asked["name"],
        "last_message_id": None,
        "message_count": 0,
        "total_message_sent": 0,
        "member_count": 1,
        "rate_limit_per_user": asked.get("rate_limit_per_user") or 0,
        "flags": 0,
        "thread_metadata": {
            "archived": False,
            "archive_timestamp": moment(now),
            "auto_archive_duration": asked.get("auto_archive_duration") or 1440,
            "locked": False,
            "create_timestamp": moment(now),
        },
    }


def thread_member(thread_id: str, user_id: str, now: float) -> Json:
    """Somebody in a thread."""
    return {"id": thread_id, "user_id": user_id, "join_timestamp": moment(now), "flags": 1}


def guild(identity: str, name: str, owner: str) -> Json:
    """The guild, without who and what is in it."""
    nothing = (
        "icon description home_header splash discovery_splash banner application_id afk_channel_id system_channel_id"
        " widget_channel_id vanity_url_code rules_channel_id safety_alerts_channel_id public_updates_channel_id hub_type"
        " max_presences latest_onboarding_question_id incidents_data inventory_settings"
    )
    zero = (
        "system_channel_flags verification_level mfa_level explicit_content_filter premium_tier"
        " premium_subscription_count nsfw_level default_message_notifications"
    )
    return {
        "id": identity,
        "name": name,
        "owner_id": owner,
        **dict.fromkeys(nothing.split()),
        **dict.fromkeys(zero.split(), 0),
        "features": [],
        "region": "local",
        "afk_timeout": 300,
        "widget_enabled": False,
        "max_members": 1000,
        "preferred_locale": "en-US",
        "nsfw": False,
        "premium_progress_bar_enabled": False,
        "roles": [everyone(identity)],
        "emojis": [],
        "stickers": [],
    }


def guild_create(known: Json, channels: list[Json], threads: list[Json], members: list[Json]) -> Json:
    """The guild with who and what is in it, as the gateway tells it."""
    empty = "voice_states presences stage_instances guild_scheduled_events soundboard_sounds"
    return {
        **known,
        **{name: [] for name in empty.split()},
        "joined_at": _JOINED,
        "large": False,
        "unavailable": False,
        "member_count": len(members),
        "members": members,
        "channels": channels,
        "threads": threads,
    }


def message(identity: str, channel_id: str, author: Json, now: float, **more: Any) -> Json:
    """A message; `more` writes over any field."""
    return {
        "id": identity,
        "type": DEFAULT,
        "channel_id": channel_id,
        "author": author,
        "content": "",
        "timestamp": moment(now),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "flags": 0,
        **more,
    }


def application(identity: str, bot: Json, owner: Json) -> Json:
    """The bot's application."""
    return {
        "id": identity,
        "name": "Claude",
        "icon": None,
        "description": "",
        "summary": "",
        "type": None,
        "hook": True,
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "00" * 32,
        "flags": 565248,
        "flags_new": "565248",
        "bot": bot,
        "owner": owner,
        "team": None,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "event_webhooks_status": 1,
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "eligible_oauth2_scopes": [],
        "integration_types_config": {"0": {}},
        "tags": [],
    }


def command(identity: str, version: str, application_id: str, asked: Json, guild_id: str | None) -> Json:
    """A command as registered; as `asked` for, with Discord's defaults."""
    wanted = asked.get("default_member_permissions")
    return {
        "type": 1,
        "description": "",
        "name_localizations": None,
        "description_localizations": None,
        "dm_permission": True,
        "contexts": None,
        "integration_types": [0],
        "nsfw": False,
        "options": [],
        **asked,
        "default_member_permissions": None if wanted is None else str(wanted),
        "id": identity,
        "version": version,
        "application_id": application_id,
        **({"guild_id": guild_id} if guild_id else {}),
    }


def interaction(identity: str, kind: int, secret: str, application_id: str, where: Json, who: Json, data: Json) -> Json:
    """What somebody did. `who`: their member with `permissions`, and their `locale`."""
    guild_id = where["guild_id"]
    return {
        "id": identity,
        "application_id": application_id,
        "type": kind,
        "token": secret,
        "version": 1,
        "guild_id": guild_id,
        "guild": {"id": guild_id, "features": [], "locale": "en-US"},
        "channel_id": where["id"],
        "channel": {**where, "permissions": who["member"]["permissions"]},
        "member": who["member"],
        "locale": who["locale"],
        "guild_locale": "en-US",
        "app_permissions": str(ALL_PERMISSIONS),
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": {"0": guild_id},
        "context": 0,
        "attachment_size_limit": ATTACHMENT_BYTES,
        "data": data,
    }


def number_components(components: list[Json]) -> list[Json]:
    """The same components, each with the integer id that Discord gives those without one."""
    used = {one["id"] for one in walk(components) if one.get("id")}
    free = (number for number in range(1, 10_000) if number not in used)

    def numbered(one: Json) -> Json:
        inner = {key: numbered(one[key]) for key in ("accessory", "component") if key in one}
        if "components" in one:
            inner["components"] = [numbered(child) for child in one["components"]]
        return {**one, "id": one.get("id") or next(free), **inner}

    return [numbered(one) for one in components]


def walk(components: list[Json]) -> list[Json]:
    """Every component, those inside of others too."""
    found: list[Json] = []
    for one in components:
        found.append(one)
        found += walk(one.get("components", []) + [one[key] for key in ("accessory", "component") if key in one])
    return found
