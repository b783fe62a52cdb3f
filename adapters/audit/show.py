"""How events look in a terminal: columns, colours where there is a terminal, and no character that could do harm."""

import os
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO, cast

from adapters.audit.texts import Body, Shut
from adapters.postgres.audit import Stored

_COLOURS = {"grey": 90, "red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36, "bold": 1}
_BAD = ("failed", "lost", "refused", "cut", "expired", "erased")
_A_TIME = 10**15  # µs: what is greater is a time, nothing else we count is
_LONGEST = 400  # characters of one value


class Screen:
    """Where lines for people go. Colours and widths only at a terminal, so that pipes get everything."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self.terminal = self._out.isatty()
        self._colours = self.terminal and "NO_COLOR" not in os.environ
        self._width = shutil.get_terminal_size().columns if self.terminal else 0

    def line(self, text: str = "") -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def colour(self, name: str, text: str) -> str:
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if self._colours else text

    def event(self, stored: Stored, body: Body, *, before: str = "", stream: bool = True) -> None:
        """One line: position, time, stream, kind, who, and what is in it. `before`: a tree's branches."""
        kind = stored.kind.split(".", 1)[-1]
        columns = [f"{stored.position:>7}", clock(stored.at), before + kind.replace("_", " ")]
        where = f"{stored.stream} " if stream else ""
        tells = f"{where}{visible(stored.actor)}  {summary(body)}"
        if self._width:
            room = max(20, self._width - sum(map(len, columns)) - 6)
            tells = tells if len(tells) <= room else tells[: room - 1] + "…"
        position, time, what = columns
        self.line(
            f"{self.colour('grey', position)}  {self.colour('grey', time)}  {self.colour(_tone(stored.kind), what)}  {tells}"
        )

    def fields(self, value: Any, indent: int = 0) -> None:
        """An object as an indented list."""
        pad = " " * indent
        items = (
            list(cast("Mapping[str, Any]", value).items())
            if isinstance(value, Mapping)
            else [("-", one) for one in value]
        )
        for name, one in items:
            if isinstance(one, Mapping | list) and one:
                self.line(f"{pad}{self.colour('cyan', name)}")
                self.fields(one, indent + 2)
            else:
                self.line(f"{pad}{self.colour('cyan', name)}  {short(one)}")


def summary(body: Body) -> str:
    """What an event says, in one line."""
    return "  ".join(f"{name}={short(value)}" for name, value in body.items() if name not in {"kind", "raw"})


def short(value: Any) -> str:  # noqa: PLR0911 - a case a type
    """One value, in one line."""
    match value:
        case Shut():
            return "[erased]" if value.erased else "[sealed]"
        case dict():
            fields = cast("Mapping[str, Any]", value)
            name = fields.get("fact", "")
            rest = ", ".join(f"{key}={short(one)}" for key, one in fields.items() if key != "fact")
            return f"{name}({rest})" if name else f"{{{rest}}}"
        case list():
            return " ".join(short(one) for one in cast("list[Any]", value)) or "none"
        case str():
            return visible(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…") or "''"
        case True | False:
            return "yes" if value else "no"
        case int() if value > _A_TIME:
            return clock(value)
        case _:
            return str(value)


def visible(text: str) -> str:
    """`text` with everything that a terminal could act on, or that hides, made visible."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\u3000" else one.encode("unicode_escape").decode() for one in text
    )


def clock(at: int) -> str:
    """A time in µs, for people: their own zone."""
    try:
        moment = datetime.fromtimestamp(at / 1_000_000).astimezone()
    except (ValueError, OverflowError, OSError):  # somebody tampered with it
        return f"{at} µs"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at // 1000 % 1000:03}"


def _tone(kind: str) -> str:
    if kind.startswith("inbox."):
        return "cyan"
    if any(word in kind for word in _BAD):
        return "red"
    if ".answer" in kind or ".stop" in kind:
        return "yellow"
    return "green" if ".turn" in kind or ".prompt" in kind else "bold"
