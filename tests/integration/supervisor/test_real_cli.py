"""The supervisor and the real CLI: conversations, permissions, ends and returns. The model is scripted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Host, Requests

    WaitUntil = Callable[[Callable[[], bool]], Awaitable[None]]

pytestmark = pytest.mark.cli


async def _idle(host: Host, since: int) -> None:
    await host.reader.wait(since, subtype="session_state_changed", state="idle")


async def _allow(host: Host, since: int) -> str:
    """Allow the next thing that the CLI asks for; the id of the request."""
    asked = await host.reader.wait(since, type="control_request")
    response = {"behavior": "allow", "updatedInput": asked["request"]["input"]}
    body = {"subtype": "success", "request_id": asked["request_id"], "response": response}
    await host.channel.send(f"answer:{asked['request_id']}", _line("control_response", response=body))
    return asked["request_id"]


def _line(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


async def test_a_turn_with_a_tool_and_a_permission(host: Host, real_cli: bytes, requests: Requests) -> None:
    await host.start(real_cli)
    item = await host.say(host.running("touch made && echo made"))
    await _allow(host, 0)
    result = await host.reader.wait(type="result")
    assert result["user_message_uuids"] == [item]
    assert (host.directory / "work/made").exists()
    await _idle(host, host.reader.objects().index(result))
    assert requests.tokens == {"Bearer a-token"}
    await host.reader_caught_up()


async def test_a_prompt_of_a_megabyte_is_one_line(host: Host, real_cli: bytes, requests: Requests) -> None:
    await host.start(real_cli)
    item = await host.say("x" * 1_000_000)
    assert (await host.reader.wait(type="result"))["user_message_uuids"] == [item]
    assert len(requests.bodies) == 1


async def test_the_disallowed_tools_are_not_there(host: Host, real_cli: bytes) -> None:
    await host.start(real_cli)
    await host.say("hello")
    tools = (await host.reader.wait(subtype="init"))["tools"]
    assert "Bash" in tools
    assert not {"AskUserQuestion", "EnterPlanMode", "ExitPlanMode", "CronCreate", "ScheduleWakeup", "Monitor"} & set(
        tools
    )


async def test_a_stop_in_the_middle_of_an_answer_says_how_the_turn_ended_and_the_conversation_goes_on(
    host: Host, real_cli: bytes, requests: Requests, wait_until: WaitUntil
) -> None:
    await host.start(real_cli)
    first = await host.say(host.telling("word " * 900))
    # interrupted at the very first event, the CLI sometimes ends without a result
    await wait_until(lambda: len([line for line in host.reader.objects() if line.get("type") == "stream_event"]) > 8)
    assert await host.channel.stop()
    exit_mark = await host.reader.wait(event="exit")
    assert (exit_mark["code"], exit_mark["why"]) == (0, "stopped")
    result = await host.reader.wait(type="result")
    assert result["user_message_uuids"] == [first]
    assert result["terminal_reason"].startswith("aborted")
    since = len(host.reader.lines)
    assert await host.channel.restart()
    assert not await host.channel.restart()
    assert (await host.reader.wait(since, event="start"))["resumed"] is True
    await host.say("go on")
    await host.reader.wait(since, type="result")
    assert "word word" in json.dumps(requests.bodies[-1]["messages"])


async def test_term_ends_everything_and_marks_it(host: Host, real_cli: bytes, wait_until: WaitUntil) -> None:
    await host.start(real_cli)
    await host.say(host.running("sh -c 'trap : TERM INT; touch running; sleep 600; sleep 600'"))
    await _allow(host, 0)
    await wait_until((host.directory / "work/running").exists)
    psutil.Process((await host.channel.status()).supervisor).terminate()
    await wait_until(lambda: host.marked() == [])
    last = json.loads(host.journals()[-1].line or b"")
    assert (last["event"], last["why"]) == ("exit", "the sandbox was told to end")
    assert [info.alive for info in await host.local.list()] == [False]


async def test_a_killed_supervisor_ends_nothing_of_the_conversation(
    host: Host, real_cli: bytes, requests: Requests, wait_until: WaitUntil
) -> None:
    await host.start(real_cli)
    await host.say("remember the word orchid")
    await _idle(host, 0)
    since = len(host.reader.lines)
    await host.say(host.running("touch begun && sleep 600"))
    await _allow(host, since)
    await wait_until((host.directory / "work/begun").exists)
    await host.kill_supervisor()
    await host.start()
    await host.reader.wait(since, event="exit", why="the supervisor was killed")
    again = await host.reader.wait(since, event="start")
    assert again["resumed"] is True
    since = host.reader.objects().index(again)
    await host.say("which word?")
    await host.reader.wait(since, type="result")
    assert "orchid" in json.dumps(requests.bodies[-1]["messages"])
    await host.reader_caught_up()
    assert {line.epoch for line in host.reader.lines} == {1, 2}


@pytest.mark.parametrize("lines", [0, 2, 2.5, 3])
async def test_a_cli_killed_before_its_transcript_was_whole_can_be_started_again(
    host: Host, real_cli: bytes, lines: float
) -> None:
    await host.start(real_cli)
    await host.say("hello")
    await _idle(host, 0)
    await host.channel.stop()
    await host.reader.wait(event="exit")
    transcript = next((host.directory / "home/.claude/projects").glob("*/*.jsonl"))
    written = transcript.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["type"] for line in written[:3]] == ["queue-operation", "queue-operation", "user"]
    transcript.write_bytes(b"".join(written[: int(lines)]) + (written[int(lines)][:200] if lines % 1 else b""))
    since = len(host.reader.lines)
    await host.channel.restart()
    assert (await host.reader.wait(since, event="start"))["resumed"] is (lines == 3)
    item = await host.say("hello again")
    await host.reader.wait(since, type="result", user_message_uuids=[item])


async def test_the_same_prompt_again_is_not_asked_again(host: Host, real_cli: bytes, requests: Requests) -> None:
    """What makes a kill between write and rename harmless: the host sends again, the CLI knows the uuid."""
    await host.start(real_cli)
    item = await host.say("hello")
    await _idle(host, 0)
    await host.kill_supervisor()
    since = len(host.reader.lines)
    await host.start()
    await host.say("hello", item)
    await host.reader.wait(since, type="command_lifecycle", command_uuid=item, state="completed")
    assert len(requests.bodies) == 1


async def test_a_second_answer_to_a_permission_is_ignored(host: Host, real_cli: bytes) -> None:
    await host.start(real_cli)
    await host.say(host.running("touch made && echo made"))
    request = await _allow(host, 0)
    await host.reader.wait(type="result")
    body = {"subtype": "success", "request_id": request, "response": {"behavior": "deny", "message": "no"}}
    await host.channel.send("answer-again", _line("control_response", response=body))
    item = await host.say("hello")
    await host.reader.wait(type="result", user_message_uuids=[item])
    assert (await host.channel.status()).state == "running"


@pytest.mark.parametrize(
    "line",
    [
        _line("control_request", request_id="r", request={"subtype": "no such thing"}),
        _line("control_request", request={"subtype": "interrupt"}),
        _line("control_request", request={"x": 1}),
        _line("control_response", response={"x": 1}),
        _line("user", message={"role": "user", "content": []}),
        _line("user", message={"role": "user", "content": [{"type": "text"}]}),
        _line("user", message={"role": "user", "content": ""}),
        _line("user", message={"role": "user", "content": "\ud800 \u0000 \u202e"}),
        _line("user", message={"role": "user", "content": "x", "extra": 1}, uuid=7, session_id=None),
    ],
)
async def test_no_line_that_the_supervisor_takes_ends_the_cli(host: Host, real_cli: bytes, line: bytes) -> None:
    await host.start(real_cli)
    await host.channel.send("strange", line)
    item = await host.say("hello")
    await host.reader.wait(type="command_lifecycle", command_uuid=item, state="completed")
    assert (await host.channel.status()).state == "running"
