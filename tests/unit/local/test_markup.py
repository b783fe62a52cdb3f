import json
import time
from typing import Any

import pytest

from adapters.local.discord.markup import Markup, Nodes, is_safe, plain


def _node(name: str, *children: Any, **more: Any) -> dict[str, Any]:
    return {"t": name, "k": list(children), **more}


def _tree(text: str) -> Nodes:
    return Markup().tree(text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("plain", [_node("p", "plain")]),
        (
            "**b** *i* __u__ ~~s~~",
            [_node("p", _node("strong", "b"), " ", _node("em", "i"), " ", _node("u", "u"), " ", _node("s", "s"))],
        ),
        ("||a *b*||", [_node("p", _node("spoiler", "a ", _node("em", "b")))]),
        ("`a ** b`", [_node("p", _node("c", "a ** b"))]),
        (r"\*no\*", [_node("p", "*no*")]),
        ("a\nb", [_node("p", "a", _node("br"), "b")]),
        ("# One\n### Three\ntext", [_node("h1", "One"), _node("h3", "Three"), _node("p", "text")]),
        ("-# small", [_node("small", "small")]),
        ("> a\n> b\nc", [_node("quote", _node("p", "a", _node("br"), "b")), _node("p", "c")]),
        (">>> a\nb", [_node("quote", _node("p", "a", _node("br"), "b"))]),
        ("> > a", [_node("quote", _node("p", "> a"))]),
        ("- a\n  - b\n- c", [_node("ul", _node("li", "a", _node("ul", _node("li", "b"))), _node("li", "c"))]),
        ("3. a\n4. b", [_node("ol", _node("li", "a"), _node("li", "b"), start=3)]),
        ("- a\n1. b", [_node("ul", _node("li", "a")), _node("ol", _node("li", "b"), start=1)]),
        (
            "<@12> <#34>",
            [_node("p", _node("mention", kind="user", id="12"), " ", _node("mention", kind="channel", id="34"))],
        ),
        ("</claude start:5>", [_node("p", _node("mention", kind="command", id="claude start"))]),
        ("<t:7:R>", [_node("p", _node("time", at=7, style="R"))]),
        (
            "@everyone a@here",
            [
                _node(
                    "p",
                    _node("mention", kind="everyone", id="everyone"),
                    " a",
                    _node("mention", kind="everyone", id="here"),
                )
            ],
        ),
        ("see http://a_b.c/d_e.", [_node("p", "see ", _node("a", "http://a_b.c/d_e", href="http://a_b.c/d_e"), ".")]),
        ("<https://a.b>", [_node("p", _node("a", "https://a.b", href="https://a.b"))]),
        ("[w](https://a.b)", [_node("p", _node("a", "w", href="https://a.b"))]),
        ("```\nx\n```", [_node("code", "x", lang="")]),
        ("a\n```nope\nx\n```\nb", [_node("p", "a"), _node("code", "x", lang="nope"), _node("p", "b")]),
        ("``` ```", [_node("code", " ", lang="")]),
        (
            "```diff\n-a\n+b\n```",
            [_node("code", _node("tok", "-a", c="gd"), "\n", _node("tok", "+b", c="gi"), lang="diff")],
        ),
        ("```ansi\n\x1b[1;31mx\x1b[0my\n```", [_node("code", _node("ansi", "x", c="bold fg1"), "y", lang="ansi")]),
        (
            "```ansi\n\x1b[31mx\x1b[32;4my\x1b[44mz\n```",
            [
                _node(
                    "code",
                    _node("ansi", "x", c="fg1"),
                    _node("ansi", "y", c="fg2 underline"),
                    _node("ansi", "z", c="bg4 fg2 underline"),
                    lang="ansi",
                ),
            ],
        ),
    ],
)
def test_what_discord_makes_of_it(text: str, tree: Nodes) -> None:
    assert _tree(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "&lt;b&gt;",
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        "[x](vbscript:x)",
        "| a | b |\n|---|---|",
        "<@x> <t:x> <#> </:1>",
        "||||",
        "```unclosed",
        "Title\n=====",
        "    four spaces",
    ],
)
def test_what_stays_as_it_was_typed(text: str) -> None:
    assert json.dumps(_tree(text)).count('"t"') == 1 + text.count("\n")
    assert plain(_tree(text)).replace("\n", "") == text.replace("\n", "")


def test_only_addresses_of_the_web_are_followed() -> None:
    assert is_safe("https://a.b/c")
    for address in ("javascript:alert(1)", "data:x", " https://a.b", "//a.b", "https://", "https://a b"):
        assert not is_safe(address), address


@pytest.mark.parametrize(
    "piece",
    [
        "*a ",
        "[",
        "||",
        "> ",
        ">>> ",
        "**__~~",
        "`",
        "![a](b)",
        "<",
        "- ",
        "*",
        "_a",
        "```",
        "\\",
        "<@1>",
        "# ",
        "||*",
        "[a](",
        "http://a",
    ],
)
def test_no_text_takes_long_or_goes_deep(piece: str) -> None:
    text = piece * (2000 // len(piece))
    began = time.perf_counter()
    made = _tree(text)
    assert time.perf_counter() - began < 1
    assert json.dumps(made)
    assert _depth(made) < 40


def _depth(nodes: Nodes) -> int:
    return max((1 + _depth(one["k"]) for one in nodes if not isinstance(one, str)), default=0)


def test_lists_as_deep_as_a_message_allows() -> None:
    assert json.dumps(_tree("\n".join(" " * (2 * depth) + "- x" for depth in range(42))))
