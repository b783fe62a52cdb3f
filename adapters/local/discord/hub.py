"""Who is told what: the bots' gateway sessions, and the pages of people. Nothing is told before it is kept."""

from collections.abc import Callable

from adapters.local.discord.store import Json

Watcher = Callable[[str, Json], None]


class Hub:
    """Passes events on, in order. Those who listen must not wait: they keep what they cannot send at once."""

    def __init__(self) -> None:
        self.bots: Watcher = lambda _name, _data: None
        self._people: dict[int, tuple[str, Watcher]] = {}

    def watch(self, person: str, watcher: Watcher) -> Callable[[], None]:
        """Let somebody's page see what they may see; returns what ends it."""
        key = id(watcher)
        self._people[key] = (person, watcher)
        return lambda: _void(self._people.pop(key, None))

    def tell(self, name: str, data: Json) -> None:
        """Tell everybody."""
        self.tell_bots(name, data)
        self.tell_people(name, data)

    def tell_bots(self, name: str, data: Json) -> None:
        """Tell the bot, on each of its connections."""
        self.bots(name, data)

    def tell_people(self, name: str, data: Json, only: str = "") -> None:
        """Tell people; or one of them, by id."""
        for person, watcher in list(self._people.values()):
            if only in {"", person}:
                watcher(name, data)


def _void(_: object) -> None:
    """Nothing of it is wanted."""
