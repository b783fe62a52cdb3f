"""The kill drill: people talk while parts die, then the books are balanced.

The bot dies at every boundary (append, acknowledge, send, journal, Discord call), before and after it; the database, the
gateway, the CLI and the supervisor die at random moments. Everybody is real but Discord's servers and the model. Nothing may
be lost and nothing doubled: each prompt is recorded once, has one outcome, ran its tool at most once, and its answer is in
the thread once, or people were told that it was cut.
"""

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import psutil
import pytest

from adapters.local.discord.people import Person, PersonError, buttons, open_people
from adapters.playground import DATABASE, Options, Playground, open_playground

KILLS = int(os.environ.get("DRILL_KILLS") or 20)
SEED = int(os.environ.get("DRILL_SEED") or random.randrange(1 << 32))
BOUNDARIES = ("append", "acknowledge", "send", "journal", "discord")
MOST_PASSAGES = {"append": 15, "acknowledge": 2, "send": 2, "journal": 15, "discord": 10}
TALKERS = 3
ANSWER_SECONDS = 120.0
OUTCOME_SECONDS = 40.0

Message = dict[str, Any]

pytestmark = pytest.mark.drill


class Drill:
    """One drill: what was said, what died, and what must be true at the end."""

    def __init__(self, playground: Playground, folder: Path, rng: random.Random) -> None:
        self.playground = playground
        self.deaths: Counter[str] = Counter()
        self.prompts: list[tuple[str, str]] = []
        self.cut: set[str] = set()
        self._folder = folder
        self._rng = rng
        self._starting = anyio.Lock()

    @property
    def own_deaths(self) -> Counter[str]:
        """Where the bot died."""
        lives = self._folder / "lives"
        return Counter(lives.read_text().splitlines() if lives.exists() else [])

    @property
    def killed(self) -> int:
        return self.own_deaths.total() + self.deaths.total()

    # --- people ------------------------------------------------------------------------------------------------------

    async def talk(self, person: Person, name: str) -> None:
        """One session: prompts with a tool and an answer, until enough has died."""
        channel = self.playground.discord["channel_id"]
        async with self._starting:  # so that everybody knows which thread is theirs
            thread = await self._start(person, channel)
        number = 0
        while self.killed < KILLS:
            number += 1
            mark = f"{name}-{number}"
            await self._converse(person, thread, mark)
        self._keep_files()
        await self._insist(person, lambda: person.slash("claude", "close", channel=thread), "closed", thread)

    def _keep_files(self) -> None:
        """Before sandboxes go: which tools ran in them."""
        for sandbox in self.playground.sandboxes.glob("*"):
            if (file := sandbox / "work" / "ids.txt").exists():
                (self._folder / f"ids-{sandbox.name}.txt").write_text(file.read_text())

    async def _start(self, person: Person, channel: str) -> str:
        while True:
            known = person.threads(channel)
            asked = await person.slash("claude", "start", channel=channel)
            state = await person.wait(lambda asked=asked: _settled(person, asked), "an answer to /claude start", 10)
            if state == "answered":
                return await person.wait_thread(channel, known, ANSWER_SECONDS)

    async def _converse(self, person: Person, thread: str, mark: str) -> None:
        tool = {"tool": "Bash", "input": {"command": f"echo {mark} >> ids.txt", "description": "mark"}}
        script = json.dumps([tool, {"text": f"answer <{mark}>. ", "id": mark}])
        # the prompt is shown while it waits: it must not look like its answer
        script = script.replace("answer <", "\\u0061nswer <")
        said = await person.say(thread, f"SCRIPT: {script} END")
        self.prompts.append((said["id"], mark))
        while True:
            seen = await person.wait(
                lambda: _next(person, thread, said["id"], mark), f"what becomes of {mark}", ANSWER_SECONDS
            )
            if seen["content"].count(f"answer <{mark}>") and not _label(seen, "Stop"):
                return
            if _label(seen, "Allow"):
                await self._press(person, seen, "Allow")
            elif _label(seen, "Continue"):
                self.cut.add(mark)
                await self._press(person, seen, "Continue")
                return

    async def _press(self, person: Person, message: Message, label: str) -> None:
        """As people do: press, and press again when Discord says that it failed."""
        while _label(_now(person, message), label):
            try:
                pressed = await person.press(message, label)
            except (PersonError, LookupError):
                return
            await person.wait(lambda p=pressed: _settled(person, p), f"an answer to {label}", 10)
            with anyio.move_on_after(10):
                await person.wait(lambda: not _label(_now(person, message), label), f"{label} to be gone", 60)

    async def _insist(self, person: Person, act: Any, words: str, thread: str) -> None:
        while True:
            await act()
            with anyio.move_on_after(20):
                await person.wait_message(thread, lambda one: words in one["content"], words, 60)
                return

    # --- death -------------------------------------------------------------------------------------------------------

    async def reap(self) -> None:
        """Kill something else than the bot, every now and then."""
        while self.killed < KILLS:
            await anyio.sleep(self._rng.uniform(2.0, 6.0))
            victim = self._rng.choice(("postgres", "gateway", "cli", "supervisor"))
            if self._kill(victim):
                self.deaths[victim] += 1

    def _kill(self, victim: str) -> bool:
        match victim:
            case "postgres":
                self.playground.postgres.kill()
            case "gateway":
                self.playground.services["gateway"].kill()
            case _:
                found = self._in_sandboxes("supervisor.py" if victim == "supervisor" else "--input-format")
                if not found:
                    return False
                os.kill(self._rng.choice(found), signal.SIGKILL)
        return True

    def _in_sandboxes(self, word: str) -> list[int]:
        found: list[int] = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            line: list[str] = process.info["cmdline"] or []
            mine = any(str(self.playground.sandboxes) in part for part in line)
            is_main = word in " ".join(line) and ("run" in line or word.startswith("--"))
            if is_main and (mine or word.startswith("--")) and "bwrap" not in line[0]:
                found.append(process.info["pid"])
        return found

    # --- the books ---------------------------------------------------------------------------------------------------

    async def balance(self, person: Person) -> list[str]:
        """Everything that is not as it should be."""
        wrong: list[str] = []
        wrong += await self._log()
        wrong += self._tools()
        wrong += self._discord(person)
        return wrong

    async def _log(self) -> list[str]:
        connection = await asyncpg.connect(self.playground.postgres.dsn(DATABASE), timeout=10)
        try:
            wrong: list[str] = []
            gaps = await connection.fetchval("select max(position) - count(*) from events")
            if gaps:
                wrong.append(f"{gaps} positions are missing")
            for message, mark in self.prompts:
                kept = await connection.fetchval("select count(*) from events where key = $1", f"m:{message}")
                if kept != 1:
                    wrong.append(f"{mark} is in the log {kept} times")
            twice = await connection.fetch(
                "select cause, kind from events where cause > 0 and kind = 'session.prompt_queued' "
                "group by cause, kind having count(*) > 1"
            )
            wrong += [f"position {row['cause']} was answered twice" for row in twice]
            with anyio.move_on_after(OUTCOME_SECONDS):
                while await connection.fetchval("select count(*) from work where position > 0"):  # noqa: ASYNC110 - no event reaches here
                    await anyio.sleep(0.2)  # another process works it off
            left = await connection.fetch("select e.kind, w.target from work w join events e using (position)")
            wrong += [f"{row['kind']} has no outcome in {row['target']}" for row in left]
            return wrong
        finally:
            await connection.close()

    def _tools(self) -> list[str]:
        wrong: list[str] = []
        ran: Counter[str] = Counter()
        for copy in self._folder.glob("ids-*.txt"):
            ran.update(copy.read_text().split())
        wrong += [f"the tool of {mark} ran {times} times" for mark, times in ran.items() if times > 1]
        return wrong

    def _discord(self, person: Person) -> list[str]:
        wrong: list[str] = []
        everything = [one for channel in person.channels for one in person.messages(channel)]
        nonces = Counter(one["nonce"] for one in everything if one.get("nonce"))
        wrong += [f"a message stands {times} times" for times in nonces.values() if times > 1]
        bodies = Counter(
            (one["channel_id"], one["content"])
            for one in everything
            if one["author"].get("bot") and "answer <" in one["content"]
        )
        wrong += [f"shown {times} times: {body[1][:60]!r}" for body, times in bodies.items() if times > 1]
        for _, mark in self.prompts:
            shown = sum(one["content"].count(f"answer <{mark}>") for one in everything if one["author"].get("bot"))
            if shown != 1 and mark not in self.cut:
                wrong.append(f"the answer to {mark} is shown {shown} times")
        return wrong


def _settled(person: Person, interaction: str) -> str:
    state = person.interaction(interaction)
    return "" if state == "waiting" else state


def _label(message: Message | None, label: str) -> bool:
    return message is not None and any(button.get("label") == label for button in buttons(message))


def _now(person: Person, message: Message) -> Message | None:
    return next((one for one in person.messages(message["channel_id"]) if one["id"] == message["id"]), None)


def _next(person: Person, thread: str, after: str, mark: str) -> Message | None:
    """What the person has to react to: a finished answer, a question, or a cut turn."""
    for one in reversed(person.messages(thread)):
        if int(one["id"]) < int(after) or not one["author"].get("bot"):
            continue
        finished = f"answer <{mark}>" in one["content"] and not _label(one, "Stop")
        if finished or _label(one, "Allow") or _label(one, "Continue"):
            return one
    return None


@pytest.fixture
async def drill(tmp_path: Path) -> AsyncGenerator[Drill]:
    rng = random.Random(SEED)
    ways = [(boundary, side) for boundary in BOUNDARIES for side in ("before", "after")] * (KILLS // 10 + 1)
    rng.shuffle(ways)
    plan = [(boundary, side, rng.randint(1, MOST_PASSAGES[boundary])) for boundary, side in ways]
    (tmp_path / "plan").write_text(json.dumps(plan))
    options = Options(
        folder=tmp_path / "playground",
        max_sandboxes=TALKERS * 10,  # a start that failed for its person may have begun a session all the same
        bot=(str(Path(__file__).with_name("bot.py")),),
        bot_environment={
            "DRILL_PLAN": str(tmp_path / "plan"),
            "DRILL_LIVES": str(tmp_path / "lives"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DRILL_WITHOUT": os.environ.get("DRILL_WITHOUT", ""),
        },
    )
    async with open_playground(options, print) as playground:
        yield Drill(playground, tmp_path, rng)


@pytest.mark.timeout(900)
async def test_nothing_is_lost_and_nothing_is_doubled(drill: Drill) -> None:
    print(f"DRILL_SEED={SEED} DRILL_KILLS={KILLS}")
    async with open_people(drill.playground.discord) as people:
        alice = people["alice"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drill.reap)
            for number in range(TALKERS):
                tasks.start_soon(drill.talk, alice, f"talker{number}")
        wrong = await drill.balance(alice)
    print(
        f"killed {drill.killed}: {dict(drill.deaths)} {dict(drill.own_deaths)}; {len(drill.prompts)} prompts, {len(drill.cut)} cut"
    )
    assert not wrong, "\n".join([f"DRILL_SEED={SEED}", *wrong])
