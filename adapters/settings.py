"""Settings: read from the environment once, at the start, by whoever is the composition root. Nothing else reads it.

Promises: every missing or wrong setting is named, all at once, with what to do (`SettingsError`); no value is ever part of
such a message, as people paste secrets into the wrong variable; what is returned is complete and of the right type.

The table of all settings for who runs the program is in `deploy/README.md`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec

from adapters import parsers
from adapters.parsers import Secret

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a setting, and what to do about it: two half sentences for people."""

    name: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} {self.wrong}: {self.remedy}"


class SettingsError(Exception):
    """Raised when settings are missing or wrong; names all of them, and no value."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        super().__init__("\n  ".join([f"{count} missing or wrong:", *map(str, problems)]))


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where PostgreSQL is. `host`: a name, an address, or the folder of its socket."""

    host: str
    port: int
    user: str
    password: Secret
    name: str

    def dsn(self) -> str:
        """For asyncpg. It holds the password: never log it."""
        user, password, name = (quote(part, safe="") for part in (self.user, self.password.reveal(), self.name))
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith(("/", "[")) else self.host
        return f"postgresql://{user}:{password}@/{name}?{urlencode({'host': host, 'port': self.port})}"


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """`format`: json, console, or auto (console at a terminal). `level`: debug, info, warning or error."""

    format: str
    level: str


class Pods(msgspec.Struct, frozen=True, kw_only=True):
    """Sandboxes as pods. What is None is as the template says."""

    namespace: str
    """Where they are: nothing else should be."""
    kubeconfig: Path | None
    """How to reach the cluster; None: as a pod of it."""
    template: Path
    image: str | None
    cpu: str | None
    cpu_request: str | None
    memory: str | None
    memory_request: str | None
    runtime_class: str | None
    isolation: str
    """enforce: a sandbox that reaches what must be closed to it is not used; warn: it is, and people are told."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the bot needs to know."""

    discord_token: Secret
    discord_guild_ids: tuple[str, ...]
    """The servers it serves; anywhere else everything is refused."""
    owner_ids: tuple[str, ...]
    """Who is an owner from the start; empty: each server's owner is asked to confirm, in Discord."""
    owner_channel_ids: tuple[str, ...]
    """Where owners are asked about newcomers, each for the server it is in; empty: where the newcomer asked."""
    discord_api_url: str | None
    """The REST address of a Discord that is not Discord's own; None: Discord."""
    database: Database
    log_key_file: Path
    """Wraps the keys of personal text. Lost, and that text is lost."""
    gateway_url: str
    """Where sandboxes find the model."""
    gateway_secret_file: Path
    """What session tokens are made with; the gateway has the same."""
    egress_url: str | None
    """Where sandboxes find the way out, the gateway's EGRESS_PORT; None: they are told of none."""
    egress_allow: str
    """The gateway's, for who names a repository of another host; it is the gateway that lets nobody through."""
    repo_trust: tuple[str, ...]
    """Repositories, owners or hosts whose hooks and MCP servers Claude Code takes, as `engine.repos` has them."""
    sandbox_dir: Path | None
    """Where local sandboxes live; None: they are pods."""
    pods: Pods | None
    max_sandboxes: int
    max_sandboxes_per_user: int
    """0: any number."""
    sandbox_start_seconds: int
    sandbox_reap_seconds: int
    """How often sandboxes are compared with reservations."""
    budget_user: int
    """What a user may use in a day (UTC), in millionths of a US dollar, as `projections/prices.py` estimates it; 0: no limit."""
    budget_owner: int
    """The same for an owner."""
    permission_seconds: int
    """How long a permission prompt waits before it is denied."""
    claude_config_path: Path | None
    """CLAUDE.md, skills, settings.json and so on, for every sandbox: a folder, or a tar of one; None: the default."""
    claude_bin: Path | None
    """The Claude Code CLI; None: the one in the pinned wheel."""
    http_port: int | None
    """Where probes and metrics are; None: nowhere."""
    logging: Logging


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway needs to know: it alone holds the key of the model."""

    claude_api_key: Secret
    upstream: str
    host: str
    """The address it listens on, as the way out does."""
    port: int
    egress_port: int | None
    """Where the way out for sandboxes is; None: there is none."""
    egress_allow: str
    """The hosts it leads to, as `gateway.egress` reads them."""
    git_credentials_file: Path | None
    """Who reads private repositories, and which, as `gateway.repositories` reads it; None: nobody."""
    secret_file: Path
    check_address: bool
    """Whether the token of a pod is good from its addresses only."""
    database: Database
    logging: Logging


def load(environ: Mapping[str, str]) -> Settings:
    """The bot's settings. Raises SettingsError."""
    read = _Reader(environ)
    pods = _pods(read) if "KUBERNETES_NAMESPACE" in environ else None
    settings = Settings(
        discord_token=read("DISCORD_TOKEN", parsers.bot_token, "the token of the bot, from Discord's developer portal"),
        discord_guild_ids=read(
            "DISCORD_GUILD_ID", parsers.ids, "the id of your Discord server, or several with commas between"
        ),
        owner_ids=read.optional("OWNER_IDS", parsers.ids, "ids of people, with commas between, or unset") or (),
        owner_channel_ids=read.optional("OWNER_CHANNEL_ID", parsers.ids, "the id of a channel of your server, or unset")
        or (),
        discord_api_url=read.optional("DISCORD_API_URL", parsers.url, "leave it unset: Discord is found without"),
        database=_database(read),
        log_key_file=read("LOG_KEY_FILE", parsers.key_file, _KEY_FILE),
        gateway_url=read("GATEWAY_URL", parsers.url, "where sandboxes reach the gateway, as http://host:port"),
        gateway_secret_file=read("GATEWAY_SECRET_FILE", parsers.key_file, _KEY_FILE),
        egress_url=read.optional("EGRESS_URL", parsers.url, "the gateway's EGRESS_PORT as http://host:port, or unset"),
        egress_allow=_egress_allow(read),
        repo_trust=read("REPO_TRUST", parsers.places, "host/owner or host/owner/name, with commas between", ()),
        sandbox_dir=None if pods else read("SANDBOX_DIR", parsers.folder, "a folder for the sandboxes; make it first"),
        pods=pods,
        max_sandboxes=_limit(read),
        max_sandboxes_per_user=_limit_per_user(read),
        sandbox_start_seconds=read("SANDBOX_START_SECONDS", parsers.whole(1, 3600), "seconds, 1 to 3600", 120),
        sandbox_reap_seconds=read("SANDBOX_REAP_SECONDS", parsers.whole(1, 3600), "seconds, 1 to 3600", 60),
        budget_user=_budget(read, "USER"),
        budget_owner=_budget(read, "OWNER"),
        permission_seconds=read(
            "PERMISSION_SECONDS", parsers.whole(10, 2_592_000), "seconds, 10 to 2592000 (30 days)", 86_400
        ),
        claude_config_path=read.optional(
            "CLAUDE_CONFIG_PATH", parsers.there, "a folder with CLAUDE.md and the like, a tar of one, or unset"
        ),
        claude_bin=read.optional("CLAUDE_BIN", parsers.program, "the Claude Code CLI, or unset for the pinned one"),
        http_port=read.optional(
            "HTTP_PORT", parsers.whole(1, 65_535), "a port for probes and metrics, 1 to 65535, or unset"
        ),
        logging=_logging(read),
    )
    read.finish()
    return settings


def load_gateway(environ: Mapping[str, str]) -> GatewaySettings:
    """The gateway's settings. Raises SettingsError."""
    read = _Reader(environ)
    settings = GatewaySettings(
        claude_api_key=read("CLAUDE_API_KEY", parsers.token, "the key of the Anthropic API"),
        upstream=read(
            "GATEWAY_UPSTREAM", parsers.url, "the address of the Anthropic API, or unset", "https://api.anthropic.com"
        ),
        host=read("GATEWAY_HOST", parsers.text, "the address it listens on: 0.0.0.0 for all of them", "127.0.0.1"),
        port=read("GATEWAY_PORT", parsers.whole(1, 65_535), "the port it listens on, 1 to 65535", 8080),
        egress_port=read.optional(
            "EGRESS_PORT", parsers.whole(1, 65_535), "a port for the sandboxes' way out, or unset"
        ),
        egress_allow=_egress_allow(read),
        git_credentials_file=read.optional(
            "GIT_CREDENTIALS_FILE", parsers.file, "a file with lines https://user:token@host/owner, or unset"
        ),
        secret_file=read("GATEWAY_SECRET_FILE", parsers.key_file, _KEY_FILE),
        check_address=read("TOKEN_ADDRESS", parsers.one_of("check", "ignore"), "check or ignore", "check") == "check",
        database=_database(read),
        logging=_logging(read),
    )
    read.finish()
    return settings


def load_log(environ: Mapping[str, str]) -> tuple[Database, Path | None]:
    """Where the log is, and its key file if one is named: for who only asks it something. Raises SettingsError."""
    read = _Reader(environ)
    database, key_file = _database(read), read.optional("LOG_KEY_FILE", parsers.key_file, _KEY_FILE)
    read.finish()
    return database, key_file


def load_limit(environ: Mapping[str, str]) -> int:
    """How many sandboxes may live at once: for who only asks. Raises SettingsError."""
    read = _Reader(environ)
    limit = _limit(read)
    read.finish()
    return limit


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What decisions rest on, as in `Settings`."""

    max_sandboxes: int
    max_sandboxes_per_user: int
    budget_user: int
    budget_owner: int


def load_limits(environ: Mapping[str, str]) -> Limits:
    """What decisions rest on: for who only asks. Raises SettingsError."""
    read = _Reader(environ)
    limits = Limits(
        max_sandboxes=_limit(read),
        max_sandboxes_per_user=_limit_per_user(read),
        budget_user=_budget(read, "USER"),
        budget_owner=_budget(read, "OWNER"),
    )
    read.finish()
    return limits


def load_egress_allow(environ: Mapping[str, str]) -> str:
    """The hosts that are let out to: for who only asks. Raises SettingsError."""
    read = _Reader(environ)
    allowed = _egress_allow(read)
    read.finish()
    return allowed


def _budget(read: "_Reader", role: str) -> int:
    return (
        read.optional(
            f"BUDGET_{role}_USD_PER_DAY", parsers.dollars, "US dollars a day, as 5 or 2.50, or unset for no limit"
        )
        or 0
    )


def _egress_allow(read: "_Reader") -> str:
    return read("EGRESS_ALLOW", parsers.hosts, "hosts with commas between, as in deploy/README.md", "")


def _limit(read: "_Reader") -> int:
    return read("MAX_SANDBOXES", parsers.whole(1, 10_000), "how many sandboxes may live at once (1 to 10000)", 3)


def _limit_per_user(read: "_Reader") -> int:
    return read(
        "MAX_SANDBOXES_PER_USER",
        parsers.whole(0, 10_000),
        "how many sandboxes one person may have at once (1 to 10000), or 0 for any number",
        0,
    )


_KEY_FILE = "a file with a key: head -c 32 /dev/urandom | base64 >FILE; keep it safe, and out of the database"


def _database(read: "_Reader") -> Database:
    return Database(
        host=read("DB_HOST", parsers.text, "the host of PostgreSQL, or the folder of its socket"),
        port=read("DB_PORT", parsers.whole(1, 65_535), "the port of PostgreSQL, 1 to 65535", 5432),
        user=read("DB_USER", parsers.text, "the user to log in to PostgreSQL as"),
        password=read(
            "DB_PASSWORD", Secret, "that user's password; set it to nothing (DB_PASSWORD=) where none is asked for"
        ),
        name=read("DB_NAME", parsers.text, "the name of the database"),
    )


def _pods(read: "_Reader") -> Pods:
    size = "an amount as Kubernetes writes it, such as 500m or 2Gi, or unset"
    return Pods(
        namespace=read("KUBERNETES_NAMESPACE", parsers.label, "the namespace of the sandboxes"),
        kubeconfig=read.optional(
            "KUBECONFIG", parsers.file, "one file, or unset where the bot is a pod of the cluster"
        ),
        template=read("SANDBOX_POD_FILE", parsers.file, "the pod of a sandbox: deploy/base/sandbox-pod.yaml, or yours"),
        image=read.optional("SANDBOX_IMAGE", parsers.text, "the image of sandboxes, or unset"),
        cpu=read.optional("SANDBOX_CPU", parsers.amount, size),
        cpu_request=read.optional("SANDBOX_CPU_REQUEST", parsers.amount, size),
        memory=read.optional("SANDBOX_MEMORY", parsers.amount, size),
        memory_request=read.optional("SANDBOX_MEMORY_REQUEST", parsers.amount, size),
        runtime_class=read.optional("SANDBOX_RUNTIME_CLASS", parsers.label, "a RuntimeClass of the cluster, or unset"),
        isolation=read("SANDBOX_ISOLATION", parsers.one_of("enforce", "warn"), "enforce or warn", "enforce"),
    )


def _logging(read: "_Reader") -> Logging:
    return Logging(
        format=read("LOG_FORMAT", parsers.one_of("auto", "json", "console"), "auto, json or console", "auto"),
        level=read(
            "LOG_LEVEL", parsers.one_of("debug", "info", "warning", "error"), "debug, info, warning or error", "info"
        ),
    )


class _Reader:
    """Reads one setting after the other and remembers the problems; `finish` raises them. Until then, a value that could
    not be read is None, whatever its type says.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[Problem] = []

    def __call__(self, name: str, parse: Callable[[str], T], remedy: str, default: T | None = None) -> T:
        value = self.optional(name, parse, remedy)
        if value is None and default is None and name not in self._environ:
            self._problems.append(Problem(name, "is missing", remedy))
        return cast("T", default if value is None else value)

    def optional(self, name: str, parse: Callable[[str], T], remedy: str) -> T | None:
        raw = self._environ.get(name)
        if raw is None:
            return None
        try:
            return parse(raw.strip())
        except ValueError as error:
            wrong = str(error)
        except OSError:
            wrong = "names a path that cannot be looked at"
        self._problems.append(Problem(name, wrong, remedy))
        return None

    def finish(self) -> None:
        if self._problems:
            raise SettingsError(tuple(self._problems))
