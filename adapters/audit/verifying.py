"""The sub-command `verify`."""

# ruff: noqa: D417 - `where` tells its own arguments

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from adapters.audit.commands import NOT_AS_IT_SHOULD_BE, run_with, write_json
from adapters.audit.show import Screen
from adapters.audit.source import Misused, Source, Where
from adapters.postgres import verify as verification
from adapters.postgres.verify import Anchor, Report

_WHERE = Where()


def verify(
    *,
    anchor: Path | None = None,
    against: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    where: Where = _WHERE,
) -> int:
    """Is the log the one that was written? Looks at every event: positions, versions, hashes, whether it can be read, seals.

    Seals need the key file: without them, somebody who can write to the database could have computed new hashes. An end that was
    cut off, and changes since the last seal, show against an anchor only: write one from time to time, and keep it elsewhere.

    Exit codes: 0 intact, 1 failed, 2 wrong arguments or settings, 4 not intact: each problem is a line that names its place.

    Parameters
    ----------
    anchor
        Write what the log is now to this file. Not written when something is wrong.
    against
        Compare with a file that --anchor wrote.
    json
        For programs: one JSON object.

    """
    return run_with(where, partial(_verify, anchor, against, json))


async def _verify(anchor: Path | None, against: Path | None, json: bool, source: Source) -> int:  # noqa: FBT001 - a flag of the command line
    expected = _read(against) if against else None
    report = await verification.verify(source.history.pool, source.master, expected)
    if json:
        write_json(
            {
                "intact": not report.problems,
                "events": report.events,
                "sealed": report.sealed if source.master else None,
                "problems": report.problems,
                "anchor": report.anchor,
            }
        )
    else:
        _tell(report, expected, Screen(), keyed=source.master is not None)
    if report.problems:
        return NOT_AS_IT_SHOULD_BE
    if anchor:
        _write(anchor, report.anchor)
    return 0


def _tell(report: Report, against: Anchor | None, screen: Screen, *, keyed: bool) -> None:
    for problem in report.problems:
        screen.line(f"{screen.colour('red', '✗')} {problem}")
    if not report.problems:
        screen.line(f"{screen.colour('green', '✓')} {report.events} events: no gap, every hash and version is right")
    if not keyed:
        screen.line("  seals were not looked at: there is no key file (LOG_KEY_FILE, --key-file)")
    elif report.sealed:
        screen.line(f"  sealed up to position {report.sealed}; {report.events - report.sealed} events since then")
    if against is None:
        screen.line("  whether its end is missing shows against an anchor only (--anchor, --against)")
    elif not report.problems:
        screen.line(f"  all that was there at the anchor, up to position {against.head}, is there")


def _read(path: Path) -> Anchor:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Anchor)
    except OSError as error:
        raise Misused(f"--against {path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise Misused(f"--against {path} is no file that --anchor wrote") from None


def _write(path: Path, anchor: Anchor) -> None:
    try:
        path.write_bytes(msgspec.json.encode(anchor) + b"\n")
    except OSError as error:
        raise Misused(f"--anchor {path} cannot be written: {error.strerror}") from None
