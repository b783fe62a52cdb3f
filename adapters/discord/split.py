"""Cutting one growing Markdown text into messages. Pure.

It promises that the slices of the text, one after the other, are the text; that no message is longer than the limit; that
a slice that has another after it never changes as the text grows; that a code fence that is cut is closed and opened again;
and that no cut goes through a mention, an emoji, a link or a word that fits elsewhere.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

LIMIT = 1900
"""UTF-16 units of a message's text: Discord takes 2000, the rest is for fences and the footer."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
# What a cut may not follow: the beginning of a mention, emoji, link, address or escape. Only what stands before a cut is
# looked at: what comes after it may not have been written yet, and a cut must not change when it is.
_UNFINISHED = re.compile(r"(?:<[@#:at/][^<>\s]{0,80}|\[[^\[\]\n]{0,200}(?:\]\([^)\s]{0,300})?|https?://\S{0,300}|\\)$")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")


class Piece(msgspec.Struct, frozen=True):
    """A slice of the text from `start` on, and how it reads as a message of its own."""

    start: int
    end: int
    text: str


def split(text: str, starts: Sequence[int] = (), limit: int = LIMIT) -> list[Piece]:
    """The messages of `text`. `starts`: where messages that exist already begin; the last of them may still grow."""
    bounds = [start for start in starts if start <= len(text)] or [0]
    pieces = [_piece(text, start, end) for start, end in pairwise(bounds)]
    start = bounds[-1]
    while True:
        end = _end(text, start, limit)
        pieces.append(_piece(text, start, end))
        if end >= len(text):
            return pieces
        start = end


def units(text: str) -> int:
    """The length of `text` as Discord's clients count it: UTF-16 units, never fewer than characters."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def _piece(text: str, start: int, end: int) -> Piece:
    opened, closed = _fence_at(text, start), _fence_at(text, end)
    shown = text[start:end]
    if opened:
        shown = f"{opened}\n{shown.removeprefix(chr(10))}"
    if closed:
        mark = closed[:3]
        shown = f"{shown.removesuffix(chr(10))}\n{mark}"
    return Piece(start, end, shown)


def _fence_at(text: str, at: int) -> str:
    """The line that opened the code fence which is open at `at`; empty outside of one."""
    opened = ""
    for found in _fences(text, at):
        mark, info = found[1], found[2]
        if not opened:
            opened = f"{mark[:3]}{info.strip()[:20]}"
        elif mark.startswith(opened[:3]) and not info.strip():
            opened = ""
    return opened


def _fences(text: str, end: int) -> Iterator[re.Match[str]]:
    """Fence lines that end before `end`."""
    return (found for found in _FENCE.finditer(text) if found.end() < end)


def _end(text: str, start: int, limit: int) -> int:
    """Where the message that begins at `start` ends: at the text's end if it fits, else at the best place to cut."""
    farthest = _fitting(text, start, limit)
    if farthest >= len(text):
        return len(text)
    least = start + (farthest - start) // 3
    for mark in ("\n\n", "\n", "。", ". ", " ", "、"):
        found = text.rfind(mark, least, farthest)
        while found > least:
            cut = found + len(mark)
            if not _tears(text, start, cut):
                return cut
            found = text.rfind(mark, least, found)
    return _hard_cut(text, start, farthest)


def _fitting(text: str, start: int, limit: int) -> int:
    """The farthest end for which the message is within the limit."""
    left = limit - len(_fence_at(text, start)) - 5
    for at in range(start, len(text)):
        left -= 2 if text[at] > "\uffff" else 1
        if left < 0:
            return at
    return len(text)


def _tears(text: str, start: int, cut: int) -> bool:
    """Whether a cut goes through something that must stay whole."""
    return _UNFINISHED.search(text, max(start, cut - 600), cut) is not None


def _hard_cut(text: str, start: int, farthest: int) -> int:
    cut = farthest
    while cut > start + 1 and (text[cut] in _JOINERS or text[cut - 1] in _JOINERS or _tears(text, start, cut)):
        cut -= 1
    return cut if cut > start + 1 else farthest
