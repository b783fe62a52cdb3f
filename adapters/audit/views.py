"""The sub-commands that read the views, and build them anew: `sessions`, `usage`, `views`, `rebuild`."""

# ruff: noqa: D417 - `where` tells its own arguments

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapters.audit.commands import INTERRUPTED, NOT_AS_IT_SHOULD_BE, Flag, run_with, write_json
from adapters.audit.show import Screen, clock, short
from adapters.audit.source import Misused, NotFound, Source, Where
from adapters.audit.tables import table
from adapters.audit.texts import iso
from adapters.audit.times import parse_time
from adapters.postgres.exact import rebuild_exact
from adapters.postgres.rebuild import Outcome, reading
from adapters.postgres.rebuild import rebuild as build_anew
from adapters.postgres.views import Lag, lags, read_view
from projections import prices as pricing
from projections import sessions as sessions_view
from projections.exact import EXACT, ExactView
from projections.followed import FOLLOWED
from projections.keyed import Keyed
from projections.sessions import SESSIONS
from projections.usage import DAY, USAGE, Counts, Total, totals

_WHERE = Where()
_PARTS = ("day", "person", "model")
_MOST_SHOWN = 20
_MINUTE = 60_000_000  # µs
_VIEWS = {**EXACT, **FOLLOWED}


def _now() -> int:
    return time.time_ns() // 1000


# --- sessions --------------------------------------------------------------------------------------------------------


def sessions(
    *,
    person: str | None = None,
    state: tuple[str, ...] = (),
    since: str | None = None,
    json: Flag = False,
    where: Where = _WHERE,
) -> int:
    """Every session there was and is, the last one first.

    Exit codes: 0 done, 1 failed (also: the view is not built), 2 wrong arguments or settings.

    Parameters
    ----------
    person
        Only sessions that this person started.
    state
        Only sessions in this state: requested, waiting, starting, ready, working, lost, closing, closed; may be given several
        times.
    since
        Only sessions in which something happened since then: 2026-11-24T14:03, 14:03 (the last one), 90m (90 minutes ago).
    json
        For programs: one JSON object a line.

    """
    first = parse_time(since, datetime.now().astimezone()) if since else 0

    def wanted(row: sessions_view.Row) -> bool:
        return person in {None, row.starter} and (not state or row.state in state) and row.last >= first

    return run_with(where, partial(_sessions, wanted, json))


async def _sessions(wanted: Any, json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    await source.current()
    rows = await read_view(source.history.pool, SESSIONS)
    found = sorted(((key, row) for key, row in rows.items() if wanted(row)), key=lambda one: -one[1].last)
    if json:
        for key, row in found:
            times = {name: iso(getattr(row, name)) for name in ("began", "last", "closed") if getattr(row, name)}
            write_json({"session": key} | msgspec.to_builtins(row) | {"closed": None} | times)
        return
    if not found:
        Screen().line("no session")
        return
    table(
        ("thread", "state", "started by", "began", "last event", ">prompts", ">turns", ">failed", ">cut", ">sandboxes"),
        (
            (
                *(row.thread or f"({key})", row.state, row.starter, _when(row.began), _when(row.last)),
                *(str(count) for count in (row.prompts, row.turns, row.failed, row.cut, row.sandboxes)),
            )
            for key, row in found
        ),
    )


def _when(at: int) -> str:
    return clock(at)[:16]


# --- usage -----------------------------------------------------------------------------------------------------------


def usage(
    *,
    person: str | None = None,
    since: str | None = None,
    until: str | None = None,
    by: str = "day,person,model",
    prices: Path | None = None,
    json: Flag = False,
    where: Where = _WHERE,
) -> int:
    """Turns, tokens, what they cost about, and sandbox minutes, by day (UTC), person and model.

    Exit codes: 0 done, 1 failed (also: the view is not built), 2 wrong arguments or settings.

    Parameters
    ----------
    person
        Only this person.
    since
        From this day on: 2026-11-24, 7d (seven days ago).
    until
        Up to this day, with it.
    by
        What a line is for: day, person, model, or some of them with commas between. The rest is summed up.
    prices
        A JSON file with your own prices in dollars for a million tokens, by the beginning of a model's name:
        {"claude-opus-4": {"input": 15, "output": 75, "cache_read": 1.5, "cache_write_5m": 18.75,
        "cache_write_1h": 30}}. Without it: list prices.
    json
        For programs: one JSON object a line.

    """
    parts = tuple(by.split(","))
    if not parts or not set(parts) <= set(_PARTS):
        raise Misused(f"--by {by}: day, person and model, with commas between")
    now = datetime.now(UTC)
    first, last = (parse_time(text, now) // DAY if text else None for text in (since, until))
    listed = price_list(prices)

    def wanted(total: Total) -> bool:
        return (
            person in {None, total.person}
            and (first is None or total.day >= first)
            and (last is None or total.day <= last)
        )

    return run_with(where, partial(_usage, wanted, parts, listed, json))


def price_list(path: Path | None) -> pricing.Prices:
    """The prices in a file; the listed ones without. Raises Misused."""
    if path is None:
        return pricing.LISTED
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, pricing.Price])
    except OSError as error:
        raise Misused(f"--prices {path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise Misused(f"--prices {path} is not as it should be: {error}") from None


class _Line(msgspec.Struct):
    """`dollars`: None when a model has no price."""

    counts: Counts
    dollars: float | None = 0.0


async def _usage(wanted: Any, parts: Sequence[str], listed: pricing.Prices, json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    await source.current()
    rows = await read_view(source.history.pool, USAGE)
    lines: dict[tuple[str, ...], _Line] = {}
    for total in totals(rows.values(), _now()):
        if wanted(total):
            named = {"day": _day(total.day), "person": total.person, "model": total.model}
            _add(lines.setdefault(tuple(named[part] for part in parts), _Line(Counts())), total, listed)
    if json:
        for key, line in lines.items():
            write_json(dict(zip(parts, key, strict=True)) | _told(line))
        return
    if not lines:
        Screen().line("nothing was used")
        return
    whole = _Line(Counts())
    for line in lines.values():
        whole.counts.add(line.counts)
        whole.dollars = None if None in {whole.dollars, line.dollars} else (whole.dollars or 0) + (line.dollars or 0)
    numbers = (">turns", ">requests", ">input", ">output", ">cache read", ">cache write", ">about $", ">sandbox min")
    table(
        (*parts, *numbers),
        ((*(one or "-" for one in key), *_cells(line)) for key, line in sorted(lines.items())),
        total=("in all", *("" for _ in parts[1:]), *_cells(whole)),
    )


def _add(line: _Line, total: Total, listed: pricing.Prices) -> None:
    line.counts.add(total.counts)
    dollars = pricing.cost(total.model, total.counts, listed)
    line.dollars = None if dollars is None or line.dollars is None else line.dollars + dollars


def _day(day: int) -> str:
    return str((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date())


def _told(line: _Line) -> dict[str, Any]:
    counts = msgspec.to_builtins(line.counts)
    sandbox = counts.pop("sandbox")
    dollars = None if line.dollars is None else round(line.dollars, 6)
    return counts | {"dollars_estimated": dollars, "sandbox_seconds": sandbox // 1_000_000}


def _cells(line: _Line) -> tuple[str, ...]:
    counts = line.counts
    written = counts.cache_write_5m + counts.cache_write_1h
    numbers = (counts.turns, counts.requests, counts.input, counts.output, counts.cache_read, written)
    dollars = "?" if line.dollars is None else f"{line.dollars:,.2f}"
    return (*(f"{number:,}" for number in numbers), dollars, f"{counts.sandbox / _MINUTE:,.1f}")


# --- views -----------------------------------------------------------------------------------------------------------


def views(*, json: Flag = False, where: Where = _WHERE) -> int:
    """The views, in which version they are, and how far behind the log.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings.

    Parameters
    ----------
    json
        For programs: one JSON object a line.

    """
    return run_with(where, partial(_views, json))


async def _views(json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    await source.current()
    found = {lag.view: lag for lag in await lags(source.history.pool)}
    head = await source.history.head()
    if json:
        for name, exact in EXACT.items():
            write_json({"view": name, "version": exact.version, "built": exact.version, "position": head, "behind": 0})
        for name, view in FOLLOWED.items():
            lag = found.get(name)
            built = {"built": lag.version, "position": lag.position, "behind": lag.events} if lag else {"built": None}
            write_json({"view": name, "version": view.version} | built)
        return
    table(
        ("view", ">version", ">built", ">position", ">events behind", "since"),
        (
            *((name, str(one.version), str(one.version), str(head), "exact", "") for name, one in EXACT.items()),
            *((name, str(view.version), *_behind(found.get(name))) for name, view in FOLLOWED.items()),
        ),
    )


def _behind(lag: Lag | None) -> tuple[str, ...]:
    if lag is None:
        return ("not yet", "", "", "")
    return (str(lag.version), str(lag.position), str(lag.events), clock(lag.since) if lag.since else "")


# --- rebuild ---------------------------------------------------------------------------------------------------------


def rebuild(
    name: Annotated[str | None, Parameter(show_default=False)] = None,
    /,
    *,
    all: Flag = False,  # noqa: A002 - its name on the command line
    fresh: Flag = False,
    check: Flag = False,
    json: Flag = False,
    where: Where = _WHERE,
) -> int:
    """Build a view anew from the log, compare it with the one that is read, row by row, and switch to it.

    Safe at any time: readers see the old one until the new one is complete, and nobody who writes waits, or for an exact view
    only while its rows are compared. What Ctrl-C cuts off, the same command goes on with (an exact view: begins anew).

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 no such view, 4 the old one was not what it should be (each
    row that differs is told; it is replaced), 130 cut off.

    Parameters
    ----------
    name
        The view, as `discord-claude views` names them.
    all
        All of them, one after the other.
    fresh
        Begin at the beginning, even when there is a build that was cut off.
    check
        Only compare: what was built is thrown away.
    json
        For programs: one JSON object a view, when it is done.

    """
    if all == (name is not None):
        raise Misused(f"name a view ({', '.join(_VIEWS)}), or say --all")
    if name is not None and name not in _VIEWS:
        raise NotFound(f"there is no view {name}: there are {', '.join(_VIEWS)}")
    chosen = [_VIEWS[name]] if name else list(_VIEWS.values())
    return run_with(where, partial(_rebuild, chosen, fresh, check, json), interrupted=INTERRUPTED)


async def _rebuild(chosen: Sequence[Keyed | ExactView], fresh: bool, check: bool, json: bool, source: Source) -> int:  # noqa: FBT001 - flags of the command line
    await source.current()
    outcomes: list[Outcome] = []
    errors = Console(stderr=True, markup=False, highlight=False)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(*columns, console=errors)) if errors.is_terminal else None
        for view in chosen:
            task = bar.add_task(view.name, total=None) if bar else None
            reached = [0, 0]

            def progress(position: int, head: int, task: Any = task, reached: list[int] = reached) -> None:
                reached[:] = position, head
                if bar:
                    bar.update(task, completed=position, total=head)

            try:
                async with reading(source.history.pool) as reader:
                    if isinstance(view, ExactView):
                        outcome = await rebuild_exact(source.dsn, reader, view, progress=progress, switch=not check)
                    else:
                        outcome = await build_anew(
                            source.dsn, reader, view, progress=progress, fresh=fresh, switch=not check
                        )
            except anyio.get_cancelled_exc_class():
                errors.print(f"{view.name}: cut off at {reached[0]} of {reached[1]}; the same command goes on")
                raise
            outcomes.append(outcome)
    for outcome in outcomes:
        if json:
            write_json(msgspec.to_builtins(outcome))
        else:
            _tell(outcome, Screen())
    wrong = any(outcome.different and outcome.was == outcome.version for outcome in outcomes)
    return NOT_AS_IT_SHOULD_BE if wrong else 0


def _tell(outcome: Outcome, screen: Screen) -> None:
    same = outcome.was == outcome.version
    mark = screen.colour("red", "✗") if outcome.different and same else screen.colour("green", "✓")
    began = f", gone on with at {outcome.resumed}" if outcome.resumed else ""
    what = f"{outcome.view}: {outcome.rows} rows up to position {outcome.position}{began}"
    if outcome.was is None:
        told = "there was none before"
    elif outcome.different:
        told = f"{outcome.different} rows differ from " + ("those before" if same else f"version {outcome.was}")
    else:
        told = "every row as before" if same else f"every row as in version {outcome.was}, where that had it"
    screen.line(f"{mark} {what}; {told}" + ("" if outcome.switched else "; nothing was changed"))
    for one in outcome.differences[:_MOST_SHOWN]:
        screen.line(f"  {one.key}")
        screen.line(f"    was  {short(one.was or 'not there')}")
        screen.line(f"    is   {short(one.now or 'not there')}")
    if outcome.different > _MOST_SHOWN:
        screen.line(f"  and {outcome.different - _MOST_SHOWN} more")
