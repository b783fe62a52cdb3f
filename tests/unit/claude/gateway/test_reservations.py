"""Which session tokens are good: while the reservation is held, and from the addresses of its pod once it has one."""

import pytest

from adapters.claude.gateway.reservations import Reservations
from adapters.local.event_log import MemoryEventLog, MemoryStore
from schema import events as e
from schema.envelope import Append, Draft, Write


async def append(log: MemoryEventLog, stream: str, event: e.Event) -> None:
    draft = Draft(event=event, at=1, actor="test")
    await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=(draft,)),)))


@pytest.fixture
async def log() -> MemoryEventLog:
    log = MemoryEventLog(MemoryStore())
    await append(log, "slots", e.Granted(session="7", reservation="7-2"))
    return log


async def test_a_token_is_good_while_its_reservation_is_held(log: MemoryEventLog) -> None:
    reservations = Reservations(log, check_address=True)
    assert await reservations.is_open("7", "7-2", "127.0.0.1")
    assert not await reservations.is_open("7", "7-1", "127.0.0.1")
    assert not await reservations.is_open("8", "7-2", "127.0.0.1")
    await append(log, "slots", e.Released(reservation="7-2"))
    assert not await reservations.is_open("7", "7-2", "127.0.0.1")


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("10.0.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("fd00::0001", True),
        ("10.0.0.2", False),
        ("", False),
        ("somewhere", False),
    ],
)
async def test_the_token_of_a_pod_is_good_from_its_addresses_only(
    log: MemoryEventLog, address: str, *, good: bool
) -> None:
    await append(log, "session:7", e.SandboxPlaced(reservation="7-2", addresses=("10.0.0.1", "fd00::1")))
    assert await Reservations(log, check_address=True).is_open("7", "7-2", address) is good
    assert await Reservations(log, check_address=False).is_open("7", "7-2", address)


async def test_a_pod_that_has_another_address_now_is_known_by_that(log: MemoryEventLog) -> None:
    reservations = Reservations(log, check_address=True)
    for address in ("10.0.0.1", "10.0.0.2"):
        await append(log, "session:7", e.SandboxPlaced(reservation="7-2", addresses=(address,)))
        assert await reservations.is_open("7", "7-2", address)
    assert not await reservations.is_open("7", "7-2", "10.0.0.1")
