"""The line, as people have it in Discord: their place, kept current; leaving it; being called."""

from adapters.local.discord.people import Person
from engine.commands import Policy
from engine.session import HOLD, IDLE
from schema import events as e
from tests.integration.discord.conftest import Bot, Claude, Installation, People, labels, sees

OWNERS = ("alice", "bob", "carol")


async def start(person: Person, general: str, **options: str) -> str:
    known = person.threads(general)
    await person.slash("claude", "start", channel=general, **options)
    return await person.wait_thread(general, known)


async def holds(bot: Bot, person: Person, general: str, count: int) -> str:
    """Somebody has started a session, and it has a sandbox: the `count`th of all."""
    thread = await start(person, general)
    await bot.log.wait(lambda: len(bot.log.of(e.SandboxReserved)) == count)
    return thread


async def test_places_are_kept_current_and_whoever_leaves_the_line_may_come_back(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    installation.limit = 1
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        alices = await holds(bot, alice, general, 1)
        bobs = await start(bob, general)
        head = await sees(bob, bobs, "次の番です")
        assert labels(head) == ["終了", "列から抜ける"]
        carols = await start(carol, general, prompt="hello")
        await sees(carol, carols, "place 2 in the line")
        await bob.press(head, "列から抜ける")
        left = await sees(bob, bobs, "列から抜けています")
        assert labels(left) == ["終了"]
        await sees(carol, carols, "you are next in the line")
        await bob.press_id(left, head["components"][0]["components"][1]["custom_id"])  # an old message, so to speak
        await sees(bob, bobs, "列に並んでいません")
        await bob.say(bobs, "back again")
        await sees(bob, bobs, "2 番目")
        await alice.slash("claude", "close", channel=alices)
        await bot.log.wait(lambda: len(bot.log.of(e.SandboxReserved)) == 2)
        await sees(carol, carols, "coming up")
        await sees(bob, bobs, "次の番です")
        line = [one.session for one in bot.log.of(e.Granted)]
        assert len(line) == 2


async def idle(_: Claude) -> None:
    """Claude waits for a prompt."""


async def test_a_sandbox_that_nobody_uses_goes_to_the_next_after_ten_minutes(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    installation.limit, installation.agent.play = 1, idle
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        alices = await holds(bot, alice, general, 1)
        bobs = await start(bob, general)
        await sees(bob, bobs, "次の番です")
        carols = await start(carol, general)
        await sees(carol, carols, "place 2")
        await alice.slash("claude", "close", channel=alices)
        await sees(bob, bobs, "準備ができました")
        await bot.log.wait(lambda: len(bot.log.of(e.SlotNeeded)) == 2)
    installation.ahead = HOLD + 1_000_000
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        told = await sees(bob, bobs, "10 分間何も頼まれなかった")
        assert [one["username"] for one in told["mentions"]] == ["bob"]
        await sees(carol, carols, "Ready.")
        await bob.say(bobs, "I am back")
        await sees(bob, bobs, "次の番です")


async def test_who_holds_an_idle_sandbox_is_asked_and_may_keep_or_close_it(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob = people["alice"], people["bob"]
    installation.limit, installation.agent.play = 1, idle
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        alices = await holds(bot, alice, general, 1)
        await sees(alice, alices, "Ready.")
        bobs = await start(bob, general)
        await bot.log.wait(lambda: bot.log.of(e.SlotNeeded))
    installation.ahead = IDLE + 1_000_000
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        asked = await sees(alice, alices, "others wait for a sandbox")
        assert [one["username"] for one in asked["mentions"]] == ["alice"]
        assert labels(asked) == ["Keep", "Close"]
        await alice.press(asked, "Keep")
        await sees(alice, alices, "keeps it")
    installation.ahead = 3 * IDLE
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        await bot.log.wait(lambda: bot.log.of(e.IdleAsked))
        again = await alice.wait_message(alices, lambda one: labels(one) == ["Keep", "Close"], "asked again")
        await alice.press(again, "Close")
        await sees(bob, bobs, "準備ができました")


async def test_one_person_has_no_more_sandboxes_than_they_may(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    installation.policy = Policy(sandboxes_per_person=1)
    async with installation.bot(engine=True, owners=OWNERS) as bot:
        first = await holds(bot, alice, general, 1)
        await alice.slash("claude", "start", channel=general, prompt="more")
        await sees(alice, general, "Your open sessions: 1")
        await holds(bot, people["bob"], general, 2)
        await alice.slash("claude", "close", channel=first)
        await bot.log.wait(lambda: bot.log.of(e.Closed))
        await holds(bot, alice, general, 3)
