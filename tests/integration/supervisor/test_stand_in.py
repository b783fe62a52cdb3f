"""What the real CLI cannot be made to do: print what it never prints, refuse to end, leave processes behind."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from adapters.claude.channel import JournalLine, SupervisorChannel
from engine.ports import Fenced, GiveUp, TryAgain

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from conftest import Host

    StandIn = Callable[..., bytes]
    IsRunning = Callable[[int], bool]
    MakeHost = Callable[..., AbstractAsyncContextManager[Host]]
    WaitUntil = Callable[[Callable[[], bool]], Awaitable[None]]
    Prompt = Callable[[str, str], bytes]

SECONDS = 40

ECHO = """
for line in sys.stdin:
    print(json.dumps({"type": "echo", "text": json.loads(line)["message"]["content"]}))
"""


async def first_line(channel: SupervisorChannel, epoch: int, offset: int) -> JournalLine:
    async with aclosing(channel.follow(epoch, offset)) as lines:
        return await anext(lines)


async def test_lines_reach_the_cli_in_order_and_once_per_id(host: Host, stand_in: StandIn, prompt: Prompt) -> None:
    await host.start(stand_in(ECHO))
    assert await host.channel.send("a", prompt("one", "a"))
    assert not await host.channel.send("a", prompt("one", "a"))
    assert await host.channel.send("b", prompt("two", "b"))
    await host.reader.wait(type="echo", text="two")
    assert not await host.channel.send("a", prompt("one", "a"))
    await host.say("three")
    await host.reader.wait(type="echo", text="three")
    assert [item["text"] for item in host.reader.objects() if item["type"] == "echo"] == ["one", "two", "three"]


async def test_bytes_pass_through_as_they_are_and_a_line_of_ten_megabytes_too(host: Host, stand_in: StandIn) -> None:
    program = r"""
out = sys.stdout.buffer
out.write(b"\xff\xfe invalid \xc3(\n" + b"x" * 10_000_000 + b"\n" + b"y" * 17_000_000 + b"\n" + b'{"type":"end"}\n')
out.flush()
sys.stdin.read()
"""
    await host.start(stand_in(program))
    await host.reader.wait(type="end")
    _, strange, long, too_long, end = host.reader.lines[:5]
    assert strange.line == b"\xff\xfe invalid \xc3("
    assert long.line == b"x" * 10_000_000
    assert too_long.line is None
    assert end.end == too_long.end + len(b'{"type":"end"}\n')


async def test_an_exit_is_marked_with_its_code_and_its_last_words(host: Host, stand_in: StandIn) -> None:
    program = "print('half a line', end=''); sys.stderr.write('x' * 9000 + 'the key is s3cret: bad'); sys.exit(1)"
    await host.start(stand_in(program, env={"ANTHROPIC_AUTH_TOKEN": "s3cret"}))
    end = await host.reader.wait(event="exit")
    assert (end["code"], end["signal"], end["cli"]) == (1, None, 1)
    assert end["stderr"].endswith("the key is [secret]: bad")
    assert len(end["stderr"]) <= 4100
    assert host.reader.lines[1].line == b"half a line"
    with pytest.raises(TryAgain, match="no CLI runs"):
        await host.say("hello")


async def test_a_cli_that_never_starts_is_said_and_can_be_tried_again(host: Host, stand_in: StandIn) -> None:
    config = json.loads(stand_in(ECHO))
    await host.start(json.dumps({**config, "argv": ["/nowhere/claude"]}).encode())
    end = await host.reader.wait(event="exit")
    assert end["why"] == "cannot start /nowhere/claude: No such file or directory"
    assert await host.channel.restart()
    await host.reader.wait(event="exit", cli=2)


async def test_a_cli_that_ignores_every_request_to_end_is_killed_in_bounded_time(host: Host, stand_in: StandIn) -> None:
    program = """
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)
print('{"type":"deaf"}')
while True: time.sleep(60)
"""
    await host.start(stand_in(program, stop_seconds=0.5))
    await host.reader.wait(type="deaf")
    assert await host.channel.stop()
    end = await host.reader.wait(event="exit")
    assert (end["code"], end["signal"], end["why"]) == (None, 9, "stopped")
    assert not await host.channel.stop()


LEAVES_CHILDREN = """
def orphan(env):
    child = subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM INT HUP; sleep 1000 & wait; sleep 1000"],
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env)
    return child.pid
print(json.dumps({"type": "orphans", "pids": [orphan(None), orphan({"PATH": os.environ["PATH"]})]}))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.readline()
if "--outlive" in sys.argv:
    time.sleep(1000)
"""


async def test_what_a_cli_leaves_behind_is_ended_before_its_end_is_marked(
    host: Host, stand_in: StandIn, is_running: IsRunning
) -> None:
    await host.start(stand_in(LEAVES_CHILDREN))
    orphans = (await host.reader.wait(type="orphans"))["pids"]
    assert all(is_running(pid) for pid in orphans)
    await host.say("end")
    await host.reader.wait(event="exit")
    assert not any(is_running(pid) for pid in orphans)


async def test_a_new_supervisor_ends_the_old_cli_before_it_starts_one(
    host: Host, stand_in: StandIn, is_running: IsRunning
) -> None:
    config = json.loads(stand_in(LEAVES_CHILDREN))
    await host.start(json.dumps({**config, "argv": [*config["argv"], "--outlive"]}).encode())
    marked_orphan = (await host.reader.wait(type="orphans"))["pids"][0]
    old = (await host.channel.status()).pid
    assert old is not None
    scrubbed = (await host.reader.wait(type="orphans"))["pids"][1]
    await host.kill_supervisor()
    assert is_running(old)
    await host.start()
    await host.reader.wait(event="exit", why="the supervisor was killed")
    assert not is_running(old)
    assert not is_running(marked_orphan)
    await host.reader.wait(since=3, event="start")  # behind: start, orphans, exit
    assert [line.epoch for line in host.reader.lines[:4]] == [1, 1, 1, 2]
    # Named in the README: it gave up its mark, and nobody was left who knew it as a child.
    shell = psutil.Process(scrubbed)
    for process in (*shell.children(), shell):
        process.kill()


async def test_a_line_half_written_by_a_killed_supervisor_is_void_and_said_so(host: Host, stand_in: StandIn) -> None:
    program = """
print('{"type":"slow"}')
while not os.path.exists("read"): time.sleep(0.01)
for line in sys.stdin: print(json.dumps({"type": "echo", "size": len(line)}))
"""
    await host.start(stand_in(program))
    await host.reader.wait(type="slow")
    await host.say("x" * 1_000_000, "big")  # more than a pipe holds: the write cannot be complete
    await host.kill_supervisor()
    await host.start()
    start = await host.reader.wait(event="start", dropped=["big"])
    assert start["cli"] == 1
    (host.directory / "work/read").touch()  # only now: the old one must not come to read its half
    await host.say("y" * 1_000_000, "big")
    await host.reader.wait(type="echo")
    assert sum(item["type"] == "echo" for item in host.reader.objects()) == 1


async def test_a_kill_between_write_and_rename_gives_no_line_to_the_next_cli(
    host: Host, stand_in: StandIn, prompt: Prompt
) -> None:
    await host.start(stand_in(ECHO))
    await host.say("once", "a")
    await host.reader.wait(type="echo")
    await host.kill_supervisor()
    # The state on disk as it is between the two steps.
    (host.directory / "state/done/a").unlink()
    (host.directory / "state/spool/0000000001_a").write_bytes(prompt("once", "a") + b"\n")
    await host.start()
    await host.reader.wait(event="start", dropped=["a"])
    await host.say("another", "b")
    await host.reader.wait(type="echo", text="another")
    assert sum(item.get("text") == "once" for item in host.reader.objects()) == 1


async def test_an_older_epoch_is_refused_everything_and_its_follower_ends(
    host: Host, stand_in: StandIn, prompt: Prompt, wait_until: WaitUntil
) -> None:
    await host.start(stand_in(ECHO))
    old = host.channel
    await host.reader.wait(event="start")
    new = SupervisorChannel(host.local, "r-1", 2)
    with pytest.raises(TryAgain, match="has not claimed"):
        await new.send("a", prompt("a", "a"))
    await new.claim()
    await new.claim()
    await wait_until(lambda: host.reader.fenced)
    for refused in (
        old.claim(),
        old.send("b", prompt("b", "b")),
        old.put("work/x", b""),
        old.restart(),
        old.stop(),
        first_line(old, 0, 0),
    ):
        with pytest.raises(Fenced, match="epoch 1 was deposed: epoch 2 owns this sandbox"):
            await refused
    assert await new.send("c", prompt("c", "c"))
    assert (await new.status()).claimed == 2


async def test_a_line_that_would_end_the_cli_is_refused_and_the_cli_lives(host: Host, stand_in: StandIn) -> None:
    await host.start(stand_in(ECHO))
    with pytest.raises(GiveUp, match="not JSON"):
        await host.channel.send("a", b"{")
    assert (await host.channel.status()).state == "running"


async def test_a_journal_that_never_was_is_an_error_not_a_wait(host: Host, stand_in: StandIn) -> None:
    await host.start(stand_in(ECHO))
    with pytest.raises(GiveUp, match="there is no journal 7"):
        await first_line(host.channel, 7, 0)
    with pytest.raises(GiveUp, match="journal 1 is shorter than 1000000 bytes"):
        await first_line(host.channel, 1, 1_000_000)


async def test_files_come_back_as_they_were_put_and_nothing_leads_out(host: Host, stand_in: StandIn) -> None:
    await host.start(stand_in(ECHO))
    work: Path = host.directory / "work"
    outside = host.directory.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (work / "link").symlink_to(outside)
    (work / "file-link").symlink_to(outside / "secret")
    await host.channel.put("home/.claude/hooks/run.sh", b"\0\xff" * 500_000, mode=0o700)
    assert await host.channel.get("home/.claude/hooks/run.sh") == b"\0\xff" * 500_000
    assert (host.directory / "home/.claude/hooks/run.sh").stat().st_mode & 0o777 == 0o700
    assert await host.channel.get("home/none") is None
    assert await host.channel.get("work/none/none") is None
    for path in ("work/link/secret", "work/file-link", "work", "home/../state/claim", "/etc/hostname"):
        with pytest.raises(GiveUp):
            await host.channel.get(path)
    for path in ("work/link/new", "home/../new", "work/link/sub/new", "/tmp/new"):
        with pytest.raises(GiveUp):
            await host.channel.put(path, b"data")
    await host.channel.put("work/file-link", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


FILLS = """
for line in sys.stdin:
    size = int(json.loads(line)["message"]["content"])
    with open("fill", "ab") as file: file.write(os.urandom(size))
    print(json.dumps({"type": "filled"}))
"""


async def test_a_disk_that_fills_is_said_stops_the_cli_and_can_be_emptied(
    host: Host, stand_in: StandIn, wait_until: WaitUntil
) -> None:
    await host.start(stand_in(FILLS, disk_bytes=4_000_000))
    await host.say("3100000")
    warning = await host.reader.wait(event="disk")
    assert 80 <= warning["percent"] < 95
    assert warning["stopped"] is False
    await host.say("800000")
    full = await host.reader.wait(event="disk", stopped=True)
    assert full["percent"] >= 95
    assert (await host.reader.wait(event="exit"))["why"] == "the disk is full"
    with pytest.raises(TryAgain, match=r"the disk is .* % full: make room first"):
        await host.channel.restart()
    (host.directory / "work/fill").unlink()
    status = host.directory / "state/status.json"
    await wait_until(lambda: json.loads(status.read_bytes())["disk_percent"] < 80)
    since = len(host.reader.lines)
    assert await host.channel.restart()
    await host.say("10")
    await host.reader.wait(since, type="filled")


async def test_what_its_processes_use_is_told(host: Host, stand_in: StandIn) -> None:
    await host.start(stand_in("kept = bytearray(os.urandom(96 << 20))\nwhile True: pass"))
    with anyio.fail_after(SECONDS):
        while not ((usage := await host.channel.usage()).cpu and usage.cpu > 100 and usage.memory):
            pass
    assert usage.memory > 96 << 20
    assert (usage.cpu_limit, usage.memory_limit) == (None, None)
    assert 0 <= usage.disk < 100


TICKS = """
while True:
    print('{"type":"tick"}')
    time.sleep(0.2)
"""


async def test_a_supervisor_ends_itself_without_contact_but_not_while_it_is_followed(
    make_host: MakeHost, stand_in: StandIn, wait_until: WaitUntil
) -> None:
    async with make_host(contact_timeout=2) as host:
        await host.start(stand_in(TICKS))
        await wait_until(lambda: len(host.reader.lines) > 12)  # > 2.2 s
        assert [info.alive for info in await host.local.list()] == [True]
        host.reader.scope.cancel()
        await wait_until(lambda: host.marked() == [])
        last = json.loads(host.journals()[-1].line or b"")
        assert (last["event"], last["why"]) == ("exit", "nobody was in contact")
        assert [info.alive for info in await host.local.list()] == [False]
