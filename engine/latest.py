"""The newest state of a stream that others write to: read up to its end each time it is asked for, folded once."""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from engine.ports import EventLog
from schema.envelope import Recorded


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


S = TypeVar("S", bound=_Versioned)


class Latest(Generic[S]):
    """`fold(recorded, state)` is the stream's, `state` its initial one."""

    def __init__(self, log: EventLog, stream: str, fold: Callable[[Iterable[Recorded], S], S], state: S) -> None:
        self._log = log
        self._stream = stream
        self._fold = fold
        self._state = state

    async def read(self) -> S:
        """The state at the end of the stream. Raises TryAgain."""
        new = await self._log.read_stream(self._stream, after=self._state.version)
        # somebody else may have read them meanwhile
        self._state = self._fold([one for one in new if one.version > self._state.version], self._state)
        return self._state
