"""The supervisor: the main process of a sandbox, and the tool that is executed in it. `README.md` beside it is its manual.

It promises that
- only whole, checksummed, valid lines reach the CLI's stdin, each once per CLI life, and only from the newest owner;
- what the CLI prints is in a journal on disk, byte for byte, whoever reads it or not; a (journal, offset) never changes meaning;
- every start of a CLI is marked in the journal, and so is its end, after every process it left behind was ended;
- a disk that fills up is said before it is full, and stops the CLI before its output is lost; so is memory near its limit.

It must not read meaning into what the CLI prints, nor use anything but the standard library of Python 3.9 or newer.

It is one file, although a long one, because it is carried into sandboxes as one read-only file and run by `python3 -I`,
where this project is not installed. Its sections: protocol, layout, claims, spool, journal, processes, child, disk, usage, loop,
commands, main.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

# --- protocol -----------------------------------------------------------------------------------------------------

# Exit statuses of the commands. 1 is a bug (a traceback), 126 and above belong to the transport.
OK = 0
USAGE = 2
FENCED = 3  # a newer owner has claimed this sandbox
UNCLAIMED = 4  # nobody has claimed this epoch yet: claim first
BAD_INPUT = 5  # malformed or forbidden input: nothing was done
NOT_RUNNING = 6  # no supervisor runs here
NO_CLI = 7  # the supervisor runs, the CLI does not: restart first
DISK_FULL = 8
NOT_FOUND = 9
NEXT_JOURNAL = 10  # this journal is complete and read to its end: follow the next one
BAD_POSITION = 11  # no such journal, or it is shorter
TERMINATED = 143  # of `run`: told to end by a signal. A node says why it evicted a pod only if that did not end with 0
UNREACHED = 13  # the repository's host could not be asked just now
TORN = 12  # the input ended early or has another checksum: nothing was done

MAX_LINE = 16 << 20  # bytes of one line for the CLI, newline included
MAX_CONFIG = 1 << 20  # bytes of a configuration
MAX_FILE = 64 << 20  # bytes of one file put or got
MAX_COLLECTED = 24 << 20  # bytes of all files collected
MAX_COLLECTED_FILE = 4 << 20  # bytes of one of them
MAX_PATCH = 8 << 20  # bytes of a patch of a repository
MAX_STDERR = 4096  # bytes of the CLI's stderr kept in an exit mark

DIR_VARIABLE = "SUPERVISOR_DIR"  # names the state directory to commands, and marks every process of the sandbox
CLI_VARIABLE = "SUPERVISOR_CLI"  # marks every process of a CLI
EXECUTED_VARIABLE = "SUPERVISOR_EXECUTED"  # names what was executed over a link that cannot end it

_GIT_SECONDS = 10  # for what git does with a clone, one command of it
_REACH_SECONDS = 20  # for a repository's host to answer
_COMMAND_SECONDS = 120  # a command whose link died without a word ends itself
_POLL_SECONDS = (0.01, 0.1)  # how often a follower looks that is not told: at first after something came, and at last
_LOOK_SECONDS = 2.0
_SWEEP_SECONDS = 10.0
_WARN_AT, _STOP_AT = (80, 90), 95  # percent of the disk
_MEMORY_WARN_AT = 90  # percent of its limit
_CALM = 10  # points below what was said, before it is said again
_SPARE_BYTES = 4 << 20  # less free space than this is a full disk, whatever its size
_BALLAST_BYTES = 64 << 10  # given up so that a full disk can still be said
_SECRETS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
_BODIES = {"user": "message", "control_request": "request", "control_response": "response"}  # type of a line → its body


class Refused(Exception):
    """Raised by a command that does nothing; its status and one line are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Header(NamedTuple):
    """The line before a payload: `[<id> ]<nbytes> <sha256>`. `id` is empty for files."""

    id: str
    size: int
    digest: str


_HEADER = re.compile(r"(?:([A-Za-z0-9._:@-]{1,200}) )?([0-9]{1,10}) ([0-9a-f]{64})\n")


def parse_header(line: bytes, limit: int) -> Header:
    """Raises Refused (BAD_INPUT, TORN) unless `line` is a whole header of a payload of at most `limit` bytes."""
    match = _HEADER.fullmatch(line.decode("ascii", "replace"))
    if not match:
        status = BAD_INPUT if line.endswith(b"\n") else TORN
        raise Refused(status, "the header is not '<id> <nbytes> <sha256>': nothing was taken")
    header = Header(match[1] or "", int(match[2]), match[3])
    if header.size > limit:
        raise Refused(BAD_INPUT, f"{header.size} bytes are more than the limit of {limit}")
    return header


def check_line(payload: bytes) -> None:
    """Raises Refused (BAD_INPUT) for a line that would end the CLI (claude-code.md §8: it exits on most bad lines)."""
    if payload.count(b"\n") != 1 or not payload.endswith(b"\n"):
        raise Refused(BAD_INPUT, "the payload is not exactly one line")
    try:
        message = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(BAD_INPUT, f"the line is not JSON: {type(error).__name__}") from None
    kind = _object(message).get("type")
    if not isinstance(kind, str) or kind not in _BODIES:
        raise Refused(BAD_INPUT, f"the line is not an object whose type is one of {', '.join(_BODIES)}")
    body = _object(_object(message).get(_BODIES[kind]))
    if not body:
        raise Refused(BAD_INPUT, f"the line has no object {_BODIES[kind]!r}")
    if kind == "user" and (body.get("role") != "user" or not isinstance(body.get("content"), (str, list))):
        raise Refused(BAD_INPUT, "the line is no message of a user with content")


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # Python's reader takes NaN and Infinity, the CLI's does not


# --- layout -------------------------------------------------------------------------------------------------------


class Layout:
    """Where everything is below the state directory."""

    def __init__(self, root: str) -> None:
        self.root = Path(root).absolute()
        self.config = self.root / "config.json"  # where `configure` puts it
        self.lock = self.root / "lock"  # flocked for as long as a supervisor lives
        self.cli_lock = self.root / "cli.lock"  # flocked for as long as a CLI lives: it inherits the descriptor
        self.followers = self.root / "followers"  # flocked (shared) by each follower
        self.claim = self.root / "claim"  # the claimed epoch, 20 digits, flocked by whoever depends on it
        self.wake = self.root / "wake"  # FIFO: a byte wakes the supervisor
        self.status = self.root / "status.json"
        self.stderr = self.root / "stderr.log"  # of the CLI that runs, or ran last
        self.ballast = self.root / "ballast"
        self.spool = self.root / "spool"  # <sequence>_<id>: lines taken, not yet written to the CLI
        self.done = self.root / "done"  # <id>: lines written to the CLI that runs (empty files)
        self.journals = self.root / "journal"  # <number>.jsonl, from 1
        self.requests = self.root / "requests"  # restart, stop, quit: asked of the supervisor
        self.begun = self.root / "begun"  # there once a CLI has been started
        self.cloning = self.root / "cloning"  # flocked while a repository is cloned
        self.git_said = self.root / "git.log"  # what git said of it
        self.cloned = self.root / "cloned.json"  # what was cloned, once it is there whole

    def create(self) -> None:
        for directory in (self.root, self.spool, self.done, self.journals, self.requests):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.wake, 0o600)

    def journal(self, number: int) -> Path:
        return self.journals / f"{number:08d}.jsonl"

    def journal_numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self.journals.glob("*.jsonl"))

    def marker(self, variable: str) -> str:
        return f"{variable}={self.root}"

    def poke(self) -> None:
        """Wake the supervisor."""
        with contextlib.suppress(OSError):  # nobody listens, or it has been woken more than enough
            fd = os.open(self.wake, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(fd, b".")
            finally:
                os.close(fd)

    def alive(self) -> bool:
        """Whether a supervisor lives."""
        return self.root.is_dir() and _locked(self.lock, fcntl.LOCK_SH)


def _locked(path: Path, kind: int) -> bool:
    """Whether somebody else has a lock on `path` that a lock of this kind would wait for."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _hold(path: Path, seconds: float) -> int | None:
    """A descriptor that has `path` flocked, or None when others held it all the time."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(fd)
                return None
            time.sleep(0.01)
        else:
            return fd


def _write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """`path` holds the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        write_all(fd, data)
        os.fsync(fd)
    except OSError:
        temporary.unlink()
        raise
    finally:
        os.close(fd)
    temporary.rename(path)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# --- claims -------------------------------------------------------------------------------------------------------


class Claim:
    """The epoch that owns this sandbox, held still: nobody claims, sends, puts or starts while one of these is open."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def epoch(self) -> int:
        return int(os.pread(self._fd, 20, 0) or b"0")

    def set(self, epoch: int) -> None:
        # In place and of fixed width: works on a full disk, and twenty bytes are never torn by a kill.
        os.pwrite(self._fd, b"%020d" % epoch, 0)
        os.fsync(self._fd)

    def require(self, epoch: int) -> None:
        """Raises Refused unless `epoch` is the one that was claimed last."""
        claimed = self.epoch
        if epoch < claimed:
            raise Refused(FENCED, f"epoch {epoch} was deposed: epoch {claimed} owns this sandbox")
        if epoch > claimed:
            raise Refused(UNCLAIMED, f"epoch {epoch} has not claimed this sandbox")


@contextlib.contextmanager
def holding_claim(layout: Layout) -> Generator[Claim]:
    fd = os.open(layout.claim, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield Claim(fd)
    finally:
        os.close(fd)


# --- spool --------------------------------------------------------------------------------------------------------


class Spool:
    """Lines on their way to the CLI that runs. They belong to that one CLI: with it, what is left of them ends."""

    def __init__(self, layout: Layout) -> None:
        self._spool, self._done = layout.spool, layout.done

    def waiting(self) -> list[Path]:
        return sorted(path for path in self._spool.iterdir() if not path.name.startswith("."))

    def has(self, item: str) -> bool:
        return (self._done / item).exists() or any(self.id(path) == item for path in self.waiting())

    def add(self, item: str, payload: bytes) -> None:
        waiting = self.waiting()
        last = int(waiting[-1].name.partition("_")[0]) if waiting else 0
        _write_atomically(self._spool / f"{last + 1:010d}_{item}", payload)

    def finish(self, path: Path) -> None:
        """It was written to the CLI. A kill before this is harmless: the line's CLI does not outlive the supervisor."""
        done = self._done / self.id(path)
        path.rename(done)
        os.truncate(done, 0)

    def clear(self) -> list[str]:
        """Forget everything, for a new CLI; returns the ids of lines that the old one did not get (or half of one)."""
        dropped = [self.id(path) for path in self.waiting()]
        for path in (*self._spool.iterdir(), *self._done.iterdir()):
            path.unlink()
        return dropped

    @staticmethod
    def id(path: Path) -> str:
        return path.name.partition("_")[2]


# --- journal ------------------------------------------------------------------------------------------------------


class Journal:
    """What the CLIs of one supervisor life printed, with our marks between. It only ever grows.

    A mark is written only while no CLI can write: its lines may come in several pieces.
    """

    def __init__(self, layout: Layout, number: int) -> None:
        self.number = number
        self.path = layout.journal(number)
        self._ballast = layout.ballast
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def whole(self) -> bool:
        """Whether it ends with a whole line."""
        size = os.fstat(self.fd).st_size
        return size == 0 or os.pread(self.fd, 1, size - 1) == b"\n"

    def mark(self, event: str, **fields: Any) -> None:
        """Append a line of our own, after completing a torn one. On a full disk the ballast makes room."""
        line = json.dumps({"type": "supervisor", "event": event, "at": int(time.time() * 1000), **fields}).encode()
        data = memoryview((b"" if self.whole() else b"\n") + line + b"\n")
        while data:
            try:
                data = data[os.write(self.fd, data) :]
            except OSError as error:
                if not _is_full(error) or not self._ballast.exists():
                    raise
                self._ballast.unlink()


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


# --- processes ----------------------------------------------------------------------------------------------------


_PROC = Path("/proc")  # macOS has none: there, `ps` tells the same


def become_subreaper() -> None:
    """On Linux, make orphaned descendants children of this process, as they are for a PID 1."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _process_table() -> dict[int, int]:
    """Each live process (no zombies) and its parent."""
    table: dict[int, int] = {}
    if _PROC.is_dir():
        for path in _PROC.glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                state, parent = path.read_bytes().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    table[int(path.parent.name)] = int(parent)
    else:
        for line in _ps("-axo", "pid=,ppid=,stat="):
            pid, parent, state = line.split()[:3]
            if not state.startswith(b"Z"):
                table[int(pid)] = int(parent)
    return table


def _marked(table: dict[int, int], marker: str) -> set[int]:
    """The processes that have `marker` (`NAME=value`) in the environment they were started with."""
    wanted = marker.encode()
    if _PROC.is_dir():
        found: set[int] = set()
        for pid in table:
            with contextlib.suppress(OSError):  # ended, or of another user
                if wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                    found.add(pid)
        return found
    lines = (line.split(None, 1) for line in _ps("-axEww", "-o", "pid=,command="))
    return {int(pid) for pid, *rest in lines if rest and wanted + b" " in rest[0] + b" "}


def _ps(*arguments: str) -> list[bytes]:
    return subprocess.run(["/bin/ps", *arguments], stdout=subprocess.PIPE, check=True, timeout=10).stdout.splitlines()  # noqa: S603 - constant


def _descendants(table: dict[int, int], root: int) -> set[int]:
    found, fresh = set[int](), {root}
    while fresh:
        fresh = {pid for pid, parent in table.items() if parent in fresh} - found
        found |= fresh
    return found


def sweep(marker: str) -> None:
    """SIGKILL this process's descendants and every process with `marker`, again and again until none is left.

    Raises TimeoutError when some cannot be ended.
    """
    end = time.monotonic() + _SWEEP_SECONDS
    while True:
        table = _process_table()
        targets = (_marked(table, marker) | _descendants(table, os.getpid())) - {os.getpid()}
        for pid in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap_all()
        if not targets:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{len(targets)} processes survive SIGKILL")
        time.sleep(0.005)


def _reap_all() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


# --- child --------------------------------------------------------------------------------------------------------


class Config(NamedTuple):
    """How to run the CLI: made by the host (`invocation.py`), given as one JSON file."""

    argv: list[str]
    env: dict[str, str]
    session: str
    disk_bytes: int | None  # the size of the sandbox's disk; None asks the file system
    stop_seconds: float  # from the first request to the CLI to end, to SIGKILL
    held: bool  # the first CLI waits for `restart`: until the files are there that it reads when it starts

    @classmethod
    def read(cls, path: str) -> Config:
        """Raises Refused (USAGE) with what is wrong."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise Refused(USAGE, f"cannot use the configuration {path}: {error.strerror}") from None
        return cls.parse(data, path)

    @classmethod
    def parse(cls, data: bytes, path: str) -> Config:
        """Raises Refused (USAGE) with what is wrong."""
        try:
            raw: Any = json.loads(data)
            argv = [str(word) for word in raw["argv"]]
            env = {str(name): str(value) for name, value in raw.get("env", {}).items()}
            disk = raw.get("disk_bytes")
            stop = float(raw.get("stop_seconds", 10))
            config = cls(argv, env, str(raw["session"]), disk and int(disk), stop, bool(raw.get("held")))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(USAGE, f"cannot use the configuration {path}: {type(error).__name__}: {error}") from None
        if not config.argv or not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", config.session):
            raise Refused(USAGE, f"cannot use the configuration {path}: it needs argv, and a UUID as session")
        return config


class Place(NamedTuple):
    """Where the CLI lives and works: given by the transport."""

    home: str
    work: str


class Cli:
    """One process of the CLI: its pid and the line that is being written to it."""

    def __init__(self, pid: int, stdin: int) -> None:
        self.pid = pid
        self._stdin = stdin
        self._line: Path | None = None
        self._rest = memoryview(b"")
        self._deaf = False

    def blocked_on(self) -> list[int]:
        """The descriptor to wait for before `deliver` can do more; empty when there is nothing to do."""
        return [self._stdin] if self._line and not self._deaf else []

    def deliver(self, spool: Spool) -> None:
        """Write what waits, whole lines one after another, as far as the CLI takes them now."""
        while not self._deaf:
            if self._line is None:
                self._line = next(iter(spool.waiting()), None)
                if self._line is None:
                    return
                self._rest = memoryview(self._line.read_bytes())
            try:
                while self._rest:
                    self._rest = self._rest[os.write(self._stdin, self._rest) :]
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._deaf = True
                return
            spool.finish(self._line)
            self._line = None

    def close(self) -> None:
        os.close(self._stdin)


def launch(config: Config, layout: Layout, journal: Journal, place: Place, *, resumes: bool) -> Cli:
    """Start the CLI; its stdout is the journal. Raises OSError when it cannot be executed."""
    env = dict(config.env, HOME=place.home, **{DIR_VARIABLE: str(layout.root), CLI_VARIABLE: str(layout.root)})
    if "TMPDIR" in os.environ:
        env["TMPDIR"] = env["CLAUDE_CODE_TMPDIR"] = os.environ["TMPDIR"]
    alive = _hold(layout.cli_lock, _SWEEP_SECONDS)
    if alive is None:
        raise TimeoutError("an old CLI still runs")
    stderr = os.open(layout.stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - the host's configuration
            [*config.argv, "--resume" if resumes else "--session-id", config.session],
            stdin=subprocess.PIPE,
            stdout=journal.fd,
            stderr=stderr,
            cwd=place.work,
            env=env,
            pass_fds=(alive,),
            start_new_session=True,
        )
    finally:
        os.close(alive)
        os.close(stderr)
    assert child.stdin is not None
    stdin = os.dup(child.stdin.fileno())
    child.stdin.close()
    os.set_blocking(stdin, False)
    child.returncode = 0  # we reap it ourselves, with everything else
    return Cli(child.pid, stdin)


def has_conversation(config: Config, place: Place) -> bool:
    """Whether the CLI can go on with this session's conversation.

    It refuses to begin a session that has a transcript, and to resume one whose transcript holds no message: what is left
    when it was killed at once. Such a transcript is removed.
    """
    directory = Path(config.env.get("CLAUDE_CONFIG_DIR") or Path(place.home, ".claude"))
    for transcript in directory.glob(f"projects/*/{config.session}.jsonl"):
        with transcript.open("rb") as lines:
            if any(map(_is_message, lines)):
                return True
        transcript.unlink()
    return False


def _is_message(line: bytes) -> bool:
    try:
        return _object(json.loads(line)).get("type") in ("user", "assistant")
    except (ValueError, RecursionError):  # torn
        return False


# --- disk ---------------------------------------------------------------------------------------------------------


class Disk:
    """How full the sandbox's disk is. A given size is compared with what the sandbox's own files take, in a thread of its own."""

    def __init__(self, roots: Sequence[str], size: int | None) -> None:
        self._roots, self._size = roots, size
        self._used = 0
        if size:
            threading.Thread(target=self._keep_measuring, daemon=True).start()

    def percent(self) -> int:
        found = os.statvfs(self._roots[0])
        if found.f_bavail * found.f_frsize < _SPARE_BYTES:
            return 100
        if self._size:
            return 100 * self._used // self._size
        used = found.f_blocks - found.f_bfree
        return 100 * used // (used + found.f_bavail)

    def measure(self) -> None:
        """Look now: else it is what was found a moment ago."""
        self._used = sum(map(_tree_bytes, self._roots))

    def _keep_measuring(self) -> None:
        while True:
            began = time.monotonic()
            self.measure()
            time.sleep(max(_LOOK_SECONDS / 2, 20 * (time.monotonic() - began)))  # at most 5 % of a core


def _tree_bytes(root: str) -> int:
    total = 0
    for directory, _, names in os.walk(root):
        for name in (".", *names):
            with contextlib.suppress(OSError):  # removed meanwhile
                total += Path(directory, name).lstat().st_blocks * 512
    return total


class Alarm:
    """When a percentage that rises is to be said: once a level, and again only after it was clearly below."""

    def __init__(self, *levels: int) -> None:
        self._levels = levels
        self.said = 0

    def due(self, percent: int) -> int:
        """The highest level that is reached and was not said yet, 0 for none. Set `said` to it once it was."""
        reached = max((level for level in self._levels if percent >= level), default=0)
        if percent < self.said - _CALM:
            self.said = reached
        return reached if reached > self.said else 0


# --- usage --------------------------------------------------------------------------------------------------------

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 has no word for it, and says a number like this


class Reading(NamedTuple):
    """What the sandbox uses: thousandths of a core since the last reading, and bytes. None: not known; for a limit: none."""

    cpu: int | None = None
    cpu_limit: int | None = None
    memory: int | None = None
    memory_limit: int | None = None


class Meter:
    """CPU and memory, of the cgroup where we are the main process of a container, else of our processes, which have no limit.

    What cannot be known is left out: nothing is guessed from the machine's own numbers.
    """

    def __init__(self, cgroup: Path | None) -> None:
        self._cgroup = cgroup
        self._before: tuple[float, int] | None = None

    @classmethod
    def here(cls) -> Meter:
        """In a container its cgroup is seen where the machine's is elsewhere: only its main process can know that."""
        mine = os.getpid() == 1 and (read_memory(_CGROUP)[0] is not None or read_cpu(_CGROUP)[0] is not None)
        return cls(_CGROUP if mine else None)

    def read(self, now: float) -> Reading:
        """`now`: seconds of a clock that only goes forward."""
        if self._cgroup:
            (used, cpu_limit), (memory, memory_limit) = read_cpu(self._cgroup), read_memory(self._cgroup)
        else:
            (used, memory), cpu_limit, memory_limit = _read_processes(), None, None
        before, self._before = self._before, None if used is None else (now, used)
        cpu = None
        if used is not None and before and now > before[0]:
            cpu = max(0, round((used - before[1]) / (now - before[0]) / 1000))
        return Reading(cpu, cpu_limit, memory, memory_limit)


def read_cpu(cgroup: Path) -> tuple[int | None, int | None]:
    """Microseconds used so far, and the limit in thousandths of a core; of either version of cgroups."""
    used = _fields(cgroup / "cpu.stat").get("usage_usec")
    if used is not None:
        quota, _, period = _text(cgroup / "cpu.max").partition(" ")
        return used, _share(quota, period)
    nanoseconds = _number(_text(cgroup / "cpuacct/cpuacct.usage"))
    quota, period = _text(cgroup / "cpu/cpu.cfs_quota_us"), _text(cgroup / "cpu/cpu.cfs_period_us")
    return (None if nanoseconds is None else nanoseconds // 1000), _share(quota, period)


def read_memory(cgroup: Path) -> tuple[int | None, int | None]:
    """Bytes that cannot be taken back without ending something (no idle file cache), and the limit; of either version."""
    used, limit = _number(_text(cgroup / "memory.current")), _number(_text(cgroup / "memory.max"))
    cache = _fields(cgroup / "memory.stat").get("inactive_file", 0)
    if used is None:
        version_1 = cgroup / "memory"
        used, limit = (_number(_text(version_1 / f"memory.{name}_in_bytes")) for name in ("usage", "limit"))
        cache = _fields(version_1 / "memory.stat").get("total_inactive_file", 0)
    if used is None:
        return None, None
    return max(0, used - cache), limit if limit and limit < _UNLIMITED else None


def _share(quota: str, period: str) -> int | None:
    allowed, of = _number(quota), _number(period)
    return 1000 * allowed // of if allowed and of else None


def _fields(path: Path) -> dict[str, int]:
    """`name number` a line."""
    pairs = (line.split(" ", 1) for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None  # not `max`, nor -1


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def _read_processes() -> tuple[int | None, int | None]:
    """Microseconds and bytes of us and our descendants, ended children included; of memory what is not shared."""
    if not _PROC.is_dir():
        return None, None
    ticks = pages = 0
    for pid in {os.getpid()} | _descendants(_process_table(), os.getpid()):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            spent = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[11:15]
            resident, shared = (_PROC / str(pid) / "statm").read_bytes().split()[1:3]
            ticks += sum(map(int, spent))
            pages += int(resident) - int(shared)
    return ticks * 1_000_000 // os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")


# --- loop ---------------------------------------------------------------------------------------------------------


class Supervisor:
    """The loop. Everything it does is a reaction to a signal, a byte in the FIFO, room in the CLI's stdin, or the clock."""

    def __init__(self, layout: Layout, config: Config, place: Place, contact_timeout: float | None) -> None:
        self._layout, self._config, self._place = layout, config, place
        self._spool = Spool(layout)
        self._journal = self._begin_journal()
        temporary = [os.environ["TMPDIR"]] if "TMPDIR" in os.environ else []
        self._disk = Disk([str(layout.root), *place, *temporary], config.disk_bytes)
        self._cli: Cli | None = None
        self._lives = 0  # CLIs started in this journal
        self._ended: dict[str, Any] = {}  # how the last one ended
        self._why = ""  # the reason why we end the CLI
        self._escalation: list[tuple[float, signal.Signals]] = []  # (when, signal), the next one first
        self._closing = False  # end ourselves when the CLI has ended
        self._terms = 0
        self._disk_alarm, self._memory_alarm = Alarm(*_WARN_AT), Alarm(_MEMORY_WARN_AT)
        self._meter, self._reading = Meter.here(), Reading()
        self._full = 0  # the percentage at which the CLI was stopped
        self._next_look = 0.0
        self._contact_timeout = contact_timeout
        self._contact = time.monotonic()
        self._wake = os.open(layout.wake, os.O_RDWR | os.O_NONBLOCK)  # RDWR: it never reads an end of file
        self._signals = self._listen()

    def _begin_journal(self) -> Journal:
        """A journal for this life. The one before is completed first: nobody is left who could write to it."""
        sweep(self._layout.marker(CLI_VARIABLE))
        numbers = self._layout.journal_numbers()
        if numbers:
            status = _read_json(self._layout.status)
            if status.get("state") not in ("exited", "held"):
                before = Journal(self._layout, numbers[-1])
                lost = {"code": None, "signal": None, "why": "the supervisor was killed", "stderr": ""}
                before.mark("exit", cli=status.get("cli", 0), **lost)
                os.close(before.fd)
        return Journal(self._layout, (numbers[-1] if numbers else 0) + 1)

    def _listen(self) -> int:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._on_child)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_term)
        return reader

    def _on_child(self, *_: object) -> None:
        pass  # with no handler there would be no byte in the pipe

    def _on_term(self, *_: object) -> None:
        self._terms += 1

    @property
    def terminated(self) -> bool:
        """Whether it was a signal that told us to end."""
        return self._terms > 0

    def run(self, ready: Callable[[], None]) -> None:
        """Until told to end. `ready` is called when commands are heard."""
        if self._config.held and not self._layout.begun.exists():
            self._publish("held")
        else:
            self._start()
        ready()
        while not (self._closing and self._cli is None):
            self._wait()
            self._reap()
            self._obey()
            self._watch_room()
            self._watch_contact()
            self._escalate()
            if self._cli and not self._why:
                self._cli.deliver(self._spool)

    def _wait(self) -> None:
        now = time.monotonic()
        deadlines = [self._next_look, *(when for when, _ in self._escalation[:1])]
        if self._contact_timeout and not self._closing:
            deadlines.append(self._contact + self._contact_timeout)
        writable = self._cli.blocked_on() if self._cli and not self._why else []
        readable, _, _ = select.select([self._wake, self._signals], writable, [], max(0.0, min(deadlines) - now))
        if self._wake in readable:
            self._contact = time.monotonic()
        for fd in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 4096)

    # the CLI's life

    def _start(self) -> None:
        """End whatever is left of the CLI before, void what was meant for it, and start a new one."""
        sweep(self._layout.marker(CLI_VARIABLE))
        with holding_claim(self._layout):  # no line is taken between the clearing and the new life
            dropped = self._spool.clear()
            for request in self._layout.requests.iterdir():
                request.unlink()
            self._lay_ballast()
            with contextlib.suppress(OSError):  # the disk is full: held again, for an owner who places the files again
                self._layout.begun.touch()
            self._lives += 1
            self._why, self._escalation, self._full = "", [], 0
            self._disk_alarm.said = self._memory_alarm.said = 0
            self._ended = {}
            resumes = has_conversation(self._config, self._place)
            self._journal.mark("start", cli=self._lives, resumed=resumes, dropped=dropped)
            try:
                self._cli = launch(self._config, self._layout, self._journal, self._place, resumes=resumes)
            except OSError as error:
                self._finish(None, f"cannot start {self._config.argv[0]}: {error.strerror or error}")
            else:
                self._publish("running")

    def _lay_ballast(self) -> None:
        if not self._layout.ballast.exists():
            with contextlib.suppress(OSError):  # the disk is full already
                self._layout.ballast.write_bytes(os.urandom(_BALLAST_BYTES))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if self._cli and pid == self._cli.pid:
                self._lost(self._cli, status)

    def _lost(self, cli: Cli, status: int) -> None:
        cli.close()
        self._cli = None
        sweep(self._layout.marker(CLI_VARIABLE))
        with holding_claim(self._layout):
            self._finish(status, self._why)

    def _finish(self, status: int | None, why: str) -> None:
        """Mark and publish how the CLI ended. `status` is wait's; None when it never started."""
        code = os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        self._ended = {"code": code, "signal": number, "why": why, "stderr": self._stderr_tail()}
        self._escalation = []
        try:
            if self._full:
                self._journal.mark("disk", percent=self._full, stopped=True)
            self._journal.mark("exit", cli=self._lives, **self._ended)
        except OSError as error:
            _log(f"the end of the CLI could not be marked: {error}")
        self._publish("exited")

    def _stderr_tail(self) -> str:
        with contextlib.suppress(OSError), self._layout.stderr.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_STDERR))
            text = file.read(MAX_STDERR).decode("utf-8", "replace")
            for name in _SECRETS:
                text = text.replace(self._config.env.get(name) or "\0", "[secret]")
            return text
        return ""

    def _stop(self, why: str, grace: float) -> None:
        """Ask the CLI to end: SIGINT (it says how its turn ended), SIGTERM, SIGKILL, over `grace` seconds."""
        now = time.monotonic()
        signals = [(now, signal.SIGINT), (now + grace / 2, signal.SIGTERM), (now + grace, signal.SIGKILL)]
        if self._cli and not self._why:
            self._why = why
            self._publish("stopping")
        self._escalation = signals if grace else signals[-1:]

    def _close(self, why: str, grace: float) -> None:
        self._closing = True
        self._stop(why, grace)

    def _escalate(self) -> None:
        while self._cli and self._escalation and self._escalation[0][0] <= time.monotonic():
            os.kill(self._cli.pid, self._escalation.pop(0)[1])

    # what it reacts to

    def _obey(self) -> None:
        if self._terms:
            if not self._closing or self._terms > 1:  # asked again: at once
                self._close("the sandbox was told to end", 0 if self._terms > 1 else self._config.stop_seconds)
            self._terms = 1
        for request in self._layout.requests.iterdir():
            request.unlink()
            if request.name == "quit":
                self._close("the sandbox was told to end", 0)
            elif request.name == "stop" and self._cli and not self._why:
                self._stop("stopped", self._config.stop_seconds)
            elif request.name == "restart" and self._cli is None and not self._closing:
                self._start()

    def _watch_room(self) -> None:
        """Look how much of the disk and the memory is left, and say what is short."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        self._reading = self._meter.read(now)
        self._publish()
        if self._cli and not self._why:
            self._watch_disk(self._cli)
        if self._cli and not self._why:
            self._watch_memory(self._cli)

    def _watch_disk(self, cli: Cli) -> None:
        percent = self._disk.percent()
        level = self._disk_alarm.due(percent)
        if percent >= _STOP_AT:
            self._full = percent
            self._stop("the disk is full", self._config.stop_seconds)
        elif level and self._mark_beside(cli, "disk", percent=percent, stopped=False):
            self._disk_alarm.said = level

    def _watch_memory(self, cli: Cli) -> None:
        used, limit = self._reading.memory, self._reading.memory_limit
        if used is None or limit is None:
            return
        percent = 100 * used // limit
        level = self._memory_alarm.due(percent)
        if level and self._mark_beside(cli, "memory", percent=percent):
            self._memory_alarm.said = level

    def _mark_beside(self, cli: Cli, event: str, **fields: Any) -> bool:
        """Mark while the CLI is frozen between two lines; False when it was within one, or is gone."""
        os.kill(cli.pid, signal.SIGSTOP)
        _, status = os.waitpid(cli.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._lost(cli, status)
            return False
        try:
            whole = self._journal.whole()
            if whole:
                self._journal.mark(event, **fields)
            return whole
        except OSError as error:
            _log(f"{event} could not be marked: {error}")
            return False
        finally:
            os.kill(cli.pid, signal.SIGCONT)

    def _watch_contact(self) -> None:
        if not self._contact_timeout or self._closing or time.monotonic() < self._contact + self._contact_timeout:
            return
        if _locked(self._layout.followers, fcntl.LOCK_EX):
            self._contact = time.monotonic()
        else:
            self._close("nobody was in contact", self._config.stop_seconds)

    def _publish(self, state: str | None = None) -> None:
        """Write down what `status` tells, when it has changed. None keeps the state."""
        before = _read_json(self._layout.status)
        status = {
            "state": state or before.get("state"),
            "supervisor": os.getpid(),
            "journal": self._journal.number,
            "cli": self._lives,
            "pid": self._cli.pid if self._cli else None,
            "exit": self._ended or None,
            "disk_percent": self._disk.percent(),
            "usage": _rounded(self._reading),
            **self._place._asdict(),
        }
        if status == before:
            return
        try:
            _write_atomically(self._layout.status, json.dumps(status).encode())
        except OSError as error:
            _log(f"the status could not be written: {error}")


def _rounded(reading: Reading) -> dict[str, int | None]:
    """Coarse enough that a sandbox in which nothing happens writes nothing."""
    cpu, memory = reading.cpu, reading.memory
    coarse = reading._replace(cpu=cpu and cpu // 10 * 10, memory=memory and memory >> 20 << 20)
    return coarse._asdict()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _log(message: str) -> None:
    with contextlib.suppress(OSError):  # where it goes may be full, too
        os.write(2, f"supervisor: {message}\n".encode())


# --- commands -----------------------------------------------------------------------------------------------------


def command_run(layout: Layout, options: argparse.Namespace) -> None:
    """Be the supervisor: keeps a CLI, until it is told to end or nobody is in contact any more."""
    os.umask(0o077)
    if options.wait:
        _wait_for(Path(options.config), layout)
    config = Config.read(options.config)
    layout.create()
    lock = _hold(layout.lock, 1)
    if lock is None:
        raise Refused(NOT_RUNNING, f"another supervisor runs in {layout.root}")
    become_subreaper()
    supervisor = Supervisor(layout, config, Place(options.home, options.work), options.contact_timeout)
    supervisor.run(ready=_say_ready)
    if supervisor.terminated:
        sys.exit(TERMINATED)


def _leave(*_: object) -> NoReturn:
    sys.exit(TERMINATED)


def _wait_for(config: Path, layout: Layout) -> None:
    """Until there is a configuration: `configure` wakes us. Told to end meanwhile, there is nothing to end in order."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    layout.create()
    wake = os.open(layout.wake, os.O_RDWR | os.O_NONBLOCK)
    while not config.exists():
        select.select([wake], [], [])
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
    os.close(wake)


def _say_ready() -> None:
    """Say it, and never use stdout again: whoever waited for it closes its end."""
    _say("ready")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def command_configure(layout: Layout, _options: argparse.Namespace) -> None:
    """Give the supervisor its configuration, from stdin; says `ok` when it runs. One that runs already keeps what it has."""
    os.umask(0o077)
    _, payload = _receive(MAX_CONFIG)
    Config.parse(payload, "that came")
    layout.create()
    if not layout.alive():
        _write_atomically(layout.config, payload)
    end = time.monotonic() + _SWEEP_SECONDS
    while not (layout.alive() and layout.journal_numbers()[-1:] == [_read_json(layout.status).get("journal")]):
        layout.poke()
        if time.monotonic() > end:
            raise Refused(NOT_RUNNING, "no supervisor took the configuration")
        time.sleep(0.01)
    _say("ok")


def command_interrupt(_: Layout, options: argparse.Namespace) -> None:
    """SIGKILL every process that was executed under this name (in `SUPERVISOR_EXECUTED`), and what it started."""
    sweep(f"{EXECUTED_VARIABLE}={options.name}")
    _say("ok")


def command_claim(layout: Layout, options: argparse.Namespace) -> None:
    """Become the owner: from now on, commands of older epochs are refused, and their followers end."""
    with holding_claim(layout) as claim:
        if options.epoch > claim.epoch:
            claim.set(options.epoch)
        claim.require(options.epoch)
    _say("ok")


def command_send(layout: Layout, options: argparse.Namespace) -> None:
    """Take one line for the CLI from stdin. Says `ok`, or `dup` when this CLI was given a line of this id before."""
    header, payload = _receive(MAX_LINE)
    if not header.id:
        raise Refused(BAD_INPUT, "the header has no id: nothing was taken")
    check_line(payload)
    spool = Spool(layout)
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
        _require_cli(layout)
        known = spool.has(header.id)
        if not known:
            spool.add(header.id, payload)
    _say("dup" if known else "ok")


def _require_cli(layout: Layout) -> None:
    status = _read_json(layout.status)
    if status.get("state") not in ("running", "stopping"):
        exited = "its files are not there yet" if status.get("state") == "held" else "it has exited"
        why = _object(status.get("exit")).get("why") or exited
        raise Refused(NO_CLI, f"no CLI runs ({why}): restart it first")


def command_follow(layout: Layout, options: argparse.Namespace) -> None:
    """Write `journal <number> <offset>`, then that journal from there on, until its end, the link's or the owner's."""
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
    number, offset = max(1, options.journal), options.offset
    try:
        journal = os.open(layout.journal(number), os.O_RDONLY)
    except FileNotFoundError:
        raise Refused(BAD_POSITION, f"there is no journal {number}") from None
    if offset > os.fstat(journal).st_size:
        raise Refused(BAD_POSITION, f"journal {number} is shorter than {offset} bytes")
    follower = os.open(layout.followers, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(follower, fcntl.LOCK_SH)
    claimed = Claim(os.open(layout.claim, os.O_RDONLY))
    write_all(1, b"journal %d %d\n" % (number, offset))
    grown = _growth_of(layout.journal(number))  # watched before it is read: nothing comes unnoticed in between
    watched = [0] if grown is None else [0, grown]
    patience, most = _POLL_SECONDS
    while True:
        claimed.require(options.epoch)
        alive, complete = layout.alive(), layout.journal(number + 1).exists()  # before reading what was written before
        chunk = os.pread(journal, 1 << 18, offset)
        if chunk:
            write_all(1, chunk)
            offset, patience = offset + len(chunk), _POLL_SECONDS[0]
        elif complete:
            raise Refused(NEXT_JOURNAL, f"journal {number} is complete")
        elif not alive:
            raise Refused(NOT_RUNNING, "the supervisor does not run")
        else:
            readable = select.select(watched, [], [], patience)[0]
            if 0 in readable and not os.read(0, 4096):
                return  # the host closed the link
            if grown in readable:
                os.read(grown, 4096)
            patience = min(2 * patience, most)


def _growth_of(path: Path) -> int | None:
    """A descriptor that can be read from when the file has grown (Linux); None where only looking again and again tells."""
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(path), 2) >= 0:  # IN_MODIFY
            return int(fd)
    return None


def command_put(layout: Layout, options: argparse.Namespace) -> None:
    """Write stdin's payload to a file below `home/` or `work/`, whole or not at all."""
    _, payload = _receive(MAX_FILE)
    root, parts = _locate(layout, options.path)
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
        _write_beneath(root, parts, payload, options.mode)
    _say("ok")


def command_unpack(layout: Layout, options: argparse.Namespace) -> None:
    """Write the files of a tar on stdin below a directory of `home/` or `work/`, each whole or not at all."""
    _, payload = _receive(MAX_FILE)
    files = _unpacked(options.path, payload)
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
        for path, mode, data in files:
            root, parts = _locate(layout, path)
            _write_beneath(root, parts, data, mode)
    _say("ok")


def _unpacked(directory: str, payload: bytes) -> list[tuple[str, int, bytes]]:
    """Path, mode and content of each file. Raises Refused (BAD_INPUT), before anything is written, for anything else."""
    files: list[tuple[str, int, bytes]] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(payload), mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
                if content is None:
                    raise Refused(BAD_INPUT, f"{member.name} is not a regular file: nothing was taken")
                split_path(f"{directory}/{member.name}")
                files.append((f"{directory}/{member.name}", member.mode & 0o777, content.read()))
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise Refused(BAD_INPUT, f"the payload is no tar ({error}): nothing was taken") from None
    return files


class CloneRequest(NamedTuple):
    """What to clone: made by the host, given as JSON."""

    url: str  # as the gateway has it
    origin: str  # as everybody else does
    token: str  # for the gateway
    seconds: float

    @classmethod
    def parse(cls, data: bytes) -> CloneRequest:
        """Raises Refused (BAD_INPUT) with what is wrong."""
        try:
            raw: Any = json.loads(data)
            asked = cls(str(raw["url"]), str(raw["origin"]), str(raw["token"]), float(raw["seconds"]))
        except (ValueError, TypeError, KeyError) as error:
            raise Refused(BAD_INPUT, f"cannot clone what was asked for: {type(error).__name__}") from None
        if not asked.url.startswith(("http://", "https://")) or "\n" in asked.token:
            raise Refused(BAD_INPUT, "cannot clone what was asked for: it has no address")
        return asked


def command_clone(layout: Layout, options: argparse.Namespace) -> None:
    """Clone a repository into the workspace, once, before any CLI has run; says what became of it as one line of JSON.

    `commit` and `code`, or `failed` (why it will not work another time either) and `said`.
    """
    os.umask(0o077)
    _, payload = _receive(MAX_CONFIG)
    asked = CloneRequest.parse(payload)
    signal.alarm(int(asked.seconds) + _COMMAND_SECONDS)
    lock = _hold(layout.cloning, 2)
    if lock is None:
        raise Refused(UNREACHED, "another clone still runs")
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
    done = _read_json(layout.cloned)
    if not done:
        if layout.begun.exists():
            raise Refused(BAD_INPUT, "Claude Code has run here already: nothing was cloned")
        done = _clone(layout, asked)
        if "failed" not in done:
            _write_atomically(layout.cloned, json.dumps(done).encode())
    _say(json.dumps(done))


def _clone(layout: Layout, asked: CloneRequest) -> dict[str, Any]:
    """What became of it. Raises Refused (UNREACHED) when it may work another time."""
    work = _read_json(layout.status)["work"]
    if failed := _ask_host(asked):
        return failed
    _empty(work)
    failed = _run_git(layout, asked, work)
    if failed:
        return failed
    base, _, _ = asked.url.partition("/git/")
    for name, value in (
        ("remote.origin.url", asked.origin),
        # what is fetched later comes the same way; what is pushed does not come through
        (f"url.{asked.url}.insteadOf", asked.origin),
        (f"http.{base}/git/.extraHeader", f"Authorization: Bearer {asked.token}"),
    ):
        _git(work, "config", "--local", name, value)
    return {"commit": _git(work, "rev-parse", "--quiet", "--verify", "HEAD"), "code": _code(Path(work))}


def _ask_host(asked: CloneRequest) -> dict[str, Any] | None:
    """Why it cannot be cloned, in words that git would not pass on. Raises Refused (UNREACHED)."""
    import urllib.error  # noqa: PLC0415 - slow to import, and no other command needs it
    import urllib.request  # noqa: PLC0415 - see above

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {asked.token}", "Git-Protocol": "version=2", "User-Agent": "git/2"}
    address = f"{asked.url}/info/refs?service=git-upload-pack"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https, looked at before
    try:
        with opener.open(request, timeout=min(_REACH_SECONDS, asked.seconds)):
            return None
    except urllib.error.HTTPError as error:
        why, said = error.headers.get("x-refused", ""), error.read(400).decode("utf-8", "replace").strip()
        if why:
            return {"failed": why, "said": said}
        raise Refused(UNREACHED, said.partition("\n")[0] or f"the gateway answers {error.code}") from None
    except OSError as error:
        raise Refused(UNREACHED, f"the gateway does not answer ({type(error).__name__})") from None


def _empty(work: str) -> None:
    """What an earlier try left: nothing of the session has been in there yet."""
    for entry in list(os.scandir(work)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()


def _git_environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment of a git that asks nobody, and has these settings and no other."""
    settings = {"safe.directory": "*", **settings}  # a volume belongs to whoever made it
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": os.devnull}
    environment.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, GIT_TERMINAL_PROMPT="0", GIT_ASKPASS="")
    for variable in (DIR_VARIABLE, EXECUTED_VARIABLE):
        if variable in os.environ:
            environment[variable] = os.environ[variable]
    for number, (name, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{number}"], environment[f"GIT_CONFIG_VALUE_{number}"] = name, value
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    return environment


def _git(work: str, *words: str) -> str:
    """One line that git says; "" when it fails."""
    done = subprocess.run(  # noqa: S603 - our words
        ["git", *words],  # noqa: S607 - the sandbox's own
        cwd=work,
        env=_git_environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_GIT_SECONDS,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _run_git(layout: Layout, asked: CloneRequest, work: str) -> dict[str, Any] | None:
    """Clone; why not, when it does not come to its end in time and in the space there is."""
    settings = {
        "http.extraHeader": f"Authorization: Bearer {asked.token}",
        "http.followRedirects": "false",
        "protocol.allow": "never",
        f"protocol.{asked.url.partition(':')[0]}.allow": "always",
        "core.hooksPath": os.devnull,
        "credential.helper": "",
        "submodule.recurse": "false",
    }
    words = ["clone", "--quiet", "--filter=blob:none", "--no-recurse-submodules", "--template=", "--", asked.url, "."]
    disk = Disk([str(layout.root), work], Config.read(str(layout.config)).disk_bytes)
    end = time.monotonic() + asked.seconds
    with layout.git_said.open("w+b") as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - our words, and an address that was looked at
                ["git", *words],  # noqa: S607 - the sandbox's own
                cwd=work,
                env=_git_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        except OSError as error:
            return {"failed": "broken", "said": f"git: {error.strerror}"}
        why = _watch_git(process, disk, end)
        said.seek(max(0, said.seek(0, os.SEEK_END) - MAX_STDERR))
        heard = said.read(MAX_STDERR).decode("utf-8", "replace").strip()
    return (
        {"failed": why, "said": heard.replace(asked.url, asked.origin).replace(asked.token, "[secret]")}
        if why
        else None
    )


def _watch_git(process: subprocess.Popen[bytes], disk: Disk, end: float) -> str:
    """Wait for git, for as long as there are time and room; why it did not succeed, or ""."""
    while True:
        try:
            status = process.wait(0.1)
        except subprocess.TimeoutExpired:
            why = "size" if disk.percent() >= _WARN_AT[0] else "time" if time.monotonic() > end else ""
            if why:
                for pid in {process.pid, *_descendants(_process_table(), process.pid)}:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
                return why
        else:
            disk.measure()
            return "size" if disk.percent() >= _WARN_AT[0] else "broken" if status else ""


def _code(work: Path) -> list[str]:
    """What is in a repository that Claude Code would run, or obey."""
    settings = [work / ".claude" / name for name in ("settings.json", "settings.local.json")]
    prompts = [work / ".claude" / name for name in ("commands", "skills", "agents")]
    found = {
        "settings": any(map(os.path.lexists, settings)),
        "mcp": os.path.lexists(work / ".mcp.json"),
        "prompts": any(map(os.path.lexists, prompts)),
    }
    return [name for name, there in found.items() if there]


def _write_beneath(root: str, parts: Sequence[str], payload: bytes, mode: int) -> None:
    with _directory_beneath(root, parts[:-1], create=True) as directory:
        temporary = f".{parts[-1][:200]}.{os.getpid()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory)
        try:
            os.fchmod(fd, mode)
            write_all(fd, payload)
            os.rename(temporary, parts[-1], src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise
        finally:
            os.close(fd)


def command_get(layout: Layout, options: argparse.Namespace) -> None:
    """Write `<nbytes> <sha256>` and the content of a file below `home/` or `work/`."""
    root, parts = _locate(layout, options.path)
    with _directory_beneath(root, parts[:-1], create=False) as directory:
        fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE:
            raise Refused(BAD_INPUT, f"{options.path} is not a regular file of at most {MAX_FILE} bytes")
        data = file.read(MAX_FILE)
    write_all(1, f"{len(data)} {hashlib.sha256(data).hexdigest()}\n".encode() + data)


def command_collect(layout: Layout, _: argparse.Namespace) -> None:
    """Write a tar of what the session made: `work/…`, `transcript.jsonl`, and the names of what is too large for it.

    Of a repository that was cloned, `changes.patch` instead: what differs from the commit that was.
    """
    status, left = _read_json(layout.status), MAX_COLLECTED
    too_large: list[str] = []
    work = status.get("work", "")
    changes = _changes(layout, work)
    with os.fdopen(1, "wb", closefd=False) as out, tarfile.open(fileobj=out, mode="w|") as tar:
        if changes:
            _add_to_tar(tar, "changes.patch", changes)
            left -= len(changes)
        made = _made_files(work, _since(layout)) if changes is None else []
        for path, name in [*_transcripts(status), *made]:
            with contextlib.suppress(OSError):
                size = os.lstat(path).st_size
                if size > min(left, MAX_COLLECTED_FILE):
                    too_large.append(f"{name} ({size} bytes)")
                    continue
                with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                    data = file.read(size)
                _add_to_tar(tar, name, data)
                left -= size
        if too_large:
            _add_to_tar(tar, "left-out.txt", "\n".join(too_large).encode("utf-8", "replace"))


def _add_to_tar(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _transcripts(status: dict[str, Any]) -> list[tuple[str, str]]:
    """The newest transcript: a cleared conversation begins another."""
    found = Path(status.get("home", ""), ".claude", "projects").glob("*/*.jsonl")
    return [(str(path), "transcript.jsonl") for path in sorted(found, key=lambda path: path.stat().st_mtime)][-1:]


def _since(layout: Layout) -> int:
    """When a clone was whole (ns): files that were not touched since are not of the session's making. 0 without one."""
    with contextlib.suppress(OSError):
        return layout.cloned.stat().st_ctime_ns
    return 0


def _changes(layout: Layout, work: str) -> bytes | None:
    """A patch from the commit that was cloned to the workspace as it is; None where there is none, or git cannot make it."""
    commit = _read_json(layout.cloned).get("commit")
    if not commit:
        return None
    index = layout.root / "collect.index"
    quiet = _git_environment({"core.fsmonitor": "false", "core.hooksPath": os.devnull})
    environment = dict(quiet, GIT_INDEX_FILE=str(index))
    try:
        with contextlib.suppress(FileNotFoundError):  # with it, what was not touched is not read again
            index.write_bytes(Path(work, ".git", "index").read_bytes())
        said: bytes | None = b""
        for words in (["add", "--all"], ["diff", "--cached", "--binary", "--no-ext-diff", "--no-textconv", commit]):
            said = None if said is None else _git_says(work, environment, words)
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError):
            index.unlink()
    return said


def _git_says(work: str, environment: dict[str, str], words: Sequence[str]) -> bytes | None:
    """All that git says; None when it fails, takes long, or says more than a patch may have. Raises OSError."""
    with subprocess.Popen(  # noqa: S603 - our words, and a commit that git has named
        ["git", *words],  # noqa: S607 - the sandbox's own
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as git:
        assert git.stdout is not None
        end = threading.Timer(_GIT_SECONDS, git.kill)
        end.start()
        said = git.stdout.read(MAX_PATCH + 1)
        if len(said) > MAX_PATCH:
            git.kill()
        status = git.wait()
        end.cancel()
    return said if status == 0 else None


def _made_files(work: str, since: int = 0) -> list[tuple[str, str]]:
    """The regular files below `work` that somebody made by hand, after `since` (ns): no repository's insides, no packages."""
    made: list[tuple[str, str]] = []
    for folder, folders, names in os.walk(work):
        folders[:] = sorted(set(folders) - {".git", ".venv", "node_modules", "__pycache__"})
        for name in sorted(names):
            path = str(Path(folder, name))
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) and found.st_ctime_ns > since:
                made.append((path, str(Path("work", os.path.relpath(path, work)))))
    return made


def split_path(path: str) -> tuple[str, list[str]]:
    """The area that `path` begins with and the names below it. Raises Refused (BAD_INPUT) when it could lead out of there."""
    area, *parts = path.split("/")
    if area not in Place._fields or not parts or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise Refused(BAD_INPUT, f"{path!r} is not home/… or work/… with plain names")
    return area, parts


def _locate(layout: Layout, path: str) -> tuple[str, list[str]]:
    area, parts = split_path(path)
    return _read_json(layout.status)[area], parts


@contextlib.contextmanager
def _directory_beneath(root: str, parts: Sequence[str], *, create: bool) -> Generator[int]:
    """A descriptor of root/parts, reached without following a symbolic link below `root`, whoever changes it meanwhile."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=fd)
            above, fd = fd, os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(above)
        yield fd
    finally:
        os.close(fd)


def command_restart(layout: Layout, options: argparse.Namespace) -> None:
    """Start a CLI again that has exited, or the first one if it is held. Says `ok` when it was started, `running` when one runs."""
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
        before = _read_json(layout.status)
        if before.get("state") not in ("exited", "held"):
            _say("running")
            return
        if before["disk_percent"] >= _STOP_AT:
            raise Refused(DISK_FULL, f"the disk is {before['disk_percent']} % full: make room first")
        (layout.requests / "restart").touch()
    end = time.monotonic() + 2 * _SWEEP_SECONDS
    while _read_json(layout.status).get("cli") == before["cli"]:
        layout.poke()
        if not layout.alive() or time.monotonic() > end:
            raise Refused(NOT_RUNNING, "the supervisor does not answer")
        time.sleep(0.01)
    _say("ok")


def command_stop(layout: Layout, options: argparse.Namespace) -> None:
    """Ask the CLI to end; the journal tells when it has. Says `ok`, or `exited` when none runs."""
    with holding_claim(layout) as claim:
        claim.require(options.epoch)
        running = _read_json(layout.status).get("state") not in ("exited", "held")
        if running:
            (layout.requests / "stop").touch()
    _say("ok" if running else "exited")


def command_status(layout: Layout, _: argparse.Namespace) -> None:
    """Say everything there is to know, as one line of JSON."""
    status = _read_json(layout.status)
    with holding_claim(layout) as claim:
        status["claimed"] = claim.epoch
    status["alive"] = layout.alive()
    status["queue"] = len(Spool(layout).waiting())
    status["journal_bytes"] = layout.journal(status.get("journal", 1)).stat().st_size
    _say(json.dumps(status))


def command_end(layout: Layout, _: argparse.Namespace) -> None:
    """End everything in the sandbox at once, the supervisor too. For transports that cannot end a sandbox otherwise."""
    if layout.alive():
        (layout.requests / "quit").touch()
        layout.poke()
        lock = _hold(layout.lock, 5)
        if lock is not None:
            os.close(lock)
    sweep(layout.marker(DIR_VARIABLE))
    _say("ok")


def _receive(limit: int) -> tuple[Header, bytes]:
    """The header and the payload from stdin, whole and as announced. Never waits for an end of file: some links have none."""
    header = parse_header(sys.stdin.buffer.readline(512), limit)
    payload = sys.stdin.buffer.read(header.size)
    if len(payload) != header.size or hashlib.sha256(payload).hexdigest() != header.digest:
        raise Refused(TORN, f"the payload is torn ({len(payload)} of {header.size} bytes): nothing was taken")
    return header, payload


def _say(word: str) -> None:
    write_all(1, f"{word}\n".encode())


# --- main ---------------------------------------------------------------------------------------------------------

_Command = Callable[[Layout, argparse.Namespace], None]
_EVEN_WITHOUT_SUPERVISOR = (
    command_run,
    command_configure,
    command_interrupt,
    command_end,
    command_get,
    command_collect,
    command_status,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="supervisor", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: _Command, *, fenced: bool) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=(command.__doc__ or "").partition("\n")[0])
        sub.set_defaults(command=command, dir=None)
        if fenced:
            sub.add_argument("epoch", type=_natural, metavar="EPOCH")
        return sub

    run = add("run", command_run, fenced=False)
    run.add_argument("dir", metavar="DIR")
    run.add_argument("--config", required=True, metavar="FILE")
    run.add_argument("--home", required=True, metavar="DIR")
    run.add_argument("--work", required=True, metavar="DIR")
    run.add_argument("--contact-timeout", type=float, metavar="SECONDS")
    run.add_argument("--wait", action="store_true", help="for `configure`, while there is no configuration")
    add("configure", command_configure, fenced=False)
    add("interrupt", command_interrupt, fenced=False).add_argument("name", metavar="NAME")
    add("claim", command_claim, fenced=True)
    add("send", command_send, fenced=True)
    follow = add("follow", command_follow, fenced=True)
    follow.add_argument("journal", type=_natural, metavar="JOURNAL")
    follow.add_argument("offset", type=_natural, metavar="OFFSET")
    put = add("put", command_put, fenced=True)
    put.add_argument("path", metavar="PATH")
    put.add_argument("--mode", type=lambda text: int(text, 8) & 0o777, default=0o600)
    add("clone", command_clone, fenced=True)
    add("unpack", command_unpack, fenced=True).add_argument("path", metavar="PATH")
    add("get", command_get, fenced=False).add_argument("path", metavar="PATH")
    add("collect", command_collect, fenced=False)
    add("status", command_status, fenced=False)
    add("restart", command_restart, fenced=True)
    add("stop", command_stop, fenced=True)
    add("end", command_end, fenced=False).add_argument("dir", metavar="DIR")
    return parser


def _natural(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return int(text)


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        _execute(options)
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.status
    except BrokenPipeError:
        return OK  # the link is gone; nobody reads the status
    except OSError as error:
        return _explain(error)
    return OK


def _execute(options: argparse.Namespace) -> None:
    directory = options.dir or os.environ.get(DIR_VARIABLE)
    if not directory:
        raise Refused(USAGE, f"{DIR_VARIABLE} must name the state directory")
    layout = Layout(directory)
    if options.command not in _EVEN_WITHOUT_SUPERVISOR and not layout.alive():
        raise Refused(NOT_RUNNING, f"no supervisor runs in {layout.root}")
    if options.command not in (command_run, command_follow, command_clone):
        signal.alarm(_COMMAND_SECONDS)
    try:
        options.command(layout, options)
    finally:
        layout.poke()  # about what was done; and any command is a contact


def _explain(error: OSError) -> int:
    sys.stderr.write(f"{error.strerror or error}: {error.filename or 'the sandbox'}\n")
    if _is_full(error):
        return DISK_FULL
    if isinstance(error, FileNotFoundError):
        return NOT_FOUND
    return BAD_INPUT if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
