"""The hash of an event: SHA-256 over every column but the position, and the hash before it in its stream.

What is hashed, byte for byte (integers big endian):

    bytes  field
    32     hash of the event before it in the stream; zeros for version 1
    8      version, unsigned
    8      at, signed
    8      cause, unsigned
    8      key_id, unsigned; 0 for none (ids begin at 1)
    4 x 5  lengths in bytes of stream, kind, payload, actor and idempotency key; ffffffff for no key
    …      stream (its name), kind, payload, actor, idempotency key: text as UTF-8

All lengths stand before all texts, so no two events give the same bytes. This is STORAGE FORMAT: it never changes.
"""

import hashlib
import struct

FIRST = bytes(32)
"""Stands for the hash before the first event of a stream."""

_HEADER = struct.Struct(">32sQqQQIIIII")
_NO_KEY = 0xFFFFFFFF


def event_hash(  # noqa: PLR0913, PLR0917 - one argument per column
    previous: bytes,
    stream: str,
    version: int,
    kind: str,
    payload: bytes,
    key_id: int | None,
    at: int,
    actor: str,
    cause: int,
    key: str | None,
) -> bytes:
    """The hash of one event. `previous` is the hash before it in its stream, `FIRST` for version 1."""
    stream_, kind_, actor_ = stream.encode(), kind.encode(), actor.encode()
    key_ = b"" if key is None else key.encode()
    header = _HEADER.pack(
        previous,
        version,
        at,
        cause,
        key_id or 0,
        len(stream_),
        len(kind_),
        len(payload),
        len(actor_),
        _NO_KEY if key is None else len(key_),
    )
    return hashlib.sha256(b"".join((header, stream_, kind_, payload, actor_, key_))).digest()
