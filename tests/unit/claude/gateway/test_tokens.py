"""A token is good for its session and reservation, and cannot be made without the secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude.gateway import tokens

SECRET = b"made-up secret"
TOKEN = tokens.make(SECRET, "12", "r-1")


def test_a_token_names_what_it_was_made_for() -> None:
    assert tokens.read(SECRET, TOKEN) == ("12", "r-1")


def test_it_is_made_again_and_does_not_hold_the_secret() -> None:
    assert tokens.make(SECRET, "12", "r-1") == TOKEN
    assert SECRET.decode() not in TOKEN


def test_one_for_a_repository_is_good_for_that_and_nothing_else() -> None:
    one = tokens.make(SECRET, "12", "r-1", "git.example/a/b")
    assert tokens.read(SECRET, one, "git.example/a/b") == ("12", "r-1")
    assert tokens.read(SECRET, one, "git.example/a/c") is None
    assert tokens.read(SECRET, one) is None
    assert tokens.read(SECRET, TOKEN, "git.example/a/b") is None


def test_another_secret_takes_it_for_nothing() -> None:
    assert tokens.read(b"another", TOKEN) is None


@pytest.mark.parametrize(
    "forged",
    [
        TOKEN.replace("r-1", "r-2"),
        TOKEN.replace(".12.", ".13."),
        TOKEN.replace(".12.r-1.", ".12r.-1."),
        TOKEN.replace("dc1", "dc2"),
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + ".",
        TOKEN.rpartition(".")[0] + ".",
        TOKEN.rpartition(".")[0],
        "",
        "...",
    ],
)
def test_a_forged_one_is_nothing(forged: str) -> None:
    assert tokens.read(SECRET, forged) is None


@given(st.text(st.characters(exclude_categories=()) | st.just(".")), st.integers(0, len(TOKEN)))
def test_any_text_is_at_most_nothing(text: str, at: int) -> None:
    mixed = TOKEN[:at] + text + TOKEN[at:]
    assert tokens.read(SECRET, text) is None
    assert tokens.read(SECRET, mixed) == (None if mixed != TOKEN else ("12", "r-1"))
