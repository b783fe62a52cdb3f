"""Golden files: every version of every event and fact that was ever written, as it is stored, for ever.

`tests/golden/events/<kind>.json` and `facts/<tag>.json` hold two samples each, one with every field set and one with only those
that must be: `payload` is exactly what the database holds, `fields` what this release reads in it.

To add the files of new kinds:  .venv/bin/python tests/golden/samples.py
It never touches a file that exists. A new field with a default: the sample that has it goes in front, for it is the one with
every field now, and the one that was goes to the end. When an upcaster, or such a field, changes what an old payload is read as,
edit its `fields` by hand; a `payload` is never edited.
"""

import json
import sys
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from schema import codec
from schema.events import Event, JournalRead
from schema.facts import Fact, Said, TurnFinished
from schema.sealed import FORMAT, Sealed

FOLDER = Path(__file__).resolve().parent
BOX = Sealed(bytes([FORMAT]) + (7).to_bytes(8, "big") + bytes(range(12)) + b"ciphertext, and a tag")


def kinds() -> dict[Path, type[msgspec.Struct]]:
    """The golden file of each struct that this release writes."""
    events = {FOLDER / "events" / f"{kind}.json": struct for kind, struct in codec.KINDS.items()}
    facts = {FOLDER / "facts" / f"{tag}.json": struct for tag, struct in codec.FACTS.items()}
    return {**events, **facts}


def sample(struct: type[msgspec.Struct], *, full: bool) -> Any:
    """An instance with every field, or with only those that have no default."""
    fields = [field for field in msgspec.structs.fields(struct) if full or field.required]
    return struct(**{field.name: _value(field.name, field.type) for field in fields})


def _value(name: str, kind: Any) -> Any:
    if kind is Sealed:
        return BOX
    if get_origin(kind) in {Union, types.UnionType}:
        return _value(name, get_args(kind)[0])
    if get_origin(kind) is tuple:
        return tuple(_several(name, get_args(kind)[0]))
    return {str: f"a {name}", int: len(name) + 1_000_000, bool: True}[kind]


def _several(name: str, kind: Any) -> list[Any]:
    if kind is str:
        return [f"{name} 1", f"{name} 2"]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [sample(kind, full=True), sample(kind, full=False)]
    return [Said(text=BOX, parent="toolu_1"), TurnFinished(prompts=("1",), error=False, reason="completed")]


def stored(one: Event | Fact) -> str:
    """What the database holds for it."""
    return msgspec.json.encode(one).decode()


def fields(one: Event | Fact) -> Any:
    """All fields of it, defaults and tags included, in terms of JSON."""
    return json.loads(msgspec.json.encode(_fields(one)))


def _fields(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_fields(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - anything
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        return tag | {name: _fields(getattr(value, name)) for name in value.__struct_fields__}
    return value


def read(path: Path, payload: str) -> Event | Fact:
    """What this release reads in a stored payload, through upcasters: a fact in the event that it came in."""
    if path.parent.name == "events":
        return codec.decode(path.stem, payload.encode(), 1)
    around = f'{{"kind":"session.journal_read","epoch":1,"start":0,"end":1,"facts":[{payload}]}}'
    event = codec.decode("session.journal_read", around.encode(), 1)
    assert isinstance(event, JournalRead)
    return event.facts[0]


def write() -> None:
    for path, struct in kinds().items():
        if not path.exists():
            both = [sample(struct, full=True), sample(struct, full=False)]
            samples = [{"payload": stored(one), "fields": fields(one)} for one in both]
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(samples, indent=1, ensure_ascii=False) + "\n")
            print(f"wrote {path}")


if __name__ == "__main__":
    write()
