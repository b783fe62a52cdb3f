"""Payloads as Discord sends them (API v10; what hikari requires: its deserialisers). Pure but for the clock in ids."""

import base64
import itertools
import time
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

EPOCH_MS = 1420070400000
EVERYTHING = "2248473465835073"
EPHEMERAL = 64
LOADING = 128

_counter = itertools.count()


def snowflake(at: float | None = None) -> str:
    """A new id. Ids grow with time."""
    milliseconds = int((time.time() if at is None else at) * 1000) - EPOCH_MS
    return str((milliseconds << 22) | (next(_counter) & 0x3FFFFF))


def seconds_of(identity: str) -> float:
    """When an id was made, in seconds since the Unix epoch."""
    return ((int(identity) >> 22) + EPOCH_MS) / 1000


def timestamp(at: float | None = None) -> str:
    """ISO 8601, as in payloads."""
    return datetime.fromtimestamp(time.time() if at is None else at, UTC).isoformat()


def token(application: str, secret: str) -> str:
    """A bot token: its first part is the application's id."""
    return f"{base64.b64encode(application.encode()).decode().rstrip('=')}.Local0.{secret}"


def user(identity: str, name: str, *, bot: bool = False) -> Json:
    return {
        "id": identity,
        "username": name,
        "discriminator": "0",
        "global_name": name.title(),
        "avatar": None,
        "bot": bot,
        "public_flags": 0,
        "flags": 0,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
        "clan": None,
    }


def own_user(identity: str, name: str) -> Json:
    private = {"verified": True, "mfa_enabled": True, "email": None, "locale": "en-US", "premium_type": 0}
    return user(identity, name, bot=True) | private


def member(who: Json | None, *, permissions: str | None = None) -> Json:
    made: Json = {
        "nick": None,
        "avatar": None,
        "banner": None,
        "roles": [],
        "joined_at": "2024-01-01T00:00:00+00:00",
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": False,
        "communication_disabled_until": None,
        "unusual_dm_activity_until": None,
    }
    if who is not None:
        made["user"] = who
    if permissions is not None:
        made["permissions"] = permissions
    return made


def role(identity: str, name: str) -> Json:
    return {
        "id": identity,
        "name": name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": 0,
        "permissions": EVERYTHING,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


def channel(identity: str, guild: str, name: str) -> Json:
    return {
        "id": identity,
        "type": 0,
        "guild_id": guild,
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
        "default_auto_archive_duration": 1440,
    }


def thread(identity: str, guild: str, parent: str, owner: str, asked: Json) -> Json:
    now = timestamp()
    return {
        "id": identity,
        "type": 11,
        "guild_id": guild,
        "parent_id": parent,
        "owner_id": owner,
        "name": asked.get("name", "thread"),
        "last_message_id": None,
        "message_count": 0,
        "total_message_sent": 0,
        "member_count": 1,
        "rate_limit_per_user": 0,
        "flags": 0,
        "bitrate": 64000,
        "user_limit": 0,
        "rtc_region": None,
        "thread_metadata": {
            "archived": False,
            "archive_timestamp": now,
            "auto_archive_duration": asked.get("auto_archive_duration", 1440),
            "locked": False,
            "create_timestamp": now,
        },
        "member": {
            "id": identity,
            "user_id": owner,
            "join_timestamp": now,
            "flags": 1,
            "muted": False,
            "mute_config": None,
        },
    }


def guild(identity: str, owner: str, name: str, channels: list[Json], threads: list[Json], members: list[Json]) -> Json:
    """GUILD_CREATE."""
    return {
        "id": identity,
        "name": name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": ["COMMUNITY"],
        "banner": None,
        "owner_id": owner,
        "application_id": None,
        "region": "japan",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "roles": [role(identity, "@everyone")],
        "default_message_notifications": 1,
        "mfa_level": 0,
        "explicit_content_filter": 2,
        "max_presences": None,
        "max_members": 25000000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "nsfw": False,
        "nsfw_level": 0,
        "hub_type": None,
        "premium_progress_bar_enabled": False,
        "latest_onboarding_question_id": None,
        "incidents_data": None,
        "inventory_settings": None,
        "emojis": [],
        "stickers": [],
        "joined_at": "2024-01-01T00:00:00+00:00",
        "large": False,
        "unavailable": False,
        "member_count": len(members),
        "voice_states": [],
        "members": members,
        "channels": channels,
        "threads": threads,
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def message(identity: str, where: str, author: Json, content: str, **more: Any) -> Json:
    made: Json = {
        "id": identity,
        "type": 0,
        "channel_id": where,
        "author": author,
        "content": content,
        "timestamp": timestamp(seconds_of(identity)),
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
    }
    return made | more


def application(identity: str, bot: Json, owner: Json) -> Json:
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
        "integration_types_config": {"0": {}},
        "explicit_content_filter": 0,
        "eligible_oauth2_scopes": [],
        "tags": [],
    }


def command(identity: str, application: str, guild: str | None, asked: Json) -> Json:
    made: Json = {
        "id": identity,
        "application_id": application,
        "version": snowflake(),
        "type": 1,
        "description": "",
        "name_localizations": None,
        "description_localizations": None,
        "default_member_permissions": None,
        "dm_permission": True,
        "contexts": None,
        "integration_types": [0],
        "nsfw": False,
        "options": [],
    } | asked
    return made | ({"guild_id": guild} if guild else {})


def interaction(kind: int, application: str, guild: str, where: Json, who: Json, locale: str, data: Json) -> Json:
    """INTERACTION_CREATE: `kind` is 2 for a command, 3 for a component."""
    identity = snowflake()
    return {
        "id": identity,
        "application_id": application,
        "type": kind,
        "token": "aW50ZXJhY3Rpb24" + base64.urlsafe_b64encode(identity.encode()).decode().rstrip("="),
        "version": 1,
        "guild_id": guild,
        "guild": {"id": guild, "features": [], "locale": "en-US"},
        "channel_id": where["id"],
        "channel": where | {"permissions": EVERYTHING},
        "member": member(who, permissions=EVERYTHING),
        "locale": locale,
        "guild_locale": "en-US",
        "app_permissions": EVERYTHING,
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": {"0": guild},
        "context": 0,
        "attachment_size_limit": 10485760,
        "data": data,
    }


def number_components(components: list[Json]) -> list[Json]:
    """Discord gives every component an id of its own; hikari requires them."""
    numbers = itertools.count(1)

    def walk(one: Json) -> Json:
        numbered = {"id": next(numbers)} | one
        if "components" in one:
            numbered["components"] = [walk(inner) for inner in one["components"]]
        return numbered

    return [walk(one) for one in components]
