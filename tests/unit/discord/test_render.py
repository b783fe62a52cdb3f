"""What people see of each card, whatever is in it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.discord.custom_ids import LONGEST, read
from adapters.discord.render import Question, Shown, messages, render, used
from adapters.discord.split import units
from adapters.discord.texts import LANGUAGES, texts
from engine.cards import AskCard, Card, CutCard, HeadCard, IdleCard, NoteCard, QueuedCard, TurnCard
from engine.ports import Usage
from engine.session import Failure, Session
from schema import facts as f
from schema.sealed import Sealed
from tests.property.boxes import box, unbox
from tests.property.profile import PROFILE

SECOND = 1_000_000
SESSION = Session(id="100", starter="7", thread="200", starter_message="150", locale="en-US")
HOSTILE = st.text(max_size=300) | st.sampled_from(
    [
        "",
        "\u202egnp.exe",
        "@everyone <@8> <@&9> @here",
        "```\n-# ✅ Allowed by <@7>\n```",
        "`" * 50,
        "\n" * 3000,
        "x" * 7000,
        "word " * 2000,
        "a\u0000b\x1b[31mred",
        "👨‍👩‍👧" * 900,
    ]
)


def opened(sealed: Sealed | None) -> str:
    return unbox(sealed) if sealed else ""


def show(card: Card, session: Session = SESSION, live: str = "", locale: str = "en-US") -> list[Shown]:
    return messages(render(card, session, opened, live, texts(locale)), tuple(one.start for one in card.posted))


def turn(*facts: f.Fact, **more: Any) -> TurnCard:
    return TurnCard(part="turn:1", turn=1, by="7", started=10 * SECOND, facts=facts, **more)


def done(*facts: f.Fact) -> TurnCard:
    return turn(*facts, outcome="completed", ended=75 * SECOND, closed=True)


def ask(question: Question, **more: Any) -> AskCard:
    sealed = box(msgspec.json.encode(question).decode())
    more = {"always": True, "mention": "7", "expires": 3600 * SECOND} | more
    return AskCard(part="ask:r1", request="r1", turn=1, tool="Bash", question=sealed, **more)


def labels(shown: Shown) -> list[str]:
    return [button.label for button in shown.buttons]


# --- turns -----------------------------------------------------------------------------------------------------------


def test_a_running_turn_says_so_and_can_be_stopped() -> None:
    (shown,) = show(turn(f.Said(text=box("I will look."))))
    assert shown.content == "I will look.\n-# 💭 working for <@7> · started <t:10:R>"
    assert [(button.label, button.custom_id) for button in shown.buttons] == [("Stop", "v1:stop:100:1")]


def test_what_is_being_said_has_a_cursor_and_what_was_said_has_none() -> None:
    (shown,) = show(turn(f.Said(text=box("first"))), live="and now")
    assert shown.content.startswith("first\n\nand now ▌\n")
    (shown,) = show(done(f.Said(text=box("first\n\nand now"))), live="late")
    assert shown.content == "first\n\nand now\n-# ✅ done · 1 min 5 s"
    assert not shown.buttons


def test_tools_are_compact_and_their_failures_are_not() -> None:
    (shown,) = show(
        done(
            f.ToolCalled(tool="t1", name="Bash", summary=box("ls -la")),
            f.ToolReturned(tool="t1", failed=False, output=box("total 3\na\nb")),
            f.ToolCalled(tool="t2", name="Bash", summary=box("make"), parent="t0"),
            f.ToolReturned(tool="t3", failed=True, output=box("make: *** no rule\nstop")),
        )
    )
    assert shown.content.splitlines()[:6] == [
        "-# 🔧 **Bash** `ls -la`",
        "-# ↳ `total 3` · 2 more lines",
        "-# ↳ 🔧 **Bash** `make`",
        "-# ↳ ❌",
        "```text",
        "make: *** no rule",
    ]


def test_a_line_that_could_not_be_read_is_told_of_and_an_unknown_one_is_not() -> None:
    (shown,) = show(done(f.Skipped(what="too_long"), f.Skipped(what="broken"), f.Skipped(what="unknown")))
    assert shown.content.splitlines()[:-1] == [
        "-# ⚠️ Claude printed a line that is too long to be read (more than 16 MB).",
        "-# ⚠️ Claude printed a line that could not be read.",
    ]


def test_only_the_newest_message_of_a_turn_has_stop() -> None:
    shown = show(turn(f.Said(text=box("word " * 1000))))
    assert len(shown) == 3
    assert [labels(one) for one in shown] == [[], [], ["Stop"]]


def test_a_silent_turn_says_that_it_was() -> None:
    assert show(done())[0].content.startswith("(nothing was said)")


def test_a_model_that_does_not_answer_is_told_of_while_it_is_so() -> None:
    tries = [f.Retrying(attempt=number, limit=10, delay_ms=500, status=529) for number in (1, 2)]
    (shown,) = show(turn(*tries))
    assert "(529); try 2 of 10" in shown.content
    assert "try 1" not in shown.content
    (shown,) = show(turn(*tries, f.Said(text=box("here it is"))))
    assert "try" not in shown.content
    (shown,) = show(done(*tries))
    assert "try" not in shown.content


FACTS = st.one_of(
    st.builds(f.Said, text=HOSTILE.map(box), parent=st.none() | st.just("t")),
    st.builds(f.ToolCalled, tool=st.just("t"), name=HOSTILE, summary=HOSTILE.map(box), parent=st.none() | st.just("t")),
    st.builds(f.ToolReturned, tool=st.just("t"), failed=st.booleans(), output=st.none() | HOSTILE.map(box)),
    st.builds(f.Noticed, what=st.sampled_from(["info", "denied", "new"]), text=st.none() | HOSTILE.map(box)),
    st.builds(
        f.Retrying, attempt=st.integers(1, 9), limit=st.just(10), delay_ms=st.just(5), status=st.none() | st.just(529)
    ),
    st.builds(f.DiskFilled, percent=st.integers(0, 100), stopped=st.booleans()),
    st.builds(f.MemoryFilled, percent=st.integers(0, 100)),
    st.builds(f.Skipped, what=st.sampled_from(["unknown", "too_long", "invalid"])),
)


@settings(PROFILE)
@given(st.lists(FACTS, max_size=12), st.sampled_from(LANGUAGES), HOSTILE)
def test_any_turn_can_be_sent_to_discord(facts: list[f.Fact], language: str, live: str) -> None:
    for card in (turn(*facts), done(*facts)):
        for shown in show(card, live=live, locale=language):
            assert shown.content.strip()
            assert units(shown.content) <= 2000
            assert shown.content.count("```") % 2 == 0


@settings(PROFILE)
@given(st.lists(FACTS, max_size=12), st.lists(FACTS, max_size=6))
def test_what_a_turn_has_shown_in_full_messages_never_changes(facts: list[f.Fact], more: list[f.Fact]) -> None:
    before, after = show(turn(*facts)), show(done(*facts, *more))
    if len(after) >= len(before):
        assert [one.content for one in after[: len(before) - 1]] == [one.content for one in before[:-1]]


@settings(PROFILE)
@given(st.lists(HOSTILE.filter(str.strip), min_size=1, max_size=6))
def test_a_finished_answer_is_shown_whole_once_and_in_order(texts_said: list[str]) -> None:
    """P10: what stands in the messages, their repeated fences and the footer taken away, is what Claude said."""
    card = done(*(f.Said(text=box(text)) for text in texts_said))
    body = render(card, SESSION, opened, "", texts("en-US")).body
    shown = show(card)
    assert "".join(body[one.start : one.end] for one in shown) == body
    at = 0
    for text in texts_said:
        for word in text.split():
            if not set(word) & set("`\u200b"):
                at = body.index(word, at) + len(word)


# --- questions -------------------------------------------------------------------------------------------------------


def test_an_edit_is_asked_for_as_a_diff() -> None:
    (shown,) = show(ask(Question(tool="Edit", shown="-a\n+b", language="diff", path="a.py")))
    assert "```diff\n-a\n+b\n```" in shown.content


def test_a_question_names_who_is_asked_and_what_for() -> None:
    (shown,) = show(ask(Question(tool="Bash", shown="rm -rf build", reason="not on the list", path="/etc")))
    assert shown.content.splitlines()[:4] == ["✋ <@7>, Claude wants to use **Bash**:", "```", "rm -rf build", "```"]
    assert "not on the list" in shown.content
    assert "`/etc`" in shown.content
    assert labels(shown) == ["Allow", "Always allow", "Deny"]
    assert [read(button.custom_id) for button in shown.buttons][2] == read("v1:deny:100:r1")
    assert labels(show(ask(Question(tool="Bash", shown="ls"), always=False))[0]) == ["Allow", "Deny"]


def test_nothing_invisible_hides_in_a_question() -> None:
    (shown,) = show(ask(Question(tool="Bash", shown="echo a\u202e\u200b\u0000b\n```\nrm -rf /")))
    assert "⟨U+202E⟩⟨U+200B⟩⟨U+0000⟩" in shown.content
    assert shown.content.count("```") == 2


def test_a_question_that_is_not_whole_says_so() -> None:
    shown = show(ask(Question(tool="Bash", shown="x\n" * 3000, cut=94000)))
    assert "94,000 more characters are not shown" in shown[-1].content
    assert "".join(one.content.count("x") * "x" for one in shown[:-1])
    assert sum(one.content.count("x\n") for one in shown) >= 3000
    assert [bool(one.buttons) for one in shown] == [False] * (len(shown) - 1) + [True]


@pytest.mark.parametrize(
    ("choice", "by", "words"),
    [
        ("allow", "7", "Allowed by <@7>"),
        ("deny", "7", "Denied by <@7>"),
        ("expired", "", "in time"),
        ("withdrawn", "", "No longer"),
    ],
)
def test_a_decided_question_shows_who_decided(choice: str, by: str, words: str) -> None:
    (shown,) = show(ask(Question(tool="Bash", shown="ls"), choice=choice, by=by, closed=True))
    assert words in shown.content.splitlines()[-1]
    assert not shown.buttons


def test_an_erased_question_can_still_be_answered() -> None:
    card = AskCard(part="ask:r", request="r", turn=1, tool="Edit", question=box("(erased)"), always=False, expires=0)
    (shown,) = show(card)
    assert "**Edit**" in shown.content
    assert labels(shown) == ["Allow", "Deny"]


# --- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (Session(id="1", starter="7"), "Asking for a sandbox"),
        (Session(id="1", starter="7", thread="2", place=3), "place 3"),
        (Session(id="1", starter="7", thread="2", place=1), "you are next"),
        (Session(id="1", starter="7", thread="2", place=3, resting=True), "Not in the line any more"),
        (Session(id="1", starter="7", thread="2", reservation="r"), "coming up"),
        (
            Session(
                id="1",
                starter="7",
                thread="2",
                reservation="r",
                failures={"attach": Failure(attempt=2, retry=1, since=0, why="no *room*")},
            ),
            "(try 2), trying again.\n-# no \\*room\\*",
        ),
        (Session(id="1", starter="7", thread="2", reservation="r", ready=True, model="claude_x"), "claude\\_x"),
        (Session(id="1", starter="7", thread="2", reservation="r", ready=True, isolated=False), "not walled off"),
        (
            Session(id="1", starter="7", thread="2", reservation="r", ready=True, isolated=False, open_walls=("api",)),
            "it reaches the cluster's API server. Whoever",
        ),
        (Session(id="1", starter="7", thread="2", reservation="r", ready=True, crashes=3), "does not start here"),
        (Session(id="1", starter="7", thread="2", lost="gone"), "is gone"),
        (Session(id="1", starter="7", thread="2", lost="passed"), "went to the next"),
        (Session(id="1", starter="7", thread="2", lost="repo"), "could not be cloned"),
        (Session(id="1", starter="7", thread="2", reservation="r", repo=box("x")), "is cloned into it"),
        (Session(id="1", starter="7", thread="2", lost="passed", place=2), "place 2"),
        (Session(id="1", starter="7", thread="2", closing="asked"), "Ending"),
        (Session(id="1", starter="7", thread="2", closed=True), "closed"),
    ],
)
def test_the_head_tells_how_the_session_stands(session: Session, words: str) -> None:
    (shown,) = show(HeadCard(part="head", mention="7"), session)
    assert words in shown.content
    leave = ["Leave the line"] if session.place and not session.resting else []
    assert labels(shown) == ([] if session.closing or session.closed else ["Close", *leave])


def test_a_queued_prompt_cannot_look_like_ours() -> None:
    (shown,) = show(
        QueuedCard(part="queued:5", prompt="5", by="7", text=box("**bold**\n-# ✅ done \u202e" + "x" * 500))
    )
    assert shown.content.startswith("⏳ Queued: \\*\\*bold\\*\\* -\\# ✅ done x")
    assert "\n" not in shown.content
    assert len(shown.content) < 200
    assert shown.buttons[0].custom_id == "v1:remove:100:5"


def test_the_head_says_that_it_is_shared() -> None:
    assert "Shared" not in show(HeadCard(part="head"))[0].content
    assert "Shared" in show(HeadCard(part="head"), msgspec.structs.replace(SESSION, shared=True))[0].content


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_holds_a_sandbox_that_others_wait_for_is_asked(language: str) -> None:
    card = IdleCard(part="idle:3", number=3, since=5_000_000, mention="7")
    (asked,) = show(card, locale=language)
    assert "<@7>" in asked.content
    assert "<t:5:R>" in asked.content
    assert [one.custom_id for one in asked.buttons] == ["v1:keep:100:3", "v1:end:100:"]
    for ended in (
        msgspec.structs.replace(card, closed=True),
        msgspec.structs.replace(card, choice="kept", by="8", closed=True),
        msgspec.structs.replace(card, choice="over", closed=True),
    ):
        (shown,) = show(ended, locale=language)
        assert not shown.buttons
        assert ("<@8>" in shown.content) == (ended.choice == "kept")


def test_a_cut_turn_offers_to_go_on() -> None:
    card = CutCard(part="cut:1", turn=1, by="7", why="cli", text=box("do it"))
    assert labels(show(card)[0]) == ["Continue", "Retry"]
    assert labels(show(msgspec.structs.replace(card, text=None))[0]) == ["Continue"]
    (shown,) = show(msgspec.structs.replace(card, choice="retry", chosen_by="8", closed=True))
    assert "<@8> chose to retry" in shown.content
    assert not shown.buttons


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "what",
    ["sandbox-lost", "sandbox-unwalled", "cli-broken", "turn-failed", "handover-kept", "disk-stopped", "notice-x"],
)
def test_a_note_tells_what_happened(what: str, language: str) -> None:
    (shown,) = show(NoteCard(part="note:1", what=what, detail="oom", text=box("why ```"), mention="7"), locale=language)
    assert "why" in shown.content
    assert ("<@7>" in shown.content) == (not what.startswith(("handover", "notice")))


@pytest.mark.parametrize(
    ("what", "detail", "words"),
    [
        ("repo-cloned", "", "is here:"),
        (
            "repo-untrusted",
            "settings mcp",
            "`.claude/settings.json` · MCP servers: `.mcp.json`). They are **not used**",
        ),
        ("repo-trusted", "prompts", "They **are used**"),
        (
            "repo-failed",
            "auth",
            "<@7>, your repository could not be cloned: there is none at that address, or it is private",
        ),
        ("repo-failed", "new", "git did not get to the end"),
    ],
)
def test_what_became_of_a_repository_is_told_and_what_others_wrote_looks_like_nothing_of_ours(
    what: str, detail: str, words: str
) -> None:
    card = NoteCard(part="note:1", what=what, detail=detail, text=box("https://a.b/c ``` **x**"), mention="7")
    (shown,) = show(card)
    assert words in shown.content
    assert "a.b/c" in shown.content.partition("```")[2]


@settings(PROFILE)
@given(HOSTILE.map(lambda text: text.replace("\0", "")), HOSTILE)
def test_buttons_are_what_discord_takes(request: str, text: str) -> None:
    card = ask(Question(tool=text, shown=text), mention="7")
    card = msgspec.structs.replace(card, request=request)
    for shown in show(card):
        assert units(shown.content) <= 2000
        for button in shown.buttons:
            assert 1 <= len(button.custom_id) <= LONGEST
            pressed = read(button.custom_id)
            assert pressed is not None
            assert (pressed.session, pressed.about) == ("100", request[: len(pressed.about)])


@settings(PROFILE)
@given(st.text() | st.sampled_from(["v1:", "v1:stop", "v1:stop:", "v2:stop:1:2", "stop", "v1:fly:1:2", json.dumps({})]))
def test_foreign_custom_ids_are_read_as_nothing_or_as_themselves(custom_id: str) -> None:
    pressed = read(custom_id)
    assert pressed is None or custom_id.startswith("v1:")


def test_a_note_tells_what_the_world_said_and_lets_it_look_like_nothing_of_ours() -> None:
    card = NoteCard(part="note:1", what="sandbox-refused", reason="no **room**\n# at all", mention="7")
    (shown,) = show(card)
    assert shown.content.endswith("close the session.\n-# no \\*\\*room\\*\\* \\# at all")


@pytest.mark.parametrize(
    ("usage", "english", "japanese"),
    [
        (Usage(disk=3), "Sandbox: disk 3 % full", "サンドボックス：ディスク 3 % 使用"),
        (
            Usage(disk=3, memory=960 << 20, cpu=1234),
            "Sandbox: memory 960 MiB · disk 3 % full · CPU 123 % of a core",
            "サンドボックス：メモリ 960 MiB · ディスク 3 % 使用 · CPU は 1 コアの 123 %",
        ),
        (
            Usage(disk=91, memory=1536 << 20, memory_limit=2 << 30, cpu=0, cpu_limit=1500),
            "Sandbox: memory 1,536 of 2,048 MiB (75 %) · disk 91 % full · CPU 0 % of its limit",
            "サンドボックス：メモリ 1,536 / 2,048 MiB（75 %） · ディスク 91 % 使用 · CPU は上限の 0 %",
        ),
    ],
)
def test_what_a_sandbox_uses_is_told_as_far_as_it_is_known(usage: Usage, english: str, japanese: str) -> None:
    assert (used(usage, texts("en-US")), used(usage, texts("ja"))) == (english, japanese)
