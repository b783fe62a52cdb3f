"""`discord-claude simulate`, on a real database and a real payload of Discord."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from schema import events as e
from schema.envelope import Append, Draft, Write
from schema.events import Event
from tests.integration.asking import PERSON, Ask, execute

START: Any = {"data": {"options": [{"name": "start", "options": [{"name": "prompt", "value": "tidy up"}]}]}}


@pytest.fixture
async def started(ask: Ask, dsn: str, key_file: Path) -> Ask:
    """A user's `/claude start` with a prompt, at position 9, and its outcome; `ask` before it knows no roles."""
    async with open_log(dsn) as log:
        keyring = await open_keyring(log.pool, MasterKey.load(key_file))
        text = keyring.seal(await keyring.prepare("session:3", PERSON), json.dumps(START))

        async def write(stream: str, *events: Event, cause: int = 0) -> None:
            drafts = tuple(Draft(event=event, at=9_000_000, actor=f"person:{PERSON}", cause=cause) for event in events)
            await log.append(Append(writes=(Write(stream=stream, expected=None, drafts=drafts),)))

        await write("guild:5", e.RoleGiven(person=PERSON, role="user", by="1"))
        where = {"by": PERSON, "locale": "ja", "guild": "5", "channel": "6"}
        await write("inbox:x", e.Received(what="command", discord_id="3", session="3", raw=text, **where))
        queued = e.PromptQueued(prompt="3", by=PERSON, text=text, size=7)
        await write("session:3", e.Requested(**where), queued, cause=9)
    return ask


async def test_what_would_have_been_otherwise_is_listed(started: Ask) -> None:
    status, out, _ = await started(f"simulate --stranger {PERSON} --json")
    told = json.loads(out)
    (one,) = [one for one in told["divergences"] if one["stream"] == "session:3"]
    assert (status, one["position"], one["by"], one["after"]) == (0, 9, PERSON, 0)
    assert one["was"] == ["session.requested", "session.prompt_queued"]
    assert one["would"] == ["session.access_asked"]
    assert one["at"] == "1970-01-01T00:00:09.000000Z"
    status, out, _ = await started("simulate --prompt-limit 6")
    assert (status, "1 of 2 decisions would have been otherwise" in out, "refused:too_long" in out) == (0, True, True)
    assert "1 were decided by other settings, or another release" in out  # the fixture's own
    _, out, _ = await started("simulate --max-sandboxes 9 --max-sandboxes-per-user 4 --budget-user 0.01")
    assert "0 of 2 decisions" in out


async def test_erased_commands_are_counted(started: Ask, dsn: str) -> None:
    await execute(dsn, "update keys set wrapped = null, destroyed_at = 1")
    _, out, _ = await started("simulate --queue-limit 1")
    assert "2 commands cannot be read any more" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "say what should be otherwise"),
        ("--queue-limit -1", "a limit is a number"),
        ("--max-sandboxes 0", "at least 1"),
        ("--max-sandboxes-per-user -1", "not negative"),
        ("--budget-user much", "--budget-user is not an amount of dollars"),
        ("--max-sandboxes many", "many"),
    ],
)
async def test_wrong_arguments_are_named(ask: Ask, arguments: str, said: str) -> None:
    status, out, told = await ask(f"simulate {arguments}")
    assert (status, said in " ".join((out + told).split())) == (2, True)


async def test_it_needs_the_key(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_KEY_FILE")
    status, _, told = await ask("simulate --queue-limit 1")
    assert (status, "--key-file" in told) == (2, True)
