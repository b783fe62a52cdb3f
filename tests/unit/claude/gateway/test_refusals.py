"""A host that was refused is recorded once a session, as work for the session."""

from collections.abc import Sequence

import pytest

from adapters.claude.gateway.refusals import MOST, Refusals
from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine.ports import TryAgain
from schema import events as e
from schema.envelope import Append, Recorded


class Log(MemoryEventLog):
    """`away`: how often it is asked in vain."""

    away = 0

    async def append(self, append: Append) -> Sequence[Recorded]:
        if self.away:
            self.away -= 1
            raise TryAgain("the database is away")
        return await super().append(append)


@pytest.fixture
def log() -> Log:
    return Log(MemoryStore())


def refusals(log: Log) -> Refusals:
    return Refusals(log, lambda: 5)


async def hosts(log: Log) -> list[str]:
    found = [one.event for one in await log.read_stream("egress:7")]
    return [event.host for event in found if isinstance(event, e.EgressRefused)]


async def test_a_host_is_told_once_whatever_is_tried_and_whoever_starts_again(log: Log) -> None:
    first = refusals(log)
    for host in ("a.example:443", "a.example:443", "b.example:443"):
        await first.record("7", "7-2", host)
    await refusals(log).record("7", "7-3", "a.example:443")
    assert await hosts(log) == ["a.example:443", "b.example:443"]
    assert [row.position for row in await log.work("session:7")] == [1, 2]


async def test_what_is_no_name_of_a_host_is_not_written_down(log: Log) -> None:
    for host in ("what somebody wrote:443", "a.example\n:443", "x" * 300):
        await refusals(log).record("7", "7-2", host)
    assert await hosts(log) == ["?"]


async def test_a_sandbox_that_tries_many_is_told_of_a_few(log: Log) -> None:
    some = refusals(log)
    for number in range(2 * MOST):
        await some.record("7", "7-2", f"h{number}.example:443")
    assert len(await hosts(log)) == MOST


async def test_what_could_not_be_recorded_is_when_it_is_tried_again(log: Log) -> None:
    log.away = 1
    some = refusals(log)
    await some.record("7", "7-2", "a.example:443")
    assert await hosts(log) == []
    await some.record("7", "7-2", "a.example:443")
    assert await hosts(log) == ["a.example:443"]
