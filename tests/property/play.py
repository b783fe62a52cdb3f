"""What any interleaving of real actors is made of: calls come back or fail, Claude works, time passes, processes die."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from engine.ports import GiveUp, TryAgain
from tests.property.people import People
from tests.property.stage import Process, Stage, Theatre


class Play:
    """One interleaving; what people do in it is the test's. `WAITS`: how long (s) it may go quiet."""

    WAITS: ClassVar[Sequence[int]] = ()

    def __init__(self, random: Random, theatre: Theatre) -> None:
        self.random = random
        self.stage: Stage = theatre.stage
        self.theatre = theatre
        self.people = People(self.stage)

    @property
    def process(self) -> Process:
        """The one that people speak to: the newest."""
        return self.stage.processes[-1]

    async def go_on(self) -> None:
        """A call that is on its way comes back, or fails."""
        points = [(process, point) for process in self.stage.processes for point in process.points]
        if points:
            process, point = self.random.choice(points)
            process.go_on(point, self.random.choices([None, TryAgain("test"), GiveUp("test")], [30, 2, 0.5])[0])

    async def claude(self) -> None:
        """Something happens in a sandbox."""
        alive = [sandbox for sandbox in self.stage.sandboxes.values() if sandbox.alive]
        if alive:
            self.random.choice(alive).act(self.random)

    async def wait(self) -> None:
        """Time passes."""
        self.stage.now += self.random.choice(self.WAITS) * 1_000_000
        for process in self.stage.processes:
            process.look()

    async def crash(self) -> None:
        """The newest process dies, and another takes its place."""
        await self.theatre.kill(self.process)
        await self.theatre.start()
