"""Discord's rate limits, as observed (`README.md`): leaky buckets, told in headers, and 50 requests a second in all.

A bucket is full after `limit` requests and gives one back every `seconds / limit`. `Reset-After` is the time until it is
empty again, `Retry-After` the time until the next request fits.
"""

import re
from collections.abc import Callable

from adapters.local.discord.store import Json

Clock = Callable[[], float]

# method, path, hash, requests, seconds. POST and PATCH of messages have one hash and two counters, as at Discord.
_ROUTES: tuple[tuple[str, str, str, int, float], ...] = (
    ("POST", r"/channels/(\d+)/messages", "messages", 5, 5),
    ("PATCH", r"/channels/(\d+)/messages/\d+", "messages", 5, 5),
    ("DELETE", r"/channels/(\d+)/messages/\d+", "deletes", 5, 1),
    ("GET", r"/channels/(\d+)/messages", "history", 5, 5),
    ("GET", r"/channels/(\d+)/messages/\d+", "message", 5, 5),
    ("PUT", r"/channels/(\d+)/messages/\d+/reactions/.*", "reactions", 1, 0.25),
    ("DELETE", r"/channels/(\d+)/messages/\d+/reactions/.*", "reactions", 1, 0.25),
    ("POST", r"/channels/(\d+)/(?:messages/\d+/)?threads", "threads", 50, 300),
    ("PATCH", r"/channels/(\d+)", "channel", 10, 15),
    ("PATCH", r"/webhooks/\d+/([^/]+)/messages/@original", "followups", 5, 2),
    ("POST", r"/webhooks/\d+/([^/]+)", "followups", 5, 2),
    ("PUT", r"/applications/\d+/(?:guilds/\d+/)?commands", "commands", 30, 60),
)
_NOT_BOUND = re.compile(r"/(?:interactions|webhooks)/")
_GLOBAL = (50, 1.0)
_RENAMES = (2, 600.0)
_OLD_EDITS = (3, 6.0)


class Bucket:
    """How full it is, at a time."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self._slot = seconds / limit
        self._level = 0.0
        self._at = 0.0

    def take(self, now: float) -> float:
        """Take one; returns 0.0, or the seconds until one is free (then none was taken)."""
        self._level = max(0.0, self._level - (now - self._at) / self._slot)
        self._at = now
        if self._level + 1 > self.limit + 1e-9:
            return (self._level + 1 - self.limit) * self._slot
        self._level += 1
        return 0.0

    @property
    def remaining(self) -> int:
        """How many fit, after the last `take`."""
        return int(self.limit - self._level + 1e-9)

    @property
    def reset_after(self) -> float:
        """Seconds from the last `take` until it is empty."""
        return self._level * self._slot

    def idle(self, now: float) -> bool:
        """Whether it is empty, so that forgetting it changes nothing."""
        return (now - self._at) / self._slot >= self._level


class Limits:
    """Every bucket of one bot."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, ...], Bucket] = {}

    def request(self, method: str, path: str) -> tuple[dict[str, str], Json | None]:
        """The headers of the answer, and the body of a 429 (None: go on)."""
        if not _NOT_BOUND.match(path) and (wait := self._take(("global",), *_GLOBAL)):
            return {"Retry-After": _seconds(wait), "X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}, _body(
                wait, whole=True
            )
        for verb, pattern, name, limit, seconds in _ROUTES:
            if verb == method and (found := re.fullmatch(pattern, path)):
                key = (verb, name, *found.groups())
                wait = self._take(key, limit, seconds)
                return self._told(name, key, wait), (_body(wait) if wait else None)
        return {}, None

    def rename(self, channel: str) -> Json | None:
        """The body of a 429 when a channel was renamed twice in the last ten minutes: a limit no header tells."""
        wait = self._take(("rename", channel), *_RENAMES)
        return _body(wait) if wait else None

    def old_edit(self, channel: str) -> bool:
        """Whether one more message that is older than an hour may be edited."""
        return not self._take(("old", channel), *_OLD_EDITS)

    def _take(self, key: tuple[str, ...], limit: int, seconds: float) -> float:
        now = self._clock()
        if key not in self._buckets:
            self._buckets = {name: one for name, one in self._buckets.items() if not one.idle(now)}
        return self._buckets.setdefault(key, Bucket(limit, seconds)).take(now)

    def _told(self, name: str, key: tuple[str, ...], wait: float) -> dict[str, str]:
        bucket = self._buckets[key]
        headers = {
            "X-RateLimit-Bucket": f"local-{name}",
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(0 if wait else bucket.remaining),
            "X-RateLimit-Reset": f"{self._clock() + bucket.reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{bucket.reset_after:.3f}",
        }
        return headers | ({"Retry-After": _seconds(wait), "X-RateLimit-Scope": "user"} if wait else {})


def _seconds(wait: float) -> str:
    return f"{wait:.3f}"


def _body(wait: float, *, whole: bool = False) -> Json:
    return {"message": "You are being rate limited.", "retry_after": round(wait, 3), "global": whole}
