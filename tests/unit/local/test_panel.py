"""The panel on a log in memory: every event is told, its personal text to whom it belongs only, and to no other page."""

from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from adapters.local.discord.door import Door
from adapters.local.event_log import MemoryEventLog
from adapters.local.panel import Panel
from schema.envelope import Append, Draft, Write
from schema.events import (
    Asked,
    Event,
    Granted,
    JournalRead,
    OwnerConfirmed,
    PromptQueued,
    Received,
    Released,
    Requested,
    RoleGiven,
    RoleTaken,
    ThreadOpened,
)
from schema.facts import Said
from schema.sealed import FORMAT, HEADER, Sealed

PAGE = 4567
ORIGIN = f"http://127.0.0.1:{PAGE}"


def _box(text: str) -> Sealed:
    return Sealed(bytes([FORMAT]) + bytes(HEADER - 1) + text.encode())


async def _open(box: Sealed) -> str | None:
    text = box[HEADER:].decode()
    return None if text == "erased" else text


class Beside:
    def __init__(self, log: MemoryEventLog, http: aiohttp.ClientSession, port: int) -> None:
        self.log = log
        self.address = f"http://127.0.0.1:{port}/panel/stream"
        self.http = http

    async def record(self, stream: str, *events: Event, cause: int = 0) -> int:
        drafts = tuple(Draft(event=event, at=1_700_000_000_000_000, actor="bot", cause=cause) for event in events)
        return (await self.log.append(Append(writes=(Write(stream=stream, expected=None, drafts=drafts),))))[
            -1
        ].position

    def watch(self, person: str, **more: Any) -> Any:
        asked = {"token": "secret", "person": person} | more
        return self.http.ws_connect(self.address, params=asked, headers={"Origin": ORIGIN})

    async def state(self, person: str, session: str, position: int) -> Any:
        async with self.watch(person) as ws:
            await ws.send_json({"session": session, "position": position})
            return (await told(ws, "STATE"))["d"]

    async def fields(self, person: str, position: int) -> Any:
        async with self.watch(person) as ws:
            await ws.receive_json()
            await ws.send_json({"position": position})
            while (told := await ws.receive_json())["t"] != "FIELDS":
                pass
            return told["d"]


async def told(ws: Any, kind: str) -> Any:
    """The next message of a kind."""
    while (received := await ws.receive_json())["t"] != kind:
        pass
    return received


@pytest.fixture
async def beside() -> AsyncGenerator[Beside]:
    log = MemoryEventLog()
    panel = Panel(log, _open, Door("secret", "127.0.0.1", page=PAGE))
    app = web.Application()
    app.add_routes(panel.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as tasks:
        tasks.start_soon(panel.follow)
        yield Beside(log, http, int(runner.addresses[0][1]))
        tasks.cancel_scope.cancel()
    await runner.cleanup()


REQUESTED = Requested(by="1", locale="ja", guild="g", channel="c")
QUEUED = PromptQueued(prompt="77", by="1", text=_box("川について"), size=5)


async def test_events_are_told_as_they_are_appended(beside: Beside) -> None:
    await beside.record("session:9", REQUESTED, ThreadOpened(thread="t"))
    async with beside.watch("2") as ws:
        seen: list[Any] = []
        seen += (await told(ws, "BEGIN"))["d"]["rows"]
        last = await beside.record("session:9", QUEUED, cause=1)
        while not seen or seen[-1]["position"] < last:
            seen += (await told(ws, "EVENTS"))["d"]
    assert [row["kind"] for row in seen] == ["session.requested", "session.thread_opened", "session.prompt_queued"]
    row = seen[-1]
    assert (row["thread"], row["by"], row["cause"], row["ids"]) == ("t", "1", 1, ["77"])
    assert row["about"] == ["queued:77"]
    assert "川" not in str(seen)


async def test_a_persons_text_is_for_that_person(beside: Beside) -> None:
    position = await beside.record("session:9", REQUESTED, QUEUED)
    mine = await beside.fields("1", position)
    assert mine["fields"]["text"] == {"sealed": "open", "text": "川について", "bytes": HEADER + 15}
    for other in ("2", ""):
        assert (await beside.fields(other, position))["fields"]["text"] == {"sealed": "hidden", "bytes": HEADER + 15}


async def test_what_arrived_is_for_who_sent_it_not_for_who_owns_the_thread(beside: Beside) -> None:
    await beside.record("session:9", REQUESTED)
    raw = Received(
        what="message", discord_id="5", session="9", by="2", locale="", guild="g", channel="t", raw=_box("private")
    )
    position = await beside.record("inbox:1", raw)
    assert (await beside.fields("1", position))["fields"]["raw"]["sealed"] == "hidden"
    assert (await beside.fields("2", position))["fields"]["raw"]["text"] == "private"


async def test_what_belongs_to_nobody_is_for_who_asked_for_the_session(beside: Beside) -> None:
    read = JournalRead(epoch=1, start=0, end=9, facts=(Said(text=_box("an answer")),))
    position = await beside.record("session:9", REQUESTED, read)
    assert "an answer" in str(await beside.fields("1", position))
    assert "an answer" not in str(await beside.fields("2", position))


async def test_an_erased_text_is_told_as_erased(beside: Beside) -> None:
    position = await beside.record("session:9", PromptQueued(prompt="7", by="1", text=_box("erased"), size=6))
    assert (await beside.fields("1", position))["fields"]["text"] == {"sealed": "erased", "bytes": HEADER + 6}


async def test_views_are_told_as_they_change(beside: Beside) -> None:
    await beside.record(
        "guild:g", RoleGiven(person="2", role="user", by="1"), OwnerConfirmed(person="1", how="settings")
    )
    await beside.record("slots", Asked(session="9"), Granted(session="9", reservation="9-2"), Asked(session="8"))
    async with beside.watch("2") as ws:
        views = (await told(ws, "VIEWS"))["d"]
        while len(views["quota"]) < 2:
            views = (await told(ws, "VIEWS"))["d"]
        assert [(one["person"], one["role"]) for one in views["members"]] == [("1", "owner"), ("2", "user")]
        assert [(one["session"], one["reservation"]) for one in views["quota"]] == [("9", "9-2"), ("8", "")]
        await beside.record("session:9", ThreadOpened(thread="t"))  # changes neither
        last = await beside.record("slots", Released(reservation="9-2"), Granted(session="8", reservation="8-5"))
        views = (await told(ws, "VIEWS"))["d"]
        assert [(one["session"], one["position"]) for one in views["quota"]] == [("8", last)]
        await beside.record("guild:g", RoleTaken(person="2", role="user", by="1"))
        views = (await told(ws, "VIEWS"))["d"]
        assert [one["person"] for one in views["members"]] == ["1"]


async def test_a_session_is_told_as_it_was(beside: Beside) -> None:
    await beside.record("session:9", REQUESTED, ThreadOpened(thread="t"), QUEUED)
    first, last = await beside.state("1", "9", 1), await beside.state("1", "9", 3)
    assert (first["phase"], "thread" in first["fields"]) == ("requested", False)
    assert (last["phase"], last["fields"]["thread"]) == ("waiting", "t")
    assert last["fields"]["queue"][0]["text"]["text"] == "川について"
    assert (await beside.state("2", "9", 3))["fields"]["queue"][0]["text"]["sealed"] == "hidden"
    assert (await beside.state("1", "9", 0))["phase"] == ""
    assert (await beside.state("1", "none", 3))["fields"] == {}


async def test_a_position_that_is_not_there_is_said(beside: Beside) -> None:
    assert "99" in (await beside.fields("1", 99))["failed"]


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, "wrong"),
        ({}, ""),
        ({"Host": "evil.example:80"}, "secret"),
        ({"Origin": "http://evil.example"}, "secret"),
        ({"Origin": "http://127.0.0.1:1"}, "secret"),
        ({"Origin": "null"}, "secret"),
    ],
)
async def test_nobody_else_is_let_in(beside: Beside, headers: dict[str, str], token: str) -> None:
    given = {"Origin": ORIGIN} | headers
    async with beside.http.get(beside.address, params={"token": token, "person": "1"}, headers=given) as answer:
        assert answer.status == 403
