"""The page's own texts: the same ones in both languages, each of them used, none of them missing."""

import re
from pathlib import Path

import pytest

import adapters.local.discord

PAGE = Path(adapters.local.discord.__file__).parent / "page"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in PAGE.glob("*.js")}
NAME = re.compile(r"(?<![\w\"])(\w+): (?=[\"\[])(\[[^\]]*\]|\"(?:[^\"\\]|\\.)*\")")


def _texts(language: str) -> dict[str, str]:
    table = SCRIPTS["texts.js"].partition(f"const {language} = {{")[2].partition("\n};")[0]
    return dict(NAME.findall(table))


ENGLISH, JAPANESE = _texts("en"), _texts("ja")


def test_both_languages_say_the_same_with_the_same_places() -> None:
    assert len(ENGLISH) > 50
    assert list(ENGLISH) == list(JAPANESE)
    places = {
        language: {name: sorted(set(re.findall(r"\{\w+\}", text))) for name, text in table.items()}
        for language, table in (("en", ENGLISH), ("ja", JAPANESE))
    }
    assert places["en"] == places["ja"]


def test_every_text_is_used_and_every_one_that_is_used_is_there() -> None:
    code = "\n".join(text for name, text in SCRIPTS.items() if name != "texts.js")
    words = set(re.findall(r"\"(\w+)\"", code)) | {"lang"}
    assert not [name for name in ENGLISH if name not in words]
    assert not [name for name in re.findall(r"\bsay\(\"(\w+)\"", code) if name not in ENGLISH]


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_no_script_makes_markup_or_code_of_words(name: str) -> None:
    """What the policy refuses in the browser is not even written."""
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|setHTML"
    assert not re.search(forbidden, SCRIPTS[name])
