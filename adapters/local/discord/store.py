"""What the local Discord remembers: documents in SQLite, all in memory too. Survives being killed at any moment.

Every change is committed before it is told to anybody. Rows are JSON, one per thing.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.local.discord import shapes
from adapters.local.discord.shapes import Json

_SCHEMA = """
create table if not exists documents (kind text, id text, body text, primary key (kind, id));
create table if not exists files (id text primary key, name text, type text, data blob);
"""

PEOPLE = (("alice", "en-US"), ("bob", "ja"), ("carol", "en-US"))


class Store:
    """`world`: the ids that were made at the very first start."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "discord.sqlite", isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_SCHEMA)
        self._documents: dict[str, dict[str, Json]] = {}
        for kind, identity, body in self._db.execute("select kind, id, body from documents"):
            self._documents.setdefault(kind, {})[identity] = json.loads(body)
        self.world = self.get("world", "world") or self._first()
        self._welcome()

    def _first(self) -> Json:
        application, guild = shapes.snowflake(), shapes.snowflake()
        general = shapes.snowflake()
        self.put("channel", general, shapes.channel(general, guild, "general"))
        world: Json = {
            "application": application,
            "guild": guild,
            "general": general,
            "people": {},
            "token": shapes.token(application, secrets.token_urlsafe(24)),
            "page_token": secrets.token_urlsafe(24),
        }
        self.put("world", "world", world)
        return world

    def _welcome(self) -> None:
        """Whoever was not there yet when this folder was made."""
        people = self.world["people"]
        new = {name: {"id": shapes.snowflake(), "locale": locale} for name, locale in PEOPLE if name not in people}
        if new:
            self.world = self.world | {"people": people | new}
            self.put("world", "world", self.world)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def get(self, kind: str, identity: str) -> Json | None:
        """One document, None when it is not there."""
        return self._documents.get(kind, {}).get(identity)

    def all(self, kind: str) -> list[Json]:
        """All documents of a kind, oldest first."""
        return list(self._documents.get(kind, {}).values())

    def put(self, kind: str, identity: str, body: Json) -> None:
        """Keep a document, new or changed."""
        self._db.execute(
            "insert into documents values (?, ?, ?) on conflict (kind, id) do update set body = excluded.body",
            (kind, identity, json.dumps(body)),
        )
        self._documents.setdefault(kind, {})[identity] = body

    def drop(self, kind: str, identity: str) -> Json | None:
        """Forget a document."""
        self._db.execute("delete from documents where kind = ? and id = ?", (kind, identity))
        return self._documents.get(kind, {}).pop(identity, None)

    def put_file(self, name: str, kind: str, data: bytes) -> str:
        """Keep a file; returns its id."""
        identity = shapes.snowflake()
        self._db.execute("insert into files values (?, ?, ?, ?)", (identity, name, kind, data))
        return identity

    def file(self, identity: str) -> tuple[str, str, bytes] | None:
        """Name, type and content of a file."""
        row: Any = self._db.execute("select name, type, data from files where id = ?", (identity,)).fetchone()
        return (str(row[0]), str(row[1]), bytes(row[2])) if row else None

    def messages(self, channel: str) -> Iterator[Json]:
        """The messages of a channel, oldest first."""
        return (one for one in self.all("message") if one["channel_id"] == channel)

    # --- people ------------------------------------------------------------------------------------------------------

    def bot(self) -> Json:
        """The bot as others see it."""
        return shapes.user(self.world["application"], "claude", bot=True)

    def person(self, name: str) -> Json:
        """A person, by name."""
        return shapes.user(self.world["people"][name]["id"], name)

    def users(self) -> list[Json]:
        """Everybody."""
        return [self.bot(), *(self.person(name) for name in self.world["people"])]

    def members(self) -> list[Json]:
        """Everybody who has not left."""
        return [one for one in self.users() if self.get("left", one["id"]) is None]
