"""Sandboxes as processes of this machine: `DIR/<reservation>/` with `home/`, `work/`, `tmp/` and the supervisor's `state/`.

A sandbox outlives the process that started it. It is alive while its supervisor has `state/lock` flocked, so a pid that was
given to somebody else means nothing; and whatever must be ended is found by its environment, which names the sandbox.

With bubblewrap, what runs in a sandbox sees its own files, the system's programs, and the network (the gateway listens on
loopback). Without, it runs as whoever runs this, and can read what they can read: for people who trust what they ask for.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGKILL
from typing import IO

import anyio
import anyio.abc
import anyio.to_thread

from engine.ports import GiveUp, SandboxGone, SandboxInfo, SandboxSpec, Started, TryAgain

_DIR_VARIABLE = "SUPERVISOR_DIR"  # the supervisor's own name for it
_START_SECONDS = 30
_DELETE_SECONDS = 30
_WATCH_SECONDS = 0.5
_STDERR_BYTES = 4096
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_ETC = (
    "alternatives",
    "ca-certificates",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "localtime",
    "nsswitch.conf",
    "passwd",
    "pki",
    "resolv.conf",
    "services",
    "ssl",
)


def find_bubblewrap() -> str | None:
    """The path of a bubblewrap that works here (user namespaces may be forbidden), or None."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    probe = [*_wrap(path, tmp=Path(tempfile.gettempdir())), "true"]
    try:
        works = subprocess.run(probe, capture_output=True, timeout=10, check=False).returncode == 0  # noqa: S603 - constant
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if works else None


def _wrap(bubblewrap: str, *, tmp: Path, writable: Sequence[Path] = (), readable: Sequence[Path] = ()) -> list[str]:
    """The argv prefix that runs a command in new namespaces (all but the network's) with nothing but these files."""
    options = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += ["--proc", "/proc", "--dev", "/dev", "--bind", str(tmp), "/tmp"]  # noqa: S108 - the sandbox's own
    for path in _SYSTEM:
        if Path(path).is_symlink():
            options += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).exists():
            options += ["--ro-bind", path, path]
    for name in _ETC:
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for path in readable:
        options += ["--ro-bind", str(path), str(path)]
    for path in writable:
        options += ["--bind", str(path), str(path)]
    return [bubblewrap, *options]


class LocalSandbox:
    """`engine.ports.Sandbox` on this machine.

    `supervisor`: the supervisor's file. `readable`: what sandboxes may read beside the system's programs (the CLI's binary).
    `contact_timeout`: seconds without any command after which a supervisor ends itself. `bubblewrap`: from `find_bubblewrap`.
    """

    def __init__(
        self,
        directory: Path,
        supervisor: Path,
        *,
        readable: Sequence[Path] = (),
        contact_timeout: float | None = None,
        bubblewrap: str | None = None,
    ) -> None:
        self._directory = directory.absolute()
        self._python = os.path.realpath(sys.executable)
        self.supervisor: Sequence[str] = (self._python, "-I", str(supervisor.absolute()))
        self._readable = [supervisor.absolute(), Path(sys.base_prefix), *(path.absolute() for path in readable)]
        self._contact_timeout = contact_timeout
        self._bubblewrap = bubblewrap

    @property
    def isolated(self) -> bool:
        """Whether more than a process boundary is around a sandbox."""
        return self._bubblewrap is not None

    async def start(self, spec: SandboxSpec) -> Started:
        sandbox = self._path(spec.reservation)
        if not await anyio.to_thread.run_sync(_alive, sandbox):
            await self._start(sandbox, spec)
        return Started()

    async def _start(self, sandbox: Path, spec: SandboxSpec) -> None:
        if spec.existed and not await anyio.to_thread.run_sync(_made, sandbox):
            raise SandboxGone(f"there is no sandbox {spec.reservation} any more")
        try:
            await anyio.to_thread.run_sync(_prepare, sandbox, spec.config)
            with anyio.fail_after(_START_SECONDS):
                ready = await self._launch(sandbox)
        except (OSError, TimeoutError) as error:
            raise TryAgain(f"the sandbox could not be started: {error}") from None
        if not ready and not await anyio.to_thread.run_sync(_alive, sandbox):
            raise TryAgain(
                f"the sandbox's supervisor did not start: {await anyio.to_thread.run_sync(_last_words, sandbox)}"
            )

    async def _launch(self, sandbox: Path) -> bool:
        """Start the supervisor, in a session of its own and nobody's child; True when it says that it is ready."""
        options = ["--config", str(sandbox / "state/config.json")]
        options += ["--home", str(sandbox / "home"), "--work", str(sandbox / "work")]
        if self._contact_timeout:
            options += ["--contact-timeout", str(self._contact_timeout)]
        argv = self._inside(sandbox, [*self.supervisor, "run", str(sandbox / "state"), *options], detached=True)
        with _append_to(sandbox / "state/supervisor.log") as log:
            process = await anyio.open_process(
                ["/bin/sh", "-c", '"$@" &', "sh", *argv],
                stdin=subprocess.DEVNULL,
                stderr=log,
                cwd=sandbox / "work",
                env=self._environment(sandbox),
                start_new_session=True,
            )
        async with process:
            assert process.stdout is not None
            async for chunk in process.stdout:
                return chunk.startswith(b"ready")
        return False

    @asynccontextmanager
    async def exec(self, reservation: str, argv: Sequence[str]) -> AsyncGenerator["LocalProcess", None]:
        sandbox = self._path(reservation)
        if not await anyio.to_thread.run_sync(_made, sandbox):
            raise SandboxGone(f"there is no sandbox {reservation}")
        with tempfile.TemporaryFile() as stderr:
            try:
                process = await anyio.open_process(
                    self._inside(sandbox, argv, detached=False),
                    stderr=stderr,
                    cwd=sandbox / "work",
                    env=self._environment(sandbox),
                    start_new_session=True,
                )
            except OSError as error:
                raise TryAgain(f"{argv[0]} could not be executed in the sandbox: {error.strerror}") from None
            try:
                yield LocalProcess(process, stderr)
            finally:
                with anyio.CancelScope(shield=True):
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, SIGKILL)
                    await process.aclose()

    async def delete(self, reservation: str) -> None:
        sandbox = self._path(reservation)
        await self._end(sandbox)
        await anyio.to_thread.run_sync(_remove, sandbox)

    async def list(self) -> Sequence[SandboxInfo]:
        return await anyio.to_thread.run_sync(lambda: [_info(path) for path in self._sandboxes()])

    async def watch(self) -> AsyncGenerator[SandboxInfo]:
        known: dict[str, SandboxInfo] = {}
        while True:
            found = {info.reservation: info for info in await self.list()}
            for reservation in known.keys() - found.keys():
                yield SandboxInfo(reservation=reservation, alive=False, detail="It was deleted.")
            for reservation, info in found.items():
                if known.get(reservation) != info:
                    yield info
            known = found
            await anyio.sleep(_WATCH_SECONDS)

    async def end_all(self) -> None:
        """End everything in every sandbox and keep the files: `start` goes on from them. For the end of a playground."""
        for sandbox in await anyio.to_thread.run_sync(self._sandboxes):
            await self._end(sandbox)

    async def _end(self, sandbox: Path) -> None:
        """End every process of a sandbox. Not from within: what runs in it cannot interfere."""
        state = sandbox / "state"
        if not await anyio.to_thread.run_sync(state.exists):
            return
        try:
            with anyio.fail_after(_DELETE_SECONDS):
                done = await anyio.run_process([*self.supervisor, "end", str(state)], env={}, check=False)
        except TimeoutError:
            raise TryAgain(f"the sandbox {sandbox.name} did not end within {_DELETE_SECONDS} s") from None
        if done.returncode:
            raise TryAgain(f"the sandbox {sandbox.name} did not end: {done.stderr.decode(errors='replace')[-200:]}")

    def _path(self, reservation: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", reservation):
            raise GiveUp(f"{reservation!r} is not a name of a sandbox")
        return self._directory / reservation

    def _sandboxes(self) -> "list[Path]":
        return sorted(path.parent for path in self._directory.glob("*/state"))

    def _inside(self, sandbox: Path, argv: Sequence[str], *, detached: bool) -> "list[str]":
        """`argv` as it runs in a sandbox. A detached one outlives us; both are PID 1 of whatever they start."""
        if not self._bubblewrap:
            return [*argv]
        writable = [sandbox / "home", sandbox / "work", sandbox / "state"]
        wrap = _wrap(self._bubblewrap, tmp=sandbox / "tmp", writable=writable, readable=self._readable)
        return [*wrap, *(["--as-pid-1"] if detached else ["--die-with-parent"]), "--", *argv]

    def _environment(self, sandbox: Path) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(sandbox / "home"),
            "TMPDIR": "/tmp" if self._bubblewrap else str(sandbox / "tmp"),  # noqa: S108 - the sandbox's own
            _DIR_VARIABLE: str(sandbox / "state"),
        }


class LocalProcess:
    """`engine.ports.Process`, with its stderr in a file."""

    def __init__(self, process: anyio.abc.Process, stderr: IO[bytes]) -> None:
        self._process = process
        self._stderr = stderr

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise TryAgain("the process in the sandbox does not read its input any more") from None

    async def close_stdin(self) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.aclose()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        async for chunk in self._process.stdout:
            yield chunk

    async def exit_status(self) -> tuple[int, bytes]:
        status = await self._process.wait()
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _STDERR_BYTES))
        return (status if status >= 0 else 128 - status), self._stderr.read(_STDERR_BYTES)


def _prepare(sandbox: Path, config: bytes) -> None:
    for name in ("home", "work", "tmp", "state"):
        (sandbox / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=sandbox / "state", prefix=".config.", delete=False) as file:  # 0600
        file.write(config)
    Path(file.name).rename(sandbox / "state/config.json")


def _made(sandbox: Path) -> bool:
    return (sandbox / "state/config.json").exists()


def _append_to(path: Path) -> IO[bytes]:
    return path.open("ab")


def _alive(sandbox: Path) -> bool:
    """Whether a supervisor holds the lock of this sandbox."""
    try:
        with (sandbox / "state/lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _info(sandbox: Path) -> SandboxInfo:
    if _alive(sandbox):
        return SandboxInfo(reservation=sandbox.name, alive=True)
    return SandboxInfo(reservation=sandbox.name, alive=False, detail="Its supervisor does not run.")


def _last_words(sandbox: Path) -> str:
    with suppress(OSError):
        return (sandbox / "state/supervisor.log").read_text(errors="replace")[-200:].strip()
    return ""


def _remove(sandbox: Path) -> None:
    """Remove everything; what ran in it may have left directories that nobody can write to."""
    for directory, names, _ in os.walk(sandbox):
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o700)
    if sandbox.exists():
        shutil.rmtree(sandbox)
