"""The one composition root: it alone knows every concrete class and joins them to a running program.

Each `run_…` is a program: it announces itself with one JSON line on stdout when it is ready, and runs until it is cancelled.
"""

import base64
import json
import sys
import sysconfig
import time
import uuid
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import msgspec
import structlog

from adapters.claude import supervisor
from adapters.claude.agent import ClaudeAgent
from adapters.claude.environment import read_environment
from adapters.claude.gateway import tokens
from adapters.claude.gateway.app import Config, Gateway
from adapters.claude.gateway.egress import Entry, patterns, read_list
from adapters.claude.gateway.refusals import Refusals
from adapters.claude.gateway.repositories import Credential, Repositories, read_credentials
from adapters.claude.gateway.reservations import Reservations
from adapters.claude.gateway.tunnel import Tunnels
from adapters.claude.invocation import CliSettings
from adapters.discord.bot import Connection, open_discord
from adapters.discord.options import Options
from adapters.http import Probes
from adapters.local.sandbox import LocalSandbox, find_bubblewrap
from adapters.metrics import Metrics
from adapters.postgres.event_log import PostgresEventLog, open_log
from adapters.postgres.kept_files import KeptFiles
from adapters.postgres.keyring import open_keyring
from adapters.postgres.rebuild import rebuild
from adapters.postgres.seals import Sealer
from adapters.postgres.spending import Spending
from adapters.postgres.tokens import Tokens
from adapters.postgres.views import Follower, lags
from adapters.reaper import Reaper
from adapters.sealing import MasterKey
from adapters.settings import GatewaySettings, Settings
from engine import slots
from engine.commands import Policy
from engine.effects import Performer
from engine.guild_actor import install_owners
from engine.latest import Latest
from engine.ports import Committed, GiveUp, Sandbox, TryAgain
from engine.supervisor import Supervisor, World
from projections.followed import FOLLOWED
from schema.envelope import Append, Draft, Write
from schema.events import LeakRemoved, UsageCounted

_CONTACT_SECONDS = 600.0
_START_SECONDS = 60.0
_LOCAL_DISK = 10 << 30
"""Bytes a local sandbox may fill: its share of a disk that it shares with everything else on this machine."""

log_line = structlog.get_logger(__name__)


def now() -> int:
    """The time, in µs since the Unix epoch."""
    return time.time_ns() // 1000


# --- the bot ---------------------------------------------------------------------------------------------------------


async def run_bot(settings: Settings) -> None:
    """The bot, until it is cancelled. Raises GiveUp when it cannot work with these settings."""
    async with open_bot(settings):
        _announce({"ready": True})
        await anyio.sleep_forever()


@asynccontextmanager
async def open_bot(settings: Settings) -> AsyncGenerator[Supervisor]:
    """The bot's parts, joined: the log, then the engine, and Discord last, so that nothing arrives before it can be kept."""
    master = MasterKey.load(settings.log_key_file)
    environment = read_environment(settings.claude_config_path)
    log_line.info("placed in each sandbox", files=environment.names, left_out=environment.left_out)
    async with _open_log(settings.database.dsn()) as log, AsyncExitStack() as stack:
        keyring = await open_keyring(log.pool, master)
        kept = _KeptTokens(Tokens(log.pool, master))
        options = Options(
            token=settings.discord_token,
            guilds=frozenset(settings.discord_guild_ids),
            incarnation=uuid.uuid4().hex,
            now=now,
            owners=settings.owner_ids,
            owner_channels=settings.owner_channel_ids,
            api_url=settings.discord_api_url,
        )
        for guild in settings.discord_guild_ids:
            await install_owners(log, guild, settings.owner_ids, at=now())
        async with open_discord(options, log, keyring, kept) as discord:
            sandboxes = await stack.enter_async_context(_open_sandboxes(settings, log))
            secret = _secret(settings.gateway_secret_file)
            agent = ClaudeAgent(
                sandboxes.sandbox,
                keyring,
                CliSettings(
                    cli=sandboxes.cli,
                    base_url=settings.gateway_url,
                    isolated=sandboxes.isolated,
                    disk_bytes=sandboxes.disk_bytes,
                    egress_url=settings.egress_url,
                    files=environment.archive,
                    trusted=settings.repo_trust,
                    start_seconds=settings.sandbox_start_seconds,
                ),
                partial(tokens.make, secret),
            )
            metrics = Metrics()

            def failed(target: str, what: str, error: Exception) -> None:
                _tell_operators(metrics, target, what, error)
                discord.failed(target, what, error)

            reaper = _reaper(sandboxes.sandbox, log, metrics, every=settings.sandbox_reap_seconds)
            log.timed = metrics.append_seconds.observe
            world = World(
                log=log,
                translator=discord.translator,
                performer=Performer(discord.chat, agent, KeptFiles(log.pool, keyring)),
                now=now,
                failed=failed,
                urgent=discord.acknowledging,
                spent=Spending(log.pool),
            )
            policy = Policy(
                permission_ttl=settings.permission_seconds * 1_000_000,
                start_limit=settings.sandbox_start_seconds * 1_000_000,
                budget_user=settings.budget_user,
                budget_owner=settings.budget_owner,
                sandboxes_per_person=settings.max_sandboxes_per_user,
                repo_hosts=patterns(_allowed(settings.egress_allow)),
            )
            engine = Supervisor(world, policy=policy, limit=settings.max_sandboxes)
            probes = _probes(settings.http_port, metrics, log, discord, engine, reaper, agent)
            async with probes, anyio.create_task_group() as tasks:
                tasks.start_soon(Sealer(log.pool, master).run)
                for follower in _followers(settings.database.dsn(), log):
                    tasks.start_soon(follower.run)
                tasks.start_soon(reaper.run)
                await discord.listen()
                async with engine.run():
                    yield engine
                tasks.cancel_scope.cancel()


def _allowed(egress_allow: str) -> Sequence[Entry]:
    try:
        return read_list(egress_allow)
    except ValueError as error:
        raise GiveUp(f"EGRESS_ALLOW {error}") from None


@asynccontextmanager
async def _open_log(dsn: str, *, replica: bool = True) -> AsyncGenerator[PostgresEventLog]:
    """The log, waited for: the database may come up later than we do."""
    give_up_at = anyio.current_time() + _START_SECONDS
    while True:
        try:
            async with open_log(dsn, replica=replica) as log:
                give_up_at = float("inf")
                yield log
                return
        except TryAgain as error:
            if anyio.current_time() > give_up_at or give_up_at == float("inf"):
                raise GiveUp(f"the database does not answer: {error}") from None
            await anyio.sleep(0.5)


class _KeptTokens:
    """`adapters.discord.chat.Tokens`, with the clock that the store wants to be given."""

    def __init__(self, kept: Tokens) -> None:
        self._kept = kept

    async def put(self, interaction: str, token: str) -> None:
        await self._kept.put(interaction, token, at=now())

    async def get(self, interaction: str) -> str | None:
        return await self._kept.get(interaction, now=now())


class _Sandboxes(msgspec.Struct, frozen=True, kw_only=True):
    """Where sandboxes are, and what the CLI needs to know about them."""

    sandbox: Sandbox
    isolated: bool
    cli: str
    disk_bytes: int


@asynccontextmanager
async def _open_sandboxes(settings: Settings, log: PostgresEventLog) -> AsyncGenerator[_Sandboxes]:
    if settings.pods is None:
        assert settings.sandbox_dir
        cli = _cli(settings)
        local = local_sandbox(settings.sandbox_dir, cli)
        yield _Sandboxes(sandbox=local, isolated=local.isolated, cli=str(cli), disk_bytes=_LOCAL_DISK)
        return
    try:  # only who has a cluster has these
        from adapters.kubernetes.opening import open_pods  # noqa: PLC0415 - see above
        from adapters.kubernetes.sandbox import CLI  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise GiveUp(
            f"KUBERNETES_NAMESPACE is set, and {error.name} is not here: it needs discord-claude[kubernetes]"
        ) from None
    urls = [settings.gateway_url, *([settings.egress_url] if settings.egress_url else [])]
    async with open_pods(settings.pods, await log.installation(), urls, behind_walls(settings)) as pods:
        yield _Sandboxes(sandbox=pods, isolated=pods.isolated, cli=CLI, disk_bytes=pods.disk_bytes)


def behind_walls(settings: Settings) -> dict[str, tuple[str, int]]:
    """What the bot reaches and no sandbox may, as `open_pods` takes it: an address off the list is Discord's."""
    discord = urlsplit(settings.discord_api_url or "https://discord.com")
    closed = {
        "outside": (discord.hostname or "", discord.port or 443),
        "database": (settings.database.host, settings.database.port),
    }
    return closed | ({"bot": ("", settings.http_port)} if settings.http_port else {})


def _reaper(sandbox: Sandbox, log: PostgresEventLog, metrics: Metrics, *, every: float) -> Reaper:
    current = Latest(log, slots.STREAM, slots.fold, slots.Slots())

    async def held() -> Collection[str]:
        return (await current.read()).held.values()

    async def removed(reservation: str) -> None:
        metrics.leaks.inc()
        draft = Draft(event=LeakRemoved(reservation=reservation), at=now(), actor="reaper")
        await log.append(Append(writes=(Write(stream=slots.STREAM, expected=None, drafts=(draft,)),)))

    return Reaper(sandbox, held, removed, every=every)


def local_sandbox(folder: Path, cli: Path) -> LocalSandbox:
    """Sandboxes as processes of this machine, behind bubblewrap where it works."""
    return LocalSandbox(
        folder,
        Path(supervisor.__file__),
        readable=[cli],
        contact_timeout=_CONTACT_SECONDS,
        bubblewrap=find_bubblewrap(),
    )


def _cli(settings: Settings) -> Path:
    return settings.claude_bin or bundled_cli()


def bundled_cli() -> Path:
    """The Claude Code CLI in the pinned wheel of its SDK. Raises GiveUp when it is not installed."""
    path = Path(sysconfig.get_path("purelib"), "claude_agent_sdk", "_bundled", "claude")
    if not path.is_file():
        raise GiveUp("there is no Claude Code here: run `make playground` to install it, or name one in CLAUDE_BIN")
    return path


def _secret(path: Path) -> bytes:
    return base64.b64decode(path.read_text().strip())


@asynccontextmanager
async def _probes(
    port: int | None,
    metrics: Metrics,
    log: PostgresEventLog,
    discord: Connection,
    engine: Supervisor,
    reaper: Reaper,
    agent: ClaudeAgent,
) -> AsyncGenerator[None]:
    """The HTTP port of the bot, when there is one."""
    current = Latest(log, slots.STREAM, slots.fold, slots.Slots())

    async def refresh() -> None:
        heartbeat = discord.heartbeat
        metrics.discord_up.set(heartbeat is not None)
        metrics.discord_seconds.set(heartbeat or 0)
        metrics.actors.set(len(engine.actors))
        metrics.missing.set(reaper.missing)
        metrics.slots.labels("limit").set(engine.limit)
        with suppress(TryAgain):
            now_there = await current.read()
            metrics.slots.labels("held").set(len(now_there.held))
            metrics.slots.labels("waiting").set(len(now_there.line))
            for lag in await lags(log.pool):
                metrics.view_events.labels(lag.view).set(lag.events)
                metrics.view_seconds.labels(lag.view).set(max(0, now() - lag.since) / 1e6 if lag.since else 0)
        metrics.used(await agent.usages())

    async def database() -> None:
        await log.head()

    async def gateway() -> None:
        if discord.heartbeat is None:
            raise TryAgain("not connected")

    def count(committed: Committed) -> None:
        for recorded in committed.recorded:
            metrics.recorded(recorded)

    unsubscribe = log.subscribe(count)
    try:
        if port is None:
            yield
        else:
            async with Probes({"database": database, "discord": gateway}, metrics.registry, refresh).serve(port):
                yield
    finally:
        unsubscribe()


def _followers(dsn: str, log: PostgresEventLog) -> list[Follower]:
    """What keeps the views up with the log."""

    def failed(view: str, error: Exception) -> None:
        log_line.error("view stands still", view=view, error=str(error))

    build = partial(rebuild, dsn, log)
    return [Follower(log, dsn, view, build=build, failed=failed) for view in FOLLOWED.values()]


def _tell_operators(metrics: Metrics, target: str, what: str, error: Exception) -> None:
    metrics.failed(what, again=isinstance(error, TryAgain))
    if isinstance(error, TryAgain):
        log_line.warning("trying again", target=target, what=what, error=str(error))
    else:
        log_line.error("failed", target=target, what=what, error=repr(error), exc_info=error)


# --- the gateway -----------------------------------------------------------------------------------------------------


async def run_gateway(settings: GatewaySettings) -> None:
    """The gateway, until it is cancelled."""
    config = Config(upstream=settings.upstream, key=settings.claude_api_key, secret=_secret(settings.secret_file))
    allowed, credentials = _allowed(settings.egress_allow), _credentials(settings.git_credentials_file)
    async with _open_log(settings.database.dsn(), replica=False) as log, AsyncExitStack() as stack:
        policy = Reservations(log, check_address=settings.check_address)
        repositories = Repositories(config.secret, allowed, policy, credentials=credentials)
        gateway = Gateway(config, policy, _Usage(log).record, repositories)
        port = await stack.enter_async_context(gateway.serve(settings.port, settings.host))
        if settings.egress_port is not None:
            tunnels = Tunnels(config.secret, allowed, policy, refused=Refusals(log, now).record)
            await stack.enter_async_context(tunnels.serve(settings.egress_port, settings.host))
        _announce({"port": port})
        await anyio.sleep_forever()


def _credentials(path: Path | None) -> Sequence[Credential]:
    try:
        return read_credentials(path.read_text()) if path else ()
    except (OSError, UnicodeDecodeError):
        raise GiveUp("GIT_CREDENTIALS_FILE names a file that cannot be read") from None
    except ValueError as error:
        raise GiveUp(f"GIT_CREDENTIALS_FILE {error}") from None


class _Usage:
    """Records usage in `usage:<session>`, once a request id."""

    def __init__(self, log: PostgresEventLog) -> None:
        self._log = log

    async def record(self, session: str, request: str, event: UsageCounted) -> None:
        draft = Draft(event=event, at=now(), actor="gateway", key=f"u:{request}")
        write = Write(stream=f"usage:{session}", expected=None, drafts=(draft,))
        await self._log.append(Append(writes=(write,)))


def _announce(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
