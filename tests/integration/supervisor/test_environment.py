"""What operators place in a sandbox is there before Claude Code starts, and Claude Code uses it."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from adapters.claude import invocation
from adapters.claude.agent import ClaudeAgent
from adapters.claude.environment import read_environment
from engine.ports import GiveUp, TryAgain
from engine.session import Session
from schema import events as e

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Host, Requests

    StandIn = Callable[..., bytes]
    Prompt = Callable[[str, str], bytes]

READY = """
print(json.dumps({"type": "ready", "files": sorted(os.listdir(os.environ["HOME"]))}))
sys.stdin.read()
"""


def tar(*members: tarfile.TarInfo) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as written:
        for member in members:
            written.addfile(member, io.BytesIO(bytes(member.size)))
    return archive.getvalue()


def held(config: bytes) -> bytes:
    return json.dumps(json.loads(config) | {"held": True}).encode()


async def test_a_held_cli_starts_once_its_files_are_there(host: Host, stand_in: StandIn, prompt: Prompt) -> None:
    await host.start(held(stand_in(READY)))
    assert (await host.channel.status()).state == "held"
    with pytest.raises(TryAgain, match="its files are not there yet"):
        await host.channel.send("a", prompt("hello", "a"))
    assert not await host.channel.stop()
    await host.kill_supervisor()
    await host.start()
    assert (await host.channel.status()).state == "held"
    file = tarfile.TarInfo("sub/file")
    file.size, file.mode = 3, 0o740
    await host.channel.unpack("home", tar(file))
    assert await host.channel.restart()
    ready = await host.reader.wait(type="ready")
    assert "sub" in ready["files"]
    placed = host.directory / "home/sub/file"
    assert (placed.read_bytes(), placed.stat().st_mode & 0o777) == (bytes(3), 0o740)
    assert not [mark for mark in host.reader.objects() if mark.get("event") == "exit"]
    await host.kill_supervisor()
    since = len(host.reader.lines)
    await host.start()
    await host.reader.wait(since, type="ready")


def odd(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "archive",
    [
        b"no tar",
        tar(odd("good"), odd("../up")),
        tar(odd("good"), odd("/abs")),
        tar(odd("good"), odd("link", tarfile.SYMTYPE, "/etc/passwd")),
        tar(odd("good"), odd("pipe", tarfile.FIFOTYPE)),
    ],
)
async def test_an_archive_that_could_lead_elsewhere_is_refused_whole(
    host: Host, stand_in: StandIn, archive: bytes
) -> None:
    await host.start(stand_in(READY))
    with pytest.raises(GiveUp, match=r"nothing was taken|plain names"):
        await host.channel.unpack("home/.claude", archive)
    assert not (host.directory / "home/.claude/good").exists()


class Context:
    """An attached session that only listens."""

    epoch = 1

    def __init__(self) -> None:
        self.session = Session(id="1", starter="7")
        self.ready = anyio.Event()

    async def report(self, event: e.Event) -> None:
        if isinstance(event, e.SandboxReady):
            self.ready.set()
            await anyio.sleep_forever()

    def say(self, text: str) -> None: ...

    async def changed(self) -> None: ...


@pytest.mark.cli
async def test_claude_knows_its_instructions_its_commands_and_its_hooks(
    host: Host, real_cli: bytes, requests: Requests, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    for name, text in {
        "CLAUDE.md": "Always mention the orchid.",
        "commands/greet.md": "Greet $ARGUMENTS warmly.",
        "hooks/said.sh": "#!/bin/sh\necho the hook has spoken\n",
        "settings.json": json.dumps(
            {
                "hooks": {
                    "UserPromptSubmit": [{"hooks": [{"type": "command", "command": "$HOME/.claude/hooks/said.sh"}]}]
                }
            }
        ),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "hooks/said.sh").chmod(0o755)
    cli = json.loads(real_cli)
    settings = invocation.CliSettings(
        cli=cli["argv"][0], base_url=requests.url, isolated=False, files=read_environment(folder).archive
    )
    context: Any = Context()
    agent = ClaudeAgent(host.local, None, settings, lambda *_: "a-token")  # type: ignore[arg-type] - nothing is sealed
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.attach, "r-1", context)
        with anyio.fail_after(30):
            await context.ready.wait()
        await host.start(invocation.config(settings, session="1", token="a-token"))
        await host.say("/greet Ada")
        await host.reader.wait(type="result")
        tasks.cancel_scope.cancel()
    asked = json.dumps(requests.bodies[-1])
    assert "Always mention the orchid." in asked
    assert "Greet Ada warmly." in asked
    assert "the hook has spoken" in asked
    assert msgspec.json.decode(real_cli, type=dict)["held"] is False
