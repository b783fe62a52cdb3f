"""Where hikari's errors become the engine's, and nowhere else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import hikari

from engine.ports import GiveUp, TryAgain

CALL_SECONDS = 30.0
"""Deadline of one call, rate-limit waits of hikari included."""

# Discord's error codes (`notes/discord.md` §6)
UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
MISSING_ACCESS = 50001
MISSING_PERMISSIONS = 50013
ARCHIVED = 50083
HAS_THREAD = 160004
LOCKED = 160005


class UnknownMessage(GiveUp):
    """Raised when a message is not there (any more)."""


class UnknownChannel(GiveUp):
    """Raised when a channel or thread is not there (any more)."""


class Forbidden(GiveUp):
    """Raised when a permission is missing."""


class Archived(TryAgain):
    """Raised when a thread must be un-archived first."""


class Locked(GiveUp):
    """Raised when a thread is locked and we may not write in it."""


_BY_CODE: dict[int, type[GiveUp | TryAgain]] = {
    UNKNOWN_CHANNEL: UnknownChannel,
    UNKNOWN_MESSAGE: UnknownMessage,
    MISSING_ACCESS: Forbidden,
    MISSING_PERMISSIONS: Forbidden,
    ARCHIVED: Archived,
    LOCKED: Locked,
}


@asynccontextmanager
async def discord_call(what: str) -> AsyncGenerator[None]:
    """One call, with a deadline. Raises TryAgain or GiveUp saying `what` did not work; never with a token in it."""
    try:
        with anyio.fail_after(CALL_SECONDS):
            yield
    except hikari.ClientHTTPResponseError as error:
        raise _BY_CODE.get(int(error.code), GiveUp)(
            f"{what}: Discord answers {int(error.status)} ({error.code})"
        ) from None
    except hikari.RateLimitTooLongError:
        raise TryAgain(f"{what}: Discord's rate limit") from None
    except (hikari.HTTPError, hikari.ComponentStateConflictError, aiohttp.ClientError, TimeoutError) as error:
        raise TryAgain(f"{what}: Discord cannot be reached ({type(error).__name__})") from None
