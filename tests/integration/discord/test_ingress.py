"""What Discord sends is in the log before anything else happens to it, once, and in order (P1)."""

import json
from typing import Any

import anyio
import hikari
import pytest
from structlog.testing import capture_logs

from adapters.discord import outage
from adapters.local.discord.people import Person, buttons
from engine.ports import GiveUp
from schema import events as e
from tests.integration.discord.conftest import Bot, Claude, Installation, Json, Log, Process, until

People = dict[str, Person]


async def private_answer(person: Person, channel: str, words: str) -> Json:
    return await person.wait_message(channel, lambda one: words in one["content"], words)


async def start(person: Person, channel: str, **options: str) -> str:
    """A session with its thread; returns the thread."""
    known = person.threads(channel)
    await person.slash("claude", "start", channel=channel, **options)
    return await person.wait_thread(channel, known)


# --- interactions ----------------------------------------------------------------------------------------------------


async def test_an_interaction_is_recorded_before_it_is_acknowledged(
    installation: Installation, people: People, general: str
) -> None:
    async with installation.bot() as bot:
        bot.log.held = anyio.Event()
        pressed = await people["alice"].slash("claude", "status", channel=general)
        with anyio.fail_after(10):
            await bot.log.reached.wait()
        assert not installation.requests("POST", "/callback")
        bot.log.held.set()
        await people["alice"].wait(lambda: people["alice"].interaction(pressed) == "answered", "the acknowledgement")
        (received,) = bot.log.of(e.Received)
        assert (received.what, received.discord_id, received.session) == ("command", pressed, pressed)
        assert (received.guild, received.channel) == (installation.discord.info["guild_id"], general)
        assert pressed in installation.tokens.kept


async def test_no_token_gets_into_the_log(installation: Installation, people: People, general: str) -> None:
    async with installation.bot() as bot:
        pressed = await people["bob"].slash("claude", "start", channel=general, prompt="hello")
        await bot.log.wait(lambda: bot.log.of(e.Received))
        await people["bob"].wait(lambda: people["bob"].interaction(pressed) == "answered", "the acknowledgement")
        token = installation.tokens.kept[pressed]
        (received,) = bot.log.of(e.Received)
        raw = await installation.keyring.open(received.raw)
        assert raw is not None
        assert token not in raw
        assert "hello" in raw
        assert json.loads(raw)["id"] == pressed
        assert received.locale == "ja"


@pytest.mark.parametrize(("name", "words"), [("alice", "**not recorded**"), ("bob", "**記録されませんでした**")])
async def test_what_cannot_be_recorded_is_answered_so(
    installation: Installation, people: People, general: str, name: str, words: str
) -> None:
    async with installation.bot() as bot:
        bot.log.away = True
        pressed = await people[name].slash("claude", "start", channel=general)
        await private_answer(people[name], general, words)
        await people[name].wait(lambda: people[name].interaction(pressed) == "answered", "the answer")
        assert not bot.log.of(e.Received)
        bot.log.away = False
        await people[name].slash("claude", "start", channel=general)
        await bot.log.wait(lambda: bot.log.of(e.Received))


async def test_a_slow_database_is_not_waited_for(installation: Installation, people: People, general: str) -> None:
    async with installation.bot() as bot:
        bot.log.held = anyio.Event()
        pressed = await people["alice"].slash("claude", "start", channel=general)
        await private_answer(people["alice"], general, "not recorded")
        await people["alice"].wait(lambda: people["alice"].interaction(pressed) == "answered", "the answer")
        bot.log.held.set()


async def test_two_bots_record_an_interaction_once(installation: Installation, people: People, general: str) -> None:
    """As in a hand-over: both are sent everything."""
    async with installation.bot() as one, installation.bot() as other:
        pressed = await people["alice"].slash("claude", "status", channel=general)
        await people["alice"].wait(lambda: people["alice"].interaction(pressed) == "answered", "the acknowledgement")
        await until(lambda: len(installation.requests("POST", "/callback")) == 2, "both acknowledgements")
        assert len([*one.log.of(e.Received), *other.log.of(e.Received)]) == 1


async def test_a_burst_is_recorded_and_acknowledged_whole(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot() as bot:
        pressed: list[str] = []

        async def press() -> None:
            pressed.append(await alice.slash("claude", "status", channel=general))

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(press)
        await alice.wait(lambda: all(alice.interaction(one) == "answered" for one in pressed), "all answers")
        assert {one.discord_id for one in bot.log.of(e.Received)} == set(pressed)


# --- payloads nobody documented --------------------------------------------------------------------------------------


def send(bot: Bot, name: str, payload: Any) -> None:
    """As if Discord had sent it."""
    hikaris = bot.connection._bot  # pyright: ignore[reportPrivateUsage]  # Discord itself cannot be made to send this
    event = hikari.ShardPayloadEvent(app=hikaris, shard=hikaris.shards[0], name=name, payload=payload)
    hikaris.dispatch(event)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"type": 5, "data": {"custom_id": "modal"}},
        {"type": 77},
        {"type": "command", "data": None, "member": "nobody"},
        {"type": 2, "locale": 7, "channel": [], "member": {"user": None}, "data": {"options": "many"}},
        {"type": 3, "data": {"custom_id": ["v1"]}, "message": {"content": "shown before"}},
        {"type": 2, "data": {"name": "claude\0\ud800", "options": [{"name": "\ud800"}]}, "locale": "\ud800"},
    ],
)
async def test_an_odd_interaction_is_recorded_and_refused(installation: Installation, odd: Json) -> None:
    payload = {"id": "700000000000000001", "token": "t0ken", "guild_id": installation.discord.info["guild_id"]} | odd
    async with installation.bot(engine=True) as bot:
        with capture_logs() as lines:
            send(bot, "INTERACTION_CREATE", payload)
            await bot.log.wait(lambda: bot.log.of(e.Received))
            refused = await bot.log.wait(lambda: bot.log.of(e.Refused))
        assert [one.reason for one in refused] == ["malformed"]
        (received,) = (one.position for one in bot.log.events if isinstance(one.event, e.Received))
        assert [line["position"] for line in lines if line["event"] == "not understood"] == [received]
        raw = await installation.keyring.open(bot.log.of(e.Received)[0].raw)
        assert raw is not None
        assert "t0ken" not in raw
        assert "shown before" not in raw


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("INTERACTION_CREATE", {"token": "x"}),
        ("INTERACTION_CREATE", {"id": {}, "type": []}),
        ("MESSAGE_CREATE", {}),
        ("MESSAGE_UPDATE", {"id": None, "channel_id": 5}),
        ("THREAD_UPDATE", {"id": []}),
        ("GUILD_DELETE", {}),
        ("NEW_KIND_OF_EVENT", {"id": "1"}),
    ],
)
async def test_what_is_no_use_stops_nothing(
    installation: Installation, people: People, general: str, name: str, payload: Json
) -> None:
    async with installation.bot() as bot:
        send(bot, name, payload)
        await people["alice"].slash("claude", "status", channel=general)
        await bot.log.wait(lambda: bot.log.of(e.Received))
        assert len(bot.log.of(e.Received)) == 1


async def test_other_servers_are_refused(installation: Installation) -> None:
    async with installation.bot() as bot:
        send(bot, "INTERACTION_CREATE", {"id": "1", "token": "t", "type": 2, "guild_id": "999"})
        send(bot, "INTERACTION_CREATE", {"id": "2", "token": "t", "type": 2})
        await until(lambda: len(installation.requests("POST", "/callback")) == 2, "two refusals")
        assert not bot.log.of(e.Received)


# --- threads ---------------------------------------------------------------------------------------------------------


async def test_messages_edits_and_deletions_of_people_are_recorded(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await bot.log.wait(lambda: bot.log.of(e.ThreadOpened))
        said = await alice.say(thread, "first")
        await alice.wait_message(thread, lambda one: "Queued: first" in one["content"], "the queued prompt")
        await alice.edit(said, "second")
        shown = await alice.wait_message(thread, lambda one: "Queued: second" in one["content"], "the edited prompt")
        assert [button["label"] for button in buttons(shown)] == ["Remove"]
        await alice.delete(said)
        await bot.log.wait(lambda: bot.log.of(e.PromptRemoved))
        await alice.wait(lambda: shown["id"] not in {one["id"] for one in alice.messages(thread)}, "its end")
        await alice.say(general, "not for Claude")
        await alice.say(thread, "marker")
        await bot.log.wait(lambda: len(bot.log.of(e.Received, "message")) == 2)
        assert [one.what for one in bot.log.of(e.Received)] == ["command", "message", "edit", "delete", "message"]


async def test_what_is_written_while_the_database_is_away_waits_and_its_thread_says_so_once(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await alice.wait_message(thread, lambda one: "Claude Code" in one["content"], "the head")
        bot.log.away = True
        await alice.say(thread, "first")
        told = await alice.wait_message(thread, lambda one: "The database is away" in one["content"], "how it stands")
        assert "データベースに届きません" in told["content"]
        await alice.say(thread, "second")
        bot.log.away = False
        await bot.log.wait(lambda: len(bot.log.of(e.PromptQueued)) == 2)
        await alice.wait_message(thread, lambda one: "Queued: second" in one["content"], "the second prompt")
        assert len([one for one in alice.messages(thread) if "The database is away" in one["content"]]) == 1


async def test_a_turn_that_cannot_be_recorded_says_so_and_goes_on_when_it_can(
    installation: Installation, people: People, general: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0)
    alice = people["alice"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("before")
        log.away = True
        await claude.say("after")
        await claude.end()

    installation.agent.play = play
    log = Log(installation.store)
    async with installation.bot(engine=True, log=log):
        thread = await start(alice, general, prompt="go on")
        await alice.wait_message(thread, lambda one: "The database is away" in one["content"], "how it stands")
        log.away = False
        await alice.wait_message(thread, lambda one: "after" in one["content"], "the rest of the answer")
        assert len([one for one in alice.messages(thread) if "The database is away" in one["content"]]) == 1


async def test_a_long_paste_is_read(installation: Installation, people: People, general: str) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await bot.log.wait(lambda: bot.log.of(e.ThreadOpened))
        await alice.say(thread, "", files=[("message.txt", ("長い文 " * 20_000).encode())])
        (queued,) = await bot.log.wait(lambda: bot.log.of(e.PromptQueued))
        assert queued.size == 80_000
        await alice.say(thread, "", files=[("message.txt", b"x" * 900_000)])
        await bot.log.wait(lambda: bot.log.of(e.Refused))
        assert [one.reason for one in bot.log.of(e.Refused)] == ["too_long"]
        await alice.wait_message(thread, lambda one: "too long for one prompt" in one["content"], "why it is refused")


async def test_what_was_said_while_nobody_listened_is_caught_up_in_order(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await bot.log.wait(lambda: bot.log.of(e.ThreadOpened))
        said = [(await alice.say(thread, "before"))["id"]]
        await bot.log.wait(lambda: bot.log.of(e.Received, "message"))
        await alice.fault("invalidate")
        said += [(await alice.say(thread, f"in the gap {number}"))["id"] for number in range(230)]
        await bot.log.wait(lambda: len(bot.log.of(e.Received, "message")) == len(said), 40)
        assert [one.discord_id for one in bot.log.of(e.Received, "message")] == said


async def test_a_new_life_catches_up_before_it_goes_on(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await bot.log.wait(lambda: bot.log.of(e.ThreadOpened))
    said = [(await alice.say(thread, f"nobody listens {number}"))["id"] for number in range(3)]
    await alice.fault("fail", method="GET", path=f"/channels/{thread}/messages", times=1, status=500)
    async with installation.bot() as bot:
        said.append((await alice.say(thread, "somebody listens"))["id"])
        await bot.log.wait(lambda: len(bot.log.of(e.Received, "message")) == 4)
        assert [one.discord_id for one in bot.log.of(e.Received, "message")] == said


async def test_what_happens_to_a_thread_is_recorded(installation: Installation, people: People, general: str) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await alice.wait_message(thread, lambda one: "Claude Code" in one["content"], "the head")
        await alice.change_thread(thread, archived=True)
        await bot.log.wait(lambda: [one for one in bot.log.of(e.ThreadChanged) if one.what == "archived"])
        await alice.delete_channel(thread)
        await bot.log.wait(lambda: [one for one in bot.log.of(e.ThreadChanged) if one.what == "deleted"])
        await bot.log.wait(lambda: bot.log.of(e.CloseAsked))


async def test_a_thread_deleted_while_nobody_listened_closes_its_session(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await bot.log.wait(lambda: bot.log.of(e.MessageShown))
    await alice.delete_channel(thread)
    async with installation.bot(engine=True) as bot:
        await bot.log.wait(lambda: bot.log.of(e.CloseAsked))
        assert bot.log.of(e.CloseAsked)[0].why == "deleted"


async def test_a_wrong_token_is_told(installation: Installation, discord: Process) -> None:
    discord.info["token"] = discord.info["token"][:-3] + "abc"
    with pytest.raises(BaseExceptionGroup) as caught:
        async with installation.bot():
            pass
    assert caught.group_contains(GiveUp, match="DISCORD_TOKEN")


async def test_the_log_tells_of_threads_that_another_process_opened(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(log=Log(installation.store)) as ingress:
        async with installation.bot(engine=True) as actor:
            thread = await start(alice, general)
            await actor.log.wait(lambda: actor.log.of(e.ThreadOpened))
        said = await alice.say(thread, "hello")
        await ingress.log.wait(lambda: ingress.log.of(e.Received, "message"))
        assert [one.discord_id for one in ingress.log.of(e.Received, "message")] == [said["id"]]
        await alice.slash("claude", "status", channel=thread)
        await ingress.log.wait(lambda: ingress.log.of(e.Received, "command"))
        assert {one.session for one in ingress.log.of(e.Received)} == {ingress.log.of(e.Received, "message")[0].session}
