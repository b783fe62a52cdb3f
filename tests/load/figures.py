"""What a figure is, and the registry of them.

A figure is the ratio of ours to a baseline: the same work done by hand. Both are measured in turn in one run, since absolute
numbers depend on the machine and on what else it does. `ratio` is the median of the rounds' ratios, `lo` and `hi` are their
extremes. What has nothing to be compared with is told in its own unit, and its `baseline` says so (`Bench.tell`).
To add one, write an `async def` in a module of MODULES (bench.py), and decorate it:

    @figure
    async def append_1(bench):
        await bench.compare("append_1", ours=…, baseline=…, to="raw insert")
"""

import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import anyio

from tests.databases import Databases

Measure = Callable[[], Awaitable[float]]
"""Measures once: a rate, or a time. Both sides of a figure give the same."""


class NotHere(Exception):
    """Raised by a figure that cannot be measured here. The message says why."""


class Bench(NamedTuple):
    """What figures are measured with.

    `seconds`: of one measurement of a rate. `scale`: 1 for figures to quote; less only shows that everything runs.
    """

    server: Databases
    rounds: int
    seconds: float
    scale: float = 1.0

    def some(self, number: int) -> int:
        """So many of something, at full scale."""
        return max(1, round(number * self.scale))

    async def compare(self, name: str, *, ours: Measure, baseline: Measure, to: str) -> None:
        """Measure, and print the figure."""
        ratios: list[float] = []
        rates: list[tuple[float, float]] = []
        for number in range(self.rounds):
            gc.collect()
            # who goes first changes, so that neither always gets the warmer machine
            if number % 2:
                mine, theirs = await ours(), await baseline()
            else:
                theirs, mine = await baseline(), await ours()
            ratios.append(mine / theirs)
            rates.append((mine, theirs))
        report(name, ratios, f"{to}: {statistics.median(theirs for _, theirs in rates):.5g}")

    async def tell(self, name: str, measure: Measure, baseline: str) -> None:
        """Measure what has no baseline of its own in this run, and print the figure. `baseline` says what a 1 would be."""
        values: list[float] = []
        for _ in range(self.rounds):
            gc.collect()
            values.append(await measure())
        report(name, values, baseline)

    async def rate(self, works: list[Callable[[], Awaitable[object]]]) -> float:
        """How often per second `works` are done when each is done again and again, all at once."""
        done, rate = 0, 0.0
        running = True

        async def repeat(work: Callable[[], Awaitable[object]]) -> None:
            nonlocal done
            while running:
                await work()
                done += 1

        async with anyio.create_task_group() as tasks:
            for work in works:
                tasks.start_soon(repeat, work)
            await anyio.sleep(0.2)
            before, start = done, time.perf_counter()
            await anyio.sleep(self.seconds)
            rate = (done - before) / (time.perf_counter() - start)
            running = False
        return rate


FIGURES: dict[str, Callable[[Bench], Awaitable[None]]] = {}


def figure(measure: Callable[[Bench], Awaitable[None]]) -> Callable[[Bench], Awaitable[None]]:
    """Register a figure under the name of its function."""
    FIGURES[measure.__name__] = measure
    return measure


def report(name: str, ratios: list[float], baseline: str, **more: float) -> None:
    """Print a figure; `more`: what else was measured, its unit in its name."""
    line = {"figure": name, "ratio": statistics.median(ratios), "lo": min(ratios), "hi": max(ratios)}
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}
    print(
        json.dumps(rounded | {"baseline": baseline} | {key: round(value, 3) for key, value in more.items()}), flush=True
    )
