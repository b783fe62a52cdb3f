"""Settings: read from the environment once, at the start, by whoever is the composition root. Nothing else reads it.

Promises: every missing or wrong setting is named, all at once, with what to do (`SettingsError`); no value is ever part of
such a message, as people paste secrets into the wrong variable; what is returned is complete and of the right type.

The table of all settings for who runs the program is in `deploy/README.md`.
"""

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import msgspec

T = TypeVar("T")

KEY_BYTES = 32
"""In a file that holds a key, in base64."""


class Secret:
    """A text that does not show itself: not in logs, errors, tracebacks or JSON. `reveal()` where it is used."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def in_file(cls, path: Path) -> "Secret":
        """What a key file says; empty when it cannot be read, which its user will tell."""
        try:
            return cls(path.read_text().strip())
        except (OSError, UnicodeDecodeError):
            return cls("")

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


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
    sandbox_dir: Path | None
    """Where local sandboxes live; None: they are pods."""
    pods: Pods | None
    max_sandboxes: int
    sandbox_start_seconds: int
    sandbox_reap_seconds: int
    """How often sandboxes are compared with reservations."""
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
    secret_file: Path
    database: Database
    log_key_file: Path
    logging: Logging


def load(environ: Mapping[str, str]) -> Settings:
    """The bot's settings. Raises SettingsError."""
    read = _Reader(environ)
    pods = _pods(read) if "KUBERNETES_NAMESPACE" in environ else None
    settings = Settings(
        discord_token=read("DISCORD_TOKEN", _bot_token, "the token of the bot, from Discord's developer portal"),
        discord_guild_ids=read(
            "DISCORD_GUILD_ID", _ids, "the id of your Discord server, or several with commas between"
        ),
        owner_ids=read.optional("OWNER_IDS", _ids, "ids of people, with commas between, or unset") or (),
        owner_channel_ids=read.optional("OWNER_CHANNEL_ID", _ids, "the id of a channel of your server, or unset") or (),
        discord_api_url=read.optional("DISCORD_API_URL", _url, "leave it unset: Discord is found without"),
        database=_database(read),
        log_key_file=read("LOG_KEY_FILE", _key_file, _KEY_FILE),
        gateway_url=read("GATEWAY_URL", _url, "where sandboxes reach the gateway, as http://host:port"),
        gateway_secret_file=read("GATEWAY_SECRET_FILE", _key_file, _KEY_FILE),
        egress_url=read.optional("EGRESS_URL", _url, "the gateway's EGRESS_PORT as http://host:port, or unset"),
        sandbox_dir=None if pods else read("SANDBOX_DIR", _folder, "a folder for the sandboxes; make it first"),
        pods=pods,
        max_sandboxes=read("MAX_SANDBOXES", _whole(1, 10_000), "how many sandboxes may live at once (1 to 10000)", 3),
        sandbox_start_seconds=read("SANDBOX_START_SECONDS", _whole(1, 3600), "seconds, 1 to 3600", 120),
        sandbox_reap_seconds=read("SANDBOX_REAP_SECONDS", _whole(1, 3600), "seconds, 1 to 3600", 60),
        permission_seconds=read(
            "PERMISSION_SECONDS", _whole(10, 2_592_000), "seconds, 10 to 2592000 (30 days)", 86_400
        ),
        claude_config_path=read.optional(
            "CLAUDE_CONFIG_PATH", _there, "a folder with CLAUDE.md and the like, a tar of one, or unset"
        ),
        claude_bin=read.optional("CLAUDE_BIN", _program, "the Claude Code CLI, or unset for the pinned one"),
        http_port=read.optional("HTTP_PORT", _whole(1, 65_535), "a port for probes and metrics, 1 to 65535, or unset"),
        logging=_logging(read),
    )
    read.finish()
    return settings


def load_gateway(environ: Mapping[str, str]) -> GatewaySettings:
    """The gateway's settings. Raises SettingsError."""
    read = _Reader(environ)
    settings = GatewaySettings(
        claude_api_key=read("CLAUDE_API_KEY", _token, "the key of the Anthropic API"),
        upstream=read(
            "GATEWAY_UPSTREAM", _url, "the address of the Anthropic API, or unset", "https://api.anthropic.com"
        ),
        host=read("GATEWAY_HOST", _text, "the address it listens on: 0.0.0.0 for all of them", "127.0.0.1"),
        port=read("GATEWAY_PORT", _whole(1, 65_535), "the port it listens on, 1 to 65535", 8080),
        egress_port=read.optional("EGRESS_PORT", _whole(1, 65_535), "a port for the sandboxes' way out, or unset"),
        egress_allow=read("EGRESS_ALLOW", _hosts, "hosts with commas between, as in deploy/README.md", ""),
        secret_file=read("GATEWAY_SECRET_FILE", _key_file, _KEY_FILE),
        database=_database(read),
        log_key_file=read("LOG_KEY_FILE", _key_file, _KEY_FILE),
        logging=_logging(read),
    )
    read.finish()
    return settings


def load_log(environ: Mapping[str, str]) -> tuple[Database, Path | None]:
    """Where the log is, and its key file if one is named: for who only asks it something. Raises SettingsError."""
    read = _Reader(environ)
    database, key_file = _database(read), read.optional("LOG_KEY_FILE", _key_file, _KEY_FILE)
    read.finish()
    return database, key_file


_KEY_FILE = "a file with a key: head -c 32 /dev/urandom | base64 >FILE; keep it safe, and out of the database"


def _database(read: "_Reader") -> Database:
    return Database(
        host=read("DB_HOST", _text, "the host of PostgreSQL, or the folder of its socket"),
        port=read("DB_PORT", _whole(1, 65_535), "the port of PostgreSQL, 1 to 65535", 5432),
        user=read("DB_USER", _text, "the user to log in to PostgreSQL as"),
        password=read(
            "DB_PASSWORD", Secret, "that user's password; set it to nothing (DB_PASSWORD=) where none is asked for"
        ),
        name=read("DB_NAME", _text, "the name of the database"),
    )


def _pods(read: "_Reader") -> Pods:
    size = "an amount as Kubernetes writes it, such as 500m or 2Gi, or unset"
    return Pods(
        namespace=read("KUBERNETES_NAMESPACE", _label, "the namespace of the sandboxes"),
        kubeconfig=read.optional("KUBECONFIG", _file, "one file, or unset where the bot is a pod of the cluster"),
        template=read("SANDBOX_POD_FILE", _file, "the pod of a sandbox: deploy/base/sandbox-pod.yaml, or yours"),
        image=read.optional("SANDBOX_IMAGE", _text, "the image of sandboxes, or unset"),
        cpu=read.optional("SANDBOX_CPU", _amount, size),
        cpu_request=read.optional("SANDBOX_CPU_REQUEST", _amount, size),
        memory=read.optional("SANDBOX_MEMORY", _amount, size),
        memory_request=read.optional("SANDBOX_MEMORY_REQUEST", _amount, size),
        runtime_class=read.optional("SANDBOX_RUNTIME_CLASS", _label, "a RuntimeClass of the cluster, or unset"),
    )


def _logging(read: "_Reader") -> Logging:
    return Logging(
        format=read("LOG_FORMAT", _one_of("auto", "json", "console"), "auto, json or console", "auto"),
        level=read("LOG_LEVEL", _one_of("debug", "info", "warning", "error"), "debug, info, warning or error", "info"),
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


# --- parsers: text to value, or ValueError with half a sentence that does not repeat the text ------------------------


def _text(raw: str) -> str:
    if not raw:
        raise ValueError("is empty")
    if not raw.isprintable():
        raise ValueError("holds unprintable characters")
    return raw


def _token(raw: str) -> Secret:
    if not re.fullmatch(r"[!-~]+", raw):
        raise ValueError("holds spaces, or characters no token has" if raw else "is empty")
    return Secret(raw)


def _bot_token(raw: str) -> Secret:
    """Its first part is the bot's id in base64."""
    token, head = _token(raw), raw.partition(".")[0]
    try:
        is_id = base64.b64decode(head + "=" * (-len(head) % 4), validate=True).isdigit()
    except binascii.Error:
        is_id = False
    if not is_id or head == raw:
        raise ValueError("is no bot token")
    return token


def _ids(raw: str) -> tuple[str, ...]:
    ids = tuple(part.strip() for part in _text(raw).split(","))
    if not all(re.fullmatch(r"[1-9][0-9]{0,19}", part) for part in ids):
        raise ValueError("is not a Discord id (digits only)")
    return ids


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", _text(raw)):
            raise ValueError("is not a whole number")
        if not least <= int(raw) <= most:
            raise ValueError("is out of range")
        return int(raw)

    return parse


def _label(raw: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", _text(raw)):
        raise ValueError("is not a name as Kubernetes writes it")
    return raw


def _amount(raw: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", _text(raw)):
        raise ValueError("is not an amount as Kubernetes writes it")
    return raw


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in choices:
            raise ValueError("is none of its choices")
        return raw

    return parse


def _url(raw: str) -> str:
    try:
        parts = urlsplit(_text(raw))
    except ValueError:
        raise ValueError("is not an http or https address") from None  # the library's message repeats the text
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http or https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or password")
    return raw.rstrip("/")


def _hosts(raw: str) -> str:
    """What these mean, and whether each is one, the gateway knows."""
    if not re.fullmatch(r"[A-Za-z0-9+*.:, -]*", raw):
        raise ValueError("holds characters that no host name has")
    return raw


def _file(raw: str) -> Path:
    path = Path(_text(raw))
    if not path.is_file():
        raise ValueError("names no file")
    if not os.access(path, os.R_OK):
        raise ValueError("names a file that cannot be read")
    return path


def _key_file(raw: str) -> Path:
    path = _file(raw)
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except (binascii.Error, UnicodeDecodeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("names a file that holds something else")
    return path


def _folder(raw: str) -> Path:
    path = Path(_text(raw))
    if not path.is_dir():
        raise ValueError("names no folder")
    return path


def _there(raw: str) -> Path:
    path = Path(_text(raw))
    return path if path.is_dir() else _file(raw)


def _program(raw: str) -> Path:
    path = _file(raw)
    if not os.access(path, os.X_OK):
        raise ValueError("names a file that cannot be executed")
    return path
