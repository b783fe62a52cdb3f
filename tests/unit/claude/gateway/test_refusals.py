"""A host that was refused is recorded once a session, sealed for whoever asked, as work for the session."""

import pytest

from adapters.claude.gateway.refusals import MOST, Refusals
from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine.ports import TryAgain
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.sealed import FORMAT, HEADER, Sealed, key_id

SECRET = b"made-up secret"


class Keys:
    """Seals by naming the key. `away`: how often it is asked in vain."""

    def __init__(self) -> None:
        self.away = 0

    async def prepare(self, scope: str, person: str) -> int:
        if self.away:
            self.away -= 1
            raise TryAgain("the database is away")
        assert scope == "session:7"
        return int(person)

    def seal(self, key: int, text: str) -> Sealed:
        return Sealed(bytes([FORMAT]) + key.to_bytes(8, "big") + bytes(HEADER) + text.encode())

    async def open(self, box: Sealed) -> str | None:
        raise NotImplementedError


@pytest.fixture
async def log() -> MemoryEventLog:
    log = MemoryEventLog(MemoryStore())
    asked = e.Requested(by="11", locale="ja", guild="5", channel="6")
    draft = Draft(event=asked, at=1, actor="test")
    await log.append(Append(writes=(Write(stream="session:7", expected=None, drafts=(draft,)),)))
    return log


def refusals(log: MemoryEventLog, keys: Keys) -> Refusals:
    return Refusals(log, keys, SECRET, lambda: 5)


async def hosts(log: MemoryEventLog) -> list[str]:
    found = [one.event for one in await log.read_stream("egress:7")]
    boxes = [event.host for event in found if isinstance(event, e.EgressRefused)]
    return [f"{key_id(box)} {box.rpartition(bytes([0]))[2].decode()}" for box in boxes]


async def test_a_host_is_told_once_whatever_is_tried_and_whoever_starts_again(log: MemoryEventLog) -> None:
    keys = Keys()
    first = refusals(log, keys)
    for host in ("a.example:443", "a.example:443", "b.example:443"):
        await first.record("7", "7-2", host)
    await refusals(log, keys).record("7", "7-3", "a.example:443")
    assert await hosts(log) == ["11 a.example:443", "11 b.example:443"]
    assert [row.position for row in await log.work("session:7")] == [2, 3]
    assert b"example" not in str([one.key for one in await log.read_stream("egress:7")]).encode()


async def test_a_sandbox_that_tries_many_is_told_of_a_few(log: MemoryEventLog) -> None:
    some = refusals(log, Keys())
    for number in range(2 * MOST):
        await some.record("7", "7-2", f"h{number}.example:443")
    assert len(await hosts(log)) == MOST


async def test_what_could_not_be_recorded_is_when_it_is_tried_again(log: MemoryEventLog) -> None:
    keys = Keys()
    keys.away = 1
    some = refusals(log, keys)
    await some.record("7", "7-2", "a.example:443")
    assert await hosts(log) == []
    await some.record("7", "7-2", "a.example:443")
    assert await hosts(log) == ["11 a.example:443"]


async def test_it_is_sealed_for_whoever_asked_for_the_turn(log: MemoryEventLog) -> None:
    draft = Draft(event=e.TurnStarted(turn=1, prompt="p", by="12"), at=1, actor="test")
    await log.append(Append(writes=(Write(stream="session:7", expected=None, drafts=(draft,)),)))
    await refusals(log, Keys()).record("7", "7-2", "a.example:443")
    assert await hosts(log) == ["12 a.example:443"]
