"""Discord's Markdown as a tree for the page: what people wrote becomes nodes of a few known names, never HTML.

A node is a text, or a JSON object `{"t": name, "k": children, …}`. Blocks are lines, as in Discord (no paragraphs that swallow
the next quote, no tables, no HTML); what stands in a line is read by markdown-it, code is coloured by Pygments.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType] - its options are anything
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

Node = str | dict[str, Any]
Nodes = list[Node]

_FENCE = re.compile(r"```(?:([\w+#.-]*)\n)?(.*?)```", re.DOTALL)
_ITEM = re.compile(r"( *)([-*]|\d{1,9}\.) +(.*)")
_HEADING = re.compile(r"(#{1,3}) +(.+)")
_WORDS = re.compile(r"(?:(?!https?://)[^\n\\`*_~|<\[\]!])+")
_ANGLE = re.compile(
    r"<(?:(?P<user>@!?(\d+))|(?P<role>@&(\d+))|(?P<channel>#(\d+))|(?P<command>/([^:<>\n]+):\d+)"
    r"|t:(?P<time>-?\d{1,12})(?::(?P<style>[tTdDfFR]))?|(?P<emoji>a?:(\w+):\d+)|(?P<link>https?://[^\s<>]+))>"
)
_URL = re.compile(r"https?://[^\s<>\[\]`*|]+[^\s<>\[\]`*|.,;:!?'\")]")
_EVERYONE = re.compile(r"@(everyone|here)\b")
_SAFE = re.compile(r"https?://[^\s]+", re.IGNORECASE)
_COLOURS = re.compile(r"\x1b\[([\d;]*)m")
_NAMES = {"em": "em", "strong": "strong", "s": "s", "spoiler": "spoiler"}
_REMEMBERED = 4000
_LARGEST_COLOURED = 20_000
_DEEPEST = 24


class Markup:
    """Texts into trees. Remembers the last ones, for a message is shown many times and changes seldom."""

    def __init__(self) -> None:
        self._md = _inline_parser()
        self._known: OrderedDict[str, Nodes] = OrderedDict()

    def tree(self, text: str) -> Nodes:
        """The nodes of a text."""
        if text in self._known:
            self._known.move_to_end(text)
            return self._known[text]
        made = list(self._blocks(text))
        self._known[text] = made
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return made

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _blocks(self, text: str) -> Iterator[Node]:
        """Code blocks first: nothing within them means anything."""
        end = 0
        for found in _FENCE.finditer(text):
            if not found[2].strip("\n"):
                continue
            yield from self._lines(text[end : found.start()].removesuffix("\n"))
            yield code_block(found[2].strip("\n"), found[1] or "")
            end = found.end()
        yield from self._lines(text[end:].removeprefix("\n") if end else text)

    def _lines(self, text: str, *, quoted: bool = False) -> Iterator[Node]:
        """Quotes do not nest, as in Discord."""
        lines = text.split("\n") if text else []
        at = 0
        while at < len(lines):
            line = lines[at]
            if line.startswith(">>> ") and not quoted:
                yield _node("quote", self._lines("\n".join([line[4:], *lines[at + 1 :]]), quoted=True))
                return
            if not quoted and (after := _run(lines, at, _is_quote)) > at:
                yield _node("quote", self._lines("\n".join(one[2:] for one in lines[at:after]), quoted=True))
            elif (after := _run(lines, at, _is_item)) > at:
                yield from self._list(lines[at:after])
            elif heading := _HEADING.fullmatch(line):
                after = at + 1
                yield _node(f"h{len(heading[1])}", self._inline(heading[2]))
            elif line.startswith("-# "):
                after = at + 1
                yield _node("small", self._inline(line[3:]))
            else:
                after = at + 1
                while after < len(lines) and not _begins_block(lines[after]):
                    after += 1
                yield _node("p", self._inline("\n".join(lines[at:after])))
            at = after

    def _list(self, lines: list[str]) -> Iterator[Node]:
        """Items deeper than the first belong to the item before them."""
        if not lines:
            return
        found = [_ITEM.fullmatch(line) for line in lines]
        depth = min(len(one[1]) for one in found if one)
        at = 0
        while at < len(lines):
            first = found[at]
            assert first
            ordered = first[2][0].isdigit()
            items: Nodes = []
            while at < len(lines):
                one = found[at]
                assert one
                if len(one[1]) <= depth + 1 and one[2][0].isdigit() != ordered:
                    break
                inner = at + 1
                while inner < len(lines) and (next_one := found[inner]) and len(next_one[1]) > depth + 1:
                    inner += 1
                items.append(_node("li", [*self._inline(one[3]), *self._list(lines[at + 1 : inner])]))
                at = inner
            yield _node("ol", items, start=int(first[2][:-1])) if ordered else _node("ul", items)

    # --- within lines ------------------------------------------------------------------------------------------------

    def _inline(self, text: str) -> Nodes:
        tokens: list[Token] = self._md.parseInline(text)[0].children or []
        stack: list[tuple[Token | None, Nodes]] = [(None, [])]
        for token in tokens:
            if token.nesting == 1:
                stack.append((token, []))
            elif token.nesting == -1:
                opened, children = stack.pop()
                assert opened
                stack[-1][1].extend([_closed(opened, children)] if len(stack) <= _DEEPEST else children)
            else:
                stack[-1][1].extend(_leaf(token))
        return _joined(stack[0][1])


def plain(nodes: Nodes) -> str:
    """The words of a tree."""
    return "".join(one if isinstance(one, str) else plain(one.get("k", [])) for one in nodes)


def code_block(code: str, language: str = "") -> Node:
    """Code with its colours, where the language is known."""
    name = language.lower()
    if name == "ansi":
        return _node("code", list(_ansi(code)), lang="ansi")
    lexer = _lexer(name) if name and len(code) <= _LARGEST_COLOURED else None
    if lexer is None:
        return _node("code", [code], lang=name)
    coloured: Nodes = []
    classes: dict[Any, Any] = {**STANDARD_TYPES}
    for kind, text in lexer.get_tokens(code):
        short = str(classes.get(kind) or classes.get(kind.parent) or "")
        ends = text.endswith("\n")  # a break belongs to no token, and the last one is the lexer's
        words = text[:-1] if ends else text
        coloured.append(_node("tok", [words], c=short) if short and words.strip() else words)
        coloured.append("\n" if ends else "")
    while coloured and coloured[-1] == "":
        coloured.pop()
    if coloured and coloured[-1] == "\n":
        coloured.pop()
    return _node("code", _joined(coloured), lang=name)


def _lexer(name: str) -> Lexer | None:
    try:
        return get_lexer_by_name(name, stripnl=False)
    except ClassNotFound:
        return None


def _ansi(code: str) -> Iterator[Node]:
    """Select Graphic Rendition, as far as Discord does it: bold, underline, eight colours before and behind."""
    at, style = 0, set[str]()
    for found in _COLOURS.finditer(code):
        yield from _styled(code[at : found.start()], style)
        for number in found[1].split(";"):
            style = _restyled(style, int(number or 0))
        at = found.end()
    yield from _styled(code[at:], style)


def _restyled(style: set[str], number: int) -> set[str]:
    if number == 1:
        return style | {"bold"}
    if number == 4:
        return style | {"underline"}
    for kind, first in (("fg", 30), ("bg", 40)):
        if first <= number < first + 8:
            return {one for one in style if not one.startswith(kind)} | {f"{kind}{number - first}"}
    return set() if number == 0 else style


def _styled(text: str, style: set[str]) -> Nodes:
    if not text:
        return []
    return [_node("ansi", [text], c=" ".join(sorted(style)))] if style else [text]


def _node(name: str, children: Iterable[Node] = (), **more: Any) -> Node:
    return {"t": name, "k": list(children), **more}


def _joined(nodes: Nodes) -> Nodes:
    """Neighbouring texts as one."""
    made: Nodes = []
    for one in nodes:
        if isinstance(one, str) and made and isinstance(made[-1], str):
            made[-1] += one
        elif one:
            made.append(one)
    return made


def _run(lines: list[str], at: int, fits: Any) -> int:
    while at < len(lines) and fits(lines[at]):
        at += 1
    return at


def _is_quote(line: str) -> bool:
    return line.startswith("> ")


def _is_item(line: str) -> bool:
    return _ITEM.fullmatch(line) is not None


def _begins_block(line: str) -> bool:
    starts = line.startswith((">>> ", "> ", "-# "))
    return starts or _HEADING.fullmatch(line) is not None or _is_item(line)


# --- markdown-it: what stands in a line ------------------------------------------------------------------------------


def _inline_parser() -> MarkdownIt:
    md = MarkdownIt("zero").enable(["escape", "backticks", "strikethrough", "emphasis", "link"])
    md.inline.ruler.at("text", _take_words)
    md.inline.ruler.before("escape", "newline_kept", _take_newline)
    md.inline.ruler.before("escape", "angle", _take_angle)
    md.inline.ruler.before("escape", "spoiler", _take_spoiler)
    md.inline.ruler.before("escape", "address", _take_address)
    return md


def _take_words(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the signature of markdown-it's rules
    found = _WORDS.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.pending += found[0]
    state.pos = found.end()
    return True


def _take_newline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as above
    if state.src[state.pos] != "\n":
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos += 1
    return True


def _take_angle(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as above
    found = _ANGLE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("angle", "", 0).meta = {"found": found}
    state.pos = found.end()
    return True


def _take_address(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as above
    found = _URL.match(state.src, state.pos, state.posMax)
    if found is None or state.linkLevel:
        return False
    if not silent:
        state.push("address", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _take_spoiler(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as above
    begin = state.pos + 2
    if not state.src.startswith("||", state.pos):
        return False
    end = state.src.find("||", begin, state.posMax)
    if end <= begin:
        return False
    if not silent:
        outer = state.posMax
        state.push("spoiler_open", "spoiler", 1)
        state.pos, state.posMax = begin, end
        state.md.inline.tokenize(state)
        state.push("spoiler_close", "spoiler", -1)
        state.posMax = outer
    state.pos = end + 2
    return True


def _closed(token: Token, children: Nodes) -> Node:
    if token.type == "link_open":
        address = str(token.attrs.get("href", ""))
        return _node("a", _joined(children), href=address) if is_safe(address) else _node("span", _joined(children))
    if token.markup == "__" and token.type == "strong_open":
        return _node("u", _joined(children))
    return _node(_NAMES.get(token.tag, "span"), _joined(children))


def _leaf(token: Token) -> Nodes:
    match token.type:
        case "code_inline":
            return [_node("c", [token.content])]
        case "hardbreak" | "softbreak":
            return [_node("br")]
        case "angle":
            return [_angled(token.meta["found"])]
        case "address":
            return [_node("a", [token.content], href=token.content)]
        case _:
            return list(_called(token.content))


def _angled(found: re.Match[str]) -> Node:
    if found["time"]:
        return _node("time", at=int(found["time"]), style=found["style"] or "f")
    if found["link"]:
        return _node("a", [found["link"]], href=found["link"])
    kind = next(name for name in ("user", "role", "channel", "command", "emoji") if found[name])
    words = re.sub(r"^(a?:|@[!&]?|#|/)", "", found[kind])
    return _node("mention", kind=kind, id=words.partition(":")[0])


def _called(text: str) -> Iterator[Node]:
    at = 0
    for found in _EVERYONE.finditer(text):
        yield text[at : found.start()]
        yield _node("mention", kind="everyone", id=found[1])
        at = found.end()
    yield text[at:]


def is_safe(address: str) -> bool:
    """Whether the page may link to it."""
    return _SAFE.fullmatch(address) is not None
