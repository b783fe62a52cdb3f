"""Upcasters: how what an older release wrote becomes what this release reads.

One entry per retired tag, one step each: it takes the JSON object of that tag and gives the JSON object of the tag that
replaced it (which may be retired as well: steps are chained). A step is pure, sets the new tag, and is never changed or
removed. `schema/README.md` tells how to make a change; `tests/unit/test_upcasters.py` shows one.
"""

from collections.abc import Callable, Mapping
from typing import Any

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

EVENTS: Mapping[str, Upcaster] = {}
"""From retired event kinds."""

FACTS: Mapping[str, Upcaster] = {}
"""From retired fact tags."""
