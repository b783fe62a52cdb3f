"""Golden databases: what a release wrote, whole, as a file for ever. An upgrade test begins with each of them.

`tests/golden/databases/<release>.json` holds the migrations that had run and every row of every table. To write that of this
release, once, before it is changed:  .venv/bin/python tests/golden/database.py RELEASE
It never touches a file that exists.
"""

import json
import sys
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from adapters.postgres.connect import Connection, connect
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.postgres.migrate import migrate, migrations
from adapters.postgres.rebuild import rebuild
from adapters.postgres.seals import Sealer
from adapters.sealing import MasterKey
from projections.followed import FOLLOWED
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.databases import Databases, databases
from tests.golden.samples import kinds, sample

FOLDER = Path(__file__).resolve().parent / "databases"
MASTER = MasterKey(bytes(range(32)))
TEXT = "what somebody wrote"
_TABLES = "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"


async def restore(server: Databases, release: str) -> str:
    """A new database as the release left it. Returns its DSN."""
    dump = _read(release)
    dsn = await server.empty()
    connection = await connect(dsn)
    await migrate(connection, [one for one in migrations() if one.name in dump["migrations"]])
    for table, rows in dump["tables"].items():
        await connection.execute(f"delete from {table}" if table != "events" else "select 1")
        await connection.execute(
            f"insert into {table} overriding system value select * from json_populate_recordset(null::{table}, $1)",
            json.dumps(rows),
        )
    await connection.execute("select setval(pg_get_serial_sequence('streams', 'id'), (select max(id) from streams))")
    await connection.execute("select setval(pg_get_serial_sequence('keys', 'id'), (select max(id) from keys))")
    await connection.execute(
        "select setval(pg_get_serial_sequence('projections', 'generation'), (select max(generation) from projections))"
    )
    await connection.close()
    return dsn


def _read(release: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{release}.json").read_text())


async def _fill(dsn: str) -> None:
    """A sample of every kind of event, and two sessions that used something; sealed, and in the views."""
    async with open_log(dsn) as log:
        keyring = await open_keyring(log.pool, MASTER)

        async def append(stream: str, *events: e.Event, at: int = 1_790_000_000_000_000) -> None:
            drafts = tuple(Draft(event=event, at=at, actor="bot") for event in events)
            await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=drafts),)))

        for path, struct in kinds().items():
            if path.parent.name == "events":
                await append("samples:1", sample(struct, full=True), sample(struct, full=False))
        for session, person in (("101", "1"), ("102", "2")):
            box = keyring.seal(await keyring.prepare(f"session:{session}", person), TEXT)
            await append(
                f"session:{session}",
                e.Requested(by=person, locale="ja", guild="5", channel="6"),
                e.ThreadOpened(thread=f"9{session}"),
                e.SandboxReserved(reservation=f"{session}-1"),
                e.PromptQueued(prompt="p", by=person, text=box, size=len(TEXT)),
                e.TurnStarted(turn=1, prompt="p", by=person),
            )
            used = e.UsageCounted(reservation="r", model="claude-sonnet-4-5", input=100, output=20, cache_write_5m=40)
            await append(f"usage:{session}", used)
            await append(f"session:{session}", e.TurnEnded(turn=1, outcome="completed"))
        await Sealer(log.pool, MASTER).seal()
        for view in FOLLOWED.values():
            await rebuild(dsn, log, view)


async def _dump(connection: Connection) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for (table,) in await connection.fetch(_TABLES):
        if table not in {"migrations", "replicas", "tokens"}:
            rows = await connection.fetch(f"select row_to_json(t)::text from {table} as t")
            tables[table] = [json.loads(row) for (row,) in rows]
    return {"migrations": [one.name for one in migrations()], "tables": dict(sorted(tables.items()))}


async def _made(server: Databases) -> str:
    dsn = await server.create()
    await _fill(dsn)
    connection = await connect(dsn)
    dump = await _dump(connection)
    await connection.close()
    return json.dumps(dump, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    path = FOLDER / f"{sys.argv[1]}.json"
    if path.exists():
        sys.exit(f"{path} is there already: what a release wrote never changes")
    with databases() as server:
        path.write_text(anyio.run(_made, server))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
