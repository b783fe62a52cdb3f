"""The playground: the whole product on this machine, with nothing to sign up for.

Everything is real but Discord's servers and, without a key, the model: a real PostgreSQL, the unmodified bot, the real
Claude Code CLI in a sandbox of its own behind the real gateway. Every part is a process of its own and keeps its state in
one folder, so any of them can be killed at any moment; this one starts them, watches them, and starts them again.

It is one file because what each part is given, in which order parts start and how they end must fit together.
"""

import base64
import fcntl
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import msgspec
from aiohttp import web
from anyio.abc import TaskGroup

from adapters.claude import supervisor
from adapters.local import people_script
from adapters.local.discord.door import Door
from adapters.local.discord.people import open_people
from adapters.local.panel import Panel
from adapters.local.postgres import EmbeddedPostgres, EmbeddedPostgresError
from adapters.local.sandbox import LocalSandbox, find_bubblewrap
from adapters.local.script import LANGUAGES, Script, StepError
from adapters.local.services import Service, ServiceError
from adapters.parsers import Secret
from adapters.postgres.event_log import open_log
from adapters.postgres.keyring import open_keyring
from adapters.sealing import MasterKey
from adapters.settings import Database

DATABASE = "discord_claude"
BASE = Path(__file__).resolve().parents[1] / "deploy" / "base"
_POD_SETTINGS = (
    "SANDBOX_IMAGE",
    "SANDBOX_CPU",
    "SANDBOX_MEMORY",
    "SANDBOX_RUNTIME_CLASS",
    "SANDBOX_START_SECONDS",
    "SANDBOX_ISOLATION",
)
OWNERS = ("alice", "bob")
"""Who may do everything here from the start; everybody else is a stranger, for whom to decide."""
SCRIPTS = ("conversation", "people")
"""What plays by itself."""
_RESTART_SECONDS = 0.2


class PlaygroundError(Exception):
    """Raised when the playground cannot start. The message says what is wrong and what to do."""


class ArgumentError(PlaygroundError):
    """Raised for arguments and settings that are wrong, before anything starts."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run it. `real`: the real model, with the key from CLAUDE_API_KEY. `port`: 0 is any free one.

    `kubernetes`: sandboxes are pods of the cluster that KUBECONFIG names; they reach this machine at `gateway_host`.

    `bot`: what Python runs as the bot; a drill has its own that dies at chosen moments, with `bot_environment` to tell which.
    `database`: settings of the database beside its own.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    real: bool = False
    trust_sandbox: bool = False
    claude: Path | None = None
    watch: bool = True
    max_sandboxes: int = 3
    kubernetes: bool = False
    gateway_host: str | None = None
    bot: tuple[str, ...] = ("-m", "adapters.cli", "run")
    bot_environment: dict[str, str] = {}
    database: dict[str, str] = {}


class Playground:
    """The running parts. `discord` is what the local Discord announced: its addresses, token and ids."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.folder = options.folder.absolute()
        self.discord: dict[str, Any] = {}
        self.postgres = EmbeddedPostgres(self.folder / "postgres", settings=options.database)
        self.services: dict[str, Service] = {}
        self.deaths = 0
        self._options = options
        self._say = say
        self._announced: dict[str, dict[str, Any]] = {}
        self._closing = False
        self._pods_reach = ""

    # --- start -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything up, in the order in which the parts need each other."""
        self._make_secrets()
        self._say("postgres …")
        await self.start_postgres()
        self.sandboxes.mkdir(mode=0o700, exist_ok=True)
        if self._options.kubernetes:
            await self._prepare_cluster()
        model = await self._start("model", ["-m", "adapters.local.model", *self._model_arguments()], {})
        gateway = await self._start("gateway", ["-m", "adapters.cli", "gateway"], self._gateway_environment(model))
        self.discord = await self._start("discord", ["-m", "adapters.local.discord", *self._discord_arguments()], {})
        await self._start("bot", list(self._options.bot), self._bot_environment(gateway))
        await self._start("panel", ["-m", "adapters.playground"], self._panel_environment())

    async def start_postgres(self) -> None:
        """Start the database, and make ours in it."""
        await self.postgres.start()
        connection = await asyncpg.connect(self.postgres.dsn(), timeout=10)
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE}")
        finally:
            await connection.close()

    async def _prepare_cluster(self) -> None:
        from adapters.kubernetes import playground as cluster  # noqa: PLC0415 - only who has a cluster has what it needs

        self._say("cluster …")
        options, ports = self._options, [self._port("gateway"), self._port("egress")]
        host, pods = options.gateway_host, options.max_sandboxes
        self._pods_reach = await cluster.prepare(
            cluster.find_kubeconfig(), BASE, pods=pods, gateway_host=host, ports=ports
        )

    async def _clear_cluster(self) -> None:
        """No pod outlives the playground."""
        from adapters.kubernetes import playground as cluster  # noqa: PLC0415 - see above

        connection = await asyncpg.connect(self.postgres.dsn(DATABASE), timeout=10)
        try:
            installation = await connection.fetchval("select id::text from installation")
        finally:
            await connection.close()
        await cluster.clear(cluster.find_kubeconfig(), BASE, installation)

    async def _start(self, name: str, arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
        self._say(f"{name} …")
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = Service(name, self.folder / name, arguments, environment)
        self._announced[name] = await service.start()
        return self._announced[name]

    def _make_secrets(self) -> None:
        for name in ("log.key", "gateway.secret", "model.key"):
            path = self.folder / "secrets" / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            if not path.exists():
                new = path.with_suffix(".new")
                new.touch(mode=0o600)
                new.write_bytes(base64.b64encode(secrets.token_bytes(32)) + b"\n")
                new.rename(path)

    def _secret(self, name: str) -> Path:
        return self.folder / "secrets" / name

    def _port(self, name: str) -> int:
        """The port a part had before: addresses that people and sandboxes hold stay true over a restart."""
        ports = self._ports()
        if name not in ports:
            ports[name] = _free_port()
            (self.folder / "ports.json").write_text(json.dumps(ports))
        return ports[name]

    def _ports(self) -> dict[str, int]:
        file = self.folder / "ports.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _model_arguments(self) -> list[str]:
        return _arguments(state=self.folder / "model", port=self._port("model"), key_file=self._secret("model.key"))

    def _discord_arguments(self) -> list[str]:
        about = self.folder / "about.json"
        about.write_text(json.dumps(self.about(), ensure_ascii=False))
        port, panel = self._options.port or self._port("discord"), self._port("panel")
        return _arguments(state=self.folder / "discord", port=port, host=self._options.host, about=about, panel=panel)

    def about(self) -> list[str]:
        """What is real here, in both languages."""
        model_en = "The model is real." if self._options.real else "The model is scripted: it answers without thinking."
        model_ja = "モデルは本物です。" if self._options.real else "モデルは台本どおりに答えます（考えてはいません）。"
        if self._options.kubernetes:
            walls_en = "Sandboxes are pods of the cluster in your KUBECONFIG."
            walls_ja = "サンドボックスは KUBECONFIG のクラスターのポッドです。"
            return self._about(f"{model_en} {walls_en}", model_ja + walls_ja)
        walls_en = (
            "Sandboxes are walled off by bubblewrap."
            if _bubblewrap()
            else "No bubblewrap here: a sandbox is only a folder and can read your files."
        )
        walls_ja = (
            "サンドボックスは bubblewrap で隔離されています。"
            if _bubblewrap()
            else "bubblewrap がないため、サンドボックスは単なるフォルダです（ファイルを読めます）。"
        )
        return self._about(f"{model_en} {walls_en}", model_ja + walls_ja)

    @staticmethod
    def _about(english: str, japanese: str) -> list[str]:
        return [
            f"Real: the bot, PostgreSQL, the gateway, Claude Code. Not real: Discord's servers. {english}",
            f"本物: ボット、PostgreSQL、ゲートウェイ、Claude Code。本物でないもの: Discord のサーバー。{japanese}",
        ]

    def _gateway_environment(self, model: dict[str, Any]) -> dict[str, str]:
        if self._options.real:
            upstream, key = "https://api.anthropic.com", os.environ["CLAUDE_API_KEY"]
        else:
            upstream, key = f"http://127.0.0.1:{model['port']}", self._secret("model.key").read_text().strip()
        return self._database() | {
            "CLAUDE_API_KEY": key,
            "GATEWAY_UPSTREAM": upstream,
            "GATEWAY_PORT": str(self._port("gateway")),
            "GATEWAY_HOST": self._pods_reach or "127.0.0.1",
            "EGRESS_PORT": str(self._port("egress")),
            "EGRESS_ALLOW": os.environ.get("EGRESS_ALLOW", ""),
            "TOKEN_ADDRESS": "ignore",  # on their way out of a cluster, pods may have the address of its node
            "GATEWAY_SECRET_FILE": str(self._secret("gateway.secret")),
            **_set_here("GIT_CREDENTIALS_FILE"),
        }

    def _database(self) -> dict[str, str]:
        return {
            "DB_HOST": self.postgres.host,
            "DB_PORT": str(self.postgres.port),
            "DB_USER": "postgres",
            "DB_PASSWORD": "",
            "DB_NAME": DATABASE,
            "LOG_KEY_FILE": str(self._secret("log.key")),
        }

    def _bot_environment(self, gateway: dict[str, Any]) -> dict[str, str]:
        environment = self._database() | self._options.bot_environment
        environment |= {
            "DISCORD_TOKEN": self.discord["token"],
            "DISCORD_API_URL": self.discord["rest_url"],
            "DISCORD_GUILD_ID": self.discord["guild_id"],
            "OWNER_IDS": ",".join(self.discord["people"][name] for name in OWNERS),
            "GATEWAY_URL": f"http://{self._pods_reach or '127.0.0.1'}:{gateway['port']}",
            "EGRESS_URL": f"http://{self._pods_reach or '127.0.0.1'}:{self._port('egress')}",
            "EGRESS_ALLOW": os.environ.get("EGRESS_ALLOW", ""),
            "GATEWAY_SECRET_FILE": str(self._secret("gateway.secret")),
            "MAX_SANDBOXES": str(self._options.max_sandboxes),
        }
        environment |= self._pods_environment() if self._options.kubernetes else {"SANDBOX_DIR": str(self.sandboxes)}
        environment |= _set_here("CLAUDE_CONFIG_PATH", "REPO_TRUST")
        return environment | ({"CLAUDE_BIN": str(self._options.claude)} if self._options.claude else {})

    def _pods_environment(self) -> dict[str, str]:
        from adapters.kubernetes.playground import NAMESPACE, find_kubeconfig  # noqa: PLC0415 - see above

        return _set_here(*_POD_SETTINGS) | {
            "KUBERNETES_NAMESPACE": NAMESPACE,
            "KUBECONFIG": str(find_kubeconfig()),
            "SANDBOX_POD_FILE": str(BASE / "sandbox-pod.yaml"),
        }

    def _panel_environment(self) -> dict[str, str]:
        return self._database() | {
            "PANEL_HOST": self._options.host,
            "PANEL_PORT": str(self._port("panel")),
            "PANEL_PAGE": str(self.discord["port"]),
            "PANEL_TOKEN": self.discord["page"].partition("token=")[2],
        }

    @property
    def sandboxes(self) -> Path:
        """The folder of the sandboxes."""
        return self.folder / "sandboxes"

    # --- watch and end -----------------------------------------------------------------------------------------------

    def watch(self, tasks: TaskGroup) -> None:
        """Start every part again that ends by itself, or is killed."""
        for name in list(self.services):
            tasks.start_soon(self._watch_service, name)
        tasks.start_soon(self._watch_postgres)

    async def _watch_service(self, name: str) -> None:
        while True:
            status = await self.services[name].wait()
            if self._closing:
                return
            self.deaths += 1
            self._say(f"{name} ended ({status}); starting it again")
            await self._again(lambda: self._start(name, [], {}))

    async def _watch_postgres(self) -> None:
        while True:
            await anyio.sleep(_RESTART_SECONDS)
            if not self._closing and self.postgres.pid is None:
                self.deaths += 1
                self._say("postgres ended; starting it again")
                await self._again(self.postgres.start)

    async def _again(self, start: Callable[[], Any]) -> None:
        while not self._closing:
            try:
                await start()
            except (ServiceError, EmbeddedPostgresError) as error:
                self._say(str(error))
                await anyio.sleep(1)
            else:
                return

    async def end(self) -> None:
        """End every part: bot first, database last. What they kept stays in the folder."""
        self._closing = True
        for name in ("panel", "bot", "discord"):
            if name in self.services:
                await self.services[name].end()
        await LocalSandbox(self.sandboxes, Path(supervisor.__file__)).end_all()
        if self._pods_reach:
            await self._clear_cluster()
        for name in ("gateway", "model"):
            if name in self.services:
                await self.services[name].end()
        await self.postgres.stop()


@asynccontextmanager
async def open_playground(options: Options, say: Callable[[str], None]) -> AsyncGenerator[Playground]:
    """The playground while the context is open. Raises PlaygroundError when it cannot start."""
    _check(options)
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(options.folder):
        playground = Playground(options, say)
        try:
            await playground.start()
            async with anyio.create_task_group() as tasks:
                if options.watch:
                    playground.watch(tasks)
                yield playground
                tasks.cancel_scope.cancel()
        except (ServiceError, EmbeddedPostgresError) as error:
            raise PlaygroundError(str(error)) from error
        finally:
            with anyio.CancelScope(shield=True):
                await playground.end()


def _check(options: Options) -> None:
    if not options.real:
        return
    if not os.environ.get("CLAUDE_API_KEY"):
        raise ArgumentError("--real needs the key of the real model in CLAUDE_API_KEY")
    if not (_bubblewrap() or options.kubernetes or options.trust_sandbox):
        raise ArgumentError(
            "--real without bubblewrap would let a real agent read and change your files: "
            "install bubblewrap (bwrap), or say --trust-sandbox if this machine is one you can lose"
        )


def _bubblewrap() -> bool:
    return find_bubblewrap() is not None


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One playground a folder. Raises PlaygroundError naming the other."""
    with (folder / "playground.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise PlaygroundError(
                f"a playground runs in {folder} already (process {lock.read().strip() or 'unknown'}): "
                "end it, or use another --folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _arguments(**given: object) -> list[str]:
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _set_here(*names: str) -> dict[str, str]:
    """Those of the settings that whoever starts the playground has set."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- the command -----------------------------------------------------------------------------------------------------


async def run_playground(options: Options, language: str | None, script: str = SCRIPTS[0]) -> int:
    """Until it is ended; or, with a language, until `script` is over. Returns the exit status."""
    began = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {line}\n")
        sys.stdout.flush()

    if language is not None and language not in LANGUAGES:
        raise ArgumentError(f"--lang {language}: there is {' and '.join(LANGUAGES)}")
    if script not in SCRIPTS:
        raise ArgumentError(f"--script {script}: there is {' and '.join(SCRIPTS)}")
    if language is None and script != SCRIPTS[0]:
        raise ArgumentError(f"{script}: it is played by --script {script}")
    if script == "people":
        options = msgspec.structs.replace(options, max_sandboxes=people_script.SANDBOXES)
    if options.host not in {"127.0.0.1", "localhost"}:
        say(f"warning: {options.host} lets others on your network in, and they can run commands here")
    async with open_playground(options, say) as playground:
        for line in playground.about():
            say(line)
        say(f"open {playground.discord['page']}")
        say(f"bot: process {playground.services['bot'].pid} (kill it if you like: it comes back)")
        if language is None:
            await anyio.sleep_forever()
        return await _play(playground, script, language or "en", say)


async def _play(playground: Playground, script: str, language: str, say: Callable[[str], None]) -> int:
    ids, channel = playground.discord["people"], playground.discord["channel_id"]
    async with open_people(playground.discord) as people:
        if script == "people":
            play = people_script.PeopleScript(people, ids, channel, people_script.LANGUAGES[language], say)
        else:
            lines = LANGUAGES[language]
            play = Script(people[lines.person], channel, lines, say)
        try:
            await play.run()
        except StepError as error:
            say(f"did not happen: {error}")
            return 1
    return 0


# --- the log panel, a process of its own -----------------------------------------------------------------------------


async def serve_panel(environment: Mapping[str, str]) -> None:
    """The log beside the page, until it is ended, or the database ends; then it is started again."""
    database = Database(
        host=environment["DB_HOST"],
        port=int(environment["DB_PORT"]),
        user=environment["DB_USER"],
        password=Secret(environment["DB_PASSWORD"]),
        name=environment["DB_NAME"],
    )
    door = Door(environment["PANEL_TOKEN"], environment["PANEL_HOST"], page=int(environment["PANEL_PAGE"]))
    async with open_log(database.dsn()) as log:
        keyring = await open_keyring(log.pool, MasterKey.load(Path(environment["LOG_KEY_FILE"])))
        panel = Panel(log, keyring.open, door)
        app = web.Application()
        app.add_routes(panel.routes())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, environment["PANEL_HOST"], int(environment["PANEL_PORT"])).start()
        sys.stdout.write(json.dumps({"port": int(environment["PANEL_PORT"])}) + "\n")
        sys.stdout.flush()
        try:
            await panel.follow()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    anyio.run(serve_panel, os.environ)
