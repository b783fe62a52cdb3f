"""What we write is one line that the CLI takes, whatever it is made of."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.claude import wire

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates too
suggestions = st.lists(
    st.fixed_dictionaries({"type": st.just("addRules"), "destination": st.sampled_from(["localSettings", "session"])})
)


def only(line: bytes) -> dict[str, Any]:
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    return json.loads(line.decode())


def question(suggestions: list[dict[str, Any]]) -> wire.PermissionQuestion:
    return wire.PermissionQuestion(tool="Bash", shown="ls", suggestions=tuple(suggestions))


@given(anything)
def test_a_prompt_is_one_line_with_its_id(text: str) -> None:
    line = only(wire.user_message("p-1", text))
    assert (line["type"], line["uuid"], line["message"]["role"]) == ("user", "p-1", "user")
    assert "\0" not in line["message"]["content"]


def test_a_prompt_keeps_what_people_wrote() -> None:
    text = '日本語 \u202e🎉\n```\n@everyone \\ "quoted" \u2028'
    assert only(wire.user_message("p-1", text))["message"]["content"] == text


def test_half_an_emoji_and_nul_do_not_end_the_cli() -> None:
    assert only(wire.user_message("p-1", "a\ud83db\0c"))["message"]["content"] == "a?bc"


def test_an_interrupt_names_its_request() -> None:
    line = only(wire.interrupt("stop-3"))
    assert line == {"type": "control_request", "request_id": "stop-3", "request": {"subtype": "interrupt"}}


def test_allow_and_deny_answer_their_request() -> None:
    allowed, denied = only(wire.allow("r"))["response"], only(wire.deny("r", "no"))["response"]
    assert allowed == {"subtype": "success", "request_id": "r", "response": {"behavior": "allow"}}
    assert denied["response"] == {"behavior": "deny", "message": "no"}


@given(suggestions)
def test_always_echoes_what_was_suggested_and_never_writes_a_file(suggested: list[dict[str, Any]]) -> None:
    answer = only(wire.allow_always("r", question(suggested)))["response"]["response"]
    updates = answer["updatedPermissions"]
    assert [update["type"] for update in updates] == [suggestion["type"] for suggestion in suggested]
    assert {update["destination"] for update in updates} <= {"session"}
