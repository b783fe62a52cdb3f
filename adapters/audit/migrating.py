"""The sub-command `migrate`."""

# ruff: noqa: D417 - `where` tells its own arguments

import anyio

from adapters.audit.commands import Flag, write_json
from adapters.audit.show import Screen
from adapters.audit.source import Refused, Where, open_database
from adapters.postgres import errors
from adapters.postgres.connect import connect
from adapters.postgres.migrate import OlderAlive
from adapters.postgres.migrate import migrate as bring

_WHERE = Where()


def migrate(
    *,
    finish: Flag = False,
    bot: str | None = None,
    gateway: str | None = None,
    json: Flag = False,
    where: Where = _WHERE,
) -> int:
    """Bring the database's tables to this release, as the start of a bot does; --finish when no older bot runs any more.

    An upgrade without a pause: start bots of the new release, end those of the old one, the gateway's last, then --finish.

    Exit codes: 0 done, 1 failed (also: the database is newer), 2 wrong arguments or settings, 5 older processes still run.

    Parameters
    ----------
    finish
        Take away, too, what only older releases need.
    bot
        The role of the bot, where the tables belong to another: it is given what it needs there, and no more.
    gateway
        The role of the gateway, likewise.
    json
        For programs: one JSON object.

    """

    async def main() -> int:
        async with open_database(where) as (dsn, _):
            ran = await _migrate(dsn, finish=finish, bot=bot, gateway=gateway)
        if json:
            write_json({"ran": ran})
        else:
            Screen().line(f"ran {', '.join(ran)}" if ran else "nothing to do")
        return 0

    return anyio.run(main)


async def _migrate(dsn: str, *, finish: bool, bot: str | None, gateway: str | None) -> list[str]:
    """The names of what has run. `dsn`: of any database, also one without a log."""
    with errors.translated():
        connection = await connect(dsn)
        try:
            return [one.name for one in await bring(connection, finish=finish, bot=bot, gateway=gateway)]
        except OlderAlive as error:
            raise Refused(str(error)) from None
        finally:
            connection.terminate()
