"""One conversation that plays by itself: what a newcomer would do, through the local Discord, as a person.

It knows nothing of the bot but what Discord shows. Each step says what it waits for, so a step that does not happen is named.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from adapters.local.discord.people import Person, buttons

Message = dict[str, Any]
STEP_SECONDS = 60.0


class StepError(Exception):
    """Raised when a step did not happen in time: which, and what was seen instead."""


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """What the person types, the words of the thread they look for, and the names of the steps, in one language.

    Prompts say what the scripted model knows (`adapters/local/model/README.md`).
    """

    person: str
    write: str
    run: str
    slow: str
    queued: str
    allow: str
    always: str
    stop: str
    remove: str
    stopped: str
    done: str
    hello: str
    steps: dict[str, str]


ENGLISH = Lines(
    person="alice",
    write="Please write a haiku about rivers to haiku.txt",
    run="Now run the tests",
    slow="Tell me a long story, slowly",
    queued="And then say hello",
    allow="Allow",
    always="Always allow",
    stop="Stop",
    remove="Remove",
    stopped="Stopped by",
    done="✅ done",
    hello="scripted",
    steps={
        "thread": "a thread opens",
        "ask": "Claude asks before it writes a file",
        "wrote": "allowed: the answer streams in, the file is written",
        "command": "Claude asks before it runs a command",
        "ran": "always allowed: the command ran",
        "streams": "a long answer streams",
        "queued": "a prompt sent meanwhile is queued",
        "stopped": "Stop ends the turn",
        "went_on": "the queued prompt is answered",
        "closed": "close hands over patch and transcript",
    },
)

JAPANESE = Lines(
    person="bob",
    write="川についての俳句を haiku.txt というファイルに書いてください",
    run="次はテストを実行してください",
    slow="長い物語をゆっくり聞かせて",
    queued="そのあと、こんにちはと言って",
    allow="許可",
    always="常に許可",
    stop="停止",
    remove="取り消す",
    stopped="さんが停止しました",
    done="✅ 完了",
    hello="台本",
    steps={
        "thread": "スレッドが開く",
        "ask": "ファイルを書く前に Claude が確認する",
        "wrote": "許可：答えが流れてきて、ファイルが書かれる",
        "command": "コマンドの前に Claude が確認する",
        "ran": "常に許可：コマンドが動いた",
        "streams": "長い答えが流れてくる",
        "queued": "そのあいだに送った依頼は待機する",
        "stopped": "「停止」でターンが終わる",
        "went_on": "待機していた依頼に答える",
        "closed": "終了時にパッチと会話記録が渡される",
    },
)

LANGUAGES = {"en": ENGLISH, "ja": JAPANESE}


class Script:
    """The conversation. `say` prints one line of the transcript."""

    def __init__(self, person: Person, channel: str, lines: Lines, say: Callable[[str], None]) -> None:
        self._person = person
        self._channel = channel
        self._lines = lines
        self._say = say
        self._seen: set[str] = set()
        self.thread = ""

    async def run(self) -> None:
        """Play it. Raises StepError naming the step that did not happen."""
        lines = self._lines
        self.thread = await starts(self._person, self._channel, lines.steps["thread"], lines.write, self._say)
        await self._turn_with_a_question("ask", lines.allow, "wrote")
        await self._prompt(lines.run)
        await self._turn_with_a_question("command", lines.always, "ran")
        await self._stop_a_long_one()
        self._say(f"{self._person.name}: /claude close")
        await self._person.slash("claude", "close", channel=self.thread)
        await self._sees("closed", lambda one: len(one["attachments"]) > 1)

    async def _prompt(self, text: str) -> None:
        self._say(f"{self._person.name}: {text}")
        await self._person.say(self.thread, text)

    async def _turn_with_a_question(self, step: str, answer: str, after: str) -> None:
        asked = await self._sees(step, lambda one: answer in _labels(one))
        self._say(f"{self._person.name}: [{answer}]")
        await self._person.press(asked, answer)
        await self._sees(after, lambda one: self._lines.done in one["content"])

    async def _stop_a_long_one(self) -> None:
        lines = self._lines
        await self._prompt(lines.slow)
        await self._sees("streams", lambda one: lines.stop in _labels(one) and len(one["content"]) > 400, once=False)
        await self._prompt(lines.queued)
        await self._sees("queued", lambda one: lines.remove in _labels(one))
        running = await self._sees("streams", lambda one: lines.stop in _labels(one), once=False)
        self._say(f"{self._person.name}: [{lines.stop}]")
        await self._person.press(running, lines.stop)
        await self._sees("stopped", lambda one: lines.stopped in one["content"])
        await self._sees("went_on", lambda one: lines.hello in one["content"] and lines.done in one["content"])

    async def _sees(self, step: str, fits: Callable[[Message], bool], *, once: bool = True) -> Message:
        """Wait for a message that fits and was not seen before (for a step that is over with it)."""
        found = await sees(
            self._person,
            self.thread,
            self._lines.steps[step],
            lambda one: one["id"] not in self._seen and fits(one),
            self._say,
        )
        if once:
            self._seen.add(found["id"])
        return found


async def sees(
    person: Person, channel: str, step: str, fits: Callable[[Message], bool], say: Callable[[str], None]
) -> Message:
    """Wait for a message, and say that the step happened. Raises StepError naming it."""
    try:
        found = await person.wait_message(channel, fits, step, STEP_SECONDS)
    except TimeoutError as error:
        raise StepError(str(error)) from error
    say(f"✓ {step} — {_gist(found)}")
    return found


async def starts(person: Person, channel: str, step: str, prompt: str, say: Callable[[str], None]) -> str:
    """Start a session, and wait for its thread. Raises StepError naming the step."""
    known = person.threads(channel)
    say(f"{person.name}: /claude start prompt:{prompt}")
    await person.slash("claude", "start", channel=channel, prompt=prompt)
    return await opens(person, channel, step, known, say)


async def opens(person: Person, channel: str, step: str, known: Sequence[str], say: Callable[[str], None]) -> str:
    """Wait for a thread that is not among `known`. Raises StepError naming the step."""
    try:
        thread = await person.wait_thread(channel, known, STEP_SECONDS)
    except TimeoutError as error:
        raise StepError(f"{step}: {error}") from error
    say(f"✓ {step}")
    return thread


def _labels(message: Message) -> list[str]:
    return [str(button.get("label")) for button in buttons(message)]


def _gist(message: Message) -> str:
    """One line of what a message says."""
    names = ", ".join(one["filename"] for one in message["attachments"])
    lines = [line for line in message["content"].splitlines() if line.strip() and not line.startswith(("```", "-#"))]
    words = (lines or message["content"].splitlines() or [""])[0]
    for person in message["mentions"]:
        words = words.replace(f"<@{person['id']}>", f"@{person['username']}")
    return f"{words[:80]} {f'[{names}]' if names else ''}".strip()
