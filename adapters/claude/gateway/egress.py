"""Where sandboxes may connect to beyond the model: the list of `EGRESS_ALLOW`. Pure.

    crates.example              this name, port 443
    *.example.com:8443          every name below example.com, not itself
    +git.internal:22            a name that may have a private address

A name on the list is not enough: what it resolves to must be a public address, or a sandbox could be led to whatever else the
gateway reaches (a database, a metadata service) by anybody who runs a DNS server. `+` is for names whose DNS one trusts.
"""

import ipaddress
import re
from collections.abc import Iterable

import msgspec

from adapters.parsers import ip

_ENTRY = re.compile(
    r"(?P<private>\+?)(?P<below>(?:\*\.)?)(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_NAME = re.compile(r"[a-z0-9._-]{1,253}")


class Entry(msgspec.Struct, frozen=True):
    """One host of the list; `below`: the names below it instead."""

    name: str
    port: int
    below: bool = False
    private: bool = False

    def fits(self, host: str, port: int) -> bool:
        """Whether this is about that host."""
        return port == self.port and (host.endswith(f".{self.name}") if self.below else host == self.name)


def read_list(text: str) -> tuple[Entry, ...]:
    """The entries of a list with commas between. Raises ValueError: half a sentence that names the wrong one."""
    entries: list[Entry] = []
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        found = _ENTRY.fullmatch(part)
        if not found or int(found["port"] or 443) > 65_535 or ip(found["name"]):
            raise ValueError("holds something that is not a host name, with or without a port")
        entries.append(Entry(found["name"], int(found["port"] or 443), bool(found["below"]), bool(found["private"])))
    return tuple(entries)


def patterns(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The hosts of a list as `engine.repos.allows` takes them."""
    return tuple(f"{'*.' if entry.below else ''}{entry.name}:{entry.port}" for entry in entries)


def find(entries: Iterable[Entry], host: str, port: int) -> Entry | None:
    """The entry that lets this host pass. Never an address: what an address is for is nobody's to say."""
    host = host.lower().removesuffix(".")
    if not _NAME.fullmatch(host) or ip(host):
        return None
    fitting = [entry for entry in entries if entry.fits(host, port)]
    return next((entry for entry in fitting if entry.private), fitting[0] if fitting else None)


def may_reach(entry: Entry, address: str) -> bool:
    """Whether a host of this entry may have this address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found.sixtofour or found.teredo):
        return False  # another way to write an address that is checked otherwise
    if entry.private:
        return not (found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast)
    return found.is_global and not found.is_multicast
