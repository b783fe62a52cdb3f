"""Personal text as the log holds it: sealed, opaque to everything but the keyring.

Prompts, answers, file names and raw payloads are personal. They enter the log only as `Sealed`: a self-describing box
(format byte, key id, nonce, ciphertext) under the key of one (scope, person), so destroying that key erases the text and
leaves every hash intact. The core carries boxes around and never looks inside; adapters seal on the way in and open on
the way out.
"""

from collections.abc import Callable
from typing import NewType

Sealed = NewType("Sealed", bytes)
"""One sealed text: `FORMAT` (1 byte), key id (8 bytes, big endian), nonce (12 bytes), AES-256-GCM ciphertext and tag."""

FORMAT = 1
HEADER = 1 + 8 + 12

Seal = Callable[[str], Sealed]
"""Seals a text under a key chosen by the caller."""


def key_id(box: Sealed) -> int:
    """The id of the key that `box` is sealed under. Raises ValueError when it is not a box."""
    if len(box) < HEADER or box[0] != FORMAT:
        msg = f"not a sealed text: {len(box)} bytes beginning {box[:1].hex() or 'nothing'}"
        raise ValueError(msg)
    return int.from_bytes(box[1:9], "big")
