"""From journal lines to facts: pure, without I/O. `parse(line, seal)` never raises, whatever the line holds.

All output of a sandbox is hostile input, so every limit is here: what a text may be long, what a summary shows. Texts leave
sealed. Which line means which fact is told in `schema/facts.py`; a type that is unknown is counted, never a reason to stop.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from adapters.claude import wire
from schema import facts as f
from schema.sealed import Seal

SAID_LIMIT = 256 << 10
OUTPUT_HEAD, OUTPUT_TAIL = 1500, 500
SUMMARY_LIMIT = 200
QUESTION_LIMIT = 6000
REASON_LIMIT = 300

_Facts = list[f.Fact]

_heads = msgspec.json.Decoder(wire.Head)


def parse(line: bytes, seal: Seal) -> _Facts:
    """The facts of one line of the journal, in their order."""
    try:
        head = _heads.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [f.Skipped(what="broken")] if line.strip() else []
    name = f"{head.type}/{head.subtype}" if head.type == "system" else head.type
    if name in _SILENT:
        return []
    reader = _READERS.get(name)
    if reader is None:
        return [f.Skipped(what="unknown")]
    shape, read = reader
    try:
        return read(msgspec.json.decode(line, type=shape), seal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [f.Skipped(what="malformed")]


# --- one reader a kind of line ---------------------------------------------------------------------------------------


def _lifecycle(line: wire.Lifecycle, _seal: Seal) -> _Facts:
    match line.state:
        case "started":
            return [f.PromptStarted(prompt=line.command_uuid)]
        case "completed":
            return [f.PromptOver(prompt=line.command_uuid)]
        case "cancelled":
            return [f.PromptOver(prompt=line.command_uuid, cancelled=True)]
        case _:
            return []


def _init(line: wire.Init, _seal: Seal) -> _Facts:
    return [f.CliReady(model=line.model, mode=line.permission_mode, version=line.claude_code_version)]


def _state(line: wire.SessionState, _seal: Seal) -> _Facts:
    return [f.StateChanged(state=line.state)]


def _tasks(line: wire.Tasks, _seal: Seal) -> _Facts:
    return [f.TasksChanged(running=len(line.tasks))]


def _retry(line: wire.Retry, _seal: Seal) -> _Facts:
    delay = int(line.retry_delay_ms)
    return [f.Retrying(attempt=line.attempt, limit=line.max_retries, delay_ms=delay, status=line.error_status)]


def _notice(what: str) -> Callable[[wire.Notice, Seal], _Facts]:
    def read(line: wire.Notice, seal: Seal) -> _Facts:
        text = line.content or line.text or line.message
        return [f.Noticed(what=what, text=seal(shorten(text, SUMMARY_LIMIT)) if text else None)]

    return read


def _assistant(line: wire.Spoken, seal: Seal) -> _Facts:
    parent, synthetic = line.parent_tool_use_id, line.message.model == "<synthetic>"
    found: _Facts = []
    for block in _blocks(line.message):
        if block.type == "text" and block.text.strip() and not line.error:  # errors are told by the result
            found.append(f.Said(text=seal(_bounded(block.text)), parent=parent, synthetic=synthetic))
        elif block.type == "tool_use":
            summary = seal(summarise(block.input))
            found.append(f.ToolCalled(tool=block.id, name=block.name[:80], summary=summary, parent=parent))
    return found


def _user(line: wire.Spoken, seal: Seal) -> _Facts:
    if line.is_replay or line.is_synthetic:
        return []
    return [
        f.ToolReturned(
            tool=block.tool_use_id,
            failed=bool(block.is_error),
            output=seal(text) if (text := _output(block.content)) else None,
            parent=line.parent_tool_use_id,
        )
        for block in _blocks(line.message)
        if block.type == "tool_result"
    ]


def _result(line: wire.Result, seal: Seal) -> _Facts:
    message = (line.result or "\n".join(line.errors)) if line.is_error else ""
    return [
        f.TurnFinished(
            prompts=tuple(line.user_message_uuids),
            error=line.is_error,
            reason=line.terminal_reason or line.subtype,
            status=line.api_error_status,
            message=seal(shorten(message, OUTPUT_HEAD)) if message else None,
            milliseconds=int(line.duration_ms),
            index=line.result_index,
        ),
    ]


def _request(line: wire.ControlRequest, seal: Seal) -> _Facts:
    asked = line.request
    if asked.subtype != "can_use_tool":
        return [f.Skipped(what="unknown")]
    question = msgspec.json.encode(ask(asked)).decode()
    return [
        f.PermissionAsked(
            request=line.request_id,
            tool=asked.tool_use_id,
            name=asked.tool_name[:80],
            question=seal(question),
            always=bool(asked.permission_suggestions),
        ),
    ]


def _cancel(line: wire.ControlCancel, _seal: Seal) -> _Facts:
    return [f.PermissionWithdrawn(request=line.request_id)]


def _response(line: wire.ControlResponse, _seal: Seal) -> _Facts:
    """Our own answers are echoed when the CLI has taken them; answers to our requests say nothing of use here."""
    ours = line.response.response is not None and "behavior" in line.response.response
    return [f.PermissionTaken(request=line.response.request_id)] if ours else []


def _mark(line: wire.Mark, seal: Seal) -> _Facts:
    match line.event:
        case "start":
            return [f.CliStarted(resumed=line.resumed)]
        case "exit":
            why = "\n".join(part for part in (line.why, line.stderr) if part)
            code = -line.signal if line.signal is not None else line.code if line.code is not None else 127
            return [f.CliExited(code=code, why=seal(shorten(why, OUTPUT_HEAD)) if why else None)]
        case "disk":
            return [f.DiskFilled(percent=line.percent, stopped=line.stopped)]
        case _:
            return []


_READERS: dict[str, tuple[type[Any], Callable[[Any, Seal], _Facts]]] = {
    "command_lifecycle": (wire.Lifecycle, _lifecycle),
    "assistant": (wire.Spoken, _assistant),
    "user": (wire.Spoken, _user),
    "result": (wire.Result, _result),
    "control_request": (wire.ControlRequest, _request),
    "control_cancel_request": (wire.ControlCancel, _cancel),
    "control_response": (wire.ControlResponse, _response),
    "supervisor": (wire.Mark, _mark),
    "system/init": (wire.Init, _init),
    "system/session_state_changed": (wire.SessionState, _state),
    "system/background_tasks_changed": (wire.Tasks, _tasks),
    "system/api_retry": (wire.Retry, _retry),
    "system/model_fallback": (wire.Notice, _notice("fallback")),
    "system/informational": (wire.Notice, _notice("info")),
    "system/permission_denied": (wire.Notice, _notice("denied")),
    "system/compact_boundary": (wire.Notice, _notice("compacted")),
    "conversation_reset": (wire.Notice, _notice("cleared")),
}

_SILENT = frozenset(
    {
        "stream_event",  # shown live, see live.py
        "keep_alive",
        "rate_limit_event",
        "system/status",
        "system/notification",  # hints for a terminal
        "system/thinking_tokens",
        "system/session_title_changed",
        "system/task_started",  # their level signal is background_tasks_changed
        "system/task_progress",
        "system/task_updated",
        "system/task_notification",
        "system/hook_started",
        "system/hook_response",
        "system/ui_invalidate",
        "system/files_persisted",
    }
)


# --- what people see of it -------------------------------------------------------------------------------------------


def ask(asked: wire.PermissionRequest) -> wire.PermissionQuestion:
    """A permission request in the form in which people decide on it. Pure."""
    text = _what(asked)
    cut = max(0, len(text) - QUESTION_LIMIT)
    return wire.PermissionQuestion(
        tool=asked.tool_name[:80],
        shown=text[:QUESTION_LIMIT],
        cut=cut,
        title=visible(asked.description)[:SUMMARY_LIMIT],
        reason=visible(asked.decision_reason)[:REASON_LIMIT],
        path=visible(asked.blocked_path)[:REASON_LIMIT],
        suggestions=tuple(asked.permission_suggestions),
    )


def _what(asked: wire.PermissionRequest) -> str:
    """A command as it would run; for other tools the whole input."""
    command = asked.input.get("command")
    if asked.tool_name == "Bash" and isinstance(command, str):
        return visible(command)
    return visible(msgspec.json.format(msgspec.json.encode(asked.input), indent=1).decode())


_SUMMARY_FIELDS = ("command", "file_path", "notebook_path", "pattern", "url", "description", "query", "skill", "path")


def summarise(arguments: dict[str, Any]) -> str:
    """One line that says what a tool was called with. Pure."""
    for field in _SUMMARY_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str) and value.strip():
            return shorten(visible(value.strip().splitlines()[0]), SUMMARY_LIMIT)
    return shorten(visible(msgspec.json.encode(arguments).decode()), SUMMARY_LIMIT) if arguments else ""


def _output(content: Any) -> str:
    """The text of a tool's result: its beginning and its end, and how much is left out between."""
    parts = cast("list[Any]", content) if isinstance(content, list) else [content]
    text = "\n".join(_part(part) for part in parts).strip()
    left_out = len(text) - OUTPUT_HEAD - OUTPUT_TAIL
    if left_out > 0:
        text = f"{text[:OUTPUT_HEAD]}\n[… {left_out} …]\n{text[-OUTPUT_TAIL:]}"
    return wire.clean(text)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        block = cast("dict[str, Any]", part)
        return str(block.get("text", f"[{block.get('type', '?')}]"))
    return ""


def _blocks(message: wire.Message) -> list[wire.Block]:
    return message.content if isinstance(message.content, list) else []


def _bounded(text: str) -> str:
    left_out = len(text) - SAID_LIMIT
    return wire.clean(text if left_out <= 0 else f"{text[:SAID_LIMIT]}\n[… {left_out}]")


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, the last one telling when there was more."""
    text = wire.clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def visible(text: str) -> str:
    """`text` with everything invisible made visible: nobody allows what they cannot see."""
    return "".join(letter if letter.isprintable() or letter == "\n" else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    return "    " if letter == "\t" else f"⟨U+{ord(letter):04X}⟩"
