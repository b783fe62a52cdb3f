"""Stored events as plain objects, their sealed texts opened or told to be sealed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from adapters.postgres.audit import Stored
from adapters.postgres.keyring import PostgresKeyring
from schema.codec import CodecError, decode
from schema.sealed import Sealed, key_id

Body = dict[str, Any]
"""An event's fields; a sealed text is a `Shut`, or its text."""


class Shut(msgspec.Struct, frozen=True, omit_defaults=True, rename={"key": "sealed_under_key"}):
    """A text that is not shown. `erased`: its key was destroyed, nobody can."""

    key: int
    erased: bool = False


class Texts:
    """Opens personal text when it has a keyring."""

    def __init__(self, keyring: PostgresKeyring | None) -> None:
        self._keyring = keyring

    async def body(self, stored: Stored) -> Body:
        """The event as this release reads it; as it is stored, when it cannot."""
        try:
            event = decode(stored.kind, stored.payload, stored.position)
        except CodecError:
            return cast("Body", msgspec.json.decode(stored.payload))
        return cast("Body", await self.opened(msgspec.to_builtins(event, builtin_types=(bytes,))))

    async def opened(self, value: Any) -> Any:
        """`value` with every box in it opened."""
        match value:
            case bytes():
                return await self._open(Sealed(value))
            case dict():
                items = cast("Mapping[str, Any]", value).items()
                return {name: await self.opened(one) for name, one in items}
            case list() | tuple():
                return [await self.opened(one) for one in cast("list[Any]", value)]
            case _:
                return value

    async def _open(self, box: Sealed) -> str | Shut:
        if self._keyring is None:
            return Shut(key_id(box))
        text = await self._keyring.open(box)
        return Shut(key_id(box), erased=True) if text is None else text


def record(stored: Stored, body: Body) -> Body:
    """A stored event as one object, with all that its hash rests on."""
    return {
        "position": stored.position,
        "stream": stored.stream,
        "version": stored.version,
        "kind": stored.kind,
        "at": iso(stored.at),
        "actor": stored.actor,
        "cause": stored.cause or None,
        "key": stored.key,
        "hash": stored.hash.hex(),
        "event": jsonable(body),
    }


def jsonable(value: Any) -> Any:
    """`value` with each `Shut` as an object."""
    match value:
        case Shut():
            return {"sealed_under_key": value.key} | ({"erased": True} if value.erased else {})
        case dict():
            return {name: jsonable(one) for name, one in cast("Mapping[str, Any]", value).items()}
        case list():
            return [jsonable(one) for one in cast("list[Any]", value)]
        case _:
            return value


def iso(at: int) -> str:
    """A time in µs, for programs: UTC, RFC 3339."""
    try:
        moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):  # somebody tampered with it
        return f"{at} µs"
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
