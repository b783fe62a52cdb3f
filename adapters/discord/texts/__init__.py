"""The texts that people read, by language: `en.ftl` and `ja.ftl`, with the same ids (a test holds them to it)."""

from functools import cache
from importlib.resources import files

from fluent.runtime import FluentBundle, FluentResource

LANGUAGES = ("en", "ja")


def language(locale: str) -> str:
    """The language we have for a Discord locale; English for all we have not."""
    return "ja" if locale.startswith("ja") else "en"


class Texts:
    """One language. `say(id, **arguments)` is a text; it raises KeyError for an id that does not exist."""

    def __init__(self, bundle: FluentBundle) -> None:
        self._bundle = bundle

    def __call__(self, name: str, **arguments: str | int) -> str:
        if not self._bundle.has_message(name):
            raise KeyError(name)
        pattern = self._bundle.get_message(name).value
        assert pattern is not None
        formatted, errors = self._bundle.format_pattern(pattern, arguments)
        if errors:
            raise KeyError(f"{name}: {errors[0]}")
        return str(formatted)

    def either(self, name: str, otherwise: str, **arguments: str | int) -> str:
        """The text `name`, or the general one for what has none of its own."""
        return self(name if self._bundle.has_message(name) else otherwise, **arguments)


@cache
def texts(locale: str) -> Texts:
    """The texts for a Discord locale."""
    return Texts(_bundle(language(locale)))


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
