"""The sub-commands that read the exact views: `members`, `quota`."""

# ruff: noqa: D417 - `where` tells its own arguments

import os
from collections import Counter
from functools import partial
from typing import Any

from adapters import settings
from adapters.audit.commands import Flag, run_with, write_json
from adapters.audit.show import Screen, clock
from adapters.audit.source import Source, Where
from adapters.audit.tables import table
from adapters.audit.texts import iso
from adapters.postgres.audit import Set

_WHERE = Where()


def members(*, guild: str | None = None, json: Flag = False, where: Where = _WHERE) -> int:
    """Who may do what: everybody with a role, as of the last event, and since when they have it.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 5 an upgrade must be finished first.

    Parameters
    ----------
    guild
        Only of this Discord server.
    json
        For programs: one JSON object a line.

    """
    return run_with(where, partial(_members, guild, json))


async def _members(guild: str | None, json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    await source.complete()
    rows: list[tuple[str, str, Set]] = []
    for row in await source.history.rows("members"):
        server, person = row.key.split(" ")
        if guild in {None, server}:
            rows.append((server, person, row))
    rows.sort(key=lambda one: (one[0], one[2].value))  # owners first, and who was so the longest
    if json:
        for server, person, row in rows:
            write_json(
                {"guild": server, "person": person, "role": row.value, "position": row.position, "since": _iso(row)}
            )
        return
    if not rows:
        Screen().line("nobody has a role")
        return
    table(
        ("server", "person", "role", "since", ">position"),
        ((server, person, row.value, clock(row.at or 0), str(row.position)) for server, person, row in rows),
    )


def _iso(row: Set) -> str | None:
    return iso(row.at) if row.at is not None else None


def quota(*, json: Flag = False, where: Where = _WHERE) -> int:
    """Who has a sandbox and who waits for one, as of the last event; of how many (MAX_SANDBOXES). Places are those in the line of
    each server: a free sandbox is for the server that has the fewest, of several for the one that was served longest ago.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 5 an upgrade must be finished first.

    Parameters
    ----------
    json
        For programs: one JSON object.

    """
    return run_with(where, partial(_quota, settings.load_limit(os.environ), json))


async def _quota(limit: int, json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    await source.complete()
    threads = {row.value: row.key for row in await source.history.rows("threads")}
    running = {row.key: row.value.split(" ") for row in await source.history.rows("running")}
    rows = await source.history.rows("quota")
    told: list[dict[str, Any]] = [
        {
            "session": row.key,
            "thread": threads.get(row.key),
            "guild": running.get(row.key, [None])[0],
            "person": running.get(row.key, [None])[-1],
            "reservation": row.value or None,
            "position": row.position,
            "since": _iso(row),
        }
        for row in rows
    ]
    held = [one for one in told if one["reservation"]]
    waiting = Counter[str | None]()
    line: list[dict[str, Any]] = []
    for one in told:
        if not one["reservation"]:
            waiting[one["guild"]] += 1
            line.append(one | {"place": waiting[one["guild"]]})
    if json:
        write_json({"limit": limit, "held": held, "line": line})
        return
    Screen().line(f"{len(held)} of {limit} sandboxes, {len(line)} in the line")
    if not rows:
        return
    at = {row.key: clock(row.at or 0) for row in rows}
    table(
        ("", "session", "server", "thread", "started by", "reservation", "since"),
        (
            (
                str(one.get("place", "")),
                *(str(one[name] or "-") for name in ("session", "guild", "thread", "person", "reservation")),
                at[str(one["session"])],
            )
            for one in (*held, *line)
        ),
    )
