"""When something that did not work is tried again. Pure: no jitter, for one process retries each thing."""

FIRST = 500_000
DETAIL = 500
"""Characters of what is told of a failure."""

LONGEST = 30_000_000


def delay(attempt: int) -> int:
    """µs to wait after the `attempt`th failure (from 1): half a second, doubling, 30 seconds at most."""
    return min(FIRST << min(attempt - 1, 16), LONGEST)
