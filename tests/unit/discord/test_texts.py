"""Every text that the product can ask for is there, in every language, and reads from the same facts."""

import re
from pathlib import Path
from typing import get_args

import hikari
import pytest
from fluent.syntax import FluentParser, ast

from adapters.claude.channel import Cloned
from adapters.discord.split import LIMIT, units
from adapters.discord.texts import LANGUAGES, Texts, ids, language, texts
from engine.commands import Reason
from engine.ports import Loss
from engine.session import Phase

ROOT = Path(__file__).resolve().parents[3]


def _source(*parts: str) -> str:
    return "\n".join(path.read_text() for part in parts for path in sorted(ROOT.glob(part)))


ENGINE = _source("engine/*.py")
CLAUDE = _source("adapters/claude/*.py")
WALLS = _source(
    *(f"adapters/{name}.py" for name in ("kubernetes/gate", "kubernetes/opening", "kubernetes/sandbox", "wiring"))
)
DISCORD = _source("adapters/discord/*.py")

NAMES = {
    "reasons": {f"refused-{reason}" for reason in Reason},
    "phases": {f"head-{phase}" for phase in Phase if phase not in {Phase.NEW, Phase.REQUESTED}},
    "notes": {f"note-{name}" for name in re.findall(r'_note\(s, "([\w-]+)"', ENGINE)},
    "notes of the disk": {f"note-{name}" for name in re.findall(r'_note\(s, "([\w-]+)" if', ENGINE)}
    | {"note-disk-filled"},
    "turn notes": {"note-turn-completed", "note-turn-failed"},
    "hand-overs": {"note-handover-kept", "note-handover-lost"},
    "lines that cannot be read": {f"skipped-{what}" for what in re.findall(r'Skipped\(what="(\w+)"', CLAUDE)}
    - {"skipped-unknown"},
    "replies": set(re.findall(r'_reply\(.*?, "([\w-]+)"', ENGINE)) | {"stopping"},
    "cuts": {f"cut-why-{why}" for why in re.findall(r'(?:TurnCut\(.*why=|cut(?:_sent)?\(session, )"(\w+)"', ENGINE)},
    "losses": {f"lost-{why}" for why in re.findall(r'SandboxLost\(.*why="(\w+)"', ENGINE)}.union(
        f"lost-{why}" for why in get_args(Loss)
    )
    - {"lost-passed"},  # which nobody needs to be told the reason of
    "repositories": {"note-repo-cloned", "note-repo-trusted", "note-repo-untrusted"}
    | {f"repo-{why}" for why in get_args(Cloned.__annotations__["failed"]) if why}
    | {f"code-{code}" for code in ("settings", "mcp", "prompts")},
    "walls": {f"wall-{wall}" for wall in re.findall(r'wall="(\w+)"', WALLS) + re.findall(r'"(\w+)": \(', WALLS)}
    - {"wall-gateway"},
    "notices": {f"notice-{what}" for what in re.findall(r'_notice\("(\w+)"\)', CLAUDE)} | {"notice-error"},
    "asked for by name": set(re.findall(r'say\(\s*"([\w-]+)"', DISCORD)),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_every_text_is_there(names: set[str], language: str) -> None:
    assert names
    assert not names - ids(language)


def test_all_languages_have_the_same_texts() -> None:
    assert ids("en") == ids("ja")


def _variables(language: str) -> dict[str, set[str]]:
    source = (ROOT / "adapters/discord/texts" / f"{language}.ftl").read_text()
    entries = [entry for entry in FluentParser().parse(source).body if isinstance(entry, ast.Message)]
    return {
        entry.id.name: set(re.findall(r"\$(\w+)", repr(entry.to_json()) + _pattern(source, entry))) for entry in entries
    }


def _pattern(source: str, entry: ast.Message) -> str:
    assert entry.span is not None
    return source[entry.span.start : entry.span.end]


def test_all_languages_say_the_same_things() -> None:
    """A text may leave out what another language needs, but not what people need to know."""
    english, japanese = _variables("en"), _variables("ja")
    assert {name: variables for name, variables in english.items() if variables != japanese[name]} == {}


def test_locales_find_their_language() -> None:
    assert [language(str(locale)) for locale in (hikari.Locale.JA, hikari.Locale.EN_GB, hikari.Locale.KO)] == [
        "ja",
        "en",
        "en",
    ]


def test_a_missing_text_is_an_error_and_a_rare_one_has_a_general_form() -> None:
    say = texts("en-US")
    with pytest.raises(KeyError, match="nothing"):
        say("nothing")
    with pytest.raises(KeyError, match="started"):
        say("started")
    assert say.either("lost-eaten", "lost-gone") == say("lost-gone")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_stands_under_a_full_message_still_fits(language: str) -> None:
    say: Texts = texts(language)
    person, took = "1" * 20, say("duration", minutes=99_999, seconds=59)
    tails = [
        say("turn-working", person=person, since="1" * 12),
        say("turn-stopped", person=person, took=took),
        say("turn-failed", reason="x" * 60, took=took),
        say("turn-cut", took=took),
        say("ask-always", person=person),
        say("cut-continue", person=person),
    ]
    assert max(units(tail) for tail in tails) + len("▌ \n") <= 2000 - LIMIT
