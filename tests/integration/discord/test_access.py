"""Who is let in, as people have it in Discord: the first owner, asking, approving, denying, and what everybody is told."""

import aiohttp
import anyio
import pytest

from adapters.local.discord.people import Person, PersonError, buttons
from schema import events as e
from tests.integration.discord.conftest import Claude, Installation, Json, People, guild, labels, person_id, sees


async def owners_channel(installation: Installation, general: str) -> str:
    info = installation.discord.info
    address, headers = f"{info['rest_url']}/channels/{general}/threads", {"Authorization": f"Bot {info['token']}"}
    async with aiohttp.ClientSession() as http, http.post(address, headers=headers, json={"name": "owners"}) as made:
        return str((await made.json())["id"])


async def asks(stranger: Person, owner: Person, channel: str) -> Json:
    """A stranger wants to use Claude; the request, as an owner sees it."""
    await stranger.slash("claude", "start", channel=channel)
    return await sees(owner, channel, "would like to use Claude here")


# --- the first owner -------------------------------------------------------------------------------------------------


async def test_the_servers_owner_confirms_and_their_own_request_runs(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True, owners=()) as bot:
        await bot.log.wait(lambda: bot.log.of(e.ServerOwned))
        await alice.slash("claude", "start", channel=general, prompt="hello")
        asked = await sees(alice, general, "Discord says that this server is yours")
        assert labels(asked) == ["I own this server"]
        await alice.press(asked, "I own this server")
        await sees(alice, general, "You are an owner here now")
        thread = await alice.wait_thread(general)
        await sees(alice, thread, "**Claude Code**")
        assert guild(installation).owners == (person_id(installation, "alice"),)
    async with installation.bot(engine=True, owners=()) as again:
        await alice.slash("claude", "members", channel=general)
        await sees(alice, general, "**Owners**")
        assert not again.log.of(e.ServerOwned)


async def test_nobody_else_can_confirm(installation: Installation, people: People, general: str) -> None:
    alice, bob = people["alice"], people["bob"]
    async with installation.bot(engine=True, owners=()) as bot:
        await bot.log.wait(lambda: bot.log.of(e.ServerOwned))
        await bob.slash("claude", "start", channel=general)
        request = await sees(alice, general, "ここで Claude を使いたいそうです")
        await sees(bob, general, "この Discord サーバーの所有者が先に確認する必要があります")
        await bob.press_id(request, f"v1:confirm:{installation.discord.info['guild_id']}:")
        await sees(bob, general, "確認できるのは、この Discord サーバーの所有者だけです")
        await alice.press(request, "許可する")
        first = await sees(alice, general, "you have not confirmed it yet")
        await alice.press(first, "I own this server")
        await bot.log.wait(lambda: bot.log.of(e.OwnerConfirmed))
        await alice.press(request, "許可する")
        await bob.wait_thread(general)


# --- access ----------------------------------------------------------------------------------------------------------


async def test_a_strangers_request_runs_when_an_owner_says_yes(
    installation: Installation, people: People, general: str
) -> None:
    alice, carol = people["alice"], people["carol"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("Welcome.")
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        await carol.slash("claude", "start", channel=general, prompt="hello")
        await sees(carol, general, "I have asked the owners")
        request = await sees(alice, general, "would like to use Claude here")
        assert [one["id"] for one in request["mentions"]] == [person_id(installation, "alice")]
        assert labels(request) == ["Approve", "Deny"]
        assert not carol.threads(general)
        await alice.press(request, "Approve")
        welcome = await sees(carol, general, "let you in")
        assert [one["id"] for one in welcome["mentions"]] == [person_id(installation, "carol")]
        thread = await carol.wait_thread(general)
        await sees(carol, thread, "Welcome.")
        decided = await sees(alice, general, "would like to use Claude here", "let them in")
        assert (decided["id"], buttons(decided)) == (request["id"], [])
        assert len(bot.log.of(e.AccessDecided)) == 1
        assert await sees(carol, general, f"<#{thread}>")


async def test_a_denied_stranger_is_told_and_may_not_ask_again_at_once(
    installation: Installation, people: People, general: str
) -> None:
    alice, carol = people["alice"], people["carol"]
    async with installation.bot(engine=True):
        await carol.slash("claude", "start", channel=general)
        await sees(carol, general, "I have asked the owners")
        await carol.slash("claude", "start", channel=general)
        await sees(carol, general, "You have asked already")
        await alice.press(await sees(alice, general, "would like to use Claude here"), "Deny")
        await sees(carol, general, "An owner said no to your request.")
        await carol.slash("claude", "start", channel=general)
        await sees(carol, general, "An owner said no to your last request.")
        assert not carol.threads(general)


async def test_a_request_is_shown_again_and_decided_by_another_life_of_the_bot(
    installation: Installation, people: People, general: str
) -> None:
    alice, carol = people["alice"], people["carol"]
    async with installation.bot(engine=True) as bot:
        request = await asks(carol, alice, general)
        await bot.log.wait(lambda: bot.log.of(e.NoticeShown))
    async with installation.bot(engine=True):
        await alice.press(request, "Approve")
        await carol.wait_thread(general)
    assert len([one for one in alice.messages(general) if "would like to use Claude here" in one["content"]]) == 1


async def test_whoever_left_before_an_owner_said_yes_is_not_let_in(
    installation: Installation, people: People, general: str
) -> None:
    """First Discord does not say, then it says that they are gone."""
    alice, carol = people["alice"], people["carol"]
    async with installation.bot(engine=True) as bot:
        request = await asks(carol, alice, general)
        await carol.leave()
        with pytest.raises(PersonError, match="Unknown Member"):
            await carol.slash("claude", "start", channel=general)
        await alice.fault("fail", method="GET", path="/members/", times=1, status=403)
        await alice.press(request, "Approve")
        await sees(alice, general, "Discord does not say right now whether")
        await alice.press(request, "Approve")
        await sees(alice, general, "is not in this server any more, so their request is over")
        decided = await sees(alice, general, "They had left this server before")
        assert (decided["id"], buttons(decided)) == (request["id"], [])
        assert [one.choice for one in bot.log.of(e.AccessDecided)] == ["left"]
        assert person_id(installation, "carol") not in guild(installation).roles
        await alice.slash("claude", "add", "user", channel=general, person=person_id(installation, "carol"))
        await sees(alice, general, "Invite them first")


async def test_two_owners_who_press_at_once_decide_once(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    async with installation.bot(engine=True, owners=("alice", "bob")) as bot:
        request = await asks(carol, alice, general)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(alice.press, request, "Approve")
            tasks.start_soon(bob.press, request, "Deny")
        await bot.log.wait(lambda: bot.log.of(e.GuildRefused))
        assert [one.reason for one in bot.log.of(e.GuildRefused)] == ["access_over"]
        assert len(bot.log.of(e.AccessDecided)) == 1


async def test_strangers_cannot_press_what_is_for_owners(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    async with installation.bot(engine=True) as bot:
        request = await asks(carol, alice, general)
        await carol.press(request, "Approve")
        await sees(carol, general, "You are not a member here")
        await bob.press(request, "Approve")
        await sees(bob, general, "それができるのはオーナーだけです")
        await alice.press_id(request, "v1:approve:1:1")  # of another server
        await sees(alice, general, "I do not understand that button")
        assert not bot.log.of(e.AccessDecided)


async def test_owners_are_asked_in_their_channel(installation: Installation, people: People, general: str) -> None:
    alice, carol = people["alice"], people["carol"]
    installation.owner_channels = ("1", await owners_channel(installation, general))
    async with installation.bot(engine=True):
        await carol.slash("claude", "start", channel=general)
        request = await sees(alice, installation.owner_channels[1], "would like to use Claude here")
        await alice.press(request, "Approve")
        await sees(carol, general, "let you in")
        assert not [one for one in alice.messages(general) if "would like to use" in one["content"]]


async def test_an_approval_comes_too_late_when_nobody_answered_in_time(
    installation: Installation, people: People, general: str
) -> None:
    alice, carol = people["alice"], people["carol"]
    async with installation.bot(engine=True):
        request = await asks(carol, alice, general)
    installation.ahead = installation.policy.access_ttl
    async with installation.bot(engine=True) as later:
        over = await sees(alice, general, "Nobody answered in time")
        assert (over["id"], buttons(over)) == (request["id"], [])
        await alice.press_id(over, str(buttons(request)[0]["custom_id"]))
        await sees(alice, general, "That request is over")
        assert [one.choice for one in later.log.of(e.AccessDecided)] == ["expired"]
        assert person_id(installation, "carol") not in guild(installation).roles
