"""The actor of a server: what reaches it, what it does, and what it has no use for."""

import pytest

from adapters.local.event_log import MemoryEventLog, MemoryStore
from engine.effects import Performer
from engine.guild import Guild, ShowNotice
from engine.ports import GiveUp, TryAgain
from engine.todo import TellOutcome
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.unit.engine.given import STARTER
from tests.unit.engine.process import Ports, Process, until

SERVER = "guild:g"


def recorded(process: Process, kind: type[e.Event]) -> list[e.Event]:
    return [one.event for one in process.store.streams.get(SERVER, []) if isinstance(one.event, kind)]


async def test_what_is_said_to_a_server_gets_its_outcome_and_its_answer() -> None:
    async with Process().run() as process:
        await process.say("members", to=SERVER)
        await until(lambda: recorded(process, e.GuildReplied))
        assert process.ports.calls == ["answer members"]
        assert len(recorded(process, e.GuildNoted)) == 1


async def test_what_is_meant_for_a_session_is_refused_by_a_server() -> None:
    async with Process().run() as process:
        await process.say("p1", to=SERVER)
        await until(lambda: recorded(process, e.GuildRefused))
        (refused,) = recorded(process, e.GuildRefused)
        assert isinstance(refused, e.GuildRefused)
        assert refused.reason == "malformed"


async def test_what_is_meant_for_a_server_is_refused_by_a_session() -> None:
    async with Process().run() as process:
        await process.say("members")
        await until(lambda: process.events(e.Refused))
        (refused,) = process.events(e.Refused)
        assert isinstance(refused, e.Refused)
        assert refused.reason == "malformed"


async def test_an_answer_that_failed_is_recorded_so_and_given_later() -> None:
    async with Process().run() as process:
        process.ports.plan("answer members", TryAgain("Discord is away"))
        await process.say("members", to=SERVER)
        await until(lambda: recorded(process, e.GuildEffectFailed))
        process.tick(60_000_000)
        await until(lambda: recorded(process, e.GuildReplied))
        assert process.ports.calls == ["answer members", "answer members"]


ASKED = e.AccessRequested(request="x", by="5", locale="ja", channel="c", received=1, expires=1 << 60)


async def pressed(process: Process) -> None:
    """Somebody asks, and an owner wants to let them in."""
    draft = Draft(event=ASKED, at=process.now, actor="test")
    await process.log.append(Append(writes=(Write(stream=SERVER, expected=None, drafts=(draft,)),)))
    await process.say("approve x", to=SERVER)
    await until(lambda: recorded(process, e.AccessDecided) or recorded(process, e.GuildRefused))


async def test_whoever_is_let_in_is_looked_for_first() -> None:
    async with Process().run() as process:
        await pressed(process)
        assert process.ports.calls[0] == "find 5"
        assert recorded(process, e.RoleGiven) == [e.RoleGiven(person="5", role="user", by=STARTER)]


async def test_whoever_left_is_not_let_in_and_the_request_is_over() -> None:
    async with Process().run() as process:
        process.ports.gone.add("5")
        await pressed(process)
        left = e.AccessDecided(request="x", person="5", by=STARTER, choice="left", received=1)
        assert recorded(process, e.AccessDecided) == [left]
        assert recorded(process, e.RoleGiven) == []


@pytest.mark.parametrize("error", [TryAgain("Discord is away"), GiveUp("Discord does not let us")])
async def test_while_nobody_says_whether_they_are_there_nothing_changes(error: Exception) -> None:
    async with Process().run() as process:
        process.ports.plan("find 5", error)
        await pressed(process)
        (refused,) = recorded(process, e.GuildRefused)
        assert isinstance(refused, e.GuildRefused)
        assert (refused.reason, refused.detail) == ("unsure", "5")
        assert (SERVER, "is_here", error) in process.errors
        await process.say("approve x", to=SERVER)
        await until(lambda: recorded(process, e.RoleGiven))


async def test_a_report_of_no_more_use_records_nothing() -> None:
    async with Process().run() as process:
        before = await process.log.head()
        await process.supervisor.actor(SERVER).report(e.GuildReplied(to=999))
        assert await process.log.head() == before


class Away(MemoryEventLog):
    """Does not tell what runs when it is first asked."""

    away = True

    async def rows(self, view: str) -> dict[str, str]:
        if self.away:
            self.away = False
            raise TryAgain("the database is away")
        return await super().rows(view)


async def test_whoever_is_removed_has_their_sessions_ended_whatever_fails_meanwhile() -> None:
    async with Process(log=Away(store := MemoryStore()), store=store).run() as process:
        await process.ready()
        taken = e.RoleTaken(person=STARTER, role="user", by="9")
        begun = Write(
            stream="session:of another server",
            expected=0,
            drafts=(Draft(event=e.Requested(by="7", locale="ja", guild="other", channel="c"), at=1, actor="test"),),
        )
        gone = Write(stream=SERVER, expected=None, drafts=(Draft(event=taken, at=1, actor="test"),))
        await process.log.append(Append(writes=(gone, begun)))
        process.supervisor.actor(SERVER).look()
        await until(lambda: recorded(process, e.GuildEffectFailed))
        process.tick(60_000_000)
        await until(lambda: process.events(e.Closed))
        assert recorded(process, e.Dismissed) == [e.Dismissed(session="s", person=STARTER, by="9")]
        assert process.events(e.CloseAsked) == [e.CloseAsked(by="9", why="removed")]


class Context:
    """A server that wants nothing any more."""

    state = Guild(id="g")

    async def report(self, event: e.Event) -> None:
        raise AssertionError(event)

    async def dismiss(self, person: str) -> None:
        raise AssertionError(person)


@pytest.mark.parametrize("effect", [ShowNotice(part="access:1"), TellOutcome(to=7)])
async def test_what_is_not_wanted_any_more_is_not_done(effect: ShowNotice | TellOutcome) -> None:
    ports = Ports()
    await Performer(ports, ports, ports).perform_for_guild(effect, Context())
    assert not ports.calls
