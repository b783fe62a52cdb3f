"""A host whose links break at random, on the real CLI: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from engine.ports import Process, Sandbox, SandboxInfo, SandboxSpec, Started, TryAgain

if TYPE_CHECKING:
    from conftest import Host, Requests

    Prompt = Callable[[str, str], bytes]

pytestmark = [pytest.mark.cli, pytest.mark.drill]


_FATES = ("fine", "torn", "answer lost", "torn")  # of the lines sent, in turn


class BreakingLinks:
    """A `Sandbox` whose executed processes are cut off: uploads torn, answers lost, readers killed after a while."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self._sandbox = sandbox
        self._chance = chance
        self.supervisor = sandbox.supervisor
        self.cuts = Counter[str]()
        self._executed = Counter[str]()

    async def start(self, spec: SandboxSpec) -> Started:
        return await self._sandbox.start(spec)

    async def delete(self, reservation: str) -> None:
        await self._sandbox.delete(reservation)

    async def list(self) -> Sequence[SandboxInfo]:
        return await self._sandbox.list()

    def watch(self) -> AsyncGenerator[SandboxInfo, None]:
        return self._sandbox.watch()

    @asynccontextmanager
    async def exec(self, reservation: str, argv: Sequence[str]) -> AsyncGenerator[Process]:
        command = argv[len(self.supervisor)]
        self._executed[command] += 1
        fate = _FATES[self._executed[command] % len(_FATES)] if command == "send" else command
        async with self._sandbox.exec(reservation, argv) as process:
            yield BreakingProcess(process, self._chance, self.cuts, fate)


class BreakingProcess:
    """Breaks as its fate is, at a random place. The process behind it is killed when its context is left."""

    def __init__(self, process: Process, chance: random.Random, cuts: Counter[str], fate: str) -> None:
        self._process = process
        self._chance = chance
        self._cuts = cuts
        self._fate = fate
        self._broken = False

    async def write(self, data: bytes) -> None:
        if self._fate == "torn":
            self._cuts["torn"] += 1
            await self._process.write(data[: self._chance.randrange(len(data))])
            if self._chance.random() < 0.5:  # the other side sees the end of the link, or nothing at all
                await self._process.close_stdin()
                await self._process.exit_status()
            self._broken = True
            raise TryAgain("the link broke in the upload")
        await self._process.write(data)

    async def close_stdin(self) -> None:
        await self._process.close_stdin()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._broken:
            raise TryAgain("the link is broken")
        patience = self._chance.randrange(1, 20) if self._fate == "follow" else 0
        async for chunk in self._process:
            patience -= 1
            if patience == 0:
                self._cuts["follow"] += 1
                yield chunk[: self._chance.randrange(len(chunk))]
                raise TryAgain("the link broke in the answer")
            yield chunk

    async def exit_status(self) -> tuple[int, bytes]:
        status = await self._process.exit_status()
        if self._fate == "answer lost":
            self._cuts["answer lost"] += 1
            raise TryAgain("the link broke before the status came")
        return status


async def _send(host: Host, item: str, line: bytes) -> None:
    """As an effect does: again and again, with the same id, until it is said to be taken."""
    while True:
        try:
            await host.channel.send(item, line)
        except TryAgain:
            continue
        return


async def _answer_questions(host: Host) -> None:
    """Allow whatever the CLI asks for."""
    answered = set[str]()
    while True:
        news = host.reader.news
        asked = [item for item in host.reader.objects() if item["type"] == "control_request"]
        for item in asked:
            if item["request_id"] not in answered:
                answered.add(item["request_id"])
                response = {"behavior": "allow", "updatedInput": item["request"]["input"]}
                body = {"subtype": "success", "request_id": item["request_id"], "response": response}
                line = json.dumps({"type": "control_response", "response": body}).encode()
                await _send(host, f"answer:{item['request_id']}", line)
        await news.wait()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_is_lost_or_doubled_over_links_that_break(
    host: Host, real_cli: bytes, requests: Requests, prompt: Prompt, seed: int
) -> None:
    links = BreakingLinks(host.local, random.Random(seed))
    await host.start(real_cli, through=links)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_answer_questions, host)
        for turn in range(5):
            text = "x" * 300_000 if turn == 2 else host.running(f"echo turn{turn} >> log")
            await _send(host, f"prompt-{turn}", prompt(text, f"prompt-{turn}"))
            await host.reader.wait(type="result", user_message_uuids=[f"prompt-{turn}"])
        await host.channel.stop()
        await host.reader.wait(event="exit", code=0)
        tasks.cancel_scope.cancel()
    await host.reader_caught_up()
    results = Counter(
        item
        for line in host.reader.objects()
        for item in line.get("user_message_uuids", [])
        if line["type"] == "result"
    )
    assert results == {f"prompt-{turn}": 1 for turn in range(5)}
    assert (host.directory / "work/log").read_text().split() == ["turn0", "turn1", "turn3", "turn4"]
    assert links.cuts.keys() == {"torn", "answer lost", "follow"}
    assert len(requests.bodies) == 9


async def test_supervisors_killed_at_random_leave_every_line_readable_and_run_no_tool_twice(
    host: Host, real_cli: bytes, prompt: Prompt
) -> None:
    """As the engine does it: a prompt is sent again until the CLI has begun with it, and never after."""
    chance = random.Random(4)
    await host.start(real_cli)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_answer_questions, host)
        for turn in range(8):
            item, line = f"prompt-{turn}", prompt(host.running(f"echo turn{turn} >> log"), f"prompt-{turn}")
            begun: dict[str, Any] = {"type": "command_lifecycle", "command_uuid": item, "state": "started"}
            while not any(begun.items() <= found.items() for found in host.reader.objects()):
                with anyio.move_on_after(chance.uniform(0, 1.5)):
                    await _send(host, item, line)
                    await host.reader.wait(**begun)
                    await host.reader.wait(type="result", user_message_uuids=[item])
                since = len(host.reader.lines)
                await host.kill_supervisor()
                await host.start()
                await host.reader.wait(since, event="start")
        await _send(host, "prompt-last", prompt(host.running("echo last >> log"), "prompt-last"))
        await host.reader.wait(type="command_lifecycle", command_uuid="prompt-last", state="completed")
        tasks.cancel_scope.cancel()
    await host.reader_caught_up()
    starts = [found for found in host.reader.objects() if found.get("event") == "start"]
    ends = [found for found in host.reader.objects() if found.get("event") == "exit"]
    assert len(starts) == len(ends) + 1
    written = Counter((host.directory / "work/log").read_text().split())
    assert written["last"] == 1
    assert max(written.values()) == 1
