"""Services: processes of our own, started, watched and ended by the playground.

A service announces itself with one JSON line on stdout and writes everything else to a log file in its folder. It ends with
the process that started it, however that ends: a watchdog holds the other end of a pipe. Its state is in its folder, so it
can be killed and started again at any time.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

_READY_SECONDS = 60.0
_END_SECONDS = 10.0
_LONGEST_LINE = 65536
_WATCHDOG = 'trap "" INT TERM HUP; read _ || :; kill -TERM "$1" 2>/dev/null; exit 0'


class ServiceError(Exception):
    """Raised when a service does not come up. The message ends with the last lines of its log."""


class Service:
    """A process that runs `python -m MODULE ARGUMENTS`. `environment` is added to a minimal one."""

    def __init__(self, name: str, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._folder = folder
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._process: Process | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 when it does not run."""
        return self._process.pid if self._process else 0

    async def start(self) -> dict[str, Any]:
        """Start it; returns what it announced. Raises ServiceError when it does not, within a minute."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            process = await anyio.open_process(
                [sys.executable, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_minimal_environment() | self._environment,
                start_new_session=True,
            )
        self._process = process
        self._watchdog = subprocess.Popen(  # noqa: S603, ASYNC220 - fixed words and a number; returns at once
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout
        try:
            with anyio.fail_after(_READY_SECONDS):
                line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", _LONGEST_LINE)
            return dict(json.loads(line))
        except (anyio.IncompleteRead, TimeoutError, ValueError) as error:
            await self.end()
            raise ServiceError(f"{self.name} did not start: {self.log_end()}") from error

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self._process
        status = await self._process.wait()
        await self._tidy()
        return status

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def end(self) -> None:
        """End it in order, by force when it takes too long."""
        if not self._process:
            return
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            with anyio.move_on_after(_END_SECONDS):
                await self._process.wait()
            self.kill()
            await self._process.wait()
        await self._tidy()

    async def _tidy(self) -> None:
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.wait()
            assert self._watchdog.stdin
            self._watchdog.stdin.close()
        if self._process:
            await self._process.aclose()
        self._watchdog = self._process = None

    def log_end(self) -> str:
        """The last lines of its log."""
        log = self._folder / "log"
        return log.read_text(errors="replace")[-2000:].strip() if log.exists() else "it wrote no log"


def _minimal_environment() -> dict[str, str]:
    """What any program needs; no secret that somebody happens to have in their shell."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in kept if name in os.environ}
