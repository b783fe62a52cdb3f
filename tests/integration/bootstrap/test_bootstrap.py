"""`.ci/bootstrap` on a tree of its own, with a package index of its own that can be made to hang in the middle of a download."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 60.0


class Index(ThreadingHTTPServer):
    """A package index with one package, `tiny`. While `open` is not set, downloads stop half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.wheels = {f"tiny-{version}-py3-none-any.whl": wheel(version) for version in ("1.0", "2.0")}
        self.open = threading.Event()
        self.open.set()
        self.downloads = 0

    def locked(self, version: str) -> str:
        digest = hashlib.sha256(self.wheels[f"tiny-{version}-py3-none-any.whl"]).hexdigest()
        return f"tiny=={version} \\\n    --hash=sha256:{digest}\n"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        index = self.server
        assert isinstance(index, Index)
        name = self.path.rsplit("/", 1)[-1]
        body = index.wheels.get(name) or "".join(f'<a href="/{n}">{n}</a>' for n in index.wheels).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/zip" if name else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2 if name in index.wheels else len(body)
        self.wfile.write(body[:half])
        if name in index.wheels:
            index.downloads += 1
            index.open.wait(DEADLINE)
            self.wfile.write(body[half:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


def wheel(version: str) -> bytes:
    file = BytesIO()
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny.py", f"version = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return file.getvalue()


class Tree:
    """A checkout with nothing in it but the bootstrap and a lock file."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.index = index
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        (folder / "deploy").mkdir()
        self.lock("1.0")

    def lock(self, version: str) -> None:
        (self.folder / "deploy" / "requirements.lock").write_text(self.index.locked(version))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.folder / ".ci" / "bootstrap", "runtime"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "PYTHON": sys.executable,
                "PIP_INDEX_URL": f"http://127.0.0.1:{self.index.server_address[1]}/simple",
                "PIP_NO_CACHE_DIR": "1",
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_TARGET": "/nowhere",  # somebody's habit that must not matter
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, **environment: str) -> tuple[int, str]:
        process = self.start(**environment)
        said = process.communicate(timeout=DEADLINE)[0]
        return process.returncode, said

    def installed(self) -> str:
        python = self.folder / ".venv" / "bin" / "python"
        show = "import tiny; print(tiny.version)"
        return subprocess.run([python, "-I", "-c", show], check=False, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    index = Index()
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Tree(tmp_path / "tree", index)
    index.open.set()
    index.shutdown()
    thread.join()
    index.server_close()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_it_installs_what_is_locked_once_and_follows_the_lock(tree: Tree) -> None:
    status, said = tree.run()
    assert (status, tree.installed()) == (0, "1.0"), said
    assert "1 package" in said
    assert (tree.folder / ".venv" / "bin" / "discord-claude").is_file()

    assert tree.run() == (0, "")
    assert tree.index.downloads == 1

    right = tree.index.locked("2.0")
    (tree.folder / "deploy" / "requirements.lock").write_text(right.replace("sha256:", "sha256:0")[:-2] + "\n")
    status, said = tree.run()
    assert status == 1
    assert "not the one that was locked" in said
    assert tree.installed() == "1.0"

    tree.lock("2.0")
    status, said = tree.run()
    assert (status, tree.installed()) == (0, "2.0"), said
    assert "anew" not in said


def test_what_was_killed_is_done_again_and_mended(tree: Tree) -> None:
    tree.index.open.clear()
    killed = tree.start()
    until(lambda: tree.index.downloads)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=DEADLINE)
    assert not tree.installed()

    tree.index.open.set()
    status, said = tree.run()
    assert (status, tree.installed()) == (0, "1.0"), said
    assert not list((tree.folder / ".venv" / ".setup").glob("tmp-*"))

    state = tree.folder / ".venv" / ".setup"
    (state / "runtime").rename(state / "runtime.begun")  # as a kill between two files leaves it …
    (module,) = tree.folder.glob(".venv/lib/*/site-packages/tiny.py")
    module.unlink()  # … with all that pip looks at in place, and the module not
    assert not tree.installed()
    status, said = tree.run()
    assert (status, tree.installed()) == (0, "1.0"), said


def test_two_at_once_take_turns(tree: Tree) -> None:
    tree.index.open.clear()
    first = tree.start()
    until(lambda: tree.index.downloads)
    second = tree.start()
    assert second.stdout
    assert "waiting" in second.stdout.readline()
    tree.index.open.set()
    for process in (first, second):
        said = process.communicate(timeout=DEADLINE)[0]
        assert process.returncode == 0, said
    assert (tree.index.downloads, tree.installed()) == (1, "1.0")


def test_somebody_elses_venv_is_left_alone(tree: Tree) -> None:
    (tree.folder / ".venv").mkdir()
    (tree.folder / ".venv" / "mine").touch()
    status, said = tree.run()
    assert status == 1
    assert "Move it away" in said
    assert (tree.folder / ".venv" / "mine").exists()


@pytest.mark.parametrize("python", ["/nowhere/python3", "false"])
def test_without_a_python_it_says_what_to_install(tree: Tree, python: str) -> None:
    status, said = tree.run(PYTHON=python)
    assert status == 1
    assert "needs Python 3.11 or newer" in said
    assert "apt-get install python3" in said
    assert not (tree.folder / ".venv").exists()
