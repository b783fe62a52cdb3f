"""Which session tokens are good: what the log says of reservations, and of the addresses of their sandboxes.

It promises that a token is good while its reservation is held and, once the log has the addresses of its sandbox (a pod's, never
those of a process of this machine), from those addresses only. They are recorded before a prompt can be in the sandbox.
"""

import ipaddress
from typing import Protocol

import structlog

from adapters.claude.gateway import tokens
from adapters.parsers import ip
from engine import slots
from engine.latest import Latest
from engine.ports import EventLog

log_line = structlog.get_logger(__name__)


NOT_GOOD = "this session token is not (any more) good for anything, or not from here"
"""What whoever shows one is told."""


class Policy(Protocol):
    """Which session tokens are good, and from where."""

    async def is_open(self, session: str, reservation: str, address: str) -> bool:
        """Whether this session holds this reservation now, and its sandbox may connect from `address`. Raises TryAgain."""
        ...


async def admit(
    secret: bytes, token: str, policy: Policy, address: str, repository: str = ""
) -> tuple[str, str] | None:
    """The session and reservation of a token that is good from `address`; None for any other. Raises TryAgain."""
    known = tokens.read(secret, token, repository)
    return known if known is not None and await policy.is_open(*known, address) else None


class Reservations:
    """The gateway's policy. `check_address`: False where addresses are translated on the way here, and tell nothing."""

    def __init__(self, log: EventLog, *, check_address: bool) -> None:
        self._log = log
        self._slots = Latest(log, slots.STREAM, slots.fold, slots.Slots())
        self._check_address = check_address

    async def is_open(self, session: str, reservation: str, address: str) -> bool:
        """Whether this session holds this reservation now, and its sandbox is what connects from `address`. Raises TryAgain."""
        if (await self._slots.read()).held.get(session) != reservation:
            return False
        placed = await self._log.lookup("addresses", reservation) if self._check_address else None
        if placed is None or _plain(address) in map(_plain, placed.split()):
            return True
        log_line.warning("a session token came from elsewhere", session=session, address=address, sandbox=placed)
        return False


def _plain(address: str) -> str:
    """One way to write an address: a socket for both families writes IPv4 as IPv6."""
    found = ip(address)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found or address)
