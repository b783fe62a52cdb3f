"""Every call of the bot, in conversations that need them all: whether Discord documents it, the fixture `discord` judges."""

from pathlib import Path

import anyio
import pytest

from adapters.local.discord.people import Person
from engine.ports import File
from schema import events as e
from tests.integration.discord.conftest import Claude, Installation
from tests.openapi import document

CALLS = {
    "GET /gateway/bot",
    "GET /applications/{application_id}/guilds/{guild_id}/commands",
    "PUT /applications/{application_id}/guilds/{guild_id}/commands",
    "POST /interactions/{interaction_id}/{interaction_token}/callback",
    "POST /channels/{channel_id}/messages",
    "POST /channels/{channel_id}/messages/{message_id}/threads",
    "PATCH /channels/{channel_id}/messages/{message_id}",
    "DELETE /channels/{channel_id}/messages/{message_id}",
    "GET /channels/{channel_id}/messages",
    "PATCH /channels/{channel_id}",
    "PUT /channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me",
    "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original",
    "POST /webhooks/{webhook_id}/{webhook_token}",
    "GET /guilds/{guild_id}/members/{user_id}",
}


@pytest.mark.usefixtures("shared")
async def test_each_call_is_one_of_discords(
    installation: Installation, people: dict[str, Person], general: str, shared: Path
) -> None:
    judge = document()
    assert judge, f"{shared} has no data/discord-openapi.json"
    alice, bob, carol, go = people["alice"], people["bob"], people["carol"], anyio.Event()

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.ask("rm -rf build")
        await claude.say("done that")
        await go.wait()
        await claude.end()

    installation.agent.play = play
    installation.agent.files = [File(name="changes.patch", data=b"+x"), File(name="transcript.jsonl", data=b"{}")]
    async with installation.bot(engine=True) as bot:
        await alice.slash("claude", "start", channel=general, prompt="build")
        thread = await alice.wait_thread(general)
        asked = await alice.wait_message(thread, lambda one: "rm -rf build" in one["content"], "the question")
        await carol.slash("claude", "start", channel=general)
        request = await alice.wait_message(general, lambda one: "would like to use" in one["content"], "the request")
        await alice.press(request, "Approve")  # carol is looked for
        await bob.press(asked, "Allow")  # whoever may not is told so
        await alice.press(asked, "Allow")
        said = await alice.wait_message(thread, lambda one: "done that" in one["content"], "what Claude says")
        await bob.say(thread, "me too")  # refused: a reaction
        await alice.wait(lambda: any(one.get("marks") for one in alice.messages(thread)), "the reaction")
        await alice.say(thread, "and then")
        queued = await alice.wait_message(thread, lambda one: "Queued" in one["content"], "the queued prompt")
        await alice.press(queued, "Remove")
        await alice.wait(lambda: queued["id"] not in [one["id"] for one in alice.messages(thread)], "its removal")
        await alice.change_thread(thread, archived=True)
        await bot.log.wait(lambda: bot.log.of(e.ThreadChanged))
        go.set()
        await alice.wait_message(
            thread, lambda one: one["id"] == said["id"] and "✅ done" in one["content"], "the end of the turn"
        )
        await alice.slash("claude", "status", channel=thread)
        await alice.slash("claude", "close", channel=thread)
        await alice.wait_message(thread, lambda one: len(one["attachments"]) == 2, "the files")
        await bot.log.wait(lambda: bot.log.of(e.Closed))
    assert {judge.operation(one) for one in installation.discord.calls()} == CALLS
