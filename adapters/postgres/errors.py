"""asyncpg's errors, translated into the engine's, in one place.

Three things can be wrong with a statement. The connection was lost: whether it took effect is unknown. The server refused
it for now (shutting down, out of space, a time-out of ours): it had no effect and may have one later. The server refused it
for good: it can never succeed. Messages of the server quote data, so they never become messages of ours.
"""

from collections.abc import Generator
from contextlib import contextmanager

import asyncpg

from engine.ports import EngineError, GiveUp, TryAgain

LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The connection was lost (`TimeoutError`, after which it is of no use, is an OSError). The outcome is unknown."""
FAILURES = (asyncpg.PostgresError, *LOST)
"""Everything that a statement may raise."""

NotAllowed = asyncpg.InsufficientPrivilegeError
"""The role may not do it."""

REFUSED = "LG001"
"""SQLSTATE of `log_append`: something in the batch is refused."""
MOVED_BACK = "LG002"
"""SQLSTATE of `log_append`: the log ends before a position that was seen already."""

# connection, transaction rollback, resources, object state (lock not available), operator intervention; read-only server
_FOR_NOW = ("08", "40", "53", "55", "57", "25006")


def lost(error: Exception) -> bool:
    """The connection is gone, and with it the knowledge whether the statement took effect."""
    # 57P01, 57P02: the server says goodbye and closes; 57P03, 53300: it did not let us in
    return isinstance(error, LOST) or sqlstate(error) in {"57P01", "57P02", "57P03", "57P05", "53300"}


def refused(error: Exception) -> bool:
    """A batch holds something that the log refuses. It had no effect."""
    return sqlstate(error) == REFUSED or isinstance(error, asyncpg.UniqueViolationError)


def sqlstate(error: BaseException) -> str:
    """The five characters that name a server's error; empty for others."""
    return getattr(error, "sqlstate", None) or ""


def translate(error: Exception) -> EngineError:
    """What a failed statement, whose outcome is known or does not matter, means to the engine."""
    if lost(error):
        return TryAgain("the database cannot be reached")
    if sqlstate(error).startswith(_FOR_NOW):
        return TryAgain(f"the database cannot do it now (SQLSTATE {sqlstate(error)})")
    return GiveUp(f"the database refused a statement ({type(error).__name__}, SQLSTATE {sqlstate(error) or 'none'})")


@contextmanager
def translated() -> Generator[None]:
    """For statements without effects, or whose effects may be repeated."""
    try:
        yield
    except FAILURES as error:
        raise translate(error) from error
