"""The sub-commands that ask the log: `log`, `state`, `why`, `verify`, `export`.

Exit codes: 0 done; 1 the database or a file failed us; 2 settings or arguments are wrong; 3 there is no such thread, event or
person; 4 the log, or a view, is not what it should be.
"""

# ruff: noqa: D417 - `where` and `shown` tell their own arguments

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import msgspec
from cyclopts import Parameter

from adapters.audit.causes import Node, forest, path
from adapters.audit.show import Screen, clock
from adapters.audit.source import Misused, NotFound, Shown, Source, Where, open_source
from adapters.audit.texts import Texts, iso, jsonable, record
from adapters.audit.times import parse_time
from adapters.postgres.audit import History, Search, Stored
from engine.evolve import fold
from engine.session import Session
from schema.envelope import Recorded

NOT_AS_IT_SHOULD_BE = 4
INTERRUPTED = 130
_LOOK_AGAIN_SECONDS = 0.5

_WHERE, _SHOWN = Where(), Shown()
Flag = Annotated[bool, Parameter(negative=())]
"""A switch of the command line, without a `--no-…`."""


def run_with(where: Where, job: Callable[[Source], Awaitable[int | None]], *, interrupted: int = 0) -> int:
    """Do `job` with the log that `where` names. Returns the exit code; `interrupted` after Ctrl-C."""

    async def main() -> int:
        async with open_source(where) as source:
            return await job(source) or 0

    try:
        return anyio.run(main)
    except KeyboardInterrupt:
        return interrupted
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


async def texts_of(source: Source, shown: Shown) -> Texts:
    return Texts(await source.keyring() if shown.texts else None)


def write_json(value: Any) -> None:
    """One object, one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


# --- log -------------------------------------------------------------------------------------------------------------


def log(  # noqa: PLR0913 - one argument an option
    *,
    thread: str | None = None,
    person: str | None = None,
    kind: tuple[str, ...] = (),
    since: str | None = None,
    until: str | None = None,
    follow: Flag = False,
    where: Where = _WHERE,
    shown: Shown = _SHOWN,
) -> int:
    """What happened, event by event.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such thread.

    Parameters
    ----------
    thread
        Only what belongs to this thread (the thread's or the session's id).
    person
        Only what this person did.
    kind
        Only events of this kind, as `turn_ended`, `session.*` or `slots.granted`; may be given several times.
    since
        From this time on: 2026-11-24T14:03, 14:03 (the last one), 90m (90 minutes ago).
    until
        Up to this time.
    follow
        Stay, and show what comes.

    """
    now = datetime.now().astimezone()
    first, last = (parse_time(text, now) if text else None for text in (since, until))
    search = Search(person=person, kinds=kind, since=first, until=last)
    return run_with(where, partial(_log, search, thread, follow, shown))


async def _log(search: Search, thread: str | None, follow: bool, shown: Shown, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    if thread is not None:
        search = msgspec.structs.replace(search, session=await source.session(thread))
    texts, screen = await texts_of(source, shown), Screen()
    async for stored in _found(source, search, follow=follow):
        body = await texts.body(stored)
        if shown.json:
            write_json(record(stored, body))
        else:
            screen.event(stored, body, stream=search.session is None)


async def _found(source: Source, search: Search, *, follow: bool) -> AsyncIterator[Stored]:
    after = 0
    while True:
        head = await source.history.head()
        async for stored in source.history.search(search, after=after):
            head = max(head, stored.position)
            yield stored
        if not follow:
            return
        after = head
        while await source.history.head() == after:  # noqa: ASYNC110 - it grows in another process
            await anyio.sleep(_LOOK_AGAIN_SECONDS)


# --- state -----------------------------------------------------------------------------------------------------------


def state(thread: str, *, at: str | None = None, where: Where = _WHERE, shown: Shown = _SHOWN) -> int:
    """How a session stood, by the same fold that runs live.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such thread, or not yet at that time.

    Parameters
    ----------
    thread
        The thread's or the session's id.
    at
        A position (as `log` shows it) or a time (2026-11-24T14:03, 14:03, 90m ago); now, if not given.

    """
    position = int(at) if at and at.isdecimal() else None
    until = parse_time(at, datetime.now().astimezone()) if at and position is None else None
    return run_with(where, partial(_state, thread, position, until, shown))


async def _state(thread: str, position: int | None, until: int | None, shown: Shown, source: Source) -> None:
    session = await source.session(thread)
    folded, last = await state_at(source.history, session, position=position, until=until)
    texts = await texts_of(source, shown)
    fields = await texts.opened(msgspec.to_builtins(folded, builtin_types=(bytes,)))
    fields["delivered"] = sorted(fields["delivered"])  # a set has no order to be shown in
    if shown.json:
        write_json({"at": iso(last.at), "position": last.position, "phase": folded.phase, "state": jsonable(fields)})
        return
    screen = Screen()
    screen.line(screen.colour("bold", f"{folded.phase} at position {last.position}, {clock(last.at)}"))
    default = msgspec.to_builtins(Session(), builtin_types=(bytes,))
    screen.fields({name: value for name, value in fields.items() if value != default[name]})


async def state_at(
    history: History, session: str, *, position: int | None = None, until: int | None = None
) -> tuple[Session, Recorded]:
    """A session as it was at a position or a time (µs), and its last event then. Raises NotFound, CodecError."""
    own = await history.stream(f"session:{session}", position=position)
    if until is not None:
        own = own[: next((index for index, one in enumerate(own) if one.at > until), len(own))]
    if not own:
        raise NotFound("the session did not exist yet")
    return fold(own, Session()), own[-1]


# --- why -------------------------------------------------------------------------------------------------------------


def why(what: str, *, where: Where = _WHERE, shown: Shown = _SHOWN) -> int:
    """The chain of causes, from what somebody did in Discord to each effect.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such thread or event.

    Parameters
    ----------
    what
        A thread (or session): all its chains. Or an event's position, as `log` shows it: how it came about, and what followed.

    """
    return run_with(where, partial(_why, what, shown))


async def _why(what: str, shown: Shown, source: Source) -> None:
    position, session = await _meant(what, source)
    roots = forest(await source.history.of_session(session)) if session else []
    chain = path(roots, position) if position else []
    if position and not chain:
        raise NotFound(f"position {position} belongs to no session: there is nothing behind it")
    texts = await texts_of(source, shown)
    if shown.json:
        whole = {"chain": [await _flat(node, texts) for node in chain[:-1]]} if chain else {}
        write_json(whole | {"trees": [await _tree(node, texts) for node in (chain[-1:] or roots)]})
        return
    screen = Screen()
    for depth, node in enumerate(chain[:-1]):
        screen.event(node.stored, await texts.body(node.stored), before=_branch(depth), stream=False)
    for node in chain[-1:] or roots:
        await _draw(node, max(0, len(chain) - 1), texts, screen)


async def _meant(what: str, source: Source) -> tuple[int | None, str | None]:
    """Positions are small numbers, ids of Discord are not: nobody needs to say which is meant."""
    if what.isdecimal() and (stored := await source.history.event(int(what)) if len(what) < 16 else None):
        name, _, number = stored.stream.partition(":")
        body = msgspec.json.decode(stored.payload)
        session = number if name in {"session", "usage"} else body.get("session")
        if session is None and "reservation" in body:
            session = str(body["reservation"]).rpartition("-")[0]
        return stored.position, session
    return None, await source.session(what)


def _branch(depth: int) -> str:
    return "  " * (depth - 1) + "└ " if depth else ""


async def _draw(node: Node, depth: int, texts: Texts, screen: Screen) -> None:
    screen.event(node.stored, await texts.body(node.stored), before=_branch(depth), stream=False)
    for effect in node.effects:
        await _draw(effect, depth + 1, texts, screen)


async def _flat(node: Node, texts: Texts) -> dict[str, Any]:
    return record(node.stored, await texts.body(node.stored))


async def _tree(node: Node, texts: Texts) -> dict[str, Any]:
    return await _flat(node, texts) | {"effects": [await _tree(one, texts) for one in node.effects]}


# --- export ----------------------------------------------------------------------------------------------------------


def export(
    *,
    format: str = "jsonl",  # noqa: A002 - its name on the command line
    thread: str | None = None,
    file: Path | None = None,
    where: Where = _WHERE,
    shown: Shown = _SHOWN,
) -> int:
    """The log, or one thread of it, one JSON object a line, in order.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such thread.

    Parameters
    ----------
    format
        `jsonl`: as `log --json` shows it. `cloudevents`: CloudEvents 1.0.
    thread
        Only what belongs to this thread (the thread's or the session's id).
    file
        Write to this file instead of standard output; it must not exist.

    """
    if format not in {"jsonl", "cloudevents"}:
        raise Misused(f"--format {format}: there is jsonl and cloudevents")
    return run_with(where, partial(_export, format, thread, file, shown))


async def _export(form: str, thread: str | None, file: Path | None, shown: Shown, source: Source) -> None:
    search = Search(session=await source.session(thread) if thread else None)
    texts, installation = await texts_of(source, shown), await source.history.installation()
    try:
        out = file.open("x", encoding="utf-8") if file else sys.stdout
    except OSError as error:
        raise Misused(f"{file} cannot be made: {error.strerror}") from None
    try:
        async for stored in source.history.search(search):
            one = record(stored, await texts.body(stored))
            line = cloud_event(one, installation) if form == "cloudevents" else one
            out.write(msgspec.json.encode(line).decode() + "\n")
    finally:
        if file:
            out.close()
        else:
            out.flush()


def cloud_event(one: dict[str, Any], installation: str) -> dict[str, Any]:
    """A record as a CloudEvent 1.0: unique by source and id, in order by `sequence`."""
    event = {
        "specversion": "1.0",
        "id": str(one["position"]),
        "source": f"urn:discord-claude:{installation}",
        "type": f"discord-claude.{one['kind']}",
        "subject": one["stream"],
        "time": one["at"],
        "datacontenttype": "application/json",
        "sequence": f"{one['position']:019}",
        "actor": one["actor"],
        "version": one["version"],
        "hash": one["hash"],
        "data": one["event"],
    }
    return event | ({"cause": str(one["cause"])} if one["cause"] else {})
