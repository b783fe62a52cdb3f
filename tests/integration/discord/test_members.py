"""Who may do what, as people have it in Discord: adding, deleting, sharing, and what everybody is told."""

import anyio

from adapters.local.discord.people import buttons
from engine.commands import Role
from engine.ports import File
from schema import events as e
from tests.integration.discord.conftest import Claude, Installation, Log, People, guild, labels, person_id, sees

# --- members ---------------------------------------------------------------------------------------------------------


async def test_owners_add_and_delete_and_everybody_sees_who_is(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    who = {name: person_id(installation, name) for name in people}
    async with installation.bot(engine=True):
        await alice.slash("claude", "add", "user", channel=general, person=who["carol"])
        await sees(alice, general, f"<@{who['carol']}> may use Claude here now")
        await alice.slash("claude", "add", "owner", channel=general, person=who["bob"])
        await sees(alice, general, f"<@{who['bob']}> is an owner here now")
        await carol.slash("claude", "members", channel=general)
        await sees(carol, general, f"**Owners**: <@{who['alice']}> <@{who['bob']}>\n**Users**: <@{who['carol']}>")
        await carol.slash("claude", "add", "user", channel=general, person=who["bob"])
        await sees(carol, general, "Only owners can do that")
        await bob.slash("claude", "delete", "owner", channel=general, person=who["alice"])
        await sees(bob, general, f"<@{who['alice']}> さんはオーナーではなくなりました")
        await bob.slash("claude", "delete", "owner", channel=general, person=who["bob"])
        await sees(bob, general, "最後のオーナーは外せません")
        await bob.slash("claude", "delete", "user", channel=general, person=who["carol"])
        await sees(bob, general, f"<@{who['carol']}> さんはここで Claude を使えなくなりました")
        await carol.slash("claude", "members", channel=general)
        await sees(carol, general, "You are not a member here")
        assert guild(installation).roles == {who["alice"]: Role.USER, who["bob"]: Role.OWNER}


async def test_bots_and_people_who_are_not_here_cannot_be_added(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True):
        await alice.slash("claude", "add", "user", channel=general, person=installation.discord.info["application_id"])
        await sees(alice, general, "is a bot")
        await alice.slash("claude", "add", "user", channel=general, person="123456789012345678")
        await sees(alice, general, "is not in this server")


async def test_a_removed_user_loses_a_race_with_their_own_prompt(
    installation: Installation, people: People, general: str
) -> None:
    """The prompt is decided while the user is one, and recorded when they are not: it is decided again (P6)."""
    bob = people["bob"]
    async with installation.bot(engine=True) as bot:
        await bob.slash("claude", "start", channel=general)
        thread = await bob.wait_thread(general)
        await sees(bob, thread, "**Claude Code**")
        bot.log.holds = lambda append: any(isinstance(d.event, e.PromptQueued) for w in append.writes for d in w.drafts)
        bot.log.held = anyio.Event()
        bot.log.reached = anyio.Event()
        await bob.say(thread, "one more thing")
        with anyio.fail_after(20):
            await bot.log.reached.wait()
        await take_from(installation, bot.log, "bob")
        bot.log.held.set()
        await bot.log.wait(lambda: bot.log.of(e.Refused))
        assert [one.reason for one in bot.log.of(e.Refused)] == ["stranger"]
        assert not bot.log.of(e.PromptQueued)
        await bob.wait(lambda: [one for one in bob.messages(thread) if one.get("marks") == ["🚫"]], "the reaction")


async def test_in_a_shared_thread_other_users_write_and_answer_but_do_not_end_it(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob = people["alice"], people["bob"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        choice = await claude.ask("make")
        await claude.say(f"That was {choice}.")
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        await alice.slash("claude", "start", channel=general)
        thread = await alice.wait_thread(general)
        await sees(bob, thread, "Ready.")
        await bob.slash("claude", "share", channel=thread)
        await sees(bob, thread, "始めた本人とオーナーだけです")
        await alice.slash("claude", "share", channel=thread)
        await sees(alice, thread, "`/claude unshare` ends that")
        await sees(bob, thread, "shared this session")
        await alice.slash("claude", "status", channel=thread)
        await alice.wait(
            lambda: [
                one for one in alice.messages(thread) if "Prompts waiting" in one["content"] and "🤝" in one["content"]
            ],
            "the status",
        )
        await bob.say(thread, "build it")
        await bob.press(await sees(bob, thread, "make"), "Allow")
        await sees(bob, thread, "That was allow.")
        await bob.slash("claude", "close", channel=thread)
        await sees(bob, thread, "このセッションは共有されています")
        await alice.slash("claude", "unshare", channel=thread)
        await sees(bob, thread, "no longer shares this session")
        await bob.say(thread, "and again")
        await bob.wait(lambda: [one for one in bob.messages(thread) if one.get("marks") == ["🚫"]], "the reaction")
        assert [one.by for one in bot.log.of(e.PromptQueued)] == [person_id(installation, "bob")]


async def test_owners_see_what_runs_and_end_it_from_anywhere(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob = people["alice"], people["bob"]
    async with installation.bot(engine=True) as bot:
        await alice.slash("claude", "sessions", channel=general)
        await sees(alice, general, "No session is open")
        await bob.slash("claude", "start", channel=general)
        thread = await bob.wait_thread(general)
        await bot.log.wait(lambda: bot.log.of(e.SandboxReserved))
        await bob.slash("claude", "sessions", channel=general)
        await sees(bob, general, "それができるのはオーナーだけです")
        await alice.slash("claude", "sessions", channel=general)
        listed = await sees(
            alice, general, "**Open sessions**: 1", f"<#{thread}>", f"<@{person_id(installation, 'bob')}>"
        )
        assert labels(listed) == ["Close 1"]
        carol = people["carol"]
        # forged: nobody but alice sees the list
        starter = await sees(carol, general, "セッションを始めました")
        await carol.press_id(starter, buttons(listed)[0]["custom_id"])
        await sees(carol, general, "You are not a member here")
        await alice.press(listed, "Close 1")
        await sees(bob, thread, "このセッションは終了しました")
        await alice.wait(
            lambda: [one for one in alice.messages(general) if "Ending the session." in one["content"]], "told"
        )
        await alice.press_id(listed, "v1:end:123:")  # of no session
        await sees(alice, general, "in the thread of a session only")
        await alice.slash("claude", "sessions", channel=general)
        await alice.wait(
            lambda: len([one for one in alice.messages(general) if "No session is open" in one["content"]]) == 2, "none"
        )


async def test_removing_a_user_ends_what_they_run_and_hands_it_over(
    installation: Installation, people: People, general: str
) -> None:
    """In the middle of a turn, while Claude waits for them: the button they could have pressed does nothing any more."""
    alice, bob = people["alice"], people["bob"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.ask("rm -rf build")

    installation.agent.play = play
    installation.agent.files = [File(name="session.patch", data=b"+1")]
    async with installation.bot(engine=True) as bot:
        await bob.slash("claude", "start", channel=general, prompt="clean up")
        thread = await bob.wait_thread(general)
        question = await sees(bob, thread, "rm -rf build")
        await alice.slash("claude", "start", channel=general)
        await bot.log.wait(lambda: len(bot.log.of(e.SandboxReady)) == 2)
        await alice.slash("claude", "delete", "user", channel=general, person=person_id(installation, "bob"))
        await sees(alice, general, "What they have running ends")
        told = await sees(bob, thread, "さんをメンバーから外したので")
        assert [one["id"] for one in told["mentions"]] == [person_id(installation, "bob")]
        await sees(bob, thread, "成果")
        await sees(bob, thread, "このセッションは終了しました")
        await bob.press(question, "許可")
        await bot.log.wait(lambda: [one for one in bot.log.of(e.Refused) if one.reason == "stranger"])
        assert not bot.log.of(e.AnswerGiven)
        assert [one.why for one in bot.log.of(e.CloseAsked)] == ["removed"]  # and not alice's


async def test_a_removal_that_a_dead_bot_left_is_carried_out_by_the_next(
    installation: Installation, people: People, general: str
) -> None:
    bob = people["bob"]
    async with installation.bot(engine=True) as bot:
        await bob.slash("claude", "start", channel=general)
        thread = await bob.wait_thread(general)
        await bot.log.wait(lambda: bot.log.of(e.SandboxReserved))
        bot.log.holds = lambda append: any(isinstance(d.event, e.Dismissed) for w in append.writes for d in w.drafts)
        bot.log.held = anyio.Event()
        alice = people["alice"]
        await alice.slash("claude", "delete", "user", channel=general, person=person_id(installation, "bob"))
        with anyio.fail_after(20):
            await bot.log.reached.wait()
    async with installation.bot(engine=True) as bot:
        await sees(bob, thread, "このセッションは終了しました")
        assert len(bot.log.of(e.Dismissed)) == 1


async def take_from(installation: Installation, log: Log, name: str) -> None:
    """As an owner's command would, from another process."""
    person, server = person_id(installation, name), f"guild:{installation.discord.info['guild_id']}"
    taken = e.RoleTaken(person=person, role="user", by=person_id(installation, "alice"))
    await installation.append(log, server, taken)
