"""Which sessions are open, as the exact view `running` of the log has them: session → its server and who started it."""

from engine.ports import EventLog


async def of_server(log: EventLog, guild: str) -> list[str]:
    """The sessions of a server that are not closed. Raises TryAgain."""
    return [session for session, value in (await log.rows("running")).items() if value.startswith(f"{guild} ")]


async def of_person(log: EventLog, person: str) -> set[str]:
    """What is open of somebody's, in every server. Raises TryAgain."""
    return {session for session, value in (await log.rows("running")).items() if value.endswith(f" {person}")}
