"""Facts: what Claude Code's journal said, reduced to what the engine decides on.

The parser (`adapters/claude/parse.py`) turns journal lines into facts; `JournalRead` events hold them. Like events they are
STORAGE FORMAT: a released fact never changes, it gets a new tag. Text is sealed and bounded by the parser; text deltas are
no facts (they are shown from memory and read again from the journal after a crash).
"""

import msgspec

from schema.sealed import Sealed


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", omit_defaults=True, gc=False):
    """`tag` is the name in the log. Never rename one."""


class CliStarted(_Fact, frozen=True, kw_only=True, tag="cli_started"):
    """The supervisor started a CLI process. `resumed`: it goes on with an existing transcript."""

    resumed: bool = False


class CliExited(_Fact, frozen=True, kw_only=True, tag="cli_exited"):
    """The CLI process is gone, and so is everything it started. `code` is negative for a signal; `why` the end of stderr."""

    code: int
    why: Sealed | None = None


class CliReady(_Fact, frozen=True, kw_only=True, tag="cli_ready"):
    """`system/init`: the CLI begins a turn with this model and permission mode."""

    model: str
    mode: str
    version: str = ""


class PromptStarted(_Fact, frozen=True, kw_only=True, tag="prompt_started"):
    """The CLI took up a prompt of ours; from here on it is never resent silently (P2)."""

    prompt: str


class PromptOver(_Fact, frozen=True, kw_only=True, tag="prompt_over"):
    """The CLI is done with a prompt: completed, or cancelled before it was started."""

    prompt: str
    cancelled: bool = False


class Said(_Fact, frozen=True, kw_only=True, tag="said"):
    """A finished text block. `parent`: the tool use of the subagent that said it. `synthetic`: said by the CLI itself."""

    text: Sealed
    parent: str | None = None
    synthetic: bool = False


class ToolCalled(_Fact, frozen=True, kw_only=True, tag="tool_called"):
    """Claude called a tool. `summary` is one line for people (a command, a file name), made by the parser."""

    tool: str
    name: str
    summary: Sealed
    parent: str | None = None


class ToolReturned(_Fact, frozen=True, kw_only=True, tag="tool_returned"):
    """A tool's result came back. `output` is its bounded beginning and end."""

    tool: str
    failed: bool
    output: Sealed | None = None
    parent: str | None = None


class PermissionAsked(_Fact, frozen=True, kw_only=True, tag="permission_asked"):
    """The CLI waits for a decision. `question` is sealed JSON: `PermissionQuestion` of `adapters/claude/wire.py`."""

    request: str
    tool: str
    name: str
    question: Sealed
    always: bool = False


class PermissionWithdrawn(_Fact, frozen=True, kw_only=True, tag="permission_withdrawn"):
    """The CLI no longer waits for this decision (interrupted, or its hook timed out)."""

    request: str


class PermissionTaken(_Fact, frozen=True, kw_only=True, tag="permission_taken"):
    """The CLI echoed our answer: it has it."""

    request: str


class TurnFinished(_Fact, frozen=True, kw_only=True, tag="turn_finished"):
    """A `result` line. `error` is the CLI's `is_error`; `reason` its terminal_reason, as printed. `message` is set for errors."""

    prompts: tuple[str, ...]
    error: bool
    reason: str
    status: int | None = None
    message: Sealed | None = None
    milliseconds: int = 0
    index: int = 0


class StateChanged(_Fact, frozen=True, kw_only=True, tag="state_changed"):
    """`session_state_changed`: running, requires_action or idle. Only idle means that the work is over."""

    state: str


class TasksChanged(_Fact, frozen=True, kw_only=True, tag="tasks_changed"):
    """How many background tasks run now."""

    running: int


class Retrying(_Fact, frozen=True, kw_only=True, tag="retrying"):
    """The CLI tries a request to the model again. `status` is None when there was no answer at all."""

    attempt: int
    limit: int
    delay_ms: int
    status: int | None = None


class Noticed(_Fact, frozen=True, kw_only=True, tag="noticed"):
    """Something people should see and the engine does not decide on: a compaction, a model fallback, a denied permission."""

    what: str
    text: Sealed | None = None


class DiskFilled(_Fact, frozen=True, kw_only=True, tag="disk_filled"):
    """The sandbox's disk is `percent` full. `stopped`: the supervisor ended the CLI so that nothing is lost silently."""

    percent: int
    stopped: bool = False


class MemoryFilled(_Fact, frozen=True, kw_only=True, tag="memory_filled"):
    """The sandbox uses `percent` of the memory that it may: beyond, its machine ends what runs in it."""

    percent: int


class Skipped(_Fact, frozen=True, kw_only=True, tag="skipped"):
    """Lines that could not be read: of an unknown type, broken, or over the limit. Counted, never a reason to stop."""

    what: str
    count: int = 1


Fact = (
    CliStarted
    | CliExited
    | CliReady
    | PromptStarted
    | PromptOver
    | Said
    | ToolCalled
    | ToolReturned
    | PermissionAsked
    | PermissionWithdrawn
    | PermissionTaken
    | TurnFinished
    | StateChanged
    | TasksChanged
    | Retrying
    | Noticed
    | DiskFilled
    | MemoryFilled
    | Skipped
)
