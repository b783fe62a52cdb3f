"""How the CLI is invoked: its argv and environment, as the supervisor's configuration. Pure.

Sources: claude-code.md §2. Prompts are never in argv, the token never in argv either; HOME, the working directory and the
choice between `--session-id` and `--resume` are the supervisor's, which knows its sandbox.
"""

import uuid
from urllib.parse import urlsplit

import msgspec

from engine.repos import Repository

_DISALLOWED_TOOLS = (
    "AskUserQuestion",  # asked through the thread in a later release
    "EnterPlanMode",
    "ExitPlanMode",
    "CronCreate",  # these start turns that nobody asked for, in a sandbox that may be gone by then
    "CronDelete",
    "CronList",
    "ScheduleWakeup",
    "Monitor",
)

USER_DIRECTORY = "home/.claude"
"""Where the CLI looks for what is the user's, as the supervisor names it (claude-code.md §6)."""

_SESSIONS = uuid.UUID("5b0d7c52-3f0e-4b0c-9a43-6f3c6d1f2a10")
"""The namespace of the CLI's session ids. Never change it: a session could not be resumed."""


_UNTRUSTED = ("--setting-sources", "user", "--strict-mcp-config", "--add-dir", ".")
"""What a workspace holds that is code is not taken: no settings (with hooks and environment), MCP servers, commands, skills."""

_UNTRUSTED_ENVIRONMENT = {"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1"}
"""With `--add-dir .`: its CLAUDE.md and rules are read all the same. They are text, which a prompt could be, too."""


class CliSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all sandboxes of an installation.

    `cli`: path of the binary as seen in a sandbox. `stream_hold_ms`: text deltas within this time are joined.
    `disk_bytes`: size of a sandbox's disk, None to ask its file system. `isolated`: by more than a process boundary.
    `egress_url`: the proxy that is a sandbox's way out; None for none.
    `files`: a tar of what is placed in the user's directory of the CLI before it starts (`environment.py`); empty for none.
    `trusted`: the repositories (`repos.is_within`) whose hooks, MCP servers and the like the CLI takes. `start_seconds`: what
    cloning one may take, of a sandbox's start.
    """

    cli: str
    base_url: str
    isolated: bool
    model: str = ""
    path: str = "/usr/local/bin:/usr/bin:/bin"
    stream_hold_ms: int = 500
    disk_bytes: int | None = None
    stop_seconds: float = 10
    egress_url: str | None = None
    files: bytes = b""
    trusted: tuple[str, ...] = ()
    start_seconds: float = 120


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of the supervisor, `supervisor.Config` there."""

    argv: tuple[str, ...]
    env: dict[str, str]
    session: str
    disk_bytes: int | None
    stop_seconds: float
    held: bool


def config(settings: CliSettings, *, session: str, token: str, clones: bool = False, trusted: bool = True) -> bytes:
    """What `SandboxSpec.config` holds for this session. Holds the token: never log it. `clones`: into its workspace, before the
    CLI starts, a repository which is `trusted` or not.
    """
    return msgspec.json.encode(
        Config(
            argv=(*argv(settings), *(() if trusted else _UNTRUSTED)),
            env=environment(settings, token) | ({} if trusted else _UNTRUSTED_ENVIRONMENT),
            session=cli_session(session),
            disk_bytes=settings.disk_bytes,
            stop_seconds=settings.stop_seconds,
            held=bool(settings.files) or clones,
        ),
    )


class _Clone(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor is to clone, `supervisor.CloneRequest` there."""

    url: str
    origin: str
    token: str
    seconds: float


def clone(settings: CliSettings, repository: Repository, *, token: str, seconds: float) -> bytes:
    """What `SupervisorChannel.clone` takes. Holds the repository's token: never log it."""
    url = f"{settings.base_url}/git/{repository.name}"
    return msgspec.json.encode(_Clone(url=url, origin=repository.address, token=token, seconds=seconds))


def cli_session(session: str) -> str:
    """The CLI's id of a session's conversation: it must be a UUID."""
    return str(uuid.uuid5(_SESSIONS, session))


def argv(settings: CliSettings) -> tuple[str, ...]:
    """All of the CLI's argv but its session."""
    return (
        settings.cli,
        "-p",
        *("--input-format", "stream-json"),
        *("--output-format", "stream-json"),
        "--verbose",
        "--include-partial-messages",
        "--replay-user-messages",
        *("--permission-prompt-tool", "stdio"),
        *("--disallowedTools", ",".join(_DISALLOWED_TOOLS)),
        *(("--model", settings.model) if settings.model else ()),
    )


def environment(settings: CliSettings, token: str) -> dict[str, str]:
    """All of the CLI's environment but what depends on the sandbox."""
    return {
        "PATH": settings.path,
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": settings.base_url,
        "ANTHROPIC_AUTH_TOKEN": token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
        "CLAUDE_CODE_STREAM_EVENT_HOLD_MS": str(settings.stream_hold_ms),
        "CLAUDE_CODE_STARTUP_FAILURE_RESULTS": "1",
        **_way_out(settings, token),
    }


def _way_out(settings: CliSettings, token: str) -> dict[str, str]:
    """For https only, the one thing it lets through; the session token is its password. Tools read either spelling.

    The CLI takes it for plain http too: so it is told that the way to the model is another.
    """
    if settings.egress_url is None:
        return {}
    scheme, _, address = settings.egress_url.partition("://")
    proxy = f"{scheme}://dc1:{token}@{address}"
    around = urlsplit(settings.base_url).hostname or ""
    return {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": around, "no_proxy": around}
