"""What the scripted model answers to whom."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.local.model import scenario, stream

_JAPANESE = re.compile(r"[\u3040-\u30ff]")


def user(text: str, *, reminder: bool = False) -> dict[str, Any]:
    blocks = [{"type": "text", "text": "<system-reminder>of the CLI</system-reminder>"}] if reminder else []
    return {"role": "user", "content": [*blocks, {"type": "text", "text": text}]}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def tool_result() -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done"}]}


def script(*steps: Any) -> str:
    return f"please SCRIPT: {json.dumps(steps)} END thanks"


def turn(prompt: str) -> list[dict[str, Any]]:
    """The steps of a whole turn."""
    messages, steps = [user(prompt)], list[dict[str, Any]]()
    while True:
        step = scenario.next_step(messages)[2]
        if step == {"text": "…"}:
            return steps
        steps.append(step)
        messages += [assistant("…"), tool_result()]


def said(steps: list[dict[str, Any]]) -> str:
    return "".join(block.get("text", "") for step in steps for block in step.get("blocks", [step]))


def tools(steps: list[dict[str, Any]]) -> list[str]:
    return [block["tool"] for step in steps for block in step.get("blocks", [step]) if "tool" in block]


@pytest.mark.parametrize(
    ("english", "japanese", "used"),
    [
        ("Please write a file", "ファイルを書いてください", ["Write"]),
        ("run the tests", "テストを実行して", ["Bash"]),
        ("please fail", "失敗して", ["Bash"]),
        ("tell me a long story", "長い物語を聞かせて", []),
        ("hello there", "こんにちは", []),
    ],
)
def test_a_plain_prompt_finds_its_turn_in_its_language(english: str, japanese: str, used: list[str]) -> None:
    for prompt, is_japanese in ((english, False), (japanese, True)):
        steps = turn(prompt)
        assert tools(steps) == used
        assert bool(_JAPANESE.search(said(steps))) is is_japanese


@pytest.mark.parametrize("prompt", ["retry", "an ERROR, please", "エラーを見せて", "再試行して"])
def test_some_prompts_fail_once(prompt: str) -> None:
    (step,) = turn(prompt)
    assert (step["err"], step["times"]) == (529, 1)


@pytest.mark.parametrize("prompt", ["what is a trunk?", "come along", "the latest profile", "contest"])
def test_words_count_at_their_beginning(prompt: str) -> None:
    assert turn(prompt) == turn("hello")


def test_a_script_is_played_to_the_letter() -> None:
    steps = [{"tool": "Bash", "input": {"command": "ls"}}, {"text": "write a file [x] END of"}]
    assert turn(script(*steps)) == steps


@pytest.mark.parametrize("bad", ["SCRIPT: [oops] END", "SCRIPT: [7] END", "SCRIPT: [[]] END"])
def test_a_script_that_is_wrong_says_what_is(bad: str) -> None:
    (step,) = turn(bad)
    assert "script" in step["text"]


def test_the_last_thing_a_person_said_counts_and_not_what_the_cli_adds() -> None:
    messages = [user("write a file"), assistant("done"), user("hello", reminder=True), tool_result()]
    prompt, answered, _ = scenario.next_step(messages)
    assert (prompt, answered) == ("hello", 0)
    assert scenario.next_step([{"role": "user", "content": "hello"}])[0] == "hello"
    assert scenario.next_step([])[0] == ""


blocks = st.lists(
    st.fixed_dictionaries({"text": st.text()})
    | st.fixed_dictionaries({"thinking": st.text()})
    | st.fixed_dictionaries(
        {"tool": st.sampled_from(["Bash", "Write"]), "input": st.dictionaries(st.text(), st.text())}
    ),
    min_size=1,
)


@given(blocks, st.integers(1, 50))
def test_the_pieces_of_an_answer_are_the_answer(given_blocks: list[dict[str, Any]], chunk: int) -> None:
    answer = stream.message({"model": "m"}, 7, stream.content({"blocks": given_blocks}, "toolu_7"), 100)
    made: list[dict[str, Any]] = []
    for event in stream.events(answer, chunk):
        match event["type"]:
            case "content_block_start":
                made.append({**event["content_block"], "json": ""})
            case "content_block_delta":
                delta = {name: value for name, value in event["delta"].items() if name != "type"}
                ((name, value),) = delta.items()
                name = "json" if name == "partial_json" else name
                made[event["index"]][name] += value
            case _:
                pass
    for block in made:
        arguments = block.pop("json")
        block.update({"input": json.loads(arguments)} if arguments else {})
    assert made == answer["content"]
    ids = [block["id"] for block in made if block["type"] == "tool_use"]
    assert len(set(ids)) == len(ids)
    assert answer["stop_reason"] == ("tool_use" if ids else "end_turn")
