"""The whole way with a bot that is only hikari: command, thread, button, file, archive; cut lines; a killed server."""

import anyio
import hikari
import pytest

from adapters.local.discord.people import buttons, open_people
from tests.integration.local_discord.conftest import NewBot, Process


async def _register(bot: hikari.GatewayBot, info: dict[str, str]) -> None:
    command = bot.rest.slash_command_builder("claude", "Sessions")
    start = hikari.CommandOption(type=hikari.OptionType.SUB_COMMAND, name="start", description="Start")
    command.add_option(start)
    await bot.rest.set_application_commands(int(info["application_id"]), [command], guild=int(info["guild_id"]))


async def test_a_command_opens_a_thread_with_a_button_that_works(discord: Process, new_bot: NewBot) -> None:
    info = discord.info
    async with new_bot(info) as bot, open_people(info) as people:
        alice, bob = people["alice"], people["bob"]
        pressed = anyio.Event()

        @bot.listen(hikari.InteractionCreateEvent)
        async def on_interaction(event: hikari.InteractionCreateEvent) -> None:
            interaction = event.interaction
            if isinstance(interaction, hikari.ComponentInteraction):
                await interaction.create_initial_response(
                    hikari.ResponseType.MESSAGE_UPDATE, content="clicked", components=[]
                )
                pressed.set()
                return
            assert isinstance(interaction, hikari.CommandInteraction)
            await interaction.create_initial_response(
                hikari.ResponseType.DEFERRED_MESSAGE_CREATE, flags=hikari.MessageFlag.EPHEMERAL
            )
            thread = await bot.rest.create_thread(
                interaction.channel_id, hikari.ChannelType.GUILD_PUBLIC_THREAD, "session"
            )
            row = bot.rest.build_message_action_row()
            row.add_interactive_button(hikari.ButtonStyle.DANGER, "stop:1", label="Stop")
            await bot.rest.create_message(thread.id, "ready", component=row, nonce="n1")
            await bot.rest.create_message(thread.id, "file", attachment=hikari.Bytes(b"log", "log.txt"))
            await interaction.edit_initial_response("done")

        await _register(bot, info)
        general = info["channel_id"]
        await alice.slash("claude", "start", channel=general)
        thread = await alice.wait_thread(general)
        card = await alice.wait_message(thread, lambda one: bool(buttons(one)), "the card")
        await alice.press(card, "Stop")
        await alice.wait_message(thread, lambda one: one["content"] == "clicked", "the answer to the button")
        await pressed.wait()
        await alice.wait_message(thread, lambda one: bool(one["attachments"]), "the file")
        await alice.wait_message(general, lambda one: one["content"] == "done", "the private answer")
        await bob.wait_message(thread, lambda one: one["content"] == "clicked", "what alice sees")
        assert all(one["content"] != "done" for one in bob.messages(general))
        await bot.rest.edit_channel(int(thread), archived=True)
        await alice.wait(lambda: alice.channels[thread]["thread_metadata"]["archived"], "the archived thread")


async def test_a_cut_connection_resumes_and_misses_nothing(discord: Process, new_bot: NewBot) -> None:
    info = discord.info
    async with new_bot(info) as bot, open_people(info) as people:
        seen: list[str | None] = []
        resumed, last = anyio.Event(), anyio.Event()

        @bot.listen(hikari.MessageCreateEvent)
        async def on_message(event: hikari.MessageCreateEvent) -> None:
            seen.append(event.content)
            if event.content == "third":
                last.set()

        @bot.listen(hikari.ShardResumedEvent)
        async def on_resumed(_: hikari.ShardResumedEvent) -> None:
            resumed.set()

        await people["alice"].say(info["channel_id"], "first")
        await people["alice"].fault("drop")
        await people["alice"].say(info["channel_id"], "second")
        with anyio.fail_after(30):
            await resumed.wait()
            await people["alice"].say(info["channel_id"], "third")
            await last.wait()
        assert seen == ["first", "second", "third"]


async def test_it_is_the_same_discord_after_a_kill(discord: Process, new_bot: NewBot) -> None:
    before = discord.info
    async with open_people(before) as people:
        said = await people["alice"].say(before["channel_id"], "kept")
        discord.kill()
        assert discord.start() == before
        found = await people["alice"].wait_message(
            before["channel_id"], lambda one: one["id"] == said["id"], "what was said"
        )
        assert found["content"] == "kept"
        new = await people["bob"].say(before["channel_id"], "new")
        assert int(new["id"]) > int(said["id"])
    async with new_bot(before) as bot:
        fetched = await bot.rest.fetch_message(int(before["channel_id"]), int(said["id"]))
        assert fetched.content == "kept"


async def test_the_journal_has_every_request_and_no_token(discord: Process, new_bot: NewBot) -> None:
    async with new_bot(discord.info) as bot:
        made = await bot.rest.create_message(int(discord.info["channel_id"]), "hello")
        with pytest.raises(hikari.NotFoundError):
            await bot.rest.fetch_message(int(discord.info["channel_id"]), 1)
    entries = discord.requests()
    posted = [one for one in entries if one["method"] == "POST" and one["path"].endswith("/messages")]
    assert [(one["status"], one["made"]) for one in posted] == [(200, str(made.id))]
    assert discord.info["token"] not in (discord.folder / "requests.jsonl").read_text()
