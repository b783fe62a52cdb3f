"""The CLI's stream-json and control protocol, both directions, as far as we use it (`claude-code.md` §3, §5).

Reading is tolerant: unknown fields are ignored, unknown types are for the parser to count. But what goes into the log
unsealed is bounded by its type: a sandbox may print anything. Writing is strict: every builder returns exactly one line of
JSON that the CLI takes, for a line it does not take ends it (`claude-code.md` §8).
"""

from typing import Annotated, Any

import msgspec

# --- what the CLI prints ---------------------------------------------------------------------------------------------

Id = Annotated[str, msgspec.Meta(max_length=64, pattern=r"\A[!-~]*\Z")]
Word = Annotated[str, msgspec.Meta(max_length=200)]
Number = Annotated[int, msgspec.Meta(ge=-(1 << 31), lt=1 << 31)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, lt=1 << 31)]

_MOST_BLOCKS = 256
_MOST_PROMPTS = 64


class Head(msgspec.Struct):
    """What every line has. `subtype` tells kinds of `system` and `result` apart."""

    type: str = ""
    subtype: str | None = None


class Lifecycle(msgspec.Struct):
    """`command_lifecycle`: a user message of ours was queued, started, completed or cancelled."""

    command_uuid: Id
    state: str


class Block(msgspec.Struct):
    """One content block of a message; which fields are set depends on `type`."""

    type: str = ""
    text: str = ""
    id: Id = ""
    name: str = ""
    input: dict[str, Any] = {}
    tool_use_id: Id = ""
    content: Any = None
    is_error: bool | None = None


class Message(msgspec.Struct):
    """A message of the conversation. `content` of a user's may be plain text."""

    content: str | Annotated[list[Block], msgspec.Meta(max_length=_MOST_BLOCKS)] = []
    model: str = ""


class Spoken(msgspec.Struct):
    """`assistant` and `user` lines."""

    message: Message
    parent_tool_use_id: Id | None = None
    error: str | None = None
    is_replay: bool = msgspec.field(default=False, name="isReplay")
    is_synthetic: bool = msgspec.field(default=False, name="isSynthetic")


class Init(msgspec.Struct):
    """`system/init`, at the beginning of every turn."""

    model: Word = ""
    permission_mode: Word = msgspec.field(default="default", name="permissionMode")
    claude_code_version: Word = ""


class SessionState(msgspec.Struct):
    """`system/session_state_changed`."""

    state: Word


class Tasks(msgspec.Struct):
    """`system/background_tasks_changed`."""

    tasks: list[Any] = []


class Retry(msgspec.Struct):
    """`system/api_retry`."""

    attempt: Number
    max_retries: Number
    retry_delay_ms: Milliseconds = 0
    error_status: Number | None = None


class Notice(msgspec.Struct):
    """System lines that carry a text for people."""

    content: str = ""
    text: str = ""
    message: str = ""


class Result(msgspec.Struct):
    """`result`: the end of a turn. Test `is_error`, never the subtype (`claude-code.md` §3)."""

    is_error: bool = False
    terminal_reason: Word = ""
    subtype: Word = ""
    result: str | None = None
    errors: list[str] = []
    api_error_status: Number | None = None
    user_message_uuids: Annotated[list[Id], msgspec.Meta(max_length=_MOST_PROMPTS)] = []
    duration_ms: Milliseconds = 0
    result_index: Number = 0


class PermissionRequest(msgspec.Struct):
    """The body of a `can_use_tool` request."""

    subtype: str = ""
    tool_name: str = ""
    display_name: str = ""
    input: dict[str, Any] = {}
    description: str = ""
    permission_suggestions: list[dict[str, Any]] = []
    blocked_path: str = ""
    decision_reason: str = ""
    tool_use_id: Id = ""


class ControlRequest(msgspec.Struct):
    """`control_request`: the CLI asks its host something."""

    request_id: Id
    request: PermissionRequest


class ControlCancel(msgspec.Struct):
    """`control_cancel_request`: it no longer asks."""

    request_id: Id


class ControlAnswer(msgspec.Struct):
    """The body of a `control_response`. One with a `behavior` is our own answer, echoed."""

    request_id: Id = ""
    subtype: str = ""
    response: dict[str, Any] | None = None


class ControlResponse(msgspec.Struct):
    """`control_response`."""

    response: ControlAnswer


class Delta(msgspec.Struct):
    """What a stream event adds to a block."""

    type: str = ""
    text: str = ""


class StreamBlock(msgspec.Struct):
    """The block that a stream event begins."""

    type: str = ""


class StreamBody(msgspec.Struct):
    """A raw event of the Messages API."""

    type: str = ""
    index: int = 0
    delta: Delta | None = None
    content_block: StreamBlock | None = None


class StreamEvent(msgspec.Struct):
    """`stream_event`; of other lines, who they are of, and where the CLI works (`system/init`). Their `event` is a word."""

    type: str = ""
    cwd: str = ""
    event: StreamBody | str = ""
    parent_tool_use_id: str | None = None


class Mark(msgspec.Struct):
    """A line of the supervisor's own (`supervisor.py`, section journal)."""

    event: str = ""
    resumed: bool = False
    code: Number | None = None
    signal: Number | None = None
    why: str = ""
    stderr: str = ""
    percent: Number = 0
    stopped: bool = False


# --- what people decide on -------------------------------------------------------------------------------------------


class PermissionQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A permission as it is sealed in the log: what people see, and what an answer must echo.

    `shown` is what is asked for, in the form it would run: nothing of it is left out, unless `cut` says how many
    characters are. `language` is its language, as a block of code names it. `suggestions` are the CLI's own, for "always".
    """

    tool: str
    shown: str
    language: str = ""
    cut: int = 0
    title: str = ""
    reason: str = ""
    path: str = ""
    suggestions: tuple[dict[str, Any], ...] = ()


# --- what we write ---------------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode


def _line(body: dict[str, Any]) -> bytes:
    return _encode(body) + b"\n"


def clean(text: str) -> str:
    """`text` as the CLI and the model can take it: no NUL, and no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def user_message(uuid: str, text: str) -> bytes:
    """A prompt. `uuid` is its id for ever: the CLI drops a second one of the same id."""
    return _line(
        {
            "type": "user",
            "message": {"role": "user", "content": clean(text)},
            "parent_tool_use_id": None,
            "session_id": "",
            "uuid": uuid,
        },
    )


def interrupt(request_id: str) -> bytes:
    """End the running turn. Harmless when none runs."""
    return _line({"type": "control_request", "request_id": request_id, "request": {"subtype": "interrupt"}})


def allow(request_id: str) -> bytes:
    """Let the tool run as it was asked."""
    return _answer(request_id, {"behavior": "allow"})


def allow_always(request_id: str, question: PermissionQuestion) -> bytes:
    """Let the tool run, and what the CLI suggests for the rest of the session: in its memory, never in a file."""
    updates = [{**suggestion, "destination": "session"} for suggestion in question.suggestions]
    return _answer(request_id, {"behavior": "allow", "updatedPermissions": updates})


def deny(request_id: str, message: str) -> bytes:
    """Refuse; `message` is what the model reads."""
    return _answer(request_id, {"behavior": "deny", "message": message})


def _answer(request_id: str, response: dict[str, Any]) -> bytes:
    body = {"subtype": "success", "request_id": request_id, "response": response}
    return _line({"type": "control_response", "response": body})
