"""Texts of others made into Discord's Markdown. Pure.

What Claude says is Markdown and stays so, in the dialect that Discord understands. Everything else (tool names, output,
paths, what people typed) is shown as it is and can neither format, mention, link nor turn the direction of what is ours.
"""

import re

_FENCE = re.compile(r"[ \t]*(`{3,})([^`]*)")
_TICKS = re.compile(r"`{3,}")
_SPECIAL = re.compile(r"([\\`*_~|<>@#\[\]()])")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of all that follows. Those that concern one place only (LRM, RLM, ALM) stay."""


def said(text: str, *, over: bool = True) -> str:
    """What Claude said; `over`: all of it. Discord ends a code block at any three backticks: only those that do are left.

    As `text` grows by whole lines, so does this.
    """
    lines: list[str] = []
    fence = ""
    for line in text.strip("\n").split("\n"):
        found = _FENCE.fullmatch(line)
        if not fence and found:
            fence = found[1]
            lines.append(f"{line[: found.start(1)]}```{found[2]}")
        elif fence and found and len(found[1]) >= len(fence) and not found[2].strip():
            fence = ""
            lines.append(f"{line[: found.start(1)]}```")
        elif fence or line.count("```") % 2:
            lines.append(_apart(line))
        elif line.strip() or lines[-2:] != ["", ""]:
            lines.append(line.rstrip())
    return "\n".join([*lines, "```"] if fence and over else lines)


def one_line(text: str, limit: int) -> str:
    """At most `limit` characters of `text` on one line."""
    line = " ".join(_TURNING.sub("", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def plain(text: str, limit: int = 200) -> str:
    """A short text that is no Markdown."""
    return _SPECIAL.sub(r"\\\1", one_line(text, limit))


def inline_code(text: str, limit: int = 200) -> str:
    """A short text as code; nothing for nothing."""
    line = one_line(text, limit).replace("`", "ˋ")
    return f"`{line}`" if line else ""


def block(text: str, language: str = "") -> str:
    """A text of any length as a code block."""
    return f"```{language}\n{_apart(_TURNING.sub('', text))}\n```"


def visible(text: str) -> str:
    """`text` with everything invisible in it made visible: nobody allows what they cannot see."""
    return "".join(one if one.isprintable() or one == "\n" else f"⟨U+{ord(one):04X}⟩" for one in text)


def _apart(text: str) -> str:
    """`text` without three backticks in a row: people see the same."""
    return _TICKS.sub(lambda ticks: "\u200b".join(ticks[0]), text)
