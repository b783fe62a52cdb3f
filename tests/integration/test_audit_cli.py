"""What operators ask the log, as they ask it: through the command line, on a real database."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from adapters import cli
from adapters.local.postgres import EmbeddedPostgres
from adapters.postgres.event_log import open_log
from adapters.sealing import MasterKey
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.integration.asking import PERSON, SESSION, THREAD, Ask, execute


async def test_log_shows_what_is_asked_for_and_nothing_else(ask: Ask) -> None:
    status, out, _ = await ask(f"log --thread {THREAD}")
    assert (status, len(out.splitlines())) == (0, 7)
    assert "text=[sealed]" in out
    for arguments, positions in {
        "--kind turn_ended": [7],
        "--kind 'session.turn_*'": [6, 7],
        f"--person {PERSON}": [1, 2, 3, 6],
        f"--thread {SESSION} --person {PERSON} --kind prompt_queued": [3],
        "--since 1970-01-01T00:00:05+00:00": [6, 7],
        "--until 1970-01-01T00:00:01+00:00": [1],
        f"--thread {THREAD} --since 1970-01-01T00:00:06Z": [7],
    }.items():
        status, out, _ = await ask(f"log --json {arguments}")
        assert [json.loads(line)["position"] for line in out.splitlines()] == positions, arguments


async def test_personal_text_is_opened_only_when_that_is_said_and_cannot_drive_the_terminal(ask: Ask) -> None:
    _, out, _ = await ask("log --kind prompt_queued --texts")
    assert "make \\x1b[31mit" in out
    _, out, _ = await ask("log --kind prompt_queued --json --texts")
    assert json.loads(out)["event"]["text"] == "make \x1b[31mit\x1b[0m red"
    _, out, _ = await ask("log --kind prompt_queued --json")
    assert json.loads(out)["event"]["text"] == {"sealed_under_key": 1}


async def test_texts_need_the_key_file(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_KEY_FILE")
    status, _, told = await ask("log --texts")
    assert (status, "--key-file" in told) == (2, True)
    assert (await ask("log"))[0] == 0


async def test_state_is_that_of_a_position_or_a_time(ask: Ask) -> None:
    for at, phase, turn in (
        ("--at 3", "requested", None),
        ("--at 1970-01-01T00:00:03.5Z", "waiting", None),
        ("--at 6", "waiting", 1),
        ("", "waiting", None),
    ):
        status, out, _ = await ask(f"state {THREAD} --json {at}")
        told = json.loads(out)
        running = told["state"]["turn"]
        assert (status, told["phase"], running and running["turn"]) == (0, phase, turn), at
    status, out, _ = await ask(f"state {THREAD} --texts --at 3")
    assert (status, "make \\x1b[31mit" in out) == (0, True)
    assert (await ask(f"state {THREAD} --at 1970-01-01T00:00:00Z"))[0] == 3


async def test_why_goes_from_discord_to_the_effect(ask: Ask) -> None:
    _, out, _ = await ask("why 7 --json")
    told = json.loads(out)
    kinds = [one["kind"] for one in (*told["chain"], *told["trees"])]
    assert kinds == [
        "inbox.received",
        "session.prompt_queued",
        "session.prompt_sent",
        "session.turn_started",
        "session.turn_ended",
    ]
    status, out, _ = await ask(f"why {THREAD}")
    assert (status, len(out.splitlines())) == (0, 7)
    assert out.splitlines()[0].lstrip().startswith("1 ")


async def test_export_is_lines_of_json(ask: Ask, tmp_path: Path) -> None:
    status, _, _ = await ask(f"export --file {tmp_path}/log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (status, [one["position"] for one in lines]) == (0, [1, 2, 3, 4, 5, 6, 7])
    assert (await ask(f"export --file {tmp_path}/log.jsonl"))[0] == 2
    _, out, _ = await ask(f"export --format cloudevents --thread {THREAD}")
    first = json.loads(out.splitlines()[0])
    required = {"id", "source", "specversion", "type"}
    assert required <= first.keys()
    assert all(name.isalnum() and name.islower() for name in first)  # what CloudEvents allows in a name
    assert first["type"] == "discord-claude.inbox.received"


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("log --thread 99", 3, "no thread or session 99"),
        ("state 99", 3, "no thread or session 99"),
        ("why 99", 3, "no thread or session 99"),
        ("log --since soon", 2, "'soon' is not a time"),
        ("log --since 9999999d", 2, "is not a time"),
        ("log --since 999999d", 2, "before time began"),
        ("export --format xml", 2, "jsonl and cloudevents"),
        ("log --nonsense", 2, "--nonsense"),
        ("log --playground nowhere", 1, "is not the folder of a playground"),
    ],
)
async def test_what_is_wrong_has_a_sentence_and_an_exit_code(ask: Ask, command: str, status: int, told: str) -> None:
    code, out, error = await ask(command)
    assert (code, told in " ".join((out + error).split())) == (status, True), out + error


async def test_a_database_without_a_log_and_one_of_a_newer_release_are_refused(ask: Ask, dsn: str) -> None:
    async with open_log(dsn) as log:
        await log.pool.execute("insert into migrations (number, name, checksum) values (9999, '9999_later.sql', '')")
    status, _, told = await ask("log")
    assert (status, "newer version" in told) == (1, True)
    await execute(dsn, "drop table migrations")
    status, _, told = await ask("log")
    assert (status, "holds no log" in told) == (1, True)


async def test_follow_shows_what_comes(ask: Ask, dsn: str) -> None:
    """`log --follow` in a process of its own, as it never ends by itself."""
    with anyio.fail_after(60):
        async with await anyio.open_process(
            [sys.executable, "-m", "adapters.cli", "log", "--follow", "--json", "--kind", "turn_ended"]
        ) as process:
            assert process.stdout
            assert b'"position":7' in await process.stdout.receive()
            async with open_log(dsn) as log:
                draft = Draft(event=e.TurnEnded(turn=2, outcome="failed"), at=9, actor="bot")
                write = Write(stream=f"session:{SESSION}", expected=None, drafts=(draft,))
                await log.append(Append(writes=(write,)))
            assert b'"position":8' in await process.stdout.receive()
            process.terminate()


async def test_a_playground_that_does_not_run_is_asked_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    (tmp_path / "secrets").mkdir()
    MasterKey.create(tmp_path / "secrets" / "log.key")
    await execute(server.dsn(), "create database discord_claude")
    async with open_log(server.dsn("discord_claude")) as log:
        draft = Draft(event=e.SlotAsked(place=1), at=1, actor="bot")
        await log.append(Append(writes=(Write(stream="session:1", expected=None, drafts=(draft,)),)))
    await server.stop()
    monkeypatch.setattr(sys, "argv", ["discord-claude", "log", "--playground", str(tmp_path), "--texts"])
    with pytest.raises(SystemExit) as ended:
        await anyio.to_thread.run_sync(cli.main)
    assert (ended.value.code, "slot asked" in capsys.readouterr().out) == (0, True)
    assert server.pid is None  # it was ended again


async def test_verify_says_whether_the_log_is_intact(ask: Ask, dsn: str, tmp_path: Path) -> None:
    status, out, _ = await ask(f"verify --anchor {tmp_path}/anchor")
    assert (status, "7 events" in out) == (0, True)
    status, out, _ = await ask(f"verify --against {tmp_path}/anchor --json")
    assert (status, json.loads(out)["intact"], json.loads(out)["problems"]) == (0, True, [])
    await execute(
        dsn, "alter table events disable trigger events_stay; update events set actor = 'x' where position = 4"
    )
    status, out, _ = await ask(f"verify --anchor {tmp_path}/other")
    assert (status, "position 4" in out, (tmp_path / "other").exists()) == (4, True, False)
    await execute(dsn, "delete from events where position > 3; update log_head set position = 3")
    assert (await ask("verify"))[0] == 0
    status, out, _ = await ask(f"verify --against {tmp_path}/anchor")
    assert (status, "positions 4 to 7 were there at the anchor" in out) == (4, True)


async def test_a_file_that_is_no_anchor_is_refused(ask: Ask, key_file: Path) -> None:
    assert (await ask("verify --against nowhere"))[0] == 2
    assert (await ask(f"verify --against {key_file}"))[0] == 2
    assert (await ask("verify --anchor nowhere/at/all"))[0] == 2


async def test_an_impossible_time_is_shown_all_the_same(ask: Ask, dsn: str) -> None:
    await execute(
        dsn, f"alter table events disable trigger events_stay; update events set at = {2**62} where position = 4"
    )
    assert (await ask("log"))[0] == 0
    assert (await ask("log --json"))[0] == 0
