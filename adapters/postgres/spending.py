"""What somebody has used today, as the view `usage` has it: what their budget is compared with.

The view follows the log within milliseconds; how far it is behind is a metric. One query over its rows for each prompt of who has a
budget, and none for others.
"""

from adapters.postgres import errors
from adapters.postgres.connect import Pool
from adapters.postgres.views import live_build
from engine.ports import TryAgain
from projections.prices import LISTED, spent
from projections.usage import DAY, USAGE

_ROWS = "select value from projection_rows where generation = $1 and position($2 in value) > 0"


class Spending:
    """Called with a person and a time (µs): millionths of a dollar on that day (UTC). Raises TryAgain, also without a view."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self, person: str, now: int) -> int:
        live = await live_build(self._pool, USAGE.name)
        if live is None or live.version != USAGE.version:
            raise TryAgain("what was used today is not known yet: the view usage is being built")
        day = now // DAY
        with errors.translated():
            rows = await self._pool.fetch(_ROWS, live.generation, f'"{day}/{person}/')
        return spent((USAGE.load(value) for (value,) in rows), person, day, LISTED)
