"""Sealed texts that are not encrypted, and the keyring of such: whoever else looks inside of one is wrong."""

from engine.ports import GiveUp
from schema.sealed import FORMAT, HEADER, Sealed


def box(text: str) -> Sealed:
    """A well-formed box around `text`."""
    return Sealed(bytes([FORMAT]).ljust(HEADER, b"\0") + text.encode())


def unbox(sealed: Sealed) -> str:
    """What is in it."""
    return sealed[HEADER:].decode()


class Keys:
    """A keyring whose boxes are plain; `gone`: every key was destroyed."""

    def __init__(self, *, gone: bool = False, torn: bool = False) -> None:
        self.gone = gone
        self.torn = torn
        self.prepared: list[tuple[str, str]] = []

    async def prepare(self, scope: str, person: str) -> int:
        if self.gone:
            raise GiveUp("destroyed")
        self.prepared.append((scope, person))
        return 1

    def seal(self, key: int, text: str) -> Sealed:
        return box(text)

    async def open(self, box: Sealed) -> str | None:
        if self.torn:
            raise GiveUp("tampered with")
        return None if self.gone else unbox(box)
