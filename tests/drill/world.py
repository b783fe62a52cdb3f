"""A world of the kill drill: a playground of its own, people who talk in it, what dies in it, and its books."""

import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import psutil

from adapters.local.discord.people import Person, PersonError, buttons, open_people
from adapters.playground import DATABASE, Options, Playground, open_playground

BOUNDARIES = ("append", "acknowledge", "send", "journal", "discord")
BOT = (
    *((boundary, side) for boundary in BOUNDARIES for side in ("before", "after")),
    ("post", "after"),
    ("append", "stall"),
)
"""Where the bot dies."""
PARTS = ("postgres", "gateway", "cli", "supervisor")
"""What else dies."""
MOST_PASSAGES = {"append": 15, "acknowledge": 2, "send": 2, "journal": 15, "discord": 10, "post": 3}
TALKERS = 3
OUTCOME_SECONDS = 40.0
STUCK_SECONDS = 90.0
"""When nothing has died and nobody got an answer for so long, something waits for what will not come."""
PATIENCE = float("inf")
"""People wait as long as the bot keeps dying; that an answer never comes is seen when it does not die any more."""
TELL_SECONDS = 10.0
ONCE = ("answer <", "📦", "Ready.")
"""No two messages with one of these in a channel say the same."""
NOT_RECORDED = "not recorded"
FAILED = "the turn failed"
"""What people are told when gateway or database were away for longer than Claude Code tries."""

Message = dict[str, Any]
Death = tuple[str, str, int]
"""A boundary, a side, and at which passage."""


class Stuck(Exception):
    """Raised when nothing happens any more in a world."""


class World:
    """What was said, what died, and what must be true at the end."""

    def __init__(
        self, playground: Playground, folder: Path, rng: random.Random, own: int, parts: Sequence[str]
    ) -> None:
        self.playground = playground
        self.prompts: list[tuple[str, str]] = []
        self.cut: set[str] = set()
        self.with_tools = True
        self._own = own
        self._parts = parts
        self._killed: list[str] = []
        self._answered = 0
        self._waits: dict[str, tuple[str, float]] = {}
        self.folder = folder
        self._rng = rng
        self._starting = anyio.Lock()

    @property
    def deaths(self) -> Counter[str]:
        """How often what died: `boundary side` of the bot, and the other parts."""
        return Counter([*self._lives(), *self._killed])

    @property
    def over(self) -> bool:
        """Whether everything has died that was to die."""
        return len(self._lives()) >= self._own and len(self._killed) == len(self._parts)

    def _lives(self) -> list[str]:
        lives = self.folder / "lives"
        return lives.read_text().splitlines() if lives.exists() else []

    async def run(self, bite: str = "") -> list[str]:
        """Talk until everything has died, or the books show a `bite`; returns what is not as it should be. Raises Stuck."""
        async with open_people(self.playground.discord) as people:
            alice = people["alice"]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch)
                if bite:
                    tasks.start_soon(self._look_for, bite, alice, tasks.cancel_scope)
                await self._all_talk(alice)
                tasks.cancel_scope.cancel()
            self._keep_files()
            return await self._balance(alice)

    async def _all_talk(self, alice: Person) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._reap)
            for number in range(TALKERS):
                tasks.start_soon(self._talk, alice, f"talker{number}")

    # --- how far it is -----------------------------------------------------------------------------------------------

    def _wait_for(self, who: str, what: str) -> None:
        self._waits[who] = what, anyio.current_time()

    def state(self) -> str:
        """What has died, what was said, and what everybody waits for."""
        now = anyio.current_time()
        waits = [f"{who}: {what} ({now - since:.0f} s)" for who, (what, since) in sorted(self._waits.items())]
        return (
            f"bot {len(self._lives())}/{self._own}, others {len(self._killed)}/{len(self._parts)}, "
            f"{self._answered} answers; {', '.join(waits)}"
        )

    async def _watch(self) -> None:
        """Tell how far it is. Raises Stuck when nothing happens any more."""
        before, since = (0, 0), anyio.current_time()
        while True:
            await anyio.sleep(TELL_SECONDS)
            print(f"{self.folder.name}: {self.state()}", flush=True)
            now = self.deaths.total(), self._answered
            if now != before:
                before, since = now, anyio.current_time()
            elif anyio.current_time() - since > STUCK_SECONDS:
                raise Stuck(f"nothing happened for {STUCK_SECONDS:.0f} s in {self.folder}")

    async def _look_for(self, bite: str, person: Person, talk: anyio.CancelScope) -> None:
        while not any(bite in one for one in [*self._writers(), *self._discord(person)]):  # noqa: ASYNC110 - as below
            await anyio.sleep(0.5)
        talk.cancel()

    # --- people ------------------------------------------------------------------------------------------------------

    async def _talk(self, person: Person, name: str) -> None:
        """One session: prompts with a tool and an answer, until enough has died."""
        channel = self.playground.discord["channel_id"]
        self._wait_for(name, "a thread")
        async with self._starting:  # so that everybody knows which thread is theirs
            thread = await self._start(person, channel)
        number = 0
        while not self.over:
            number += 1
            mark = f"{name}-{number}"
            await self._converse(person, thread, mark, name)
            self._answered += 1
        self._keep_files()
        self._wait_for(name, "the end")
        await self._insist(person, lambda: person.slash("claude", "close", channel=thread), "closed", thread)
        del self._waits[name]

    def _keep_files(self) -> None:
        """Before sandboxes go: which tools ran in them."""
        for sandbox in self.playground.sandboxes.glob("*"):
            if (file := sandbox / "work" / "ids.txt").exists():
                (self.folder / f"ids-{sandbox.name}.txt").write_text(file.read_text())

    async def _start(self, person: Person, channel: str) -> str:
        while True:
            known = person.threads(channel)
            asked = await person.slash("claude", "start", channel=channel)
            await person.wait(lambda asked=asked: _settled(person, asked), "an answer to /claude start", 10)
            if _accepted(person, channel, asked):
                return await person.wait_thread(channel, known, PATIENCE)

    async def _converse(self, person: Person, thread: str, mark: str, name: str) -> None:
        tool = {"tool": "Bash", "input": {"command": f"echo {mark} >> ids.txt", "description": "mark"}}
        tools = [tool] if self.with_tools else []
        script = json.dumps([*tools, {"text": f"answer <{mark}>. ", "id": mark}])
        # the prompt is shown while it waits: it must not look like its answer
        script = script.replace("answer <", "\\u0061nswer <")
        said = await person.say(thread, f"SCRIPT: {script} END")
        self.prompts.append((said["id"], mark))
        while True:
            self._wait_for(name, f"what becomes of {mark}")
            seen = await person.wait(lambda: _next(person, thread, said["id"], mark), "an answer", PATIENCE)
            if seen["content"].count(f"answer <{mark}>") and not _label(seen, "Stop"):
                return
            if FAILED in seen["content"]:
                self.cut.add(mark)
                return
            if _label(seen, "Allow"):
                self._wait_for(name, f"Allow for {mark}")
                await self._press(person, seen, "Allow")
            elif _label(seen, "Continue"):
                self.cut.add(mark)
                self._wait_for(name, f"Continue for {mark}")
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
            if _accepted(person, message["channel_id"], pressed):
                with anyio.move_on_after(10):
                    await person.wait(lambda: not _label(_now(person, message), label), f"{label} to be gone", 60)

    async def _insist(self, person: Person, act: Any, words: str, thread: str) -> None:
        while True:
            await act()
            with anyio.move_on_after(20):
                await person.wait_message(thread, lambda one: words in one["content"], words, 60)
                return

    # --- death -------------------------------------------------------------------------------------------------------

    async def _reap(self) -> None:
        """Kill something else than the bot, every now and then, as long as that dies."""
        for victim, lives in zip(
            self._parts, sorted(self._rng.choices(range(self._own), k=len(self._parts))), strict=True
        ):
            self._wait_for("reaper", f"{lives} deaths of the bot")
            while len(self._lives()) < lives:  # noqa: ASYNC110 - a process wrote it
                await anyio.sleep(0.1)
            await anyio.sleep(self._rng.uniform(0.5, 2.0))
            self._wait_for("reaper", f"a {victim}")
            while not self._kill(victim):  # noqa: ASYNC110 - nothing tells that one has started
                await anyio.sleep(0.1)
            self._killed.append(victim)
        self._waits.pop("reaper", None)

    def _kill(self, victim: str) -> bool:
        match victim:
            case "postgres":
                self.playground.postgres.kill()
            case "gateway":
                self.playground.services["gateway"].kill()
            case _:
                supervisors = self._supervisors()
                found = supervisors if victim == "supervisor" else _clis(supervisors)
                if not found:
                    return False
                self._rng.choice(found).kill()
        return True

    def _supervisors(self) -> list[psutil.Process]:
        """The supervisors of this world's sandboxes; others may run on this machine."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter(["cmdline"]):
            line: list[str] = process.info["cmdline"] or []
            here = any(part.startswith(f"{self.playground.sandboxes}/") for part in line)
            if here and "run" in line and "bwrap" not in line[0]:
                found.append(process)
        return found

    # --- the books ---------------------------------------------------------------------------------------------------

    async def _balance(self, person: Person) -> list[str]:
        """Everything that is not as it should be."""
        wrong: list[str] = []
        wrong += await self._log()
        wrong += self._writers()
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

    def _writers(self) -> list[str]:
        """One writer: once a lease was taken over, nobody appends under the one before."""
        file = self.folder / "writers"
        if not file.exists():
            return []
        lines: list[tuple[str, str, int, int]] = [json.loads(line) for line in file.read_text().splitlines()]
        taken = {(target, epoch): end for what, target, epoch, end in lines if what == "lease"}
        return [
            f"two writers: {target} was appended to at {position} under epoch {epoch}, which ended before {taken[newer]}"
            for what, target, epoch, position in lines
            for newer in [(target, epoch + 1)]
            if what == "append" and newer in taken and position > taken[newer]
        ]

    def _tools(self) -> list[str]:
        wrong: list[str] = []
        ran: Counter[str] = Counter()
        for copy in self.folder.glob("ids-*.txt"):
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
            if one["author"].get("bot") and any(word in one["content"] for word in ONCE)
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


def _accepted(person: Person, channel: str, interaction: str) -> bool:
    """Whether it was answered, and not with the news that it is not recorded."""
    private = [one["content"] for one in person.messages(channel) if int(one["id"]) > int(interaction)]
    return person.interaction(interaction) == "answered" and not any(NOT_RECORDED in one for one in private)


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
        told = FAILED in one["content"] or _label(one, "Continue")
        if finished or told or _label(one, "Allow"):
            return one
    return None


def _clis(supervisors: Sequence[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for supervisor in supervisors:
        with suppress(psutil.Error):  # it has ended
            found += [one for one in supervisor.children() if "--input-format" in one.cmdline()]
    return found


def deadly(rng: random.Random, ways: Sequence[tuple[str, str]]) -> list[Death]:
    """These deaths, each at some passage of its boundary."""
    return [(boundary, side, rng.randint(1, MOST_PASSAGES[boundary])) for boundary, side in ways]


@asynccontextmanager
async def open_world(
    folder: Path, seed: str, own: Sequence[Death], parts: Sequence[str] = (), *, without: str = ""
) -> AsyncGenerator[World]:
    """A world in `folder` in which the bot dies `own` deaths, and `parts` are killed; `without` a safety, see bot.py."""
    options = Options(
        folder=folder / "playground",
        database={"fsync": "off"},  # a process dies here, never the machine: what was written is kept
        max_sandboxes=TALKERS * 10,  # a start that failed for its person may have begun a session all the same
        bot=(str(Path(__file__).with_name("bot.py")),),
        bot_environment={
            "DRILL_PLAN": str(folder / "plan"),
            "DRILL_LIVES": str(folder / "lives"),
            "DRILL_WRITERS": str(folder / "writers"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DRILL_WITHOUT": without,
        },
    )
    await anyio.Path(folder).mkdir()
    await anyio.Path(folder / "plan").write_text(json.dumps(own))
    async with open_playground(options, _silent) as playground:
        yield World(playground, folder, random.Random(seed), len(own), parts)


def _silent(_: str) -> None:
    """Restarts are the point here, not news."""
