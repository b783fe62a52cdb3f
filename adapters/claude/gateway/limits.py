"""How much a session may ask for at once, and in a minute. Nothing here waits: who asks too much is told when to come again."""

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from adapters.claude.gateway.rules import Rules

_MINUTE = 60.0
_SOON = 1.0


class Busy(Exception):
    """Raised when a session asks too much. `seconds`: when it may ask again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class _Load:
    def __init__(self) -> None:
        self.running = 0
        self.recent: deque[float] = deque()

    def forget(self, now: float) -> None:
        while self.recent and self.recent[0] <= now - _MINUTE:
            self.recent.popleft()


class Limits:
    """The load of every session that has any. `clock`: seconds, never going back."""

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._clock = clock
        self._loads: dict[str, _Load] = {}

    @property
    def sessions(self) -> set[str]:
        """Which are remembered."""
        return set(self._loads)

    @contextmanager
    def admit(self, session: str) -> Generator[None]:
        """Count one request for as long as the context is open. Raises Busy."""
        load = self._load(session)
        if load.running >= self._rules.at_once:
            raise Busy(f"more than {self._rules.at_once} requests at once", _SOON)
        if len(load.recent) >= self._rules.per_minute:
            again = load.recent[0] + _MINUTE - self._clock()
            raise Busy(f"more than {self._rules.per_minute} requests in a minute", again)
        load.recent.append(self._clock())
        load.running += 1
        try:
            yield
        finally:
            load.running -= 1

    def _load(self, session: str) -> _Load:
        now = self._clock()
        if session not in self._loads:
            for one in self._loads.values():
                one.forget(now)
            self._loads = {name: one for name, one in self._loads.items() if one.running or one.recent}
            self._loads[session] = _Load()
        self._loads[session].forget(now)
        return self._loads[session]
