"""A supervisor that gets its configuration over a link, and what was executed over one that cannot end it: as in a pod."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Generator, Mapping
from pathlib import Path

import psutil
import pytest

from adapters.claude import supervisor
from tests.integration.supervisor.conftest import is_running, wait_until

SECONDS = 40
GOOD: Mapping[str, object] = {
    "argv": ["/bin/sh", "-c", "cat >/dev/null"],
    "session": str(uuid.uuid4()),
    "stop_seconds": 1,
}


class Pod:
    """A sandbox's folder and its first process, which waits."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        for name in ("home", "work"):
            (root / name).mkdir()
        places = [f"--{name}={root / name}" for name in ("home", "work")]
        self.argv = [sys.executable, "-I", supervisor.__file__]
        self.environment = {"PATH": os.environ["PATH"], supervisor.DIR_VARIABLE: str(self.state)}
        config = f"--config={self.state / 'config.json'}"
        self.first = self.popen("run", str(self.state), config, *places, "--wait")

    def popen(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.argv, *arguments], env=self.environment, stdout=subprocess.PIPE)

    def command(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.argv, *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )

    def configure(self, config: Mapping[str, object]) -> subprocess.CompletedProcess[bytes]:
        data = json.dumps(config).encode()
        header = f"{len(data)} {hashlib.sha256(data).hexdigest()}\n".encode()
        return self.command("configure", stdin=header + data)


@pytest.fixture
def pod(tmp_path: Path) -> Generator[Pod]:
    made = Pod(tmp_path)
    with made.first:
        yield made
        made.command("end", str(made.state))
        made.first.kill()


def test_it_runs_when_it_is_configured_and_keeps_what_it_has(pod: Pod) -> None:
    assert pod.configure(GOOD).stdout == b"ok\n"
    assert json.loads(pod.command("status").stdout)["state"] == "running"
    assert pod.configure({**GOOD, "argv": ["/bin/false"]}).stdout == b"ok\n"
    assert json.loads((pod.state / "config.json").read_bytes()) == GOOD
    assert (pod.state / "config.json").stat().st_mode & 0o777 == 0o600
    assert pod.command("claim", "1").stdout == b"ok\n"


@pytest.mark.parametrize(
    ("config", "wrong"),
    [({"argv": ["x"], "session": "no"}, b"a UUID as session"), ({}, b"KeyError"), ({"argv": 7}, b"TypeError")],
)
def test_a_configuration_that_cannot_be_used_is_refused_and_the_next_is_taken(
    pod: Pod, config: Mapping[str, object], wrong: bytes
) -> None:
    refused = pod.configure(config)
    assert refused.returncode == supervisor.USAGE
    assert wrong in refused.stderr
    assert not (pod.state / "config.json").exists()
    assert pod.configure(GOOD).stdout == b"ok\n"


async def test_before_that_nothing_runs_and_it_ends_when_told_to(pod: Pod) -> None:
    await wait_until((pod.state / "wake").exists)
    assert pod.command("claim", "1").returncode == supervisor.NOT_RUNNING
    pod.first.send_signal(signal.SIGTERM)
    assert pod.first.wait(SECONDS) == supervisor.TERMINATED


def test_a_supervisor_that_was_killed_goes_on_with_what_it_was_given(pod: Pod) -> None:
    assert pod.configure(GOOD).stdout == b"ok\n"
    pod.first.kill()
    pod.first.wait(SECONDS)
    with pod.popen(*pod.first.args[3:]) as again:  # type: ignore[index]  # a list, as it was given
        assert pod.configure(GOOD).stdout == b"ok\n"
        assert json.loads(pod.command("status").stdout)["journal"] == 2
        again.terminate()
        assert again.wait(SECONDS) == supervisor.TERMINATED


async def test_what_was_executed_under_a_name_is_ended_by_it(pod: Pod) -> None:
    def execute(name: str) -> subprocess.Popen[bytes]:
        environment = {**pod.environment, supervisor.EXECUTED_VARIABLE: name}
        return subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; sleep 987 & wait"], env=environment)

    with execute("one") as ours, execute("two") as other:
        await wait_until(lambda: len(psutil.Process(ours.pid).children()) == 1)
        [sleep] = psutil.Process(ours.pid).children()
        assert pod.command("interrupt", "one").stdout == b"ok\n"
        assert ours.wait(SECONDS) == -signal.SIGKILL
        assert not is_running(sleep.pid)
        assert other.poll() is None
        pod.command("interrupt", "two")
