"""Exact views built anew from the log, compared row by row, and put right.

Nobody who appends is held up but for the last events and the comparison: those happen under the head's lock, so the log and its
view stand still together. What differs was changed behind the log's back, or never filled in.
"""

import anyio.lowlevel

from adapters.postgres import errors
from adapters.postgres.connect import Connection, connect
from adapters.postgres.reader import Reader
from adapters.postgres.rebuild import MOST_DIFFERENCES, PATIENCE, PATIENCE_SECONDS, Difference, Outcome, Progress
from projections.exact import ExactView, Row, fold

_LAST_EVENTS = 1_000  # are read under the lock, at most, unless they come faster than they can be read
_ROUNDS = 10

_HEAD = "select position from log_head for update"
_ROWS = "select key, value, position from view_rows where view = $1"
_REMOVE = "delete from view_rows where view = $1 and key = any($2)"
_INSERT = """
insert into view_rows (view, key, value, position)
select $1, r.key, r.value, r.position from unnest($2::text [], $3::text [], $4::bigint []) as r (key, value, position)
"""


async def rebuild_exact(
    dsn: str,
    reader: Reader,
    view: ExactView,
    *,
    progress: Progress = lambda _position, _head: None,
    switch: bool = True,
) -> Outcome:
    """Build, compare, and put right what differs; without `switch` only compare.

    A row is its value and the position of the event that set it. Raises GiveUp, TryAgain, CodecError.
    """
    rows: dict[str, Row] = {}
    position = 0
    for _ in range(_ROUNDS):
        head = await reader.head()
        if position and head - position <= _LAST_EVENTS:
            break
        position = await _read(reader, view, rows, position, head, progress)
    with errors.translated():
        connection = await connect(dsn)
        try:
            async with connection.transaction():
                await connection.execute(PATIENCE)
                head = await connection.fetchval(_HEAD)
                await _read(reader, view, rows, position, head, progress)
                different = await _differences(connection, view, rows)
                if switch:
                    await _put_right(connection, view, rows, different)
        finally:
            connection.terminate()
    return Outcome(
        view=view.name,
        version=view.version,
        was=view.version,
        resumed=0,
        position=head,
        rows=len(rows),
        different=len(different),
        differences=different[:MOST_DIFFERENCES],
        switched=switch,
    )


async def _read(
    reader: Reader, view: ExactView, rows: dict[str, Row], after: int, head: int, progress: Progress
) -> int:
    async for page in reader.replay(after=after, until=head):
        fold(view, rows, page)
        progress(page[-1].position, head)
        await anyio.lowlevel.checkpoint()
    return head


async def _differences(connection: Connection, view: ExactView, rows: dict[str, Row]) -> list[Difference]:
    found = await connection.fetch(_ROWS, view.id, timeout=PATIENCE_SECONDS)
    before: dict[str, Row] = {key: (value, position) for key, value, position in found}
    return [
        Difference(key, _told(before.get(key)), _told(rows.get(key)))
        for key in sorted(before.keys() | rows.keys())
        if before.get(key) != rows.get(key)
    ]


def _told(row: Row | None) -> str | None:
    return None if row is None else f"{row[0]!r} at position {row[1]}"


async def _put_right(
    connection: Connection, view: ExactView, rows: dict[str, Row], different: list[Difference]
) -> None:
    keys = [one.key for one in different]
    await connection.execute(_REMOVE, view.id, keys)
    right = [(key, *rows[key]) for key in keys if key in rows]
    await connection.execute(_INSERT, view.id, *([row[i] for row in right] for i in range(3)))
