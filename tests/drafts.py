"""Appends for tests that do not care what is in them."""

from schema.envelope import Append, Draft, Write
from schema.events import SlotAsked


def draft(place: int = 1, *, key: str | None = None, to: str | None = None, actor: str = "bot") -> Draft:
    return Draft(event=SlotAsked(place=place), at=1_000 + place, actor=actor, key=key, to=to)


def write(stream: str, expected: int | None = None, *drafts: Draft) -> Write:
    return Write(stream=stream, expected=expected, drafts=drafts or (draft(),))


def append(*writes: Write) -> Append:
    return Append(writes=writes)
