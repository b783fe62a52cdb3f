"""Where hikari's errors become the engine's, and nowhere else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import hikari

from engine.ports import GiveUp, TryAgain

CALL_SECONDS = 30.0
"""Deadline of one call, rate-limit waits of hikari included."""


class UnknownMessage(GiveUp):
    """Raised when a message is not there (any more)."""


class UnknownInteraction(GiveUp):
    """Raised when Discord knows of nothing to answer (any more, or yet: it must be acknowledged first)."""


class UnknownChannel(GiveUp):
    """Raised when a channel or thread is not there (any more)."""


class UnknownMember(GiveUp):
    """Raised when somebody is not in a server (any more)."""


class Forbidden(GiveUp):
    """Raised when a permission is missing."""


class Unacceptable(GiveUp):
    """Raised when Discord does not take what a message says."""


class HasThread(GiveUp):
    """Raised when a message has a thread already."""


class Archived(TryAgain):
    """Raised when a thread must be un-archived first."""


class Locked(GiveUp):
    """Raised when a thread is locked and we may not write in it."""


# Discord's error codes (`notes/discord.md` §5, §6)
_BY_CODE: dict[int, type[GiveUp | TryAgain]] = {
    10003: UnknownChannel,
    10007: UnknownMember,
    10008: UnknownMessage,
    10013: UnknownMember,  # nobody has that id
    10015: UnknownInteraction,
    10062: UnknownInteraction,
    30046: TryAgain,  # too many edits of messages older than an hour
    50001: Forbidden,  # missing access
    50006: Unacceptable,  # an empty message
    50013: Forbidden,  # missing permissions
    50035: Unacceptable,  # invalid form body
    50083: Archived,
    160004: HasThread,
    160005: Locked,
    200000: Unacceptable,  # automatic moderation
}
_BY_STATUS: dict[int, type[GiveUp | TryAgain]] = {403: Forbidden, 429: TryAgain}


@asynccontextmanager
async def discord_call(what: str) -> AsyncGenerator[None]:
    """One call, with a deadline. Raises TryAgain or GiveUp saying `what` did not work; never with a token in it."""
    try:
        with anyio.fail_after(CALL_SECONDS):
            yield
    except hikari.ClientHTTPResponseError as error:
        kind = _BY_CODE.get(int(error.code)) or _BY_STATUS.get(int(error.status), GiveUp)
        raise kind(f"{what}: Discord answers {int(error.status)} ({error.code})") from None
    except hikari.RateLimitTooLongError:
        raise TryAgain(f"{what}: Discord's rate limit") from None
    except (hikari.HTTPError, hikari.ComponentStateConflictError, aiohttp.ClientError, TimeoutError) as error:
        raise TryAgain(f"{what}: Discord cannot be reached ({type(error).__name__})") from None
