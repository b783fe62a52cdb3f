"""Snowflakes: ids that grow, and tell when they were given (`payloads.created`)."""

from adapters.local.discord.clock import Clock
from adapters.local.discord.payloads import EPOCH_MS


class Snowflakes:
    """Gives ids. `last`: the largest one that was ever given."""

    def __init__(self, clock: Clock, last: int) -> None:
        self._clock = clock
        self._last = last

    def __call__(self) -> str:
        """A new id, larger than all before."""
        now = (int(self._clock.now() * 1000) - EPOCH_MS) << 22
        self._last = max(self._last + 1, now)
        return str(self._last)
