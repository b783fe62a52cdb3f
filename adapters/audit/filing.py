"""The sub-command `files`."""

# ruff: noqa: D417 - `where` tells its own arguments

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio

from adapters.audit.commands import Flag, run_with, write_json
from adapters.audit.show import Screen, clock
from adapters.audit.source import Misused, NotFound, Refused, Source, Where
from adapters.audit.tables import table
from adapters.audit.texts import iso
from adapters.postgres.kept_files import Kept, KeptFiles
from engine.ports import GiveUp

_WHERE = Where()


def files(thread: str, /, *, to: Path | None = None, json: Flag = False, where: Where = _WHERE) -> int:
    """What a session made and could not be posted in Discord: its files, which are kept in the database.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such thread, or nothing is kept of it, 5 a file of that name
    is there already.

    Parameters
    ----------
    thread
        A thread, or a session: its id.
    to
        Write them into this folder. It is made; nothing in it is overwritten.
    json
        For programs: one JSON object a file.

    """
    return run_with(where, partial(_files, thread, to, json))


async def _files(thread: str, to: Path | None, json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    session = await source.session(thread)
    kept = KeptFiles(source.history.pool, await source.keyring())
    found = await kept.of(session)
    if not found:
        raise NotFound(f"nothing is kept of session {session}: its files were posted in its thread, or there were none")
    if to is not None:
        await _write(kept, session, found, anyio.Path(to))
    if json:
        for one in found:
            write_json({"name": one.name, "size": one.size, "kept_at": iso(one.at)})
        return
    table(("file", ">bytes", "kept"), [(one.name, f"{one.size:,}", clock(one.at)) for one in found])
    Screen().line(f"written to {to}" if to else "say --to FOLDER to have them")


async def _write(kept: KeptFiles, session: str, found: Sequence[Kept], folder: anyio.Path) -> None:
    places = {one.name: folder / _plain(one.name) for one in found}
    for place in places.values():
        if await place.exists():
            raise Refused(f"{place} is there already: name another folder. Nothing was written")
    try:
        await folder.mkdir(parents=True, exist_ok=True)
        for name, place in places.items():
            data = await kept.open(session, name)
            if data is None:
                raise GiveUp(f"{name} was erased: the key of who started the session is destroyed")
            await place.write_bytes(data)
    except OSError as error:
        raise Misused(f"{folder} cannot be written to: {error.strerror}") from None


def _plain(name: str) -> str:
    """A name in that folder and nowhere else, whatever a sandbox called it."""
    return Path(name).name or "file"
