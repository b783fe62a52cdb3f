"""Usage reaches the log once, however long that is away, and when it cannot, operators are told."""

from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from adapters.claude.gateway import recording
from adapters.claude.gateway.recording import Recording
from engine.ports import Duplicate, TryAgain
from schema.events import UsageCounted

EVENT = UsageCounted(reservation="r", model="m", input=1, output=2)


class Log:
    """Takes what it is given after it has raised these."""

    def __init__(self, *errors: Exception) -> None:
        self.kept: list[tuple[str, str, UsageCounted]] = []
        self.calls = 0
        self.called = anyio.Event()
        self._errors = list(errors)

    async def record(self, session: str, request: str, event: UsageCounted) -> None:
        self.calls += 1
        self.called.set()
        await anyio.lowlevel.checkpoint()
        if self._errors:
            raise self._errors.pop(0)
        self.kept.append((session, request, event))


async def give(log: Log, until: Callable[[], anyio.Event] | None = None) -> None:
    told = Recording(log.record)
    with anyio.fail_after(30):
        async with told.run():
            told.add("s", "q", EVENT)
            if until:
                await until().wait()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_FIRST_DELAY", 0.001)


async def test_it_is_recorded_once() -> None:
    await give(log := Log())
    assert log.kept == [("s", "q", EVENT)]


async def test_whatever_is_wrong_with_the_log_it_is_tried_again() -> None:
    await give(log := Log(TryAgain("away"), RuntimeError("a defect"), TryAgain("away")))
    assert log.kept == [("s", "q", EVENT)]


async def test_what_is_there_already_is_recorded() -> None:
    with capture_logs() as told:
        await give(log := Log(Duplicate("u:q", 7)))
    assert log.calls == 1
    assert told == []


async def test_who_is_told_to_end_records_first() -> None:
    log = Log(TryAgain("away"))
    with anyio.CancelScope() as scope:
        async with (recorder := Recording(log.record)).run():
            recorder.add("s", "q", EVENT)
            scope.cancel()
            await anyio.sleep_forever()
    assert log.kept == [("s", "q", EVENT)]


async def test_the_end_comes_even_when_the_log_stays_away_and_says_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "_LAST_SECONDS", 0.05)
    log = Log(*[TryAgain("away")] * 10_000)
    with capture_logs() as told:
        await give(log, lambda: log.called)
    (line,) = told
    assert (line["event"], line["session"], line["counts"]["output"]) == ("usage was not recorded", "s", 2)
