"""What every `engine.ports.Sandbox` keeps: processes of this machine, with and without bubblewrap, and pods of a real cluster."""

import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Protocol

import anyio
import psutil
import pytest

from adapters.claude import supervisor
from adapters.kubernetes.sandbox import KubernetesSandbox
from adapters.local.sandbox import LocalSandbox, find_bubblewrap
from engine.ports import GiveUp, Process, Sandbox, SandboxGone, SandboxInfo, SandboxSpec, TryAgain
from tests.clusters import find_cluster, open_namespace, pod_sandbox

SECONDS = 60


def _spec(reservation: str, *, existed: bool = False) -> SandboxSpec:
    """A sandbox whose CLI reads its input to the end, whatever it is told."""
    argv = ["/bin/sh", "-c", "cat >/dev/null"]
    config = {"argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "session": str(uuid.uuid4()), "stop_seconds": 1}
    return SandboxSpec(reservation=reservation, session="1", config=json.dumps(config).encode(), existed=existed)


class Place(Protocol):
    """Where sandboxes are, seen from outside of them."""

    @property
    def sandbox(self) -> Sandbox:
        """What is tested."""
        ...

    @property
    def restarts(self) -> bool:
        """Whether a sandbox whose supervisor was killed comes up again by itself."""
        ...

    def folder(self, reservation: str, name: str) -> str:
        """`home` or `work`, as seen in the sandbox."""
        ...

    async def running(self, reservation: str) -> list[str]:
        """The commands of all processes of a sandbox."""
        ...

    def crash(self, reservation: str) -> None:
        """SIGKILL the supervisor."""
        ...

    def leftovers(self, reservation: str) -> bool:
        """Whether anything is left of a sandbox that was deleted."""
        ...


class Local:
    restarts = False

    def __init__(self, root: Path, sandbox: LocalSandbox) -> None:
        self.sandbox = sandbox
        self._root = root

    def folder(self, reservation: str, name: str) -> str:
        return str(self._root / reservation / name)

    async def running(self, reservation: str) -> list[str]:
        return [process.name() for process in self._processes(reservation)]

    def _processes(self, reservation: str) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                inside = process.environ().get(supervisor.DIR_VARIABLE) == self.folder(reservation, "state")
                if inside and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def crash(self, reservation: str) -> None:
        for process in self._processes(reservation):
            with suppress(psutil.NoSuchProcess):  # the others end with the first
                process.kill()

    def leftovers(self, reservation: str) -> bool:
        return (self._root / reservation).exists()


class Pods:
    restarts = True

    def __init__(self, sandbox: KubernetesSandbox) -> None:
        self.sandbox = sandbox

    def folder(self, reservation: str, name: str) -> str:
        return f"/sandbox/{name}"

    async def running(self, reservation: str) -> list[str]:
        try:
            output, _, _ = await _run(self.sandbox, reservation, "sh", "-c", "cat /proc/[0-9]*/comm")
        except SandboxGone:
            return []
        return output.decode().split()

    def crash(self, reservation: str) -> None:
        """From outside: in a container nothing can end its first process. Only where the node is this machine."""
        found = 0
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("HOSTNAME") == reservation and "supervisor.py" in " ".join(process.cmdline()):
                    process.kill()
                    found += 1
        if not found:
            pytest.skip("the cluster's node is not this machine: its processes cannot be killed from here")

    def leftovers(self, reservation: str) -> bool:
        return False  # what the pod had was its own, and it is not listed any more


@pytest.fixture(params=["plain", "bubblewrap", pytest.param("pods", marks=pytest.mark.cluster)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    if request.param == "pods":
        cluster = find_cluster()
        async with open_namespace(cluster) as (api, namespace):
            made = pod_sandbox(api, namespace, cluster.image)
            yield Pods(made)
            for info in await made.list():
                await made.delete(info.reservation)
        return
    bubblewrap = find_bubblewrap() if request.param == "bubblewrap" else None
    if request.param == "bubblewrap" and bubblewrap is None:
        pytest.skip("no bubblewrap works here")
    local = Local(tmp_path, LocalSandbox(tmp_path, Path(supervisor.__file__), bubblewrap=bubblewrap))
    yield local
    for info in await local.sandbox.list():
        await local.sandbox.delete(info.reservation)
        assert await local.running(info.reservation) == []


@pytest.fixture
def sandbox(place: Place) -> Sandbox:
    return place.sandbox


async def _output(process: Process) -> bytes:
    return b"".join([chunk async for chunk in process])


async def _run(sandbox: Sandbox, reservation: str, *argv: str, stdin: bytes = b"") -> tuple[bytes, int, bytes]:
    with anyio.fail_after(SECONDS):
        async with sandbox.exec(reservation, argv) as process:
            if stdin:
                await process.write(stdin)
            await process.close_stdin()
            output = await _output(process)
            status, stderr = await process.exit_status()
    return output, status, stderr


async def test_a_started_sandbox_runs_commands_and_is_listed(sandbox: Sandbox) -> None:
    assert await sandbox.list() == []
    await sandbox.start(_spec("a"))
    assert await sandbox.list() == [SandboxInfo(reservation="a", alive=True)]
    assert await _run(sandbox, "a", "cat", stdin=b"\0\xff\n") == (b"\0\xff\n", 0, b"")
    output, status, _ = await _run(sandbox, "a", *sandbox.supervisor, "status")
    assert (status, json.loads(output)["state"]) == (0, "running")


async def test_starting_twice_starts_one(sandbox: Sandbox) -> None:
    await sandbox.start(_spec("a"))
    first, _, _ = await _run(sandbox, "a", *sandbox.supervisor, "status")
    await sandbox.start(_spec("a"))
    again, _, _ = await _run(sandbox, "a", *sandbox.supervisor, "status")
    assert json.loads(first) == json.loads(again)


async def test_starting_many_at_once_and_the_same_twice(sandbox: Sandbox) -> None:
    async with anyio.create_task_group() as tasks:
        for reservation in ("a", "b", "b", "c"):
            tasks.start_soon(sandbox.start, _spec(reservation))
    assert [info.reservation for info in await sandbox.list() if info.alive] == ["a", "b", "c"]


async def test_statuses_and_the_end_of_stderr_come_back(sandbox: Sandbox) -> None:
    await sandbox.start(_spec("a"))
    _, status, stderr = await _run(sandbox, "a", "sh", "-c", "yes long | head -c 100000 >&2; echo end >&2; exit 7")
    assert status == 7
    assert stderr.endswith(b"end\n")
    assert len(stderr) <= 4096
    assert (await _run(sandbox, "a", "sh", "-c", "kill -9 $$"))[1] == 137


async def test_what_cannot_be_executed_is_an_error(sandbox: Sandbox) -> None:
    await sandbox.start(_spec("a"))
    try:
        _, status, _ = await _run(sandbox, "a", "/no/such/program")
    except TryAgain:
        return
    assert status != 0


async def _until_sleep_runs(place: Place, *, wanted: bool) -> None:
    with anyio.fail_after(SECONDS):
        while ("sleep" in await place.running("a")) is not wanted:  # noqa: ASYNC110 - the kernel tells only the parent
            await anyio.sleep(0.01)


async def test_leaving_the_context_ends_the_process(place: Place) -> None:
    sandbox = place.sandbox
    await sandbox.start(_spec("a"))
    async with sandbox.exec("a", ["sh", "-c", "echo $$; exec sleep 987"]) as process:
        async for _ in process:
            break
        await _until_sleep_runs(place, wanted=True)
    await _until_sleep_runs(place, wanted=False)


async def test_writing_to_a_process_that_has_ended_says_try_again(sandbox: Sandbox) -> None:
    await sandbox.start(_spec("a"))
    async with sandbox.exec("a", ["true"]) as process:
        assert await process.exit_status() == (0, b"")
        with pytest.raises(TryAgain):
            await process.write(b"x" * 1_000_000)


async def test_a_sandbox_that_does_not_exist_is_gone(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxGone):
        await _run(sandbox, "never", "true")
    await sandbox.start(_spec("a"))
    await sandbox.delete("a")
    with pytest.raises(SandboxGone):
        await _run(sandbox, "a", "true")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\0b"])
async def test_a_name_that_is_none_is_given_up(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(GiveUp, match="not a name of a sandbox"):
        await sandbox.start(_spec(name))


async def test_deleting_ends_everything_and_leaves_the_others(place: Place) -> None:
    sandbox = place.sandbox
    await sandbox.start(_spec("a"))
    await sandbox.start(_spec("b"))
    await _run(
        sandbox,
        "a",
        "sh",
        "-c",
        "mkdir -p locked/below; touch locked/below/x; chmod -R a-w locked; chmod 0 locked/below",
    )
    async with sandbox.exec("a", ["sh", "-c", "trap '' TERM INT; echo; sleep 987"]) as process:
        async for _ in process:
            break
        await sandbox.delete("a")
        assert await sandbox.list() == [SandboxInfo(reservation="b", alive=True)]
        assert "sleep" not in await place.running("a")
    await sandbox.delete("a")
    assert not place.leftovers("a")


async def test_what_was_up_and_is_gone_is_not_made_again(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxGone):
        await sandbox.start(_spec("a", existed=True))
    assert await sandbox.list() == []
    await sandbox.start(_spec("a"))
    await sandbox.start(_spec("a", existed=True))
    await sandbox.delete("a")
    with pytest.raises(SandboxGone):
        await sandbox.start(_spec("a", existed=True))


async def test_a_dead_sandbox_is_said_and_started_again(place: Place) -> None:
    sandbox = place.sandbox
    await sandbox.start(_spec("a"))
    await _run(sandbox, "a", "sh", "-c", "echo kept > file")
    async with aclosing(sandbox.watch()) as changes:
        with anyio.fail_after(SECONDS):
            assert await anext(changes) == SandboxInfo(reservation="a", alive=True)
            place.crash("a")
            if not place.restarts:
                dead = await anext(changes)
                assert (dead.reservation, dead.alive) == ("a", False)
                assert dead.detail
            await _start_again(sandbox, "a")
            assert await _run(sandbox, "a", "cat", "file") == (b"kept\n", 0, b"")
            await sandbox.delete("a")
            async for gone in changes:
                if gone == SandboxInfo(reservation="a", alive=False, detail="It was deleted."):
                    return


async def _start_again(sandbox: Sandbox, reservation: str) -> None:
    """As an actor does: a sandbox that comes up again by itself may just not be there."""
    while True:
        try:
            await sandbox.start(_spec(reservation, existed=True))
            output, _, _ = await _run(sandbox, reservation, *sandbox.supervisor, "status")
        except TryAgain:
            await anyio.sleep(0.1)
            continue
        if json.loads(output)["journal"] == 2:
            return


async def test_a_configuration_that_cannot_be_used_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(TryAgain, match="it needs argv, and a UUID as session"):
        await sandbox.start(SandboxSpec(reservation="a", session="1", config=b'{"argv": ["x"], "session": "no"}'))


async def test_a_sandbox_has_its_own_home_and_workspace(place: Place) -> None:
    await place.sandbox.start(_spec("a"))
    output, _, _ = await _run(place.sandbox, "a", "sh", "-c", "touch a; pwd; cd; touch b; pwd")
    assert output.decode().split() == [place.folder("a", "work"), place.folder("a", "home")]


async def test_bubblewrap_hides_the_machine_and_the_other_sandboxes(sandbox: Sandbox, tmp_path: Path) -> None:
    if not isinstance(sandbox, LocalSandbox):
        pytest.skip("a pod is not of this machine")
    if not sandbox.isolated:
        pytest.skip("without bubblewrap a sandbox sees what its user sees")
    (tmp_path / "secret").write_text("secret")
    await sandbox.start(_spec("a"))
    await sandbox.start(_spec("b"))
    output, _, _ = await _run(
        sandbox, "a", "sh", "-c", f"ls {tmp_path}; ls -d {Path.home()}/* /root/* /home/* /var/*; ps ax"
    )
    assert output.decode().split()[:1] == ["a"]
    assert "secret" not in output.decode()
    assert "b" not in output.decode().split()
