"""Who may what, played by itself: a stranger asks, is let in, waits, is served, and is removed in the middle of a turn.

Like `script.py` it knows nothing of the bot but what Discord shows. Buttons are told by their ids, for each person reads their
own language.
"""

from collections.abc import Callable, Mapping

import msgspec

from adapters.local.discord.people import Person, buttons
from adapters.local.script import Message, opens, sees, starts

SANDBOXES = 1
"""So many the playground must have: the second session waits."""


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides, what people type, and the names of the steps, in one language."""

    owner: str
    stranger: str
    hello: str
    slow: str
    late: str
    steps: dict[str, str]


ENGLISH = Lines(
    owner="alice",
    stranger="carol",
    hello="Say hello",
    slow="Tell me a long story, slowly",
    late="And now the end of it",
    steps={
        "begun": "an owner starts a session",
        "held": "Claude answers there: it has the only sandbox",
        "asked": "a stranger asks: the owners get Approve and Deny",
        "approved": "approved: the newcomer is called",
        "thread": "their own request runs: a thread opens",
        "line": "no sandbox is free: the thread shows the place in the line",
        "listed": "the owner sees what runs, with a button to close each",
        "served": "closed: the newcomer is served, and the prompt that waited is answered",
        "removed": "removed in the middle of the turn: the thread says by whom",
        "handed_over": "patch and transcript are handed over",
        "refused": "what they write now is refused",
    },
)

JAPANESE = Lines(
    owner="bob",
    stranger="carol",
    hello="こんにちはと言って",
    slow="長い物語をゆっくり聞かせて",
    late="その続きも聞かせて",
    steps={
        "begun": "オーナーがセッションを始める",
        "held": "Claude が答える：唯一のサンドボックスはそこにある",
        "asked": "知らない人が頼む：オーナーに「許可する・断る」が届く",
        "approved": "許可：新しい人が呼ばれる",
        "thread": "頼んだことがそのまま実行され、スレッドが開く",
        "line": "空きがない：スレッドに順番が表示される",
        "listed": "オーナーには開いているセッションと終了ボタンが見える",
        "served": "終了：新しい人の番になり、待っていた依頼に答える",
        "removed": "ターンの途中で外される：誰が外したかがスレッドに出る",
        "handed_over": "パッチと会話記録が渡される",
        "refused": "そのあと書いたものは受け付けられない",
    },
)

LANGUAGES = {"en": ENGLISH, "ja": JAPANESE}


class PeopleScript:
    """The play. `say` prints one line of the transcript; `ids` are everybody's, by name."""

    def __init__(
        self,
        people: Mapping[str, Person],
        ids: Mapping[str, str],
        channel: str,
        lines: Lines,
        say: Callable[[str], None],
    ) -> None:
        self._owner, self._stranger = people[lines.owner], people[lines.stranger]
        self._newcomer = ids[lines.stranger]
        self._channel = channel
        self._lines = lines
        self._ids = ids
        self._tell = say

    async def run(self) -> None:
        """Play it. Raises StepError naming the step that did not happen."""
        lines, owner = self._lines, self._owner
        held = await starts(owner, self._channel, lines.steps["begun"], lines.hello, self._say)
        await self._sees(owner, held, "held", lambda one: "-# ✅" in one["content"])
        thread = await self._let_in()
        await self._sees(self._stranger, thread, "line", lambda one: "leave" in _kinds(one))
        self._say(f"{owner.name}: /claude sessions")
        await owner.slash("claude", "sessions", channel=self._channel)
        listed = await self._sees(owner, self._channel, "listed", lambda one: _kinds(one).count("end") > 1)
        await self._press(owner, listed, "end")
        await self._sees(
            self._stranger, thread, "served", lambda one: "stop" in _kinds(one) and len(one["content"]) > 400
        )
        await self._remove(thread)

    async def _let_in(self) -> str:
        lines, stranger = self._lines, self._stranger
        known = stranger.threads(self._channel)
        before = {one["id"] for one in self._owner.messages(self._channel)}
        self._say(f"{stranger.name}: /claude start prompt:{lines.slow}")
        await stranger.slash("claude", "start", channel=self._channel, prompt=lines.slow)
        asked = await self._sees(self._owner, self._channel, "asked", lambda one: "approve" in _kinds(one))
        await self._press(self._owner, asked, "approve")
        await self._sees(
            stranger,
            self._channel,
            "approved",
            lambda one: one["id"] not in before and one["id"] != asked["id"] and self._calls_newcomer(one),
        )
        return await opens(stranger, self._channel, lines.steps["thread"], known, self._say)

    async def _remove(self, thread: str) -> None:
        owner, stranger = self._owner, self._stranger
        self._say(f"{owner.name}: /claude delete user person:@{stranger.name}")
        before = {one["id"] for one in stranger.messages(thread)}
        await owner.slash("claude", "delete", "user", channel=self._channel, person=self._newcomer)
        await self._sees(stranger, thread, "removed", lambda one: one["id"] not in before and self._calls_newcomer(one))
        await self._sees(stranger, thread, "handed_over", lambda one: bool(one["attachments"]))
        self._say(f"{stranger.name}: {self._lines.late}")
        said = await stranger.say(thread, self._lines.late)
        await self._sees(stranger, thread, "refused", lambda one: one["id"] == said["id"] and bool(one.get("marks")))

    def _say(self, line: str) -> None:
        for name, identity in self._ids.items():
            line = line.replace(f"<@{identity}>", f"@{name}")
        self._tell(line)

    def _calls_newcomer(self, message: Message) -> bool:
        return any(one["id"] == self._newcomer for one in message["mentions"])

    async def _sees(self, person: Person, channel: str, step: str, fits: Callable[[Message], bool]) -> Message:
        return await sees(person, channel, self._lines.steps[step], fits, self._say)

    async def _press(self, person: Person, message: Message, kind: str) -> None:
        button = next(one for one in buttons(message) if _kind(one) == kind)
        self._say(f"{person.name}: [{button.get('label')}]")
        await person.press(message, str(button["custom_id"]))


def _kinds(message: Message) -> list[str]:
    return [_kind(one) for one in buttons(message)]


def _kind(button: Message) -> str:
    """What a button is for: the second part of its id."""
    return str(button.get("custom_id", "")).split(":")[1]
