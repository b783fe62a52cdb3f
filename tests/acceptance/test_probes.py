"""Whoever runs the bot sees how it is, through a conversation and while a part is away."""

import json
import socket
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.claude import supervisor
from adapters.local.discord.people import open_people
from adapters.local.sandbox import LocalSandbox
from adapters.playground import Options, open_playground
from engine.ports import SandboxSpec

SECONDS = 60


class Port:
    """The bot's HTTP port, asked again until it says something."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{port}"

    async def ready(self) -> tuple[int, dict[str, str]]:
        async with self._http.get(f"{self._url}/readyz") as answer:
            return answer.status, await answer.json()

    async def until(self, status: int) -> dict[str, str]:
        with anyio.fail_after(SECONDS):
            while True:
                found, said = await self.ready()
                if found == status:
                    return said
                await anyio.lowlevel.checkpoint()

    async def text(self, path: str) -> str:
        async with self._http.get(f"{self._url}/{path}") as answer:
            assert answer.status == 200
            return await answer.text()

    async def metrics(self) -> dict[tuple[str, ...], float]:
        """Values by name and labels' values."""
        families = text_string_to_metric_families(await self.text("metrics"))
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.cli
async def test_probes_and_metrics_tell_how_the_bot_is(tmp_path: Path) -> None:
    port = free_port()
    options = Options(folder=tmp_path / "p", bot_environment={"HTTP_PORT": str(port)})
    said: list[str] = []
    async with open_playground(options, said.append) as playground, aiohttp.ClientSession() as http:
        bot = Port(http, port)
        assert await bot.until(200) == {"database": "ok", "discord": "ok"}
        assert await bot.text("healthz") == "ok\n"
        async with open_people(playground.discord) as people:
            alice, general = people["alice"], playground.discord["channel_id"]
            await alice.slash("claude", "start", prompt="hello", channel=general)
            thread = await alice.wait_thread(general)
            await alice.wait_message(thread, lambda one: "✅ done" in one["content"], "the answer")
        told: Any = await bot.metrics()
        assert told["discord_claude_events_total", "session.requested"] == 1
        assert told["discord_claude_turns_total", "completed"] == 1
        assert told["discord_claude_append_seconds_count",] > 5
        assert told["discord_claude_slots", "held"] == 1
        assert told["discord_claude_slots", "limit"] == 3
        assert told["discord_claude_discord_up",] == 1
        assert [
            value > 1 << 20 for (name, *_), value in told.items() if name == "discord_claude_sandbox_memory_bytes"
        ] == [True]
        assert [value < 1 for (name, *_), value in told.items() if name == "discord_claude_sandbox_disk_ratio"] == [
            True
        ]
        assert thread not in await bot.text("metrics")
        playground.postgres.kill()
        missing = await bot.until(503)
        assert missing["database"] != "ok"
        assert missing["discord"] == "ok"
        await playground.start_postgres()
        assert await bot.until(200) == {"database": "ok", "discord": "ok"}


@pytest.mark.cli
async def test_a_sandbox_that_nobody_has_reserved_is_removed_counted_and_recorded(tmp_path: Path) -> None:
    sandboxes = tmp_path / "p" / "sandboxes"
    config = {"argv": ["/bin/sh", "-c", "cat >/dev/null"], "session": str(uuid.uuid4()), "stop_seconds": 1}
    spec = SandboxSpec(reservation="9-9", session="9", config=json.dumps(config).encode())
    await LocalSandbox(sandboxes, Path(supervisor.__file__)).start(spec)
    port = free_port()
    options = Options(folder=tmp_path / "p", bot_environment={"HTTP_PORT": str(port), "SANDBOX_REAP_SECONDS": "1"})
    said: list[str] = []
    async with open_playground(options, said.append), aiohttp.ClientSession() as http:
        bot = Port(http, port)
        await bot.until(200)
        told: Any = {}
        with anyio.fail_after(SECONDS):
            while told.get(("discord_claude_events_total", "slots.leak_removed")) != 1:
                told = await bot.metrics()
        assert told["discord_claude_leaks_total",] == 1
        assert told["discord_claude_sandboxes_missing",] == 0
        assert not (sandboxes / "9-9").exists()
