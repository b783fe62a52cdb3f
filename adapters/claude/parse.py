"""From journal lines to facts: pure, without I/O. `parse(line, seal)` never raises, whatever the line holds.

All output of a sandbox is hostile input, so every limit is here: what a text may be long, what a summary shows. Texts leave
sealed. Which line means which fact is told in `schema/facts.py`; a type that is unknown is counted, never a reason to stop.
"""

import difflib
import json
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec

from adapters.claude import wire
from schema import facts as f
from schema.sealed import Seal

SAID_LIMIT = 256 << 10
OUTPUT_HEAD, OUTPUT_TAIL = 1500, 500
SUMMARY_LIMIT = 200
QUESTION_LIMIT = 6000
REASON_LIMIT = 300
SUGGESTIONS_LIMIT = 8 << 10
NAME_LIMIT = 80

_Facts = list[f.Fact]


class _How(NamedTuple):
    """What readers know besides their line."""

    seal: Seal
    workspace: str


UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding raises: not JSON, or of another shape; no Unicode; nested too deep."""

_DIAGNOSTIC = "[ede_diagnostic]"
"""How an error begins that the CLI adds to each aborted turn, for its own makers: nothing that people can use."""

_heads = msgspec.json.Decoder(wire.Head)


def parse(line: bytes, seal: Seal, workspace: str = "") -> _Facts:
    """The facts of one line of the journal, in their order. `workspace`: the CLI's working directory, "" when unknown."""
    how = _How(seal, workspace)
    try:
        return _parse(line, how)
    except UNREADABLE:
        pass
    try:
        return _parse(mended(line), how)
    except UNREADABLE:
        return [f.Skipped(what="broken")] if line.strip() else []


def mended(line: bytes) -> bytes:
    """`line` with question marks for what is no Unicode: the end of a turn counts, even with half an emoji in its text."""
    try:
        return json.dumps(json.loads(line.decode(errors="replace")), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError):
        return line


def _parse(line: bytes, how: _How) -> _Facts:
    head = _heads.decode(line)
    name = f"{head.type}/{head.subtype}" if head.type == "system" else head.type
    if name in _SILENT:
        return []
    reader = _READERS.get(name)
    if reader is None:
        return [f.Skipped(what="unknown")]
    shape, read = reader
    return read(msgspec.json.decode(line, type=shape), how)


# --- one reader a kind of line ---------------------------------------------------------------------------------------


def _lifecycle(line: wire.Lifecycle, _how: _How) -> _Facts:
    match line.state:
        case "started":
            return [f.PromptStarted(prompt=line.command_uuid)]
        case "completed":
            return [f.PromptOver(prompt=line.command_uuid)]
        case "cancelled":
            return [f.PromptOver(prompt=line.command_uuid, cancelled=True)]
        case _:
            return []


def _init(line: wire.Init, _how: _How) -> _Facts:
    return [f.CliReady(model=line.model, mode=line.permission_mode, version=line.claude_code_version)]


def _state(line: wire.SessionState, _how: _How) -> _Facts:
    return [f.StateChanged(state=line.state)]


def _tasks(line: wire.Tasks, _how: _How) -> _Facts:
    return [f.TasksChanged(running=len(line.tasks))]


def _retry(line: wire.Retry, _how: _How) -> _Facts:
    delay = int(line.retry_delay_ms)
    return [f.Retrying(attempt=line.attempt, limit=line.max_retries, delay_ms=delay, status=line.error_status)]


def _notice(what: str) -> Callable[[wire.Notice, _How], _Facts]:
    def read(line: wire.Notice, how: _How) -> _Facts:
        text = line.content or line.text or line.message
        return [f.Noticed(what=what, text=how.seal(shorten(text, SUMMARY_LIMIT)) if text else None)]

    return read


def _assistant(line: wire.Spoken, how: _How) -> _Facts:
    parent, synthetic = line.parent_tool_use_id, line.message.model == "<synthetic>"
    found: _Facts = []
    for block in _blocks(line.message):
        if block.type == "text" and block.text.strip() and not line.error:  # errors are told by the result
            found.append(f.Said(text=how.seal(_bounded(block.text)), parent=parent, synthetic=synthetic))
        elif block.type == "tool_use":
            summary = how.seal(summarise(block.input, how.workspace))
            found.append(f.ToolCalled(tool=block.id, name=block.name[:NAME_LIMIT], summary=summary, parent=parent))
    return found


def _user(line: wire.Spoken, how: _How) -> _Facts:
    if line.is_replay or line.is_synthetic:
        return []
    return [
        f.ToolReturned(
            tool=block.tool_use_id,
            failed=bool(block.is_error),
            output=how.seal(text) if (text := _output(block.content)) else None,
            parent=line.parent_tool_use_id,
        )
        for block in _blocks(line.message)
        if block.type == "tool_result"
    ]


def _result(line: wire.Result, how: _How) -> _Facts:
    told = "\n".join(error for error in line.errors if not error.startswith(_DIAGNOSTIC))
    message = (line.result or told) if line.is_error else ""
    return [
        f.TurnFinished(
            prompts=tuple(line.user_message_uuids),
            error=line.is_error,
            reason=line.terminal_reason or line.subtype,
            status=line.api_error_status,
            message=how.seal(shorten(message, OUTPUT_HEAD)) if message else None,
            milliseconds=int(line.duration_ms),
            index=line.result_index,
        ),
    ]


def _request(line: wire.ControlRequest, how: _How) -> _Facts:
    asked = line.request
    if asked.subtype != "can_use_tool":
        return [f.Skipped(what="unknown")]
    question = ask(asked, how.workspace)
    return [
        f.PermissionAsked(
            request=line.request_id,
            tool=asked.tool_use_id,
            name=asked.tool_name[:NAME_LIMIT],
            question=how.seal(msgspec.json.encode(question).decode()),
            always=bool(question.suggestions),
        ),
    ]


def _cancel(line: wire.ControlCancel, _how: _How) -> _Facts:
    return [f.PermissionWithdrawn(request=line.request_id)]


def _response(line: wire.ControlResponse, _how: _How) -> _Facts:
    """Our own answers are echoed when the CLI has taken them; answers to our requests say nothing of use here."""
    ours = line.response.response is not None and "behavior" in line.response.response
    return [f.PermissionTaken(request=line.response.request_id)] if ours else []


def _mark(line: wire.Mark, how: _How) -> _Facts:
    match line.event:
        case "start":
            return [f.CliStarted(resumed=line.resumed)]
        case "exit":
            why = "\n".join(part for part in (line.why, line.stderr) if part)
            code = -line.signal if line.signal is not None else line.code if line.code is not None else 127
            return [f.CliExited(code=code, why=how.seal(shorten(why, OUTPUT_HEAD)) if why else None)]
        case "disk":
            return [f.DiskFilled(percent=line.percent, stopped=line.stopped)]
        case "memory":
            return [f.MemoryFilled(percent=line.percent)]
        case _:
            return []


_READERS: dict[str, tuple[type[Any], Callable[[Any, _How], _Facts]]] = {
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


def ask(asked: wire.PermissionRequest, workspace: str = "") -> wire.PermissionQuestion:
    """A permission request in the form in which people decide on it; a file of the workspace by its name in it. Pure."""
    what = _what(asked)
    shown = visible(what.text, QUESTION_LIMIT)
    return wire.PermissionQuestion(
        tool=asked.tool_name[:NAME_LIMIT],
        shown="".join(shown),
        language=what.language,
        cut=len(what.text) - len(shown),
        title="".join(visible(asked.description, SUMMARY_LIMIT)),
        reason="".join(visible(asked.decision_reason, REASON_LIMIT)),
        path="".join(visible(_in_workspace(what.path or asked.blocked_path, workspace), REASON_LIMIT)),
        suggestions=_kept(asked.permission_suggestions),
    )


def _kept(suggestions: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """What "always" will echo: all of it, or nothing when it is beyond anything that the CLI suggests."""
    return tuple(suggestions) if len(msgspec.json.encode(suggestions)) <= SUGGESTIONS_LIMIT else ()


class _What(NamedTuple):
    text: str
    language: str = ""
    path: str = ""


def _what(asked: wire.PermissionRequest) -> _What:
    """What would happen, as people read it: a command as it would run, the text of a file, an edit as a diff.

    Whatever has anything else in it, and what other tools are given, is shown whole, as it is.
    """
    match asked.tool_name, asked.input:
        case "Bash", {"command": str(command)}:
            return _What(command)
        case "Write", {"file_path": str(path), "content": str(text), **more} if text.strip() and not more:
            said = _What(text, path=path)
        case "Edit", {"file_path": str(path), "old_string": str(old), "new_string": str(new), **more} if _once(more):
            said = _What(_diff(old, new), language="diff", path=path)
        case _:
            said = _What("")
    if said.text and asked.blocked_path in {"", said.path}:
        return said
    return _What(msgspec.json.format(msgspec.json.encode(asked.input), indent=1).decode())


def _once(more: dict[str, Any]) -> bool:
    return not more or more == {"replace_all": False}


def _diff(old: str, new: str) -> str:
    """Every line of both; nothing when that would take long."""
    if len(old) + len(new) > QUESTION_LIMIT:
        return ""
    heads = 3  # two names of files, and where in them
    lines = difflib.unified_diff(old.split("\n"), new.split("\n"), n=QUESTION_LIMIT, lineterm="")
    return "\n".join(list(lines)[heads:])


_SUMMARY_FIELDS = ("command", "file_path", "notebook_path", "pattern", "url", "description", "query", "skill", "path")


def summarise(arguments: dict[str, Any], workspace: str = "") -> str:
    """One line that says what a tool was called with; files of the workspace by their name in it. Pure."""
    for field in _SUMMARY_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str) and value.strip():
            return _summary(_in_workspace(value.strip(), workspace))
    return _summary(msgspec.json.encode(arguments).decode()) if arguments else ""


def _in_workspace(path: str, workspace: str) -> str:
    return path.removeprefix(f"{workspace}/") if workspace else path


def _summary(text: str) -> str:
    line = text.splitlines()[0]
    shown = "".join(visible(line, SUMMARY_LIMIT - 1))
    return f"{shown}…" if line != text or len(shown) < len(line) else shown


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
        text = block.get("text")
        return text if isinstance(text, str) else f"[{block.get('type')}]"
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


_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))  # variation selectors
)
"""Letters that count as printable and show nothing."""


def visible(text: str, limit: int) -> list[str]:
    """The letters of `text`, the invisible ones made visible, as many as have room in `limit` characters.

    Nobody allows what they cannot see: bidirectional marks, zero-width and look-alike spaces, terminal sequences.
    """
    shown: list[str] = []
    for letter in text:
        piece = letter if _shows(letter) else _escape(letter)
        limit -= len(piece)
        if limit < 0:
            break
        shown.append(piece)
    return shown


def _shows(letter: str) -> bool:
    return (letter.isprintable() and letter not in _BLANK) or letter == "\n"


def _escape(letter: str) -> str:
    return "    " if letter == "\t" else f"⟨U+{ord(letter):04X}⟩"
