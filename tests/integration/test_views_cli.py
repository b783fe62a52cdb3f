"""The views, as operators read them and build them anew: through the command line, on a real database."""

import json
from pathlib import Path

import pytest

from adapters.postgres.event_log import open_log
from adapters.postgres.migrate import migrations
from schema import events as e
from schema.envelope import Append, Draft, Write
from tests.integration.asking import PERSON, SESSION, THREAD, Ask, execute

DAY = 86_400_000_000


async def spend(dsn: str, *tokens: tuple[str, int]) -> None:
    """Usage on the second day, and a sandbox that lived for an hour."""
    async with open_log(dsn) as log:
        for model, count in tokens:
            used = e.UsageCounted(reservation="r", model=model, input=count, output=count)
            draft = Draft(event=used, at=DAY + 1, actor="gateway")
            await log.append(Append(writes=(Write(stream=f"usage:{SESSION}", expected=None, drafts=(draft,)),)))
        for event, at in (
            (e.SandboxReserved(reservation="r"), DAY),
            (e.SandboxGone(reservation="r"), DAY + 3_600_000_000),
        ):
            draft = Draft(event=event, at=at, actor="bot")
            await log.append(Append(writes=(Write(stream=f"session:{SESSION}", expected=None, drafts=(draft,)),)))


async def test_a_view_that_is_not_built_says_what_to_do(ask: Ask) -> None:
    status, _, told = await ask("usage")
    assert (status, "start the bot, or discord-claude rebuild usage" in told) == (1, True)
    status, out, _ = await ask("views --json")
    built = {
        one["view"]: (one["built"], one["position"]) if one["built"] else None
        for one in map(json.loads, out.splitlines())
    }
    assert (built["sessions"], built["usage"], built["members"]) == (None, None, (1, 7))


async def test_sessions_are_listed(ask: Ask) -> None:
    assert (await ask("rebuild --all"))[0] == 0
    status, out, _ = await ask("sessions")
    assert (status, THREAD in out, "starting" in out or "ready" in out) == (0, True, True)
    _, out, _ = await ask("sessions --json")
    told = json.loads(out)
    assert (told["session"], told["thread"], told["turns"], told["closed"]) == (SESSION, THREAD, 1, None)
    assert (told["began"], told["last"]) == ("1970-01-01T00:00:02.000000Z", "1970-01-01T00:00:06.000000Z")
    for arguments in ("--person 1", "--state closed", "--since 1h"):
        assert (await ask(f"sessions {arguments}"))[:2] == (0, "no session\n")
    assert (await ask(f"sessions --person {PERSON} --state ready --since 1970-01-01"))[1].count(THREAD) == 1


async def test_members_are_listed_with_what_they_may(ask: Ask, dsn: str) -> None:
    assert (await ask("members"))[:2] == (0, "nobody has a role\n")
    async with open_log(dsn) as log:
        for guild, at, event in (
            ("5", 1, e.RoleGiven(person="8", role="user", by="7")),
            ("5", 2_000_000, e.OwnerConfirmed(person="7", how="discord")),
            ("5", 3, e.RoleGiven(person="9", role="user", by="7")),
            ("5", 4, e.RoleTaken(person="9", role="user", by="7")),
            ("6", 5, e.OwnerConfirmed(person="8", how="settings")),
        ):
            draft = Draft(event=event, at=at, actor="bot")
            await log.append(Append(writes=(Write(stream=f"guild:{guild}", expected=None, drafts=(draft,)),)))
    _, out, _ = await ask("members --guild 5 --json")
    told = [json.loads(line) for line in out.splitlines()]
    assert [(one["person"], one["role"], one["position"]) for one in told] == [("7", "owner", 9), ("8", "user", 8)]
    assert told[0]["since"] == "1970-01-01T00:00:02.000000Z"
    status, out, _ = await ask("members")
    assert (status, out.count("owner"), out.count("user")) == (0, 2, 1)


async def test_the_quota_is_told_with_threads_and_the_line(ask: Ask, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await ask("quota"))[:2] == (0, "0 of 3 sandboxes, 0 in the line\n")
    monkeypatch.setenv("MAX_SANDBOXES", "1")
    elsewhere = Draft(event=e.Requested(by="7", locale="ja", guild="8", channel="6"), at=1, actor="bot")
    async with open_log(dsn) as log:
        for event in (
            e.Asked(session=SESSION),
            e.Granted(session=SESSION, reservation=f"{SESSION}-2"),
            e.Asked(session="3"),
            e.Asked(session="4"),
            e.Asked(session="5"),
            e.Left(session="4"),
            e.Asked(session="6", guild="8"),
        ):
            draft = Draft(event=event, at=1_000_000, actor="bot")
            await log.append(Append(writes=(Write(stream="slots", expected=None, drafts=(draft,)),)))
        await log.append(Append(writes=(Write(stream="session:6", expected=None, drafts=(elsewhere,)),)))
    _, out, _ = await ask("quota --json")
    told = json.loads(out)
    assert told["limit"] == 1
    assert told["held"] == [
        {
            "session": SESSION,
            "thread": THREAD,
            "guild": "5",
            "person": PERSON,
            "reservation": f"{SESSION}-2",
            "position": 9,
            "since": "1970-01-01T00:00:01.000000Z",
        }
    ]
    assert [(one["session"], one["place"], one["guild"]) for one in told["line"]] == [
        ("3", 1, None),
        ("5", 2, None),
        ("6", 1, "8"),
    ]
    status, out, _ = await ask("quota")
    assert (status, "1 of 1 sandboxes, 3 in the line" in out, THREAD in out) == (0, True, True)
    monkeypatch.setenv("MAX_SANDBOXES", "many")
    status, _, said = await ask("quota")
    assert (status, "MAX_SANDBOXES" in said) == (2, True)


async def test_an_exact_view_is_compared_and_put_right(ask: Ask, dsn: str) -> None:
    await execute(dsn, f"update view_rows set value = '99' where view = 'threads.1' and key = '{THREAD}'")
    status, out, _ = await ask("rebuild threads --check")
    assert (status, "1 rows differ from those before; nothing was changed" in out) == (4, True)
    assert (await ask("rebuild threads --json"))[0] == 4
    status, out, _ = await ask("rebuild threads")
    assert (status, "every row as before" in out) == (0, True)


async def test_exact_views_are_not_shown_before_an_upgrade_is_finished(ask: Ask, dsn: str) -> None:
    await execute(dsn, "delete from migrations where number = (select max(number) from migrations)")
    for command in ("members", "quota"):
        status, _, told = await ask(command)
        assert (status, "discord-claude migrate --finish" in told) == (5, True)
    assert (await ask("migrate --finish"))[0] == 0
    assert (await ask("members"))[0] == 0


async def test_usage_is_summed_up_and_costed(ask: Ask, dsn: str, tmp_path: Path) -> None:
    await spend(dsn, ("claude-sonnet-4-5-x", 1_000_000), ("mine-1", 10))
    await ask("rebuild usage")
    _, out, _ = await ask("usage --json")
    lines = {(one["day"], one["model"]): one for one in map(json.loads, out.splitlines())}
    assert lines["1970-01-01", ""]["turns"] == 1
    assert lines["1970-01-02", "claude-sonnet-4-5-x"]["dollars_estimated"] == 18
    assert lines["1970-01-02", "mine-1"]["dollars_estimated"] is None
    assert lines["1970-01-02", ""]["sandbox_seconds"] == 3600
    _, out, _ = await ask("usage --json --by person")
    assert [(one["person"], one["input"]) for one in map(json.loads, out.splitlines())] == [(PERSON, 1_000_010)]
    prices = tmp_path / "prices.json"
    prices.write_text(
        '{"mine": {"input": 1e6, "output": 0, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}}'
    )
    _, out, _ = await ask(f"usage --json --by model --since 1970-01-02 --until 1970-01-02 --prices {prices}")
    assert {one["model"]: one["dollars_estimated"] for one in map(json.loads, out.splitlines())} == {
        "": 0,
        "claude-sonnet-4-5-x": None,
        "mine-1": 10,
    }
    status, out, _ = await ask("usage")
    assert (status, "1,000,010" in out, "60.0" in out, "in all" in out) == (0, True, True, True)
    assert (await ask("usage --person nobody"))[1] == "nothing was used\n"


async def test_what_cannot_be_asked_is_said(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"m": {"input": "much"}}')
    for arguments, status, said in (
        ("usage --by colour", 2, "day, person and model"),
        ("usage --prices nowhere", 2, "cannot be read"),
        (f"usage --prices {tmp_path}/bad.json", 2, "is not as it should be"),
        ("rebuild", 2, "name a view (threads, messages,"),
        ("rebuild usage --all", 2, "name a view"),
        ("rebuild nonsense", 3, "there is no view nonsense: there are threads, messages,"),
    ):
        code, _, told = await ask(arguments)
        assert (code, said in told) == (status, True), (arguments, told)


async def test_rebuild_tells_what_differs_and_replaces_it(ask: Ask, dsn: str) -> None:
    _, out, _ = await ask("rebuild sessions")
    assert "there was none before" in out
    _, out, _ = await ask("rebuild sessions")
    assert "every row as before" in out
    await execute(dsn, "update projection_rows set value = replace(value, '\"turns\":1', '\"turns\":9')")
    status, out, _ = await ask("rebuild sessions --check --json")
    told = json.loads(out)
    assert (status, told["different"], told["switched"]) == (4, 1, False)
    status, out, _ = await ask("rebuild sessions")
    assert (status, "1 rows differ from those before" in out, '"turns":9' in out) == (4, True, True)
    assert (await ask("rebuild sessions"))[0] == 0
    _, out, _ = await ask("views")
    assert "sessions" in out


async def test_a_story_is_told_in_the_terminal_as_json_and_as_a_page(ask: Ask, tmp_path: Path) -> None:
    status, out, _ = await ask(f"audit {THREAD} --texts")
    assert (status, "make \\x1b[31mit" in out, "completed" in out) == (0, True, True)
    _, out, _ = await ask(f"audit {THREAD} --json")
    turn = json.loads(out)["chapters"][-1]
    assert (turn["outcome"], turn["prompt"]) == ("completed", {"sealed_under_key": 1})
    assert (await ask(f"audit {THREAD} --html {tmp_path}/page.html"))[0] == 0
    assert ">sealed<" in (tmp_path / "page.html").read_text()
    for arguments, status in ((f"{THREAD} --json --html x", 2), ("99", 3), (f"{THREAD} --html /no/where", 2)):
        assert (await ask(f"audit {arguments}"))[0] == status


async def test_migrate_says_what_has_run_and_who_is_in_the_way(ask: Ask, dsn: str) -> None:
    assert (await ask("migrate"))[:2] == (0, "nothing to do\n")
    await execute(
        dsn,
        "delete from migrations where name like '%.after.sql'; create function log_join(integer) returns void language sql "
        "return null; alter table replicas alter column release set default 0",
    )
    assert (await ask("migrate"))[:2] == (0, "nothing to do\n")
    async with open_log(dsn) as log:
        await log.pool.execute("update replicas set release = 0")
        status, _, told = await ask("migrate --finish")
        assert (status, "1 of the processes at work are of an older release" in told) == (5, True)
    status, out, _ = await ask("migrate --finish --json")
    assert (status, json.loads(out)["ran"]) == (0, [one.name for one in migrations() if one.after])
