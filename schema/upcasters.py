"""Upcasters: how what an older release wrote becomes what this release reads.

One entry per retired tag, one step each: it takes the JSON object of that tag and gives the JSON object of the tag that
replaced it (which may be retired as well: steps are chained). A step is pure, sets the new tag, and is never changed or
removed. `schema/README.md` tells how to make a change; `tests/unit/schema/test_upcasters.py` shows one.
"""

from collections.abc import Callable, Mapping
from typing import Any

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


def _usage_counted_1(body: dict[str, Any]) -> dict[str, Any]:
    """All that was written to the cache is taken to stay there for five minutes, the API's default."""
    written = body.pop("cache_write", 0)
    return body | {"kind": "usage.counted.2", "cache_write_5m": written}


def _sandbox_lost_1(body: dict[str, Any]) -> dict[str, Any]:
    """What was said of it was not kept."""
    return body | {"kind": "session.sandbox_lost.2"}


EVENTS: Mapping[str, Upcaster] = {"session.sandbox_lost": _sandbox_lost_1, "usage.counted": _usage_counted_1}
"""From retired event kinds."""

FACTS: Mapping[str, Upcaster] = {}
"""From retired fact tags."""
