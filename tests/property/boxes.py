"""Sealed texts without a keyring: whoever looks inside of one is wrong."""

from schema.sealed import FORMAT, HEADER, Sealed


def box(text: str) -> Sealed:
    """A well-formed box around `text`."""
    return Sealed(bytes([FORMAT]).ljust(HEADER, b"\0") + text.encode())


def unbox(sealed: Sealed) -> str:
    """What is in it."""
    return sealed[HEADER:].decode()
