"""The sub-command `check`: whether an installation is as it must be, one line a thing, each ok or with what to do.

It promises that a check that fails never hides the others, that no secret is told, and that everything it made is gone.
"""

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

import aiohttp
import anyio
import msgspec
from cyclopts import Parameter

from adapters import settings, wiring
from adapters.discord.looking import look_at_discord
from adapters.findings import Finding, note, ok, wrong
from adapters.local.sandbox import find_bubblewrap
from adapters.postgres.looking import look_at_database
from adapters.sealing import MasterKey
from adapters.settings import Settings, SettingsError
from engine.ports import GiveUp

_GATEWAY_SECONDS = 5.0
_SIGNS = {"ok": "ok   ", "wrong": "WRONG", "note": "note "}


def check(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Look whether everything is as it must be, with the bot's own settings: in its pod, or with KUBECONFIG from elsewhere.

    Makes two sandboxes for a moment, where sandboxes are pods; they count in the quota.

    Exit codes: 0 all is well, 1 something is wrong, 2 settings are missing or wrong.

    Parameters
    ----------
    json
        For programs: one JSON object a line.

    """
    return anyio.run(_check, json)


async def _check(json: bool) -> int:  # noqa: FBT001 - a flag of the command line
    states: set[str] = set()
    try:
        read = settings.load(os.environ)
    except SettingsError as error:
        for problem in error.problems:
            _tell(wrong("settings", f"{problem.name} {problem.wrong}", problem.remedy), json=json)
        return 2
    async with aclosing(_look(read)) as findings:
        async for finding in findings:
            states.add(finding.state)
            _tell(finding, json=json)
    return int("wrong" in states)


async def _look(read: Settings) -> AsyncGenerator[Finding]:
    yield ok("settings", "complete")
    try:
        master = MasterKey.load(read.log_key_file)
    except GiveUp as error:
        yield wrong("key of the log", str(error), "LOG_KEY_FILE")
    else:
        async for finding in look_at_database(read.database.dsn(), master):
            yield finding
    yield await _gateway(read.gateway_url)
    async for finding in look_at_discord(read.discord_token, read.discord_guild_ids, read.discord_api_url):
        yield finding
    async for finding in _sandboxes(read):
        yield finding


async def _gateway(url: str) -> Finding:
    fix = "discord-claude gateway, at GATEWAY_URL; in a cluster: kubectl -n discord-claude get pods"
    try:
        timeout = aiohttp.ClientTimeout(total=_GATEWAY_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/healthz") as answer:
            if answer.status == 200:
                return ok("gateway", f"it answers at {url}")
            return wrong("gateway", f"something else answers at {url} (status {answer.status})", fix)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return wrong("gateway", f"nothing answers at {url} ({type(error).__name__})", fix)


def _sandboxes(read: Settings) -> AsyncIterator[Finding]:
    if read.pods is None:
        return _local()
    from adapters.kubernetes.looking import look_at_cluster  # noqa: PLC0415 - only who has a cluster has what it needs

    urls = [read.gateway_url, *([read.egress_url] if read.egress_url else [])]
    closed = wiring.behind_walls(read)
    return look_at_cluster(read.pods, read.max_sandboxes, urls, closed, read.sandbox_start_seconds)


async def _local() -> AsyncGenerator[Finding]:
    if find_bubblewrap():
        yield ok("sandboxes", "processes of this machine, behind bubblewrap")
    else:
        fix = "install bubblewrap, or name a cluster's namespace in KUBERNETES_NAMESPACE"
        yield note("sandboxes", "processes of this machine, with nothing between: they can read its files", fix)


def _tell(finding: Finding, *, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode(finding).decode() + "\n")
    else:
        sys.stdout.write(f"{_SIGNS[finding.state]}  {finding.what}: {finding.says}\n")
        if finding.fix:
            sys.stdout.write(f"       → {finding.fix}\n")
    sys.stdout.flush()
