"""The sub-command `migrate`."""

# ruff: noqa: D417 - `where` tells its own arguments

from functools import partial

from adapters.audit.commands import Flag, run_with, write_json
from adapters.audit.show import Screen
from adapters.audit.source import Refused, Source, Where
from adapters.postgres import errors
from adapters.postgres.connect import connect
from adapters.postgres.migrate import OlderAlive
from adapters.postgres.migrate import migrate as bring

_WHERE = Where()


def migrate(*, finish: Flag = False, json: Flag = False, where: Where = _WHERE) -> int:
    """Bring the database's tables to this release, as the start of a bot does; --finish when no older bot runs any more.

    An upgrade without a pause: start bots of the new release, end those of the old one, the gateway's last, then --finish.

    Exit codes: 0 done, 1 failed (also: the database is newer), 2 wrong arguments or settings, 5 older processes still run.

    Parameters
    ----------
    finish
        Take away, too, what only older releases need.
    json
        For programs: one JSON object.

    """
    return run_with(where, partial(_migrate, finish, json))


async def _migrate(finish: bool, json: bool, source: Source) -> None:  # noqa: FBT001 - flags of the command line
    with errors.translated():
        connection = await connect(source.dsn)
        try:
            ran = await bring(connection, finish=finish)
        except OlderAlive as error:
            raise Refused(str(error)) from None
        finally:
            connection.terminate()
    if json:
        write_json({"ran": [one.name for one in ran]})
    else:
        Screen().line(f"ran {', '.join(one.name for one in ran)}" if ran else "nothing to do")
