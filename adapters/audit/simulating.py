"""The sub-command `simulate`."""

# ruff: noqa: D417 - `where` tells its own arguments

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from adapters import parsers, settings
from adapters.audit.commands import Flag, run_with, write_json
from adapters.audit.show import Screen, clock
from adapters.audit.source import Misused, Source, Where
from adapters.audit.tables import table
from adapters.audit.texts import iso
from adapters.claude.gateway.egress import patterns, read_list
from adapters.discord.translate import command, given, read
from adapters.postgres.keyring import PostgresKeyring
from adapters.postgres.rebuild import reading
from engine.commands import Policy, Reason, Reject, Role
from engine.ports import GiveUp
from engine.simulate import Divergence, Simulation, Terms, Told, Verdict
from projections.prices import LISTED, spent
from projections.usage import DAY, USAGE
from schema.envelope import Recorded
from schema.events import Received
from schema.sealed import Sealed

_WHERE = Where()


def simulate(  # noqa: PLR0913 - one argument an option
    *,
    max_sandboxes: int | None = None,
    max_sandboxes_per_user: int | None = None,
    queue_limit: int | None = None,
    prompt_limit: int | None = None,
    budget_user: str | None = None,
    budget_owner: str | None = None,
    owner: tuple[str, ...] = (),
    user: tuple[str, ...] = (),
    stranger: tuple[str, ...] = (),
    json: Flag = False,
    where: Where = _WHERE,
) -> int:
    """Which decisions of the log would have been otherwise under another policy. Changes nothing.

    Each recorded decision is taken again on the very state that it was taken on. What people would have done then nobody knows:
    what comes after a decision that would have been otherwise, in the same session, server or line, says so. Needs the key file.

    Exit codes: 0 done, 1 failed, 2 wrong arguments or settings.

    Parameters
    ----------
    max_sandboxes
        Another MAX_SANDBOXES.
    max_sandboxes_per_user
        Another MAX_SANDBOXES_PER_USER; 0 for any number. Who asks for one more is refused, or does not get into the line.
    queue_limit
        How many prompts may wait in a session.
    prompt_limit
        How long a prompt may be, in characters.
    budget_user
        Another BUDGET_USER_USD_PER_DAY; 0 for none. What was used is as the log has it: of turns that would have been refused, too.
    budget_owner
        Another BUDGET_OWNER_USD_PER_DAY; 0 for none.
    owner
        This person is an owner, everywhere and always; may be given several times.
    user
        This person is a user.
    stranger
        This person is nobody.
    json
        For programs: one JSON object.

    """
    dollars = {"budget_user": budget_user, "budget_owner": budget_owner}
    numbers: dict[str, int | None] = {
        "queue_limit": queue_limit,
        "prompt_limit": prompt_limit,
        "sandboxes_per_person": max_sandboxes_per_user,
    }
    numbers |= {name: _dollars(name, text) for name, text in dollars.items()}
    roles = {
        **dict.fromkeys(owner, Role.OWNER),
        **dict.fromkeys(user, Role.USER),
        **dict.fromkeys(stranger, Role.STRANGER),
    }
    given = {name: number for name, number in numbers.items() if number is not None}
    if not given and not roles and max_sandboxes is None:
        raise Misused("say what should be otherwise: --max-sandboxes 5, --queue-limit 3, --stranger ID, … (--help)")
    if (max_sandboxes is not None and max_sandboxes < 1) or any(number < 0 for number in given.values()):
        raise Misused("a limit is a number that is not negative, and --max-sandboxes at least 1")
    limits = settings.load_limits(os.environ)
    now = Terms(
        policy=Policy(
            budget_user=limits.budget_user,
            budget_owner=limits.budget_owner,
            sandboxes_per_person=limits.max_sandboxes_per_user,
            repo_hosts=_repo_hosts(),
        ),
        limit=limits.max_sandboxes,
    )
    changed = Terms(policy=msgspec.structs.replace(now.policy, **given), limit=max_sandboxes or now.limit, roles=roles)
    return run_with(where, partial(_simulate, now, changed, json))


def _repo_hosts() -> tuple[str, ...]:
    try:
        return patterns(read_list(settings.load_egress_allow(os.environ)))
    except ValueError as error:
        raise Misused(f"EGRESS_ALLOW {error}") from None


def _dollars(name: str, text: str | None) -> int | None:
    if text is None or text == "0":
        return None if text is None else 0
    try:
        return parsers.dollars(text)
    except ValueError as error:
        raise Misused(f"--{name.replace('_', '-')} {error}: US dollars a day, as 5 or 2.50") from None


async def _simulate(now: Terms, changed: Terms, json: bool, source: Source) -> None:  # noqa: FBT001 - a flag of the command line
    await source.current()
    keyring = await source.keyring()
    told: dict[int, Told] = {}
    used: dict[str, Any] = {}
    simulation = Simulation(
        now,
        changed,
        told=lambda recorded: told.pop(recorded.position),
        spent=lambda person, at: spent(used.values(), person, at // DAY, LISTED),
    )
    async with reading(source.history.pool) as reader:
        async for page in reader.replay():
            told |= await _commands(page, keyring)
            for recorded in page:
                simulation.take(recorded)
                USAGE.fold(used, [recorded])
    verdict = simulation.verdict()
    if json:
        write_json(_told(verdict))
    else:
        _show(verdict, Screen())


async def _commands(page: Sequence[Recorded], keyring: PostgresKeyring) -> dict[int, Told]:
    """What people sent, as far as it was not erased."""
    found: dict[int, Told] = {}
    for recorded in page:
        if isinstance(recorded.event, Received):
            try:
                raw = await keyring.open(recorded.event.raw)
            except GiveUp:
                raw = None
            if raw is not None:
                found[recorded.position] = _command(recorded, recorded.event, raw)
    return found


def _command(recorded: Recorded, event: Received, raw: str) -> Told:
    context = given(recorded, event)
    try:
        payload = read(raw or "{}")
    except (msgspec.MsgspecError, ValueError):
        return Reject(reason=Reason.MALFORMED), context
    return command(event, payload, lambda _text: Sealed(b"")), context


def _told(verdict: Verdict) -> dict[str, Any]:
    plain = msgspec.to_builtins(verdict)
    return plain | {"divergences": [one | {"at": iso(one["at"])} for one in plain["divergences"]]}


def _show(verdict: Verdict, screen: Screen) -> None:
    count = len(verdict.divergences)
    screen.line(screen.colour("bold", f"{count} of {verdict.decisions} decisions would have been otherwise"))
    if verdict.other:
        screen.line(
            f"  {verdict.other} were decided by other settings, or another release: as they are now, so would they be then"
        )
    if verdict.unread:
        screen.line(f"  {verdict.unread} commands cannot be read any more: their texts were erased")
    if verdict.divergences:
        table((">position", "when", "stream", "by", "was", "would have been", ">after"), map(_row, verdict.divergences))


def _row(one: Divergence) -> tuple[str, ...]:
    was, would = (", ".join(events) or "nothing" for events in (one.was, one.would))
    return str(one.position), clock(one.at)[:19], one.stream, one.by or "-", was, would, str(one.after or "")
