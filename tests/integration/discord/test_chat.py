"""What people see: whole, once, in order, no faster than Discord allows, and found again by another life of the bot.

One file because each test looks at the same thread through the same few helpers.
"""

import uuid
from bisect import bisect_left
from collections import defaultdict
from itertools import pairwise
from typing import Any

import aiohttp
import anyio
import hikari
import msgspec
import pytest

from adapters.discord import chat, rest, writer
from adapters.local.discord import shapes
from adapters.local.discord.people import Person, buttons, open_people
from adapters.local.discord.store import Store
from engine.ports import File, Usage
from engine.session_actor import SessionActor
from schema import events as e
from schema import facts as f
from schema.envelope import Append, Draft, Write
from tests.integration.discord.conftest import Bot, Claude, Installation, Json, Log, now, until

People = dict[str, Person]


async def start(person: Person, channel: str, **options: str) -> str:
    known = person.threads(channel)
    await person.slash("claude", "start", channel=channel, **options)
    return await person.wait_thread(channel, known)


async def sees(person: Person, thread: str, words: str) -> Json:
    return await person.wait_message(thread, lambda one: words in one["content"], words)


def answer(person: Person, thread: str) -> str:
    """All that stands in a thread after its head, as it reads: without footers."""
    told = [one["content"] for one in person.messages(thread) if one["author"].get("bot")][1:]
    return "\n".join(line for text in told for line in text.splitlines() if not line.startswith("-# "))


async def as_bot(installation: Installation, method: str, path: str) -> None:
    """A moderator, for instance, can do what the bot can do."""
    info = installation.discord.info
    headers = {"Authorization": f"Bot {info['token']}"}
    async with aiohttp.ClientSession() as http, http.request(method, info["rest_url"] + path, headers=headers) as done:
        assert done.status < 300


# --- threads ---------------------------------------------------------------------------------------------------------


async def test_a_thread_is_named_after_what_was_asked_for(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True):
        long = await start(alice, general, prompt="Fix \u202e the\n**login** @everyone " + "x" * 200)
        name = str(alice.channels[long]["name"])
        assert name.startswith("Claude · Fix ⟨U+202E⟩ the **login** @everyone xxx")
        assert name.endswith("x…")
        assert len(name) <= 100
        bare = await start(alice, general)
        assert alice.channels[bare]["name"].startswith("Claude · ")


async def test_a_name_that_discord_does_not_take_is_left_out(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True):
        await alice.fault("fail", method="POST", path="/threads$", times=1, status=400, code=50035)
        thread = await start(alice, general, prompt="words that are not allowed")
        assert "allowed" not in alice.channels[thread]["name"]


# --- turns -----------------------------------------------------------------------------------------------------------


async def test_an_answer_streams_at_discords_pace_and_is_shown_whole(
    installation: Installation, people: People, general: str
) -> None:
    alice, words = people["alice"], [f"word{number}" for number in range(60)]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        for count in range(len(words)):
            claude.context.say(" ".join(words[:count]))
            await anyio.sleep(0.05)
        claude.context.say("")
        await claude.say(" ".join(words))
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general, prompt="count")
        await sees(alice, thread, "▌")
        await sees(alice, thread, "✅ done")
        assert answer(alice, thread) == " ".join(words)
        edits = [one["t"] for one in installation.requests("PATCH", f"/channels/{thread}/messages/")]
        assert len(edits) >= 3
        assert all(later - earlier > 1.2 for earlier, later in pairwise(edits))
        reported = await bot.log.wait(lambda: [one for one in bot.log.of(e.MessageShown) if one.part == "turn:1"][1:])
        assert [one.final for one in reported] == [True]  # after its creation only that it is shown whole


async def test_a_long_answer_is_in_messages_that_are_whole_once_and_in_order(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    said = "\n".join(f"line {number}: {'字' * 40} @everyone" for number in range(300))

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say(said)
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general, prompt="write")
        await sees(alice, thread, "✅ done")
        shown = [one for one in alice.messages(thread) if one["author"].get("bot")][1:]
        assert len(shown) > 7
        assert answer(alice, thread) == said
        assert not any(one["mention_everyone"] or one["mentions"] for one in shown)
        assert not any(buttons(one) for one in shown)
        assert len({one["nonce"] for one in shown}) == len(shown)
        await bot.log.wait(lambda: any(one.final for one in bot.log.of(e.MessageShown) if one.part == "turn:1"))
        created = [one.index for one in bot.log.of(e.MessageShown) if one.part == "turn:1"]
        assert list(dict.fromkeys(created)) == list(range(len(shown)))


async def test_what_was_being_said_when_it_was_stopped_stays(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        claude.context.say("half of a sent")
        while not claude.context.session.turn or not claude.context.session.turn.stop_by:
            await claude.context.changed()
        claude.context.say("")
        await claude.read(f.TurnFinished(prompts=(), error=True, reason="aborted_streaming"))

    installation.agent.play = play
    async with installation.bot(engine=True):
        thread = await start(alice, general, prompt="go")
        await alice.press(await sees(alice, thread, "half of a sent"), "Stop")
        stopped = await sees(alice, thread, "🛑 Stopped by")
        assert stopped["content"].startswith("half of a sent\n"), stopped["content"]
        assert not buttons(stopped)


async def test_an_old_message_is_continued_in_a_new_one(
    installation: Installation, people: People, general: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, told = people["alice"], anyio.Event()
    monkeypatch.setattr(writer, "FRESH", 0)

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("the first hour")
        await told.wait()
        await claude.say("the second hour")
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True):
        thread = await start(alice, general, prompt="go")
        first = await sees(alice, thread, "the first hour")
        told.set()
        second = await sees(alice, thread, "the second hour")
        await sees(alice, thread, "✅ done")
        assert second["id"] != first["id"]
        assert answer(alice, thread).split() == ["the", "first", "hour", "the", "second", "hour"]


# --- questions and prompts -------------------------------------------------------------------------------------------


async def test_a_question_is_a_new_message_that_mentions_and_the_turn_goes_on_below_it(
    installation: Installation, people: People, general: str
) -> None:
    alice, bob = people["alice"], people["bob"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("I need to run something.")
        choice = await claude.ask("make test")
        await claude.say(f"You said {choice}.")
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general, prompt="go")
        asked = await sees(alice, thread, "Claude wants to use")
        assert [one["username"] for one in asked["mentions"]] == ["alice"]
        assert "make test" in asked["content"]
        refused = await bob.press(asked, "Allow")
        await sees(bob, thread, "始めた本人とオーナーだけ")
        assert bob.interaction(refused) == "answered"
        await alice.press(asked, "Always allow")
        decided = await sees(alice, thread, "Allowed for the rest of this session by")
        assert (decided["id"], buttons(decided)) == (asked["id"], [])
        after = await sees(alice, thread, "You said always.")
        assert int(after["id"]) > int(asked["id"]), alice.messages(thread)
        assert bot.log.of(e.AnswerGiven)[0].choice == "always"
        assert answer(alice, thread).index("I need") < answer(alice, thread).index("You said")


async def test_prompts_wait_visibly_and_ping_nobody(installation: Installation, people: People, general: str) -> None:
    alice, go = people["alice"], anyio.Event()

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await go.wait()
        await claude.end()
        await claude.next_prompt()
        await claude.say("second")
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general, prompt="first")
        await sees(alice, thread, "working for")
        await alice.say(thread, f"@everyone <@{bot_id(installation)}> \u202e**b**")
        queued = await sees(alice, thread, "⏳ Queued: \\@everyone")
        assert not queued["mention_everyone"]
        assert not queued["mentions"]
        too_much = await alice.say(thread, "too much", [("picture.png", b"PNG")])
        await sees(alice, thread, "Queued: too much")
        await alice.edit(too_much, "")
        await sees(alice, thread, "There is nothing in that message")
        await sees(alice, thread, "Queued: too much")
        await alice.delete(too_much)
        await bot.log.wait(lambda: bot.log.of(e.PromptRemoved))
        await alice.say(thread, "never mind")
        await alice.press(await sees(alice, thread, "Queued: never mind"), "Remove")
        await bot.log.wait(lambda: bot.log.of(e.PromptRemoved)[1:])
        go.set()
        await sees(alice, thread, "second")
        gone = [one for one in alice.messages(thread) if "⏳ Queued" in one["content"]]
        await until(lambda: not [one for one in alice.messages(thread) if "⏳ Queued" in one["content"]], str(gone))


def bot_id(installation: Installation) -> str:
    return str(installation.discord.info["application_id"])


# --- private answers -------------------------------------------------------------------------------------------------


async def test_only_who_asked_is_told(installation: Installation, people: People, general: str) -> None:
    alice, bob = people["alice"], people["bob"]

    async def play(claude: Claude) -> None:
        pass

    installation.agent.play, installation.agent.used = play, Usage(disk=41)
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await sees(alice, general, f"Your session: <#{thread}>")
        await bot.log.wait(lambda: bot.log.of(e.JournalRead))
        await alice.slash("claude", "status", channel=thread)
        await sees(alice, thread, "Prompts waiting: 0")
        assert any("disk 41 % full" in one["content"] for one in alice.messages(thread))
        await alice.slash("claude", "audit", channel=thread)
        await sees(alice, thread, "asked for a session")
        await bob.slash("claude", "stop", channel=general)
        await sees(bob, general, "`/claude start` で始めてください")
        assert not [one for one in alice.messages(general) if "始めてください" in one["content"]]
        said = await bob.say(thread, "may I?")
        await bob.wait(
            lambda: [one for one in bob.messages(thread) if one["id"] == said["id"] and one.get("marks")], "🚫"
        )


async def test_a_message_that_is_no_prompt_is_answered_with_the_reason_once(
    installation: Installation, people: People, general: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, words = people["alice"], people["bob"], "nothing in that message"
    reported = _records(e.Replied)
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await bob.say(thread, "may I?")
        await bot.log.wait(lambda: bot.log.of(e.Refused))
        bot.log.held, bot.log.holds = anyio.Event(), reported
        said = await alice.say(thread, "", files=[("photo.png", b"x")])
        await sees(alice, thread, words)
        asked = [one.position for one in bot.log.events if getattr(one.event, "discord_id", "") == said["id"]]
    monkeypatch.setattr(chat, "_NONCE_LIFE", 0)
    monkeypatch.setattr(chat, "nonce", _new_nonce)
    async with installation.bot(engine=True) as bot:
        await bot.log.wait(lambda: asked[0] in [one.to for one in bot.log.of(e.Replied)])
    told = [
        one["content"]
        for one in alice.messages(thread)
        if one["author"].get("bot") and "Claude Code" not in one["content"]
    ]
    assert len(told) == 1
    assert words in told[0]


async def test_a_closed_thread_offers_once_to_start_again(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await alice.slash("claude", "close", channel=thread)
        await bot.log.wait(lambda: bot.log.of(e.Closed))
        await alice.say(thread, "are you there?")
        hint = await sees(alice, thread, "To go on with something new")
    async with installation.bot(engine=True) as bot:
        await alice.say(thread, "still there?")
        await bot.log.wait(lambda: len(bot.log.of(e.Replied)) == 1)
        assert len([one for one in alice.messages(thread) if buttons(one) and one["content"] == hint["content"]]) == 1
        await alice.press(hint, "Start again")
        again = await alice.wait_thread(general, [thread])
        await sees(alice, again, "Claude Code")
        await sees(alice, thread, f"Your session: <#{again}>")


async def test_a_token_that_is_over_is_no_way_to_tell(installation: Installation, people: People, general: str) -> None:
    async with installation.bot(engine=True) as bot:
        bot.log.held, bot.log.holds = anyio.Event(), _records(e.Refused)
        await people["alice"].slash("claude", "stop", channel=general)
        await bot.log.reached.wait()
        await until(lambda: installation.tokens.kept, "the token")
        installation.tokens.kept.clear()
        bot.log.held.set()
        await bot.log.wait(lambda: bot.log.of(e.Replied))
        assert bot.log.of(e.Replied)[0].late


# --- lost answers, other lives ---------------------------------------------------------------------------------------


def _records(kind: type[e.Event]) -> Any:
    def records(append: Append) -> bool:
        return any(isinstance(draft.event, kind) for write in append.writes for draft in write.drafts)

    return records


async def test_a_message_whose_answer_got_lost_stands_once(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True):
        await alice.fault("fail", method="POST", path=r"/channels/\d+/messages$", times=1, after=True)
        thread = await start(alice, general)
        await sees(alice, thread, "Claude Code")
        assert len([one for one in alice.messages(general) if "started a session" in one["content"]]) == 1
        await alice.fault("fail", method="POST", path=f"/channels/{thread}/messages$", times=1, after=True)
        await alice.say(thread, "do it")
        await sees(alice, thread, "Queued: do it")
        assert len(alice.messages(thread)) == 3


@pytest.mark.parametrize("part", ["head", "turn:1", "ask:r1", "note:1"])
async def test_another_life_finds_the_message_that_the_first_could_not_report(
    installation: Installation,
    people: People,
    general: str,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not by its nonce, which Discord forgets within minutes."""
    alice = people["alice"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("working on it")
        if part == "ask:r1":
            await claude.ask("make")
        if part == "note:1":
            failed = f.TurnFinished(prompts=(), error=True, reason="api_error")
            await claude.read(failed, f.StateChanged(state="idle"))

    def reports(append: Append) -> bool:
        drafts = [draft.event for write in append.writes for draft in write.drafts]
        return any(isinstance(event, e.MessageShown) and event.part == part for event in drafts)

    installation.agent.play = play
    words = {"head": "Claude Code", "turn:1": "working on it", "ask:r1": "wants to use", "note:1": "the turn failed"}
    async with installation.bot(engine=True) as bot:
        bot.log.held, bot.log.holds = anyio.Event(), reports
        thread = await start(alice, general, prompt="go")
        with anyio.fail_after(20):
            await bot.log.reached.wait()
        await sees(alice, thread, words[part])
    monkeypatch.setattr(writer, "nonce", _new_nonce)
    found = rest._found  # pyright: ignore[reportPrivateUsage]  # Discord cannot be made to forget sooner

    def forgetful(message: hikari.Message) -> rest.Found:
        return msgspec.structs.replace(found(message), nonce="")

    monkeypatch.setattr(rest, "_found", forgetful)
    installation.agent.play = None
    async with installation.bot(engine=True) as bot:
        await bot.log.wait(lambda: [one for one in bot.log.of(e.MessageShown) if one.part == part])
        await alice.slash("claude", "close", channel=thread)
        await sees(alice, thread, "This session is closed")
        assert len([one for one in alice.messages(thread) if words[part] in one["content"]]) == 1


async def test_a_process_that_was_deposed_shows_nothing_any_more(
    installation: Installation, people: People, general: str
) -> None:
    alice, deposed = people["alice"], anyio.Event()

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        claude.context.say("what everybody knows")
        await deposed.wait()
        claude.context.say("what everybody knows, and what is stale")
        await anyio.sleep_forever()  # nothing is recorded any more, so that nothing else tells

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general, prompt="go")
        await sees(alice, thread, "what everybody knows")
        assert bot.engine
        (actor,) = (one for one in bot.engine.actors.values() if isinstance(one, SessionActor))
        await until(lambda: not any(card.stale or card.gone for card in actor.state.cards), "showing everything")
        epochs = installation.store.facts.epochs
        epochs.update({target: epoch + 1 for target, epoch in epochs.items()})  # as when another one takes over
        deposed.set()
        await until(lambda: any(what == "fenced" for _, what, _ in installation.failures), "being fenced")
        assert not [one for one in alice.messages(thread) if "stale" in one["content"]]


def _new_nonce(*_: object) -> str:
    return uuid.uuid4().hex[:24]


async def test_a_deleted_message_is_shown_again_when_it_is_needed(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("here I am")
        while not claude.context.session.queue:
            await claude.context.changed()
        await claude.say("and here")

    installation.agent.play = play
    async with installation.bot(engine=True):
        thread = await start(alice, general, prompt="go")
        shown = await sees(alice, thread, "here I am")
        await as_bot(installation, "DELETE", f"/channels/{thread}/messages/{shown['id']}")
        await alice.say(thread, "where are you?")
        again = await sees(alice, thread, "and here")
        assert [button["label"] for button in buttons(again)] == ["Stop"]


async def test_a_sleeping_thread_is_woken(installation: Installation, people: People, general: str) -> None:
    alice, go = people["alice"], anyio.Event()

    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        await claude.say("before")
        await go.wait()
        await claude.say("after")
        await claude.end()

    installation.agent.play = play
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general, prompt="go")
        await sees(alice, thread, "before")
        await alice.change_thread(thread, archived=True)
        await bot.log.wait(lambda: bot.log.of(e.ThreadChanged))
        go.set()
        await sees(alice, thread, "after")
        assert not alice.channels[thread]["thread_metadata"]["archived"]


async def test_a_thread_that_is_closed_to_us_is_given_up_and_the_others_are_not(
    installation: Installation, people: People, general: str
) -> None:
    alice = people["alice"]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await sees(alice, thread, "Claude Code")
        await alice.fault("fail", method="POST", path=f"/channels/{thread}/messages$", times=5, status=403)
        await alice.say(thread, "hello?")
        await bot.log.wait(lambda: bot.log.of(e.ThreadChanged))
        assert bot.log.of(e.ThreadChanged)[0].what == "forbidden"
        other = await start(alice, general)
        await sees(alice, other, "Claude Code")


# --- files -----------------------------------------------------------------------------------------------------------


async def _close(person: Person, bot: Bot, thread: str) -> str:
    await bot.log.wait(lambda: bot.log.of(e.SandboxReady))
    await person.slash("claude", "close", channel=thread)
    await bot.log.wait(lambda: bot.log.of(e.HandedOver))
    return str(bot.log.of(e.HandedOver)[0].how)


async def test_files_are_handed_over_in_parts_that_discord_takes(
    installation: Installation, people: People, general: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "LARGEST_FILE", 1000)
    monkeypatch.setattr(chat, "LARGEST_POST", 2500)
    alice = people["alice"]
    installation.agent.play = _idle
    installation.agent.files = [File(name="changes.patch", data=b"+x"), File(name="big.bin", data=bytes(3500))]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        assert await _close(alice, bot, thread) == "posted"
        await sees(alice, thread, "cat NAME.part*")
        await alice.wait(lambda: len([one for one in alice.messages(thread) if one["attachments"]]) == 2, "two posts")
        posted = [
            (one["filename"], one["size"]) for message in alice.messages(thread) for one in message["attachments"]
        ]
        assert posted == [
            ("changes.patch", 2),
            ("big.bin.part01", 1000),
            ("big.bin.part02", 1000),
            ("big.bin.part03", 1000),
            ("big.bin.part04", 500),
        ]


async def test_a_session_that_left_no_files_says_so(installation: Installation, people: People, general: str) -> None:
    alice = people["alice"]
    installation.agent.play = _idle
    installation.agent.files = [File(name="transcript.jsonl", data=b"{}")]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        assert await _close(alice, bot, thread) == "posted"
        await sees(alice, thread, "left no files")


async def test_files_that_cannot_be_posted_are_kept(installation: Installation, people: People, general: str) -> None:
    alice = people["alice"]
    installation.agent.play = _idle
    installation.agent.files = [File(name="changes.patch", data=b"+x")]
    async with installation.bot(engine=True) as bot:
        thread = await start(alice, general)
        await sees(alice, thread, "✅ Ready")
        await alice.fault("fail", method="POST", path=f"/channels/{thread}/messages$", times=1, status=413)
        assert await _close(alice, bot, thread) == "kept"
        assert installation.keeper.kept == {"changes.patch": b"+x"}
        session = bot.log.of(e.Received, "command")[0].session
        await sees(alice, thread, f"`discord-claude files {session}`")


async def _idle(claude: Claude) -> None:
    del claude


# --- many threads ----------------------------------------------------------------------------------------------------


async def threads(installation: Installation, how_many: int) -> list[str]:
    """Open sessions with their threads, without the minutes that Discord takes to let one bot make so many."""
    server, info = installation.discord, installation.discord.info
    server.kill()
    store = Store(server.folder)
    log = Log(installation.store)
    made = [shapes.snowflake() for _ in range(how_many)]
    for thread in made:
        shape = shapes.thread(thread, info["guild_id"], info["channel_id"], info["application_id"], {})
        store.put("channel", thread, shape)
        events = (
            e.Requested(
                by=store.person("alice")["id"], locale="ja", guild=info["guild_id"], channel=info["channel_id"]
            ),
            e.StarterPosted(message=thread),
            e.ThreadOpened(thread=thread),
        )
        drafts = tuple(Draft(event=event, at=now(), actor="bot") for event in events)
        target = f"session:{thread}"
        await log.append(Append(writes=(Write(stream=target, expected=0, drafts=drafts),), agenda=((target, 1),)))
    store.close()
    log.close()
    server.start()
    return made


@pytest.mark.timeout(180)
async def test_sixty_busy_threads_get_no_429(installation: Installation) -> None:
    async def play(claude: Claude) -> None:
        await claude.next_prompt()
        for count in range(60):
            claude.context.say("so far " + "word " * count)
            await anyio.sleep(0.1)
        claude.context.say("")
        await claude.say("so far " + "word " * 60)
        await claude.end()

    installation.agent.play = play
    made = await threads(installation, 60)
    async with open_people(installation.discord.info) as people, installation.bot(engine=True):
        for thread in made:
            await people["alice"].say(thread, "go")
        for thread in made:
            await people["alice"].wait_message(thread, lambda one: "✅ 完了" in one["content"], "the answer", 120)
    requests = [one for one in installation.discord.requests() if one["path"].startswith("/channels/")]
    assert not [one for one in requests if one["status"] == 429]
    edits: dict[str, list[float]] = defaultdict(list)
    for one in requests:
        if one["method"] == "PATCH":
            edits[one["path"].split("/")[2]].append(one["t"])
    times = sorted(one["t"] for one in requests)
    assert max(bisect_left(times, time + 1) - number for number, time in enumerate(times)) <= 40
    assert len(edits) == 60
    assert all(len(of_one) >= 3 for of_one in edits.values())  # they streamed
