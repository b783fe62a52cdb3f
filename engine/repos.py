"""How a repository is named, and what it belongs to: which hosts may be cloned from, whose code is trusted. Pure.

Only https, a name and a path: nothing of what is accepted can name a user, a file, a program or an option of git, whoever
reads it next.
"""

import re
from collections.abc import Iterable

import msgspec

LONGEST = 300
"""Characters of an address."""

_SHORTHAND_HOST = "github.com"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SEGMENT = r"[A-Za-z0-9_.~+][A-Za-z0-9_.~+-]*"
_ADDRESS = re.compile(
    rf"https://(?P<host>{_LABEL}(?:\.{_LABEL})+)(?::(?P<port>[1-9][0-9]{{0,4}}))?/(?P<path>{_SEGMENT}(?:/{_SEGMENT})*)/?"
)
_SHORTHAND = re.compile(rf"(?P<owner>[A-Za-z0-9][A-Za-z0-9-]*)/(?P<name>{_SEGMENT})")
_NUMBER = re.compile(r"[0-9.]+")


class Repository(msgspec.Struct, frozen=True):
    """`host`: `name`, or `name:port` where the port is another than 443. `path`: without `/` at either end."""

    host: str
    path: str

    @property
    def name(self) -> str:
        """What it is called where `https` goes without saying: in lists, and in what a token is good for."""
        return f"{self.host}/{self.path}"

    @property
    def address(self) -> str:
        """For git, and for people."""
        return f"https://{self.name}"


def read(text: str) -> Repository | None:
    """The repository that somebody names, by its https address or as OWNER/NAME at github.com; None for anything else."""
    text = text.strip()
    if len(text) > LONGEST:
        return None
    if short := _SHORTHAND.fullmatch(text):
        return _plain(Repository(_SHORTHAND_HOST, f"{short['owner']}/{short['name']}"))
    scheme, _, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    found = _ADDRESS.fullmatch(f"{scheme.lower()}://{host.lower()}{slash}{path}")
    if not found or _NUMBER.fullmatch(found["host"]) or int(found["port"] or 443) > 65_535:
        return None
    port = found["port"] or "443"
    return _plain(Repository(found["host"] if port == "443" else f"{found['host']}:{port}", found["path"]))


def _plain(repository: Repository) -> Repository | None:
    """None for a path that leads elsewhere than it says."""
    return None if {".", ".."} & set(repository.path.split("/")) else repository


def allows(hosts: Iterable[str], host: str) -> bool:
    """Whether `hosts` (`name:port`, or `*.name:port` for the names below it) let `host` pass, as `Repository` has it."""
    name, _, port = host.partition(":")
    wanted = f"{name}:{port or 443}"
    return any(wanted.endswith(one[1:]) if one.startswith("*.") else wanted == one for one in hosts)


def is_within(places: Iterable[str], repository: Repository) -> bool:
    """Whether it, or what stands above it (an owner, a host), is among `places`, as `Repository.name` writes them."""
    name = repository.name.removesuffix(".git")
    return any(name == one or name.startswith(f"{one}/") for one in places)


def place(text: str) -> str | None:
    """A host, an owner at one, or a repository, as `is_within` takes it; None for anything else."""
    text = text.strip().rstrip("/").removesuffix(".git")
    known = read(f"https://{text}" if "/" in text else f"https://{text}/x")
    return None if known is None else known.name if "/" in text else known.host
