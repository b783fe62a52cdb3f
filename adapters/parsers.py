"""Parsers of settings: text to value, or ValueError with half a sentence that does not repeat the text; and of addresses."""

import base64
import binascii
import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from engine import repos

KEY_BYTES = 32
"""In a file that holds a key, in base64."""


def ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as; None for a name, or nothing."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class Secret:
    """A text that does not show itself: not in logs, errors, tracebacks or JSON. `reveal()` where it is used."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def in_file(cls, path: Path) -> "Secret":
        """What a key file says; empty when it cannot be read, which its user will tell."""
        try:
            return cls(path.read_text().strip())
        except (OSError, UnicodeDecodeError):
            return cls("")

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def text(raw: str) -> str:
    if not raw:
        raise ValueError("is empty")
    if not raw.isprintable():
        raise ValueError("holds unprintable characters")
    return raw


def token(raw: str) -> Secret:
    if not re.fullmatch(r"[!-~]+", raw):
        raise ValueError("holds spaces, or characters no token has" if raw else "is empty")
    return Secret(raw)


def bot_token(raw: str) -> Secret:
    """Its first part is the bot's id in base64."""
    secret, head = token(raw), raw.partition(".")[0]
    try:
        is_id = base64.b64decode(head + "=" * (-len(head) % 4), validate=True).isdigit()
    except binascii.Error:
        is_id = False
    if not is_id or head == raw:
        raise ValueError("is no bot token")
    return secret


def ids(raw: str) -> tuple[str, ...]:
    ids = tuple(part.strip() for part in text(raw).split(","))
    if not all(re.fullmatch(r"[1-9][0-9]{0,19}", part) for part in ids):
        raise ValueError("is not a Discord id (digits only)")
    return ids


def whole(least: int, most: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text(raw)):
            raise ValueError("is not a whole number")
        if not least <= int(raw) <= most:
            raise ValueError("is out of range")
        return int(raw)

    return parse


def dollars(raw: str) -> int:
    """In millionths."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,2})?", text(raw)):
        raise ValueError("is not an amount of dollars")
    if float(raw) == 0:
        raise ValueError("is nothing at all")
    return round(float(raw) * 1_000_000)


def label(raw: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", text(raw)):
        raise ValueError("is not a name as Kubernetes writes it")
    return raw


def amount(raw: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", text(raw)):
        raise ValueError("is not an amount as Kubernetes writes it")
    return raw


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in choices:
            raise ValueError("is none of its choices")
        return raw

    return parse


def url(raw: str) -> str:
    try:
        parts = urlsplit(text(raw))
    except ValueError:
        raise ValueError("is not an http or https address") from None  # the library's message repeats the text
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http or https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or password")
    return raw.rstrip("/")


def hosts(raw: str) -> str:
    """What these mean, and whether each is one, the gateway knows."""
    if not re.fullmatch(r"[A-Za-z0-9+*.:, -]*", raw):
        raise ValueError("holds characters that no host name has")
    return raw


def places(raw: str) -> tuple[str, ...]:
    """Repositories, and what they belong to."""
    found = tuple(repos.place(part) for part in raw.split(",") if part.strip())
    if None in found:
        raise ValueError("holds something that is neither a host, an owner at one, nor a repository")
    return tuple(filter(None, found))


def file(raw: str) -> Path:
    path = Path(text(raw))
    if not path.is_file():
        raise ValueError("names no file")
    if not os.access(path, os.R_OK):
        raise ValueError("names a file that cannot be read")
    return path


def key_file(raw: str) -> Path:
    path = file(raw)
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except (binascii.Error, UnicodeDecodeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("names a file that holds something else")
    return path


def folder(raw: str) -> Path:
    path = Path(text(raw))
    if not path.is_dir():
        raise ValueError("names no folder")
    return path


def there(raw: str) -> Path:
    path = Path(text(raw))
    return path if path.is_dir() else file(raw)


def program(raw: str) -> Path:
    path = file(raw)
    if not os.access(path, os.X_OK):
        raise ValueError("names a file that cannot be executed")
    return path
