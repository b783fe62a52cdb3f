"""Another process of ours, for tests that need a real one: `python -m tests.integration.postgres.process DSN lease|append …`.

lease TARGET: prints the epoch, and lives until it is killed.  append STREAMS EVENTS: appends to random streams, and ends.
"""

import random
import sys

import anyio

from adapters.postgres.event_log import open_log
from tests.drafts import append, draft, write


async def lease(dsn: str, target: str) -> None:
    async with open_log(dsn) as log:
        print(await log.lease(target), flush=True)
        await anyio.sleep_forever()


async def append_many(dsn: str, streams: int, events: int) -> None:
    async with open_log(dsn) as log:

        async def actor(number: int) -> None:
            for _ in range(events):
                count = random.randint(1, 3)
                await log.append(append(write(f"shared:{random.randrange(streams)}", None, *[draft(number)] * count)))

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(actor, number)


if __name__ == "__main__":
    if sys.argv[2] == "lease":
        anyio.run(lease, sys.argv[1], sys.argv[3])
    else:
        anyio.run(append_many, sys.argv[1], int(sys.argv[3]), int(sys.argv[4]))
