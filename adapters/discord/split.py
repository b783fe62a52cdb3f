"""Cutting one growing Markdown text into messages. Pure.

It promises that the slices of the text, one after the other, are the text; that no message is longer than the limit; that
a slice that has another after it never changes as the text grows; that a code fence that is cut is closed and opened again;
and that no cut goes through a mention, an emoji, a link, an escape or inline code that fits into a message.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

LIMIT = 1900
"""UTF-16 units of a message's text, fences included: Discord takes 2000 characters, the rest is for what stands under it."""

_FENCE = re.compile(r"^[ \t]*`{3,}([^`\n]*)(?:\n|\Z)", re.MULTILINE)
_CLOSE = "\n```"
_INFO = 20
_MARKS = ("\n\n", "\n", "。", ". ", "、", " ")
"""Where a text may be cut, the best places first."""

# What must stay whole. Each may end with the text that is looked at: a cut must not depend on what was not written yet.
_WHOLE = re.compile(
    r"""
      ^[ \t]*`{3,}[^\n]*(?:\n|\Z)                                   # a fence line
    | <(?:[at]?\Z|(?:[@#:/]|[at]:)[^<>\s]{0,80}(?:>|\Z))             # a mention, custom emoji, time
    | \[[^\[\]\n]{0,300}(?:\Z|\](?:\Z|\([^()\s]{0,1500}(?:\)|\Z)))  # a link with a name
    | https?://[!-;=?-~]* | h(?:ttps?(?::/?)?|tt?)?\Z                      # a bare link
    | `[^`\n]{0,300}(?:`|\Z)                                        # inline code
    | \\(?:.|\Z)                                                    # an escape
    """,
    re.MULTILINE | re.VERBOSE,
)


class Piece(msgspec.Struct, frozen=True):
    """A slice of the text, from `start` to `end`, and how it reads as a message of its own."""

    start: int
    end: int
    text: str


def split(text: str, starts: Sequence[int] = (), limit: int = LIMIT) -> list[Piece]:
    """The messages of `text`. `starts`: where messages that exist already begin; the last of them may still grow."""
    fences = _Fences(text)
    bounds = [start for start in starts if start <= len(text)] or [0]
    pieces = [fences.piece(start, end) for start, end in pairwise(bounds)]
    start = bounds[-1]
    while True:
        farthest = _fitting(text, start, limit - len(fences.reopened(start)) - len(_CLOSE))
        end = len(text) if farthest == len(text) else fences.cut(start, farthest)
        pieces.append(fences.piece(start, end))
        if end == len(text):
            return pieces
        start = end


def seam(text: str, start: int, end: int) -> int:
    """Where a message that begins at `start` and shows `text` up to `end` can be ended, to go on in another: `end` or before."""
    return end if end == len(text) else _Fences(text).cut(start, end)


def units(text: str) -> int:
    """The length of `text` in UTF-16 units: what Discord's clients count, and never fewer than what its servers do."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def _fitting(text: str, start: int, room: int) -> int:
    """The farthest end for which the slice has at most `room` units."""
    end = min(len(text), start + room)
    over = units(text[start:end]) - room
    while over > 0:
        end -= 1
        over -= 2 if text[end] > "\uffff" else 1
    return end


class _Fences:
    """A text, and where in it code fences are open."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._changes = [0]
        self._infos: list[str | None] = [None]
        for found in _FENCE.finditer(text):
            if self._infos[-1] is None:
                self._infos.append(found[1].strip().partition(" ")[0][:_INFO])
            elif found[1].strip():
                continue
            else:
                self._infos.append(None)
            self._changes.append(found.end())

    def _info(self, at: int) -> str | None:
        """The language of the fence that is open at `at`; None outside of one."""
        return self._infos[bisect_right(self._changes, at) - 1]

    def reopened(self, at: int) -> str:
        """What a message that begins at `at` must begin with."""
        info = self._info(at)
        return "" if info is None else f"```{info}\n"

    def piece(self, start: int, end: int) -> Piece:
        """The slice as a message."""
        shown = self.reopened(start) + self._text[start:end]
        if self._info(end) is not None:
            shown += _CLOSE.removeprefix("\n") if shown.endswith("\n") else _CLOSE
        return Piece(start, end, shown)

    def cut(self, start: int, farthest: int) -> int:
        """The best place to end a message that begins at `start`; looks at nothing beyond `farthest`."""
        whole = [found.span() for found in _WHOLE.finditer(self._text, start, farthest)]
        torn = 0
        for place in self._places(start, farthest):
            if not any(begin < place < end or begin < place == farthest for begin, end in whole):
                return place
            torn = torn or place
        return torn or max(start + 1, farthest)

    def _places(self, start: int, farthest: int) -> Iterator[int]:
        """Where a cut may be: after a paragraph, line, sentence, word; else between any two letters."""
        least = start + (farthest - start) // 3
        for mark in _MARKS:
            found = self._text.rfind(mark, least, farthest)
            while found >= 0:
                place = found + len(mark)
                if place > start and not self._empties_code(place, farthest):
                    yield place
                found = self._text.rfind(mark, least, found + len(mark) - 1)
        yield from (place for place in range(farthest, start, -1) if not _joined(self._text, place))

    def _empties_code(self, place: int, farthest: int) -> bool:
        """Whether a cut here would leave a code block without a line on one of its sides."""
        if self._info(place) is None:
            return False
        following = self._text[place:farthest].lstrip(" ")
        return place in self._changes or len(following) < 3 or following.startswith("```")


def _joined(text: str, place: int) -> bool:
    """Whether the letters around `place` are one sign for people: accents, emoji sequences, flags."""
    before, after = text[place - 1], text[place : place + 1]
    if not after:
        return False
    if "\u200d" in {before, after} or unicodedata.category(after).startswith("M") or "🏻" <= after <= "🏿":
        return True
    if after not in _FLAG_LETTERS:
        return False
    near = text[max(0, place - LIMIT) : place]
    return (len(near) - len(near.rstrip(_FLAG_LETTERS))) % 2 == 1


_FLAG_LETTERS = "".join(chr(letter) for letter in range(0x1F1E6, 0x1F200))
