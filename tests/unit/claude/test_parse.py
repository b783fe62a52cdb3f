"""From lines to facts: every kind the CLI was seen to print, and everything that a hostile sandbox might."""

import json
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.claude import parse as p
from adapters.claude import wire
from schema import events as e
from schema import facts as f
from schema.sealed import Sealed


def seal(text: str) -> Sealed:
    """Not sealed at all, so that a test can read it. Fails as the keyring does on what is no Unicode."""
    return Sealed(text.encode())


def facts(workspace: str = "", **line: Any) -> list[f.Fact]:
    return p.parse(json.dumps(line).encode(), seal, workspace)


def fact(**line: Any) -> Any:
    (only,) = facts(**line)
    return only


def assistant(*blocks: dict[str, Any], model: str = "m", **more: Any) -> dict[str, Any]:
    return {"type": "assistant", "message": {"model": model, "content": list(blocks)}, **more}


def called(name: str, workspace: str = "", **arguments: Any) -> str:
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}
    (found,) = facts(workspace, **assistant(block))
    assert isinstance(found, f.ToolCalled)
    return found.summary.decode()


def returned(content: Any, **block: Any) -> f.ToolReturned:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **block}
    return fact(type="user", message={"role": "user", "content": [result]})


def asked(tool: str = "Bash", **request: Any) -> tuple[f.PermissionAsked, wire.PermissionQuestion]:
    body = {"subtype": "can_use_tool", "tool_name": tool, "tool_use_id": "toolu_1", **request}
    found = fact(type="control_request", request_id="r-1", request=body)
    return found, msgspec.json.decode(found.question, type=wire.PermissionQuestion)


# --- what the CLI was seen to print ----------------------------------------------------------------------------------


def test_every_captured_line_is_understood(shared: Path) -> None:
    folder = shared / "data" / "claude-stream-json"
    lines = [(path.name, line) for path in sorted(folder.glob("stdout__*")) for line in path.read_bytes().splitlines()]
    assert len(lines) > 100
    skipped = {name for name, line in lines if any(isinstance(found, f.Skipped) for found in p.parse(line, seal))}
    # hooks and tools of the host, of which we register none
    assert skipped == {"stdout__control_request_hook_callback.jsonl", "stdout__control_request_mcp_message.jsonl"}


LINES: list[tuple[dict[str, Any], list[f.Fact]]] = [
    ({"type": "command_lifecycle", "command_uuid": "p", "state": "queued"}, []),
    ({"type": "command_lifecycle", "command_uuid": "p", "state": "started"}, [f.PromptStarted(prompt="p")]),
    ({"type": "command_lifecycle", "command_uuid": "p", "state": "completed"}, [f.PromptOver(prompt="p")]),
    (
        {"type": "command_lifecycle", "command_uuid": "p", "state": "cancelled"},
        [f.PromptOver(prompt="p", cancelled=True)],
    ),
    (
        {"type": "system", "subtype": "init", "model": "m", "permissionMode": "plan", "claude_code_version": "2"},
        [f.CliReady(model="m", mode="plan", version="2")],
    ),
    ({"type": "system", "subtype": "session_state_changed", "state": "idle"}, [f.StateChanged(state="idle")]),
    ({"type": "system", "subtype": "background_tasks_changed", "tasks": [{}, {}]}, [f.TasksChanged(running=2)]),
    (
        {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10, "retry_delay_ms": 540.5},
        [f.Retrying(attempt=1, limit=10, delay_ms=540)],
    ),
    ({"type": "control_cancel_request", "request_id": "r"}, [f.PermissionWithdrawn(request="r")]),
    (
        {"type": "control_response", "response": {"request_id": "r", "response": {"behavior": "deny"}}},
        [f.PermissionTaken(request="r")],
    ),
    ({"type": "control_response", "response": {"request_id": "r", "response": {"still_queued": []}}}, []),
    ({"type": "control_response", "response": {"request_id": "r", "subtype": "error", "error": "?"}}, []),
    ({"type": "system", "subtype": "compact_boundary"}, [f.Noticed(what="compacted")]),
    (
        {"type": "system", "subtype": "permission_denied", "message": "no"},
        [f.Noticed(what="denied", text=seal("no"))],
    ),
    ({"type": "supervisor", "event": "start", "resumed": True}, [f.CliStarted(resumed=True)]),
    ({"type": "supervisor", "event": "exit", "code": 1, "stderr": "oops"}, [f.CliExited(code=1, why=seal("oops"))]),
    ({"type": "supervisor", "event": "exit", "signal": 9}, [f.CliExited(code=-9)]),
    ({"type": "supervisor", "event": "exit", "why": "no binary"}, [f.CliExited(code=127, why=seal("no binary"))]),
    (
        {"type": "supervisor", "event": "disk", "percent": 95, "stopped": True},
        [f.DiskFilled(percent=95, stopped=True)],
    ),
    ({"type": "supervisor", "event": "memory", "percent": 91}, [f.MemoryFilled(percent=91)]),
    ({"type": "a new kind of line"}, [f.Skipped(what="unknown")]),
    ({"type": "system", "subtype": "a new kind"}, [f.Skipped(what="unknown")]),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_line_is_its_fact(line: dict[str, Any], expected: list[f.Fact]) -> None:
    assert facts(**line) == expected


def test_what_was_said_is_said_once() -> None:
    said = assistant({"type": "text", "text": "hello"}, parent_tool_use_id="toolu_2")
    assert fact(**said) == f.Said(text=seal("hello"), parent="toolu_2")
    assert fact(**assistant({"type": "text", "text": "x"}, model="<synthetic>")).synthetic
    assert facts(**assistant({"type": "thinking", "thinking": "hmm"})) == []
    assert facts(**assistant({"type": "text", "text": " \n"})) == []
    assert (
        facts(**assistant({"type": "text", "text": "Not logged in"}, error="authentication_failed")) == []
    )  # the result tells


@pytest.mark.parametrize("mark", [{"isReplay": True}, {"isSynthetic": True}, {}])
@pytest.mark.parametrize("content", ["hello", [{"type": "text", "text": "hello"}]])
def test_what_people_said_is_not_said_again(mark: dict[str, Any], content: Any) -> None:
    assert facts(type="user", message={"role": "user", "content": content}, **mark) == []


def test_a_turn_failed_when_it_says_so_whatever_its_subtype() -> None:
    line = {"type": "result", "subtype": "success", "user_message_uuids": ["p"], "duration_ms": 12.5, "result_index": 3}
    fine = f.TurnFinished(prompts=("p",), error=False, reason="success", milliseconds=12, index=3)
    assert fact(**line, result="the answer, which was said") == fine
    failed = fact(**line, is_error=True, terminal_reason="api_error", result="Overloaded", api_error_status=529)
    assert (failed.error, failed.reason, failed.status, failed.message) == (True, "api_error", 529, seal("Overloaded"))
    assert fact(**line, is_error=True, errors=["a", "b"]).message == seal("a\nb")
    diagnostic = "[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null"
    assert fact(**line, is_error=True, errors=[diagnostic]).message is None
    assert fact(**line, is_error=True, errors=[diagnostic, "a"]).message == seal("a")


# --- limits, and what people see -------------------------------------------------------------------------------------


def test_a_long_answer_is_whole_up_to_its_limit_and_then_says_so() -> None:
    text = "x" * p.SAID_LIMIT
    assert fact(**assistant({"type": "text", "text": text})).text == text.encode()
    assert fact(**assistant({"type": "text", "text": text + "yy"})).text == text.encode() + "\n[… 2]".encode()


def test_a_long_output_shows_its_beginning_and_end_and_how_much_is_missing() -> None:
    head, tail = "a" * p.OUTPUT_HEAD, "z" * p.OUTPUT_TAIL
    assert returned(head + tail).output == seal(head + tail)
    assert returned(head + "b" * 7 + tail).output == seal(f"{head}\n[… 7 …]\n{tail}")
    assert returned("").output is None
    assert returned([{"type": "text", "text": "one"}, {"type": "image"}], is_error=True).output == seal("one\n[image]")
    assert returned("x", is_error=True).failed


@pytest.mark.parametrize(
    ("name", "arguments", "summary"),
    [
        ("Bash", {"command": "make test", "description": "run the tests"}, "make test"),
        ("Bash", {"command": "cd x\nrm -r y"}, "cd x…"),
        ("Write", {"file_path": "/w/src/a.py", "content": "x"}, "src/a.py"),
        ("Read", {"file_path": "/etc/hosts"}, "/etc/hosts"),
        ("Grep", {"pattern": "def .*", "path": "/w"}, "def .*"),
        ("WebFetch", {"url": "https://example.org", "prompt": "what is it?"}, "https://example.org"),
        ("Task", {"description": "look around", "prompt": "…"}, "look around"),
        ("mcp__flag__ping", {"x": [1]}, '{"x":[1]}'),
        ("ListAgents", {}, ""),
        ("Bash", {"command": 7}, '{"command":7}'),
        ("Bash", {"command": "echo \u202e\u200b\x1b[0m\u3164"}, "echo ⟨U+202E⟩⟨U+200B⟩⟨U+001B⟩[0m⟨U+3164⟩"),
        ("Bash", {"command": "x" * 201}, "x" * 199 + "…"),
    ],
)
def test_a_tool_call_is_one_line(name: str, arguments: dict[str, Any], summary: str) -> None:
    assert called(name, "/w", **arguments) == summary


def test_a_question_shows_what_would_run_and_keeps_what_was_suggested() -> None:
    suggestion = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
    found, question = asked(
        input={"command": "rm -r \u202ex\n\tls"},
        description="tidy\u200b up",
        decision_reason="outside of the workspace",
        blocked_path="/etc",
        permission_suggestions=[suggestion],
    )
    assert found.always
    assert (found.request, found.tool, found.name) == ("r-1", "toolu_1", "Bash")
    assert question == wire.PermissionQuestion(
        tool="Bash",
        shown="rm -r ⟨U+202E⟩x\n    ls",
        title="tidy⟨U+200B⟩ up",
        reason="outside of the workspace",
        path="/etc",
        suggestions=(suggestion,),
    )


def test_a_question_names_a_file_of_the_workspace_as_in_it() -> None:
    asked = wire.PermissionRequest(subtype="can_use_tool", tool_name="Bash", blocked_path="/w/results.txt")
    assert [p.ask(asked, workspace).path for workspace in ("/w", "/x", "")] == [
        "results.txt",
        "/w/results.txt",
        "/w/results.txt",
    ]


def test_a_question_of_another_tool_shows_all_that_it_was_given() -> None:
    found, question = asked("NotebookEdit", input={"notebook_path": "/w/a", "new_source": "b"})
    assert json.loads(question.shown) == {"notebook_path": "/w/a", "new_source": "b"}
    assert not found.always


def test_a_file_is_shown_as_it_will_be() -> None:
    request = wire.PermissionRequest(
        subtype="can_use_tool",
        tool_name="Write",
        input={"file_path": "/w/src/a.py", "content": "one\n\ttwo\u202e\n"},
        blocked_path="/w/src/a.py",
    )
    question = p.ask(request, "/w")
    assert (question.shown, question.language, question.path) == ("one\n    two⟨U+202E⟩\n", "", "src/a.py")


def test_an_edit_is_shown_as_a_diff() -> None:
    given = {
        "file_path": "/w/a.py",
        "old_string": "one\ntwo\nthree",
        "new_string": "one\n2\nthree",
        "replace_all": False,
    }
    request = wire.PermissionRequest(subtype="can_use_tool", tool_name="Edit", input=given)
    question = p.ask(request, "/w")
    assert (question.shown, question.language, question.path) == (" one\n-two\n+2\n three", "diff", "a.py")


@pytest.mark.parametrize(
    ("tool", "given", "blocked"),
    [
        ("Write", {"file_path": "/w/a", "content": " \n"}, ""),  # of which nothing would be seen
        ("Write", {"file_path": "/w/a", "content": "b"}, "/etc/a"),  # which of the two?
        ("Write", {"file_path": "/w/a", "content": "b", "mode": "0777"}, ""),
        ("Write", {"file_path": ["/w/a"], "content": "b"}, ""),
        ("Edit", {"file_path": "/w/a", "old_string": "b", "new_string": "c", "replace_all": True}, ""),
        ("Edit", {"file_path": "/w/a", "old_string": "b", "new_string": "b"}, ""),
        ("Edit", {"file_path": "/w/a", "old_string": "b" * p.QUESTION_LIMIT, "new_string": "c"}, ""),
    ],
)
def test_what_has_anything_else_in_it_is_shown_as_it_is(tool: str, given: dict[str, Any], blocked: str) -> None:
    request = wire.PermissionRequest(subtype="can_use_tool", tool_name=tool, input=given, blocked_path=blocked)
    question = p.ask(request, "/w")
    whole = msgspec.json.format(msgspec.json.encode(given), indent=1).decode()
    assert question.shown + whole[len(question.shown) :] == whole
    assert (question.cut, question.language, question.path) == (len(whole) - len(question.shown), "", blocked)


@given(*[st.text(st.sampled_from("ab \n\t\r\u2028\u202e"), max_size=12)] * 2)
def test_a_diff_has_every_line_of_both(old: str, new: str) -> None:
    given = {"file_path": "/w/a", "old_string": old, "new_string": new}
    question = p.ask(wire.PermissionRequest(subtype="can_use_tool", tool_name="Edit", input=given), "/w")
    if old == new:
        return
    lines = question.shown.split("\n")
    for text, sign in ((old, "-"), (new, "+")):
        assert "\n".join(line[1:] for line in lines if line[0] in {" ", sign}) == "".join(
            p.visible(text, p.QUESTION_LIMIT)
        )


@given(st.text(st.sampled_from("ab \n\u202e\u3164é"), max_size=40), st.integers(0, 3 * p.QUESTION_LIMIT))
def test_a_question_hides_nothing_without_saying_how_much(end: str, length: int) -> None:
    command = "x" * length + end
    _, question = asked(input={"command": command})
    assert len(question.shown) <= p.QUESTION_LIMIT
    shown = command[: len(command) - question.cut]
    assert question.shown == "".join(p.visible(shown, p.QUESTION_LIMIT))
    assert (question.cut == 0) == (len("".join(p.visible(command, 1 << 30))) <= p.QUESTION_LIMIT)


def test_suggestions_beyond_reason_are_not_kept() -> None:
    found, question = asked(input={}, permission_suggestions=[{"type": "x" * p.SUGGESTIONS_LIMIT}])
    assert not found.always
    assert question.suggestions == ()


# --- what a hostile sandbox prints -----------------------------------------------------------------------------------


def stored(found: list[f.Fact]) -> int:
    """The size of the event that these facts make; fails when they cannot be one."""
    return len(msgspec.json.encode(e.JournalRead(epoch=1, start=0, end=1, facts=tuple(found))))


def box(text: str) -> Sealed:
    return Sealed(b"\1" + bytes(20) + text.encode())


@given(st.binary())
@example(b'{"type":"assistant","message":{"content":"\xff"}}')
def test_bytes_of_any_kind_are_at_most_skipped(line: bytes) -> None:
    stored(p.parse(line, box))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=5) | st.just("\ud83d"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "content", "input"]), inner)
    ),
    max_leaves=8,
)
NAMES = [
    *("message", "content", "uuid", "command_uuid", "state", "model", "tasks", "attempt", "max_retries", "result"),
    *("response", "request", "request_id", "errors", "is_error", "duration_ms", "user_message_uuids", "event", "code"),
]
KINDS = [
    *("command_lifecycle", "assistant", "user", "result", "control_request", "control_cancel_request"),
    *("control_response", "supervisor", "stream_event", "conversation_reset"),
]
SUBTYPES = ["init", "session_state_changed", "background_tasks_changed", "api_retry", "informational"]


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), values, max_size=5))
def test_a_line_of_a_known_kind_with_anything_in_it_is_at_most_skipped(kind: str, fields: dict[str, Any]) -> None:
    stored(p.parse(json.dumps({"type": kind, **fields}).encode(), box))


@given(st.sampled_from(SUBTYPES), st.dictionaries(st.sampled_from(NAMES), values, max_size=5))
def test_a_system_line_with_anything_in_it_is_at_most_skipped(subtype: str, fields: dict[str, Any]) -> None:
    stored(p.parse(json.dumps({"type": "system", "subtype": subtype, **fields}).encode(), box))


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"user","x":' + b"[" * 100_000,
        b'{"type":"user","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"result","duration_ms":1e300}',
        b'{"type":"result","result_index":' + b"9" * 40 + b"}",
        b'{"type":"result","result_index":' + b"9" * 5000 + b"}",
        b'{"type":"command_lifecycle","command_uuid":"' + b"x" * 65 + b'","state":"started"}',
        b'{"type":"command_lifecycle","command_uuid":"a\\nb","state":"started"}',
        b'{"type":"system","subtype":"init","model":"' + b"x" * 1000 + b'"}',
        b'{"type":"user","message":{"content":[' + b",".join([b'{"type":"tool_result"}'] * 1000) + b"]}}",
        b"[]",
        b"7",
        b"{",
    ],
    ids=lambda line: line[:60].decode(),
)
def test_what_is_beyond_every_limit_is_skipped(line: bytes) -> None:
    assert p.parse(line, seal) == [f.Skipped(what="broken")]


@pytest.mark.parametrize("line", [b"", b" \r"])
def test_a_blank_line_is_nothing(line: bytes) -> None:
    assert p.parse(line, seal) == []


@pytest.mark.parametrize("broken", [b"\xff", b"\\ud83d", b"\\udc00x"])
def test_half_an_emoji_does_not_hide_the_end_of_a_turn(broken: bytes) -> None:
    line = b'{"type":"result","is_error":true,"user_message_uuids":["p"],"result":"a' + broken + b'"}'
    (finished,) = p.parse(line, seal)
    assert isinstance(finished, f.TurnFinished)
    assert finished.prompts == ("p",)


@given(st.integers(1, 20), st.sampled_from(["text", "tool_use", "tool_result"]))
def test_an_event_is_never_much_larger_than_its_line(blocks: int, kind: str) -> None:
    block = {"type": kind, "text": "t" * 3000, "content": "c" * 3000, "input": {"command": "d" * 3000}}
    line = json.dumps({"type": "assistant", "message": {"content": [block] * blocks}}).encode()
    assert stored(p.parse(line, box)) < 2 * len(line) + 1000
