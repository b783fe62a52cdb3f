"""The bot, as `discord-claude run` runs it. With `RECORD=nothing` it acknowledges without recording: what `ack` compares with."""

import os
import sys
from collections.abc import Sequence

from adapters import cli
from adapters.postgres.event_log import PostgresEventLog
from adapters.postgres.keyring import PostgresKeyring
from schema.envelope import Append, Recorded


def record_nothing() -> None:
    """No append, and no key for its texts but one for all. Nobody is an owner then: that would be an event."""
    del os.environ["OWNER_IDS"]
    prepare = PostgresKeyring.prepare
    keys: list[int] = []

    async def prepared(keyring: PostgresKeyring, _scope: str, _person: str) -> int:
        if not keys:
            keys.append(await prepare(keyring, "all", "0"))
        return keys[0]

    async def append(_log: PostgresEventLog, _append: Append) -> Sequence[Recorded]:
        return []

    PostgresKeyring.prepare = prepared  # type: ignore[method-assign]  # the whole point
    PostgresEventLog.append = append  # type: ignore[method-assign]  # the whole point


if __name__ == "__main__":
    if os.environ.get("RECORD") == "nothing":
        record_nothing()
    sys.argv = ["discord-claude", "run"]
    cli.main()
