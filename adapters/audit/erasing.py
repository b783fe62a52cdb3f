"""The sub-command `erase`."""

# ruff: noqa: D417 - `where` tells its own arguments

import sys
import time
from collections.abc import Sequence
from functools import partial

import anyio

from adapters.audit.commands import Flag, run_with, write_json
from adapters.audit.show import Screen
from adapters.audit.source import Misused, NotFound, Refused, Source, Where
from adapters.postgres.erase import Key, keys_of, still_open, wipe
from adapters.postgres.erase import erase as destroy

_WHERE = Where()


def erase(what: str, /, *, yes: Flag = False, json: Flag = False, where: Where = _WHERE) -> int:
    """Erase for ever what people wrote in a thread and what Claude answered, or all of that of one person.

    The keys of the texts are destroyed, here and in all copies of the log, and what the database's files still hold of them
    is overwritten. Events stay: who, when and how much; the chain of hashes still verifies. The erasure is an event itself.
    Sessions must be closed first. Not reached: Discord's own messages, and a backup of the keys together with LOG_KEY_FILE.

    Exit codes: 0 done, 1 failed (do it again: it goes on), 2 wrong arguments or settings, or not confirmed, 3 nothing here of
    this thread or person, 5 a session is still open.

    Parameters
    ----------
    what
        A thread (or session), or a person: their ids.
    yes
        Do not ask.
    json
        For programs: one JSON object. Needs --yes.

    """
    if json and not yes:
        raise Misused("--json asks nothing: it needs --yes")
    return run_with(where, partial(_erase, what, yes, json))


async def _erase(what: str, yes: bool, json: bool, source: Source) -> None:  # noqa: FBT001 - flags of the command line
    pool, screen = source.history.pool, Screen()
    await source.current()
    keyring = await source.keyring()
    session = await source.history.session_of(what)
    keys = await keys_of(pool, session=session) if session else await keys_of(pool, person=what)
    if not keys:
        raise NotFound(f"the log holds no text of a thread or person {what}")
    if busy := await still_open(pool, keys):
        raise Refused(f"close first: {', '.join(busy)} (/claude close in its thread). Nothing was erased")
    about = _about(what, session, keys)
    if not yes and not await _confirmed(about):
        raise Misused("not confirmed: nothing was erased")
    await destroy(source.dsn, keyring, keys, at=time.time_ns() // 1000)
    refused = await wipe(source.dsn)
    if json:
        write_json({"erased": about, "keys": [key.id for key in keys], "left_to_an_administrator": refused})
        return
    screen.line(f"{screen.colour('green', '✓')} erased: {about}. `discord-claude verify` says that the log is intact")
    for statement in refused:
        screen.line(f"  for a database administrator to do, or the files keep the destroyed keys: {statement};")


def _about(what: str, session: str | None, keys: Sequence[Key]) -> str:
    persons, sessions = {key.person for key in keys}, {key.session for key in keys}
    if session:
        return f"all texts of {_count(len(persons), 'person')} in session {session}"
    return f"all texts of person {what} in {_count(len(sessions), 'session')}"


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


async def _confirmed(about: str) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stdout.write(f"Erase for ever {about}? Type yes: ")
    sys.stdout.flush()
    return (await anyio.to_thread.run_sync(sys.stdin.readline)).strip().lower() == "yes"
