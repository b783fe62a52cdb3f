"""A local Discord that is closed does nothing more: what waited in it wakes nobody later."""

import anyio
import pytest

from adapters.local.discord import server as module
from tests.integration.local_discord.conftest import Local


async def test_the_clock_of_an_interaction_ends_with_the_server(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0)
    late: list[str] = []

    def expire(_loop: object, identity: str) -> None:
        late.append(identity)

    monkeypatch.setattr(local.server, "_expire", expire)
    data = {"name": "claude", "options": [{"type": 1, "name": "status"}]}
    await local.server.interact(2, local.general, "alice", data)
    local.server.close()
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    assert late == []
