"""What time it is, and what happens later. Everything here that depends on time asks a clock, so that tests can move it."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970, and an alarm."""

    def now(self) -> float: ...

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call `do` after so many seconds, once."""
        ...


class SystemClock:
    """The time of this machine, the alarms of the running loop."""

    def now(self) -> float:
        return time.time()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, do)
