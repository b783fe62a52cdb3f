"""Interactions that this process is acknowledging right now.

Discord takes no answer before the acknowledgement, and an actor may have one sooner: it works from the moment of the append, which
the acknowledgement waits for too.
"""

from collections.abc import Generator
from contextlib import contextmanager

import anyio


class Acknowledging:
    """Shared by who acknowledges and who answers."""

    def __init__(self) -> None:
        self._under_way: dict[str, anyio.Event] = {}

    @contextmanager
    def of(self, interaction: str) -> Generator[None]:
        """From before the append until Discord has the acknowledgement, or will not get it."""
        over = self._under_way[interaction] = anyio.Event()
        try:
            yield
        finally:
            if self._under_way.get(interaction) is over:  # Discord may have sent it twice
                del self._under_way[interaction]
            over.set()

    async def over(self, interaction: str) -> None:
        """Wait for the end of it. At once for what another process acknowledges: nobody here knows when."""
        if interaction in self._under_way:
            await self._under_way[interaction].wait()

    @property
    def busy(self) -> bool:
        """Whether Discord waits for any of them."""
        return bool(self._under_way)

    async def rest(self) -> None:
        """Wait until Discord waits for none."""
        while self._under_way:
            await next(iter(self._under_way.values())).wait()
