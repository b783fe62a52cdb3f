"""Rate limits as Discord has them since 2022 (`notes/discord.md` §5): leaky buckets with their headers, 50 a second in all."""

import re
import time
from collections import deque
from collections.abc import Callable

import msgspec

Headers = dict[str, str]

_RULES: tuple[tuple[str, re.Pattern[str], str, int, float], ...] = tuple(
    (method, re.compile(pattern), bucket, limit, per)
    for method, pattern, bucket, limit, per in (
        ("PATCH", r"/channels/(\d+)/messages/\d+$", "messages", 5, 5.0),
        ("POST", r"/channels/(\d+)/messages$", "messages", 5, 5.0),
        ("DELETE", r"/channels/(\d+)/messages/\d+$", "deletes", 5, 1.0),
        ("GET", r"/channels/(\d+)/messages$", "reads", 5, 1.0),
        ("POST", r"/channels/(\d+)/(?:messages/\d+/)?threads$", "threads", 50, 300.0),
        ("PATCH", r"/channels/(\d+)$", "channel", 10, 15.0),
        ("PUT", r"/channels/(\d+)/messages/\d+/reactions", "reactions", 1, 0.25),
        ("PATCH", r"/webhooks/\d+/([^/]+)/messages/@original$", "original", 5, 5.0),
        ("POST", r"/webhooks/\d+/([^/]+)$", "webhook", 5, 2.0),
        ("PUT", r"/applications/(\d+)/(?:guilds/\d+/)?commands$", "commands", 30, 60.0),
        ("GET", r"/gateway/bot$", "gateway", 2, 5.0),
    )
)
_UNLIMITED = re.compile(r"/(interactions|webhooks)/")


class Refused(msgspec.Struct):
    """A 429: seconds until the next free slot, and whether it was the limit of all requests together."""

    retry_after: float
    whole: bool


class Limits:
    """Every bucket of the server. `now`: seconds, never going back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._levels: dict[tuple[str, ...], tuple[float, float]] = {}
        self._recent: deque[float] = deque()

    def hit(self, method: str, path: str) -> tuple[Headers, Refused | None]:
        """Count one request: the headers of its answer, and the refusal when it was one too many."""
        if not _UNLIMITED.match(path) and (late := self._too_many()):
            return {}, Refused(late, whole=True)
        for wanted, pattern, bucket, limit, per in _RULES:
            found = pattern.match(path) if method == wanted else None
            if found:
                return self._leak((method, bucket, *found.groups()), bucket, limit, per)
        return {}, None

    def _too_many(self) -> float:
        now = self._now()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= 50:
            return self._recent[0] + 1 - now
        self._recent.append(now)
        return 0.0

    def _leak(self, key: tuple[str, ...], bucket: str, limit: int, per: float) -> tuple[Headers, Refused | None]:
        now, slot = self._now(), per / limit
        level, since = self._levels.get(key, (0.0, now))
        level = max(0.0, level - (now - since) / slot)
        refused = None
        if level + 1 > limit + 1e-9:
            refused = Refused((level + 1 - limit) * slot, whole=False)
        else:
            level += 1
        self._levels[key] = (level, now)
        return {
            "X-RateLimit-Bucket": f"local-{bucket}",
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(int(limit - level + 1e-9)),
            "X-RateLimit-Reset": f"{time.time() + level * slot:.3f}",
            "X-RateLimit-Reset-After": f"{level * slot:.3f}",
        }, refused
