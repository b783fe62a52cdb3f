"""What a person has used today, on a real database: what their budget is compared with."""

import pytest

from adapters.postgres.event_log import PostgresEventLog
from adapters.postgres.rebuild import rebuild
from adapters.postgres.spending import Spending
from engine.ports import TryAgain
from projections.usage import DAY, USAGE
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.events import Event

NOW = 20_000 * DAY + 5


async def write(log: PostgresEventLog, stream: str, at: int, *events: Event) -> None:
    drafts = tuple(Draft(event=event, at=at, actor="bot") for event in events)
    await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=drafts),)))


async def test_it_is_that_of_the_person_and_the_day(log: PostgresEventLog, dsn: str) -> None:
    spending = Spending(log.pool)
    with pytest.raises(TryAgain, match="the view usage is being built"):
        await spending("7", NOW)
    used = e.UsageCounted(reservation="r", model="claude-haiku-4-5", input=0, output=1_000)
    for session, person, at in (("1", "7", NOW), ("2", "7", NOW), ("3", "7", NOW - DAY), ("4", "77", NOW)):
        await write(log, f"session:{session}", at, e.Requested(by=person, locale="ja", guild="5", channel="6"))
        await write(log, f"usage:{session}", at, used)
    await rebuild(dsn, log, USAGE)
    assert await spending("7", NOW) == 2 * 5_000
    assert await spending("77", NOW) == 5_000
    assert await spending("8", NOW) == 0
