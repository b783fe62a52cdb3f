"""What is shown of a text is the text, once, in order (P10), whatever Claude wrote and however it grew."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.discord.markdown import said
from adapters.discord.split import LIMIT, Piece, seam, split, units
from tests.property.profile import PROFILE

WORDS = st.sampled_from(
    [
        "word",
        "ことば、",
        "文。",
        "\n",
        "\n\n",
        "\n```python\n",
        "\n```\n",
        "\n   ```sh\n",
        "x = '```'",
        "`code with words`",
        " <@1234567890123456789> ",
        "<:party_parrot:1234567890123456789>",
        "[a link](https://example.com/some/long/path?with=query)",
        "https://example.com/" + "p" * 60,
        "\\*",
        "👩‍👩‍👧‍👦",
        "🇯🇵",
        "👍🏽",
        "e\u0301",
        "@everyone",
        " ",
        "a" * 150,
    ]
)
MARKDOWN = st.lists(WORDS | st.text(max_size=5), max_size=150).map("".join)
LIMITS = st.integers(150, 400)


def added(text: str, piece: Piece) -> tuple[str, str]:
    """What a message says that is not in the text: a fence opened again, a fence closed."""
    mine = text[piece.start : piece.end]
    at = piece.text.index(mine)
    return piece.text[:at], piece.text[at + len(mine) :]


@settings(PROFILE)
@given(MARKDOWN, LIMITS)
@example("```py\n" + "x = 1\n" * 100, 150)
@example("\n" * 3000, 150)
@example("https://" + "x" * 5000, 200)
@example("👩‍👩‍👧‍👦" * 300, 200)
def test_the_messages_are_the_text_once_in_order(text: str, limit: int) -> None:
    pieces = split(text, limit=limit)
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    for piece in pieces:
        before, after = added(text, piece)
        assert re.fullmatch(r"(```[^\n`]{0,20}\n)?", before)
        assert after in {"", "```", "\n```"}
        assert units(piece.text) <= limit


@settings(PROFILE)
@given(MARKDOWN)
def test_every_message_has_its_code_blocks_closed(text: str) -> None:
    """Discord pairs any three backticks."""
    for piece in split(said(text), limit=200):
        assert piece.text.count("```") % 2 == 0, piece.text


@settings(PROFILE)
@given(MARKDOWN, MARKDOWN, LIMITS)
def test_a_message_that_has_another_after_it_never_changes(text: str, more: str, limit: int) -> None:
    before, after = split(text, limit=limit), split(text + more, limit=limit)
    assert after[: len(before) - 1] == before[:-1]


@settings(PROFILE)
@given(st.lists(MARKDOWN, min_size=1, max_size=4), LIMITS)
def test_a_text_that_grows_over_known_messages_is_cut_as_if_it_had_been_there_at_once(
    parts: list[str], limit: int
) -> None:
    text, starts = "", (0,)
    for part in parts:
        text += part
        starts = tuple(piece.start for piece in split(text, starts, limit))
    assert [piece.start for piece in split(text, limit=limit)] == list(starts)


@settings(PROFILE)
@given(MARKDOWN, st.data())
def test_a_message_can_be_ended_early(text: str, data: st.DataObject) -> None:
    """An old message is not edited any more: what comes goes on in a new one, from where people have read to."""
    shown = data.draw(st.integers(1, len(text))) if text else 0
    start = seam(text, 0, shown)
    assert start <= max(shown, 1)
    pieces = split(text, (0, start))
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    assert pieces[1].start == start


ATOMS = st.sampled_from(
    [
        "<@1234567890123456789>",
        "<@&1234567890123456789>",
        "<#1234567890123456789>",
        "<a:party:1234567890123456789>",
        "<t:1700000000:R>",
        "[a name](https://example.com/x)",
        "https://example.com/a/b?c=d",
        "`rm -rf build`",
        "\\*",
        "👩‍👩‍👧‍👦",
        "👍🏽",
        "e\u0301",
        "❤\ufe0f",
    ]
)


@settings(PROFILE)
@given(st.lists(ATOMS, min_size=1, max_size=80), st.sampled_from([" ", "字", "\n"]), st.integers(60, 120))
def test_nothing_that_must_stay_whole_is_torn(atoms: list[str], between: str, limit: int) -> None:
    text = between.join(atoms)
    cuts = {piece.start for piece in split(text, limit=limit)[1:]}
    at = 0
    for atom in atoms:
        assert not cuts & set(range(at + 1, at + len(atom))), atom
        at += len(atom) + len(between)


def test_flags_stay_flags() -> None:
    text = "🇯🇵" * 200
    assert all(piece.start % 2 == 0 for piece in split(text, limit=99))


def test_a_cut_code_block_goes_on_in_its_language() -> None:
    pieces = split("```python\n" + "print()\n" * 400 + "```\nthat is all")
    assert all(piece.text.startswith("```python\n") for piece in pieces)
    assert all(piece.text.endswith("\n```") for piece in pieces[:-1])
    assert pieces[-1].text.endswith("```\nthat is all")


def test_no_message_shows_an_empty_code_block() -> None:
    for size in range(LIMIT - 40, LIMIT):
        for piece in split("w" * size + "\n```py\ncode\ncode\n```\n" + "w " * 200):
            assert "```py\n```" not in piece.text


def test_paragraphs_are_kept_together_where_they_fit() -> None:
    text = "\n\n".join(["one paragraph of some length"] * 200)
    assert all(text[piece.start - 2 : piece.start] == "\n\n" for piece in split(text)[1:])


def test_said_keeps_what_is_meant_and_closes_what_is_open() -> None:
    assert said("````md\n```py\nx\n```\n````") == "```md\n`\u200b`\u200b`py\nx\n`\u200b`\u200b`\n```"
    assert said("```py\nx = '```'") == "```py\nx = '`\u200b`\u200b`'\n```"
    assert said("a\n\n\n\n\nb  ") == "a\n\n\nb"
    assert said("```py\nx", over=False) == "```py\nx"


@settings(PROFILE)
@given(st.lists(WORDS.map(lambda word: word.replace("\n", "") + "\n"), min_size=1, max_size=40), st.data())
def test_what_is_said_grows_as_it_is_written(lines: list[str], data: st.DataObject) -> None:
    some = lines[: data.draw(st.integers(1, len(lines)))]
    whole, begun = said("".join(lines), over=False), said("".join(some), over=False)
    assert whole.startswith(begun)
