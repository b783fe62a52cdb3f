"""The line, as people have it in Discord: their place, kept current; leaving it; being called."""

from adapters.local.discord.people import Person
from schema import events as e
from tests.integration.discord.conftest import Bot, Installation
from tests.integration.discord.test_members import People, labels, sees

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
