"""Bytes and events: JSON by msgspec, the kind as tag in the payload and beside it in a column of its own.

Sealed texts stay sealed: here they are base64 and nothing else. What older releases wrote goes through
`schema/upcasters.py`; what a newer one wrote is refused by name (`UnknownKind`), never guessed.
"""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from schema import upcasters
from schema.events import Event, JournalRead
from schema.facts import Fact
from schema.sealed import Sealed, key_id
from schema.upcasters import Upcaster


class CodecError(Exception):
    """The root of what can be wrong with a stored event."""


class UnknownKind(CodecError):
    """Raised when an event, or a fact in it, is of a kind that this release does not know."""

    def __init__(self, kind: str, position: int) -> None:
        super().__init__(
            f"position {position} holds {kind!r}, which this release does not know: this database was written by "
            "a newer version of discord-claude; run that version or a later one"
        )
        self.kind = kind
        self.position = position


class Malformed(CodecError):
    """Raised when a stored event is of a known kind and cannot be read all the same."""

    def __init__(self, kind: str, position: int, why: str) -> None:
        super().__init__(f"position {position} holds a {kind!r} that cannot be read: {why}")
        self.kind = kind
        self.position = position


Encoded = tuple[str, bytes, int | None]
"""An event as it is stored: its kind, its payload, and the id of the key of its sealed texts, None when it has none."""


def _tag(struct: type[msgspec.Struct]) -> str:
    tag = struct.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


_KIND = {struct: _tag(struct) for struct in get_args(Event)}
KINDS: Mapping[str, type[Event]] = {kind: struct for struct, kind in _KIND.items()}
"""Every kind of event that this release writes."""
FACTS: Mapping[str, type[Fact]] = {_tag(struct): struct for struct in get_args(Fact)}
"""Every fact that this release writes, by its tag."""


def _sealed_fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    fields = msgspec.structs.fields(struct)
    return tuple(field.name for field in fields if field.type is Sealed or Sealed in get_args(field.type))


_SEALED = {struct: _sealed_fields(struct) for struct in (*get_args(Event), *get_args(Fact))}

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)  # pyright: ignore[reportArgumentType] - a union of types, which msgspec takes
_decode = _decoder.decode


def encode(event: Event) -> Encoded:
    """The stored form of `event`. Raises ValueError when its texts are sealed under more than one key."""
    kind = _KIND[type(event)]
    key: int | None = None
    for struct in (event, *event.facts) if isinstance(event, JournalRead) else (event,):
        for name in _SEALED[type(struct)]:
            box = getattr(struct, name)
            if box is not None and key != key_id(box):
                if key is not None:
                    raise ValueError(
                        f"{kind} is sealed under the keys {key} and {key_id(box)}: an event has one at most"
                    )
                key = key_id(box)
    return kind, _encode(event), key


def decode(
    kind: str,
    payload: bytes,
    position: int,
    *,
    events: Mapping[str, Upcaster] = upcasters.EVENTS,
    facts: Mapping[str, Upcaster] = upcasters.FACTS,
) -> Event:
    """The event stored at `position`. Raises UnknownKind, Malformed."""
    try:
        return _decode(payload)
    except msgspec.ValidationError:
        pass  # an older or a newer kind or fact, or broken: looked at below
    except msgspec.DecodeError as error:
        raise Malformed(kind, position, str(error)) from None
    return _upcast(kind, payload, position, events, facts)


def _upcast(
    kind: str, payload: bytes, position: int, events: Mapping[str, Upcaster], facts: Mapping[str, Upcaster]
) -> Event:
    try:
        body = _through(msgspec.json.decode(payload, type=dict[str, Any]), "kind", events)
        if body["kind"] not in KINDS:
            raise UnknownKind(body["kind"], position)
        if "facts" in body:
            body["facts"] = [_through(fact, "fact", facts) for fact in body["facts"]]
            for fact in body["facts"]:
                if fact["fact"] not in FACTS:
                    raise UnknownKind(fact["fact"], position)
        return msgspec.convert(body, Event)  # pyright: ignore[reportArgumentType, reportCallIssue] - a union of types, which msgspec takes
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise Malformed(kind, position, str(error)) from None


def _through(body: dict[str, Any], tag: str, steps: Mapping[str, Upcaster]) -> dict[str, Any]:
    while body[tag] in steps:
        body = steps[body[tag]](body)
    return body
