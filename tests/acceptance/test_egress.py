"""A sandbox that wants out to a host off the list: refused, and the thread is told which host and whose rule it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.local.discord.people import buttons, open_people
from adapters.playground import Options, open_playground

SECONDS = 60
HOST = "not-on-the-list.example"


def _asks(message: dict[str, Any]) -> bool:
    return "Allow" in {button.get("label") for button in buttons(message)}


@pytest.mark.cli
async def test_the_thread_is_told_of_a_host_that_is_not_on_the_list_once(tmp_path: Path) -> None:
    command = f"python3 -c \"import urllib.request as r; r.urlopen('https://{HOST}/')\""
    twice = {"tool": "Bash", "input": {"command": f"{command}; {command}; true", "description": "fetch"}}
    async with (
        open_playground(Options(folder=tmp_path / "p"), lambda _: None) as playground,
        open_people(playground.discord) as people,
    ):
        alice, channel = people["alice"], playground.discord["channel_id"]
        known = alice.threads(channel)
        prompt = f"SCRIPT: {json.dumps([twice, {'text': 'tried'}])} END"
        await alice.slash("claude", "start", channel=channel, prompt=prompt)
        thread = await alice.wait_thread(channel, known, SECONDS)
        await alice.press(await alice.wait_message(thread, _asks, "a question", SECONDS), "Allow")
        await alice.wait_message(thread, lambda one: "🚧" in one["content"], "what was refused", SECONDS)
        await alice.wait_message(thread, lambda one: "✅ done" in one["content"], "the end of the turn", SECONDS)
        (told,) = [one for one in alice.messages(thread) if "🚧" in one["content"]]
        assert "EGRESS_ALLOW" in told["content"]
        assert f"{HOST}:443" in told["content"]
