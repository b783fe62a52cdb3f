"""What people in Discord wait for: the acknowledgement of what they do, alone, in a crowd, and of a bot that starts again.

Measured by the local Discord: from sending an interaction to being answered, however busy the bot is beside it.
"""

import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

import anyio
import asyncpg

from adapters import settings
from adapters.local.discord.people import LOADING, Person, PersonError
from adapters.postgres.connect import pool
from adapters.postgres.keyring import open_keyring
from adapters.postgres.seals import Sealer
from adapters.sealing import MasterKey
from adapters.wiring import open_bot
from projections.exact import MESSAGES, THREADS
from schema import events as e
from tests.load.figures import Bench, figure
from tests.load.installation import Installation, installation
from tests.load.sessions import TEXT, fill, loss, opening, turn

_PRESSED = 20  # interactions in one measurement
_CROWD = 200
_DISCORDS_PATIENCE = 3.0
_SESSIONS, _TURNS = 1_000, 19
_TRY_SECONDS = 0.02
_BOT = "bot.py"
_FETCH_ALL = """
select position, stream, version, kind, payload, hash, at, actor, cause, key from events order by position
"""


@figure
async def ack(bench: Bench) -> None:
    """Of one person who uses a command, and another when that is done."""
    async with AsyncExitStack() as stack:
        ours, silent = [await _running(bench, stack, record) for record in ("everything", "nothing")]
        await bench.compare(
            "ack",
            ours=partial(_median, ours, bench.some(_PRESSED), filled_in=True),
            baseline=partial(_median, silent, bench.some(_PRESSED), filled_in=False),
            to="the same bot that records nothing, ms",
        )


async def _running(bench: Bench, stack: AsyncExitStack, record: str) -> Installation:
    made = await stack.enter_async_context(installation(bench))
    await stack.enter_async_context(made.running())
    await stack.enter_async_context(made.bot(_BOT, {"RECORD": record}))
    return made


async def _median(made: Installation, count: int, *, filled_in: bool) -> float:
    """Milliseconds. `filled_in`: wait each time until the bot has nothing left to do."""
    waits: list[float] = []
    for _ in range(count):
        (waited,) = await _acknowledged(made, 1)
        waits.append(waited)
        if filled_in:
            await _filled_in(made)
    return statistics.median(waits) * 1000


async def _acknowledged(made: Installation, count: int) -> Sequence[float]:
    """So many commands at once: how long Discord waited for each acknowledgement, in seconds."""
    alice = made.alice
    used: list[str] = []

    async def use() -> None:
        used.append(await alice.slash("claude", "status", channel=made.channel))

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(use)
    await alice.wait(lambda: all(alice.interaction(one) != "waiting" for one in used), "acknowledgements")
    failed = sum(alice.interaction(one) != "answered" for one in used)
    if failed:
        raise RuntimeError(f"{failed} of {count} commands were not acknowledged in time")
    return [alice.answer_seconds(one) for one in used]


async def _filled_in(made: Installation) -> None:
    alice = made.alice
    await alice.wait(
        lambda: not any(one["flags"] & LOADING for one in alice.messages(made.channel)), "the answers", 120
    )


@figure
async def ack_burst_200(bench: Bench) -> None:
    """Of the last of 200 people who use a command at the same moment."""
    async with AsyncExitStack() as stack:
        made = await _running(bench, stack, "everything")

        async def slowest() -> float:
            waits = await _acknowledged(made, bench.some(_CROWD))
            await _filled_in(made)
            return max(waits) / _DISCORDS_PATIENCE

        await slowest()
        await bench.tell("ack_burst_200", slowest, "the time in which Discord wants an acknowledgement: 3 s")


# --- a bot that starts again -----------------------------------------------------------------------------------------


@figure
async def restart_1000(bench: Bench) -> None:
    """From the beginning of wiring to the first acknowledgement, while all of 1,000 sessions want something at once."""
    async with installation(bench) as made:
        await _write_sessions(made, made.open_threads(bench.some(_SESSIONS)), bench.some(_TURNS))
        connection = await asyncpg.connect(made.dsn)
        async with made.running():
            read = settings.load(made.environment)

            async def ours() -> float:
                first, start = _First(made.alice, made.channel), time.time()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(first.run)
                    async with open_bot(read):
                        with anyio.fail_after(120):
                            await first.done.wait()
                    tasks.cancel_scope.cancel()
                return first.at - start

            async def baseline() -> float:
                start = time.perf_counter()
                await connection.fetch(_FETCH_ALL)
                return time.perf_counter() - start

            await ours()  # Discord knows the commands from here on
            await bench.compare("restart_1000", ours=ours, baseline=baseline, to="fetching all rows, s")
        await connection.close()


class _First:
    """Somebody who tries a command again and again until it is acknowledged; `at`: when that was."""

    def __init__(self, person: Person, channel: str) -> None:
        self.done = anyio.Event()
        self.at = 0.0
        self._person = person
        self._channel = channel

    async def run(self) -> None:
        tried: list[str] = []
        while True:
            with suppress(PersonError):  # the commands are not published yet
                tried.append(await self._person.slash("claude", "status", channel=self._channel))
            answered = [one for one in tried if self._person.interaction(one) == "answered"]
            if answered:
                self.at = min(self._person.answered_at(one) for one in answered)
                self.done.set()
                return
            await anyio.sleep(_TRY_SECONDS)


async def _write_sessions(made: Installation, threads: Sequence[str], turns: int) -> None:
    """Open sessions with 200 events each, whose people have not been told yet that the sandbox is gone."""
    master = MasterKey.load(made.key_file)
    connection = await asyncpg.connect(made.dsn)
    async with pool(made.dsn) as kept:
        keyring = await open_keyring(kept, master)
        box = keyring.seal(await keyring.prepare("session:0", "7"), TEXT[:200])
        life = [event for number in range(1, turns + 1) for event in turn(number, box)]
        sessions: dict[str, Sequence[e.Event]] = {
            f"session:{number}": [*opening(thread), *life, *loss()] for number, thread in enumerate(threads, start=1)
        }
        await fill(connection, sessions)
        await Sealer(kept, master).seal()
    await connection.execute(
        "insert into work (target, position, due) select unnest($1::text []), 0, 0", list(sessions)
    )
    bound = [(THREADS.id, thread, str(number), 1) for number, thread in enumerate(threads, start=1)]
    read = [(MESSAGES.id, thread, thread, 1) for thread in threads]
    await connection.copy_records_to_table(
        "view_rows", records=[*bound, *read], columns=["view", "key", "value", "position"]
    )
    await connection.execute("vacuum analyze work, view_rows")
    await connection.close()
