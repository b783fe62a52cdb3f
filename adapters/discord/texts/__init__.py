"""The texts that people read, by language: `en.ftl` and `ja.ftl`, with the same ids (a test holds them to it)."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from fluent.runtime import FluentBundle, FluentResource

LANGUAGES = ("en", "ja")

Texts = Callable[..., str]
"""`texts(id, **arguments)`: one text in one language. Raises KeyError for an id that does not exist."""


def language(locale: str) -> str:
    """The language we have for a Discord locale; English for all we have not."""
    return "ja" if locale.startswith("ja") else "en"


@cache
def texts(locale: str) -> Texts:
    """The texts for a Discord locale."""
    bundle = _bundle(language(locale))

    def text(name: str, **arguments: str | int) -> str:
        if not bundle.has_message(name):
            raise KeyError(name)
        pattern = bundle.get_message(name).value
        assert pattern is not None
        formatted, errors = bundle.format_pattern(pattern, arguments)
        if errors:
            raise KeyError(f"{name}: {errors[0]}")
        return str(formatted)

    return text


@cache
def _bundle(name: str) -> FluentBundle:
    # Discord shows isolation marks as boxes in some clients, and they would be part of mentions and numbers.
    bundle = FluentBundle([name], use_isolating=False)
    bundle.add_resource(FluentResource(files(__name__).joinpath(f"{name}.ftl").read_text(encoding="utf-8")))
    return bundle


def ids(name: str) -> frozenset[str]:
    """All ids of one language."""
    source = files(__name__).joinpath(f"{name}.ftl").read_text(encoding="utf-8").splitlines()
    return frozenset(line.partition(" =")[0] for line in source if " =" in line and line[0].isalpha())
